"""docs/real_data.md: what its code makes of MELD's files, here generated in the layout that MELD's README describes."""

import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd

from dmdlite.data.features import load_features

PAGE = Path(__file__).parent.parent / "docs" / "real_data.md"
EMOTIONS = ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")


def test_the_code_for_meld(tmp_path, monkeypatch):
    rng, words, voice = np.random.default_rng(0), [], []
    for split, count in (("train", 21), ("dev", 7), ("test", 14)):
        places = [(clip // 3, clip % 3) for clip in range(count)]
        rows = {"Dialogue_ID": [d for d, _ in places], "Utterance_ID": [u for _, u in places]}
        rows |= {"Utterance": [f"line {clip}" for clip in range(count)], "Emotion": np.resize(EMOTIONS, count)}
        pd.DataFrame(rows).to_csv(tmp_path / f"{split}_sent_emo.csv", index=False)
        words.append({f"{d}_{u}": rng.standard_normal(300) for d, u in places})
        voice.append({f"{d}_{u}": rng.standard_normal(1611) for d, u in places[1:]})  # one sound is missing
    (tmp_path / "text_glove_average_emotion.pkl").write_bytes(pickle.dumps(words))
    (tmp_path / "audio_embeddings_feature_selection_emotion.pkl").write_bytes(pickle.dumps(voice))
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(code, {})
    splits = load_features("meld.pkl")
    assert {name: len(split) for name, split in splits.items()} == {"train": 20, "valid": 6, "test": 13}
    train = splits["train"]
    assert train.task == "classification" and train.class_names == tuple(sorted(EMOTIONS))
    assert train.features["language"].shape == (20, 1, 300) and train.features["audio"].shape == (20, 1, 1611)
    assert train.ids[0] == "0_1" and train.raw_text[0] == "line 1" and train.class_names[train.classes[0]] == "surprise"

"""Every layout of docs/own_data.md, from a file that is written here to a prediction."""

import gzip
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dmdlite
from dmdlite.config import MODALITIES
from dmdlite.data.assemble import divided_by_id
from dmdlite.data.features import DataError, FeatureSplit, convert_features, feature_shapes, label_shape, load_features
from dmdlite.training.loop import seed_everything

COUNTS = {"train": 12, "valid": 6, "test": 6}
TIME, WIDTHS = 6, {"text": 7, "vision": 5, "audio": 4}
LENGTHS = np.array([6, 3, 5, 2, 6, 4] * 2)


def mmsa(seed=0):
    """Three splits of an unaligned MMSA file with the same lengths everywhere, zeros behind."""
    draw, content = np.random.default_rng(seed), {}
    for name, count in COUNTS.items():
        real = np.arange(TIME) < LENGTHS[:count, None]
        streams = {key: draw.normal(1, 1, (count, TIME, width)) * real[..., None] for key, width in WIDTHS.items()}
        content[name] = {key: x.astype(np.float32) for key, x in streams.items()}
        content[name] |= {f"{key}_lengths": LENGTHS[:count] for key in WIDTHS}
        content[name] |= {"regression_labels": np.linspace(-2, 3, count, dtype=np.float32), "id": ids(name, count)}
        content[name]["raw_text"] = [f"clip {i}" for i in range(count)]
    return content


def ids(name, count):
    return [f"{name}{i % 3}$_${i}" for i in range(count)]


def clips(split, key):
    return [x[:length] for x, length in zip(split[key], LENGTHS)]


def mult(content):
    streams = {name: {key: split[key][:, ::-1] for key in WIDTHS} for name, split in content.items()}
    labels = {name: split["regression_labels"].reshape(-1, 1, 1) for name, split in content.items()}
    parts = {name: np.array([[b"video", str(i).encode()] for i in range(COUNTS[name])]) for name in content}
    return {name: streams[name] | {"labels": labels[name], "id": parts[name]} for name in content}


def tuples(content):
    def of(split):
        inputs = zip(*(clips(split, key) for key in WIDTHS))
        return [(x, np.array([[y]]), name) for x, y, name in zip(inputs, split["regression_labels"], split["id"])]

    return {{"valid": "dev"}.get(name, name): of(split) for name, split in content.items()}


def ragged(content):
    def of(split):
        kept = {key: split[key] for key in ("regression_labels", "id", "raw_text")}
        rows = np.empty(len(split["id"]), object)
        rows[:] = clips(split, "vision")
        return kept | {"text": clips(split, "text"), "vision": rows, "audio": clips(split, "audio")}

    return {name: of(split) for name, split in content.items()}


def vectors(content):
    return {name: split | {key: split[key].mean(axis=1) for key in WIDTHS} for name, split in content.items()}


def dict_for_each_clip(content):
    def of(name, split):
        streams = zip(*(clips(split, key) for key in WIDTHS))
        for words, x, label in zip(split["id"], streams, split["regression_labels"]):
            yield words, dict(zip(WIDTHS, x)) | {"label": float(label), "split": name}

    return {words: clip for name, split in content.items() for words, clip in of(name, split)}


def tensors(content):
    return {
        name: {key: torch.as_tensor(split[key]) for key in (*WIDTHS, "regression_labels")}
        for name, split in content.items()
    }


def pickled(content, path):
    path.write_bytes(pickle.dumps(content, protocol=4))
    return path


def write_npz(content, path):
    flat = {f"{name}_{key}": np.asarray(x) for name, split in content.items() for key, x in split.items()}
    np.savez(path, **flat)
    return path


def write_table(content, folder, *, per_clip):
    """A CSV beside arrays, or beside a folder of files for each modality."""
    folder.mkdir()
    rows = [(name, *row) for name, split in content.items() for row in zip(split["id"], split["regression_labels"])]
    pd.DataFrame(rows, columns=["split", "id", "label"]).to_csv(folder / "labels.csv", index=False)
    for key in WIDTHS:
        if not per_clip:
            np.save(folder / f"{key}.npy", np.concatenate([split[key] for split in content.values()]))
            continue
        for name, x in ((n, x) for split in content.values() for n, x in zip(split["id"], clips(split, key))):
            (folder / key).mkdir(exist_ok=True)
            np.save(folder / key / f"{name.replace('$_$', '_')}.npy", x)
    return folder


def write_torch(content, path):
    torch.save(tensors(content), path)
    return path


def write_gzip(content, path):
    path.write_bytes(gzip.compress(pickle.dumps(content)))
    return path


def write_converted(content, folder):
    convert_features(pickled(content, folder.with_suffix(".pkl")), folder)
    return folder


LAYOUTS = {
    "mmsa": lambda c, f: pickled(c, f / "x.pkl"),
    "gzip": lambda c, f: write_gzip(c, f / "x.pkl.gz"),
    "mult": lambda c, f: pickled(mult(c), f / "x.pkl"),
    "tuples": lambda c, f: pickled(tuples(c), f / "x.pkl"),
    "ragged": lambda c, f: pickled(ragged(c), f / "x.pkl"),
    "vectors": lambda c, f: pickled(vectors(c), f / "x.pkl"),
    "dict for each clip": lambda c, f: pickled(dict_for_each_clip(c), f / "x.pkl"),
    "list of clips": lambda c, f: pickled(list(dict_for_each_clip(c).values()), f / "x.pkl"),
    "npz": lambda c, f: write_npz(c, f / "x.npz"),
    "torch": lambda c, f: write_torch(c, f / "x.pt"),
    "folder of arrays": lambda c, f: write_table(c, f / "x", per_clip=False),
    "folder of clips": lambda c, f: write_table(c, f / "x", per_clip=True),
    "converted": lambda c, f: write_converted(c, f / "x"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_splits(tmp_path, layout):
    """The streams, labels and real steps of the MMSA file; MulT's clips run backwards, with zeros in front."""
    content = mmsa()
    splits = load_features(LAYOUTS[layout](content, tmp_path))
    assert list(splits) == ["train", "valid", "test"]
    for name, split in splits.items():
        raw, rows = content[name], slice(None)
        np.testing.assert_allclose(split.labels, raw["regression_labels"])
        for m, key in zip(MODALITIES, WIDTHS):
            expected = raw[key].mean(axis=1)[:, None] if layout == "vectors" else raw[key]
            expected = expected[:, ::-1] if layout == "mult" else expected
            np.testing.assert_allclose(split.features[m][rows], expected, rtol=1e-6)
            real = np.ones((len(split), 1), bool) if layout == "vectors" else expected.any(axis=2)
            np.testing.assert_array_equal(split.real(m), real)
    if layout not in ("mult", "torch", "list of clips"):
        assert splits["valid"].ids == content["valid"]["id"]


def tiny(splits, **changes):
    config = dmdlite.DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1)
    kernels = {"kernel_sizes": dict.fromkeys(MODALITIES, 1)}
    return config.replace(**feature_shapes(splits), **label_shape(splits), **kernels, **changes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_from_reading_to_predicting(tmp_path, layout, without_shape_checks):
    splits = load_features(LAYOUTS[layout](mmsa(), tmp_path))
    seed_everything(0)
    model = dmdlite.DMD(tiny(splits))
    dmdlite.train(model, splits, tmp_path / "run", epochs=1, batch_size=6, padding_mask=True, progress=False)
    scores = dmdlite.evaluate(tmp_path / "run", {"test": splits["test"]})
    table = dmdlite.predict(tmp_path / "run", splits["test"])
    assert np.isfinite(scores["test"]["mae"]) and np.isfinite(table["prediction"]).all()
    assert scores["test"]["mae"] == pytest.approx(np.abs(table["prediction"] - splits["test"].labels).mean(), abs=1e-6)


def test_one_clip_as_an_extractor_writes_it(tmp_path):
    """(T, D) of one clip, with tokens (3, T), is a split of one clip that is called "all" and has no label."""
    one = {key: x[4] for key, x in mmsa()["test"].items() if key in WIDTHS} | {"text_bert": np.ones((3, TIME))}
    splits = load_features(pickled(one, tmp_path / "one.pkl"))
    assert list(splits) == ["all"] and len(splits["all"]) == 1
    assert splits["all"].features["audio"].shape == (1, TIME, 4) and not splits["all"].labelled()
    assert "labels" not in splits["all"].batch([0])


def test_a_file_without_splits_is_divided_on_request_alone(tmp_path):
    count = 40
    x = np.random.default_rng(0).normal(size=(count, 3, 2)).astype(np.float32)
    names = [f"speaker{i % 10}_{i}" for i in range(count)]
    np.savez(tmp_path / "x.npz", vision=x, audio=x, label=np.arange(count, dtype=np.float32), id=names)
    undivided = load_features(tmp_path / "x.npz")
    assert list(undivided) == ["all"] and list(undivided["all"].features) == ["vision", "audio"]
    with pytest.raises(KeyError, match="split_by_id"):
        undivided["train"]
    splits = load_features(tmp_path / "x.npz", split_by_id=(0.6, 0.2, 0.2))
    speakers = {name: {words.split("_")[0] for words in split.ids} for name, split in splits.items()}
    assert [len(found) for found in speakers.values()] == [6, 2, 2]
    assert not speakers["train"] & speakers["test"] and not speakers["valid"] & (speakers["train"] | speakers["test"])
    again, other = (load_features(tmp_path / "x.npz", split_by_id=(0.6, 0.2, 0.2), split_seed=s) for s in (0, 1))
    assert again["test"].ids == splits["test"].ids != other["test"].ids
    with pytest.raises(DataError, match="ids name 1 videos, too few for three"):
        np.savez(tmp_path / "y.npz", vision=x, label=np.arange(count, dtype=np.float32))
        load_features(tmp_path / "y.npz", split_by_id=(0.6, 0.2, 0.2))
    with pytest.raises(DataError, match="has the splits train, valid, test already"):
        load_features(pickled(mmsa(), tmp_path / "x.pkl"), split_by_id=(0.6, 0.2, 0.2))


def made_of(ids):
    n = len(ids)
    x = np.ones((n, 1, 1), np.float32)
    return FeatureSplit({"audio": x}, {"audio": np.ones(n, int)}, np.zeros(n, np.float32), ids, [""] * n)


@given(sizes=st.lists(st.integers(1, 20), min_size=3, max_size=9), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_division_gives_each_split_a_video_and_no_video_to_two(sizes, seed):
    ids = [f"v{video}_{i}" for video, size in enumerate(sizes) for i in range(size)]
    whole = made_of(ids)
    with warnings.catch_warnings():
        warnings.simplefilter("error" if len(ids) > len(sizes) else "ignore")
        splits = divided_by_id(whole, (0.7, 0.1, 0.2), seed)
    videos = [{name.split("_")[0] for name in split.ids} for split in splits.values()]
    assert all(videos) and sum(map(len, videos)) == len(sizes) and sum(map(len, splits.values())) == len(ids)


def test_ids_that_name_no_video_are_divided_with_a_warning():
    whole = made_of([f"01-01-{i:02}" for i in range(9)])
    with pytest.warns(UserWarning, match="every id names a video of its own, so clips of one speaker may be in two"):
        divided_by_id(whole, (0.6, 0.2, 0.2), 0)


@pytest.mark.parametrize("stored", [True, False], ids=["lengths", "no lengths"])
def test_padding_in_front(tmp_path, stored):
    """Masks, time means and the linear baseline see the real steps wherever the zeros are."""
    content = mmsa()
    for split in content.values():
        for key in WIDTHS:
            split[key] = np.stack([np.roll(x, TIME - n, axis=0) for x, n in zip(split[key], LENGTHS)])
            if not stored:
                del split[f"{key}_lengths"]
    train = load_features(pickled(content, tmp_path / "x.pkl"))["train"]
    for m, key in zip(MODALITIES, WIDTHS):
        np.testing.assert_array_equal(train.real(m), content["train"][key].any(axis=2))
        assert train.lengths[m].tolist() == LENGTHS.tolist()
        assert train.batch([1], mask=True)["mask"][m].tolist() == [[False] * 3 + [True] * 3]
    convert_features(tmp_path / "x.pkl", tmp_path / "folder")
    mapped = load_features(tmp_path / "folder")["train"]
    np.testing.assert_array_equal(mapped.real("audio"), train.real("audio"))
    longer = train.resized({"audio": 9})
    assert longer.features["audio"].shape == (12, 9, 4) and longer.real("audio")[1].tolist() == [False] * 6 + [True] * 3


def test_words_behind_and_faces_in_front(tmp_path):
    """An aligned file whose tokens are padded behind and whose streams of CMU's SDK in front."""
    content = mmsa()
    for split in content.values():
        count = len(split["id"])
        mask = np.arange(TIME) < LENGTHS[:count, None]
        split["text_bert"] = np.stack([mask * 7, mask, mask * 0], axis=1)
        for key in ("vision", "audio"):
            split[key] = np.stack([np.roll(x, TIME - n, axis=0) for x, n in zip(split[key], LENGTHS)])
        for key in WIDTHS:
            del split[f"{key}_lengths"]
    train = load_features(pickled(content, tmp_path / "x.pkl"))["train"]
    np.testing.assert_array_equal(train.real("language"), content["train"]["text_bert"][:, 1] > 0)
    np.testing.assert_array_equal(train.real("vision"), content["train"]["vision"].any(axis=2))


CLASSES = {
    "numbers": lambda c: c,
    "from -1": lambda c: c - 1,
    "gaps": lambda c: 5 * c,
    "floats": lambda c: c.astype(float).tolist(),
    "words": lambda c: np.array(["anger", "joy", "sadness"])[c],
    "bytes": lambda c: np.array([b"anger", b"joy", b"sadness"])[c],
    "one-hot": lambda c: np.eye(3)[c],
    "column": lambda c: c[:, None],
}


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_in_every_form(tmp_path, kind):
    content, expected = mmsa(), {}
    for name, split in content.items():
        expected[name] = np.arange(COUNTS[name]) % 3
        split["classification_labels"] = CLASSES[kind](expected[name])
        del split["regression_labels"]
    splits = load_features(pickled(content, tmp_path / "x.pkl"))
    for name, split in splits.items():
        assert split.task == "classification" and split.batch([0, 1])["labels"].dtype == torch.int64
        np.testing.assert_array_equal(split.truth(), expected[name])
    names = {"from -1": ("-1", "0", "1"), "gaps": ("0", "5", "10")}
    words = kind in ("words", "bytes")
    assert splits["test"].class_names == (("anger", "joy", "sadness") if words else names.get(kind, ()))
    assert label_shape(splits)["outputs"] == 3 and "regression" not in repr(splits["train"])


def test_names_of_classes_stand_beside_them(tmp_path):
    content = mmsa()
    for split in content.values():
        split["classification_labels"] = np.arange(len(split["id"])) % 3
        split["annotations"] = np.array(["zorn", "freude", "angst"])[split["classification_labels"]]
    splits = load_features(pickled(content, tmp_path / "x.pkl"), task="classification")
    assert splits["train"].class_names == ("zorn", "freude", "angst")
    convert_features(tmp_path / "x.pkl", tmp_path / "folder")
    assert load_features(tmp_path / "folder")["test"].class_names == ("zorn", "freude", "angst")


def test_several_emotions_at_once(tmp_path):
    content = mmsa()
    for split in content.values():
        split["regression_labels"] = np.arange(len(split["id"]) * 6).reshape(-1, 6) % 4 / 3
    splits = load_features(pickled(content, tmp_path / "x.pkl"), task="multilabel")
    assert splits["train"].batch([0])["labels"].tolist() == [[0, 1, 1, 1, 0, 1]]
    assert label_shape(splits)["outputs"] == 6
    for split in content.values():
        split["classification_labels"] = (split.pop("regression_labels") > 0).astype(int)
    splits = load_features(pickled(content, tmp_path / "y.pkl"))
    assert splits["train"].task == "multilabel" and splits["train"].batch([0])["labels"].sum() == 4
    with pytest.raises(DataError, match="several classes for each clip, which is the task 'multilabel'"):
        splits["train"].truth("classification")


def test_labels_of_each_modality(tmp_path):
    content = mmsa()
    for split in content.values():
        for letter, factor in zip("TVA", (1, 2, 3)):
            split[f"regression_labels_{letter}"] = split["regression_labels"] * factor
        split["regression_labels_M"] = split.pop("regression_labels")
    train = load_features(pickled(content, tmp_path / "x.pkl"))["train"]
    np.testing.assert_allclose(train.labels_of["audio"], 3 * train.labels)
    assert sorted(train[2:5].labels_of) == sorted(MODALITIES) and len(train[2:5].labels_of["vision"]) == 3


def test_missing_modalities(tmp_path):
    """A stream of NaN, a file that is not there and a mark all mean the same: zeros, no real step."""
    content = mmsa()
    content["train"]["audio"][1] = np.nan
    content["train"]["vision_available"] = [0] + [1] * 11
    train = load_features(pickled(content, tmp_path / "x.pkl"))["train"]
    batch = train.batch([0, 1], mask=True)
    assert not batch["vision"][0].any() and batch["vision"][1].any() and not batch["audio"][1].any()
    assert batch["mask"]["vision"].sum(dim=1).tolist() == [0, 3] and batch["mask"]["audio"].sum(dim=1).tolist() == [
        6,
        0,
    ]
    folder = write_table(mmsa(), tmp_path / "folder", per_clip=True)
    (folder / "audio" / "train1_1.npy").unlink()
    train = load_features(folder)["train"]
    assert train.present["audio"].tolist() == [True, False] + [True] * 10 and train.features["audio"].shape[1] == TIME


def test_only_the_wanted_streams_have_to_be_sound(tmp_path):
    content = mmsa()
    content["train"]["vision"][0, 0, 0], content["valid"]["audio"][0, 0, 0] = np.nan, np.inf
    path = pickled(content, tmp_path / "x.pkl")
    with pytest.raises(DataError, match="key 'audio': 1 values are NaN or infinite; --invalid zero"):
        load_features(path, modalities=["language", "audio"])
    assert list(load_features(path, modalities=["language"])["train"].features) == ["language"]
    with pytest.warns(UserWarning) as found:
        splits = load_features(path, invalid="zero")
    assert {str(w.message)[:40] for w in found} == {
        "x.pkl, split 'train', key 'vision': 1 Na",
        "x.pkl, split 'valid', key 'audio': 1 NaN",
    }
    assert (
        splits["train"].replaced == splits["valid"].replaced == 1 and splits["train"].features["vision"][0, 0, 0] == 0
    )


def test_streams_that_teach_nothing_or_drown_the_others(tmp_path):
    content = mmsa()
    for split in content.values():
        split["vision"][:] = 0
        split["audio"] *= 300
    with pytest.warns(UserWarning) as found:
        load_features(pickled(content, tmp_path / "x.pkl"))
    messages = [str(w.message) for w in found]
    assert len(messages) == 2 and "edge_learning" in messages[0] and "--standardise" in messages[1], messages


def test_splits_of_different_lengths_are_padded(tmp_path):
    content = mmsa()
    for key in WIDTHS:
        content["test"][key] = content["test"][key][:3, :4]
        content["test"][f"{key}_lengths"] = np.minimum(LENGTHS[:3], 4)
    content["test"] |= {key: content["test"][key][:3] for key in ("regression_labels", "id", "raw_text")}
    splits = load_features(pickled(content, tmp_path / "x.pkl"))
    assert splits["test"].steps == splits["train"].steps and splits["test"].real("audio").sum(axis=1).tolist() == [
        4,
        3,
        4,
    ]


def test_tokens_of_different_lengths_are_padded(tmp_path):
    """Splits that a tokenizer cut at their own longest sentence."""
    content = mmsa()
    for steps, split in zip((5, 3, 4), content.values()):
        split["text_bert"] = np.ones((len(split["id"]), 3, steps), int)
    splits = load_features(pickled(content, tmp_path / "x.pkl"))
    assert {split.tokens.shape[1:] for split in splits.values()} == {(3, 5)}
    assert splits["valid"].real("language", tokens=True).sum(axis=1).tolist() == [3] * 6


def test_words_of_different_widths_are_refused_in_one_sentence(tmp_path):
    content = tuples(mmsa())
    (words, *others), *rest = content["train"][0]
    content["train"][0] = (([*map(list, words)][:-1] + [[1.0]], *others), *rest)
    with pytest.raises(DataError, match="split 'train', key 'text': holds clips that are not all arrays of numbers"):
        load_features(pickled(content, tmp_path / "x.pkl"))


def test_a_table_that_is_none(tmp_path):
    folder = Path(tmp_path)
    (folder / "a.csv").write_text("clip,label\n1,2\n")
    with pytest.raises(DataError, match=r"a\.csv has no column 'id' that names the clips; it has clip, label"):
        load_features(folder)
    (folder / "b.csv").write_text("id\n1\n")
    with pytest.raises(DataError, match="2 CSV files instead of one"):
        load_features(folder)


def test_clean_data_give_no_warning(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, write in LAYOUTS.items():
            (tmp_path / name).mkdir()
            load_features(write(mmsa(), tmp_path / name))

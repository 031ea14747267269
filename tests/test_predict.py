"""Predictions for any clips that a finished run can read, and the options that say how data are read and learned."""

import json
import os
import pickle
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import dmdlite
from dmdlite.__main__ import main
from dmdlite.config import TrainingConfig
from dmdlite.data.features import load_features
from dmdlite.training import runs
from dmdlite.training.loop import make_optimizer, make_schedule, predict_logits

TINY = ["--epochs", "1", "--batch-size", "8", "--set", "width=8", "--set", "heads=2", "--set", "layers=1"]
TINY += ["--set", "minimum_memory_layers=1", "--set", 'kernel_sizes={"language": 1, "vision": 1, "audio": 1}']
MOODS = ("calm", "glad", "sad")
KEYS = ("text", "vision", "audio")


pytestmark = pytest.mark.usefixtures("no_pictures")


def content(clips=(12, 6, 6), steps=8, seed=0):
    """A small data set in MMSA's layout."""
    draw, found = np.random.default_rng(seed), {}
    for name, count in zip(("train", "valid", "test"), clips):
        found[name] = {key: draw.normal(size=(count, steps, 4)).astype(np.float32) for key in KEYS}
        found[name] |= {"id": np.array([f"vid{i}$_$1" for i in range(count)]), "raw_text": np.array(["好"] * count)}
        found[name]["regression_labels"] = draw.uniform(-3, 3, count).astype(np.float32)
        found[name]["annotations"] = np.array([MOODS[i % 3] for i in range(count)])
    return found


def save(data, path):
    path.write_bytes(pickle.dumps(data, protocol=4))
    return str(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Data and two finished runs on them, of numbers and of named classes."""
    place = tmp_path_factory.mktemp("predict")
    data = save(content(), place / "data.pkl")
    assert main(["train", "--data", data, "--output", str(place / "run"), *TINY]) == 0
    more = ["--task", "classification", "--model", "late_fusion"]
    assert main(["train", "--data", data, "--output", str(place / "moods"), *more, *TINY]) == 0
    return place


def predicted(place, data, *more, run="run"):
    path, out = save(data, place / "new.pkl"), place / "out.csv"
    assert main(["predict", str(place / run), "--data", path, "--output", str(out), *more]) == 0
    return pd.read_csv(out)


def streams(split, clips=slice(None), steps=8):
    return {key: split[key][clips, :steps] for key in KEYS}


def test_clips_without_labels(place):
    test = content()["test"]
    rows = predicted(place, {"test": streams(test)})
    splits = load_features(place / "data.pkl")
    expected = predict_logits(runs.load_model(place / "run"), splits["test"])
    np.testing.assert_allclose(rows.prediction, expected, rtol=1e-5)
    assert "label" not in rows and "split" not in rows
    edges = rows.filter(regex="^homogeneous ")
    assert edges.shape == (6, 6) and edges.sum(axis=1).to_numpy() == pytest.approx(1)
    single = predicted(place, {key: x[0] for key, x in streams(test).items()})
    assert len(single) == 1 and single.prediction[0] == pytest.approx(rows.prediction[0], rel=1e-5)
    whole = predicted(place, content())
    assert list(whole.split.unique()) == ["train", "valid", "test"] and len(whole) == 24
    np.testing.assert_allclose(whole.label[-6:], content()["test"]["regression_labels"], rtol=1e-6)


def test_heads_speak_for_themselves(place):
    rows = predicted(place, {"test": streams(content()["test"])})
    model = runs.load_model(place / "run")
    with torch.no_grad():
        out = model(**load_features(place / "data.pkl")["test"].batch(slice(None)))
    for m in dmdlite.MODALITIES:
        np.testing.assert_allclose(rows[m], out.predictions[f"heterogeneous_{m}"], rtol=1e-5)
    np.testing.assert_allclose(rows["heterogeneous audio->vision"], out.edges["heterogeneous"][:, 2, 1], rtol=1e-5)


def test_shorter_clips_are_padded_and_longer_ones_refused(place, capsys):
    test = content()["test"]
    short = predicted(place, {"test": streams(test, steps=5)})
    padded = {key: np.pad(x, ((0, 0), (0, 3), (0, 0))) for key, x in streams(test, steps=5).items()}
    np.testing.assert_allclose(short.prediction, predicted(place, {"test": padded}).prediction, rtol=1e-6)
    path = save({"test": streams(content(steps=9)["test"], steps=9)}, place / "long.pkl")
    assert main(["predict", str(place / "run"), "--data", path]) == 2
    assert "length 9, the model was made for 8" in capsys.readouterr().err


def test_shorter_clips_of_tokens():
    bert = dict(model_type="bert", hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    splits = dmdlite.toy_world(n=20, seed=0).splits
    config = dmdlite.DMDConfig.toy(width=8, heads=2, layers=1, language_model=bert | {"vocab_size": 1000})
    model, test = dmdlite.build("language", config).eval(), splits["test"]
    short = replace(test, tokens=test.tokens[:, :, :9])
    padded = replace(test, tokens=np.pad(short.tokens, ((0, 0), (0, 0), (0, test.tokens.shape[2] - 9))))
    table = dmdlite.predict(model, short)
    np.testing.assert_allclose(table.prediction, predict_logits(model, padded), rtol=1e-6)


def test_classes_have_names_and_probabilities(place, capsys):
    rows = predicted(place, content(), run="moods")
    assert set(rows.label) == set(MOODS) and set(rows.prediction) | set(rows.vision) <= set(MOODS)
    chances = rows[[f"probability {mood}" for mood in MOODS]].to_numpy()
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert [MOODS[i] for i in chances.argmax(axis=1)] == list(rows.prediction)
    assert main(["predict", str(place / "moods"), "--data", str(place / "data.pkl"), "--split", "test"]) == 0
    assert "probability glad" in capsys.readouterr().out


def test_labels_of_another_kind_do_not_matter(place):
    data = content()["test"]
    data["annotations"] = np.array(["bored"] * 6)
    assert len(predicted(place, {"test": data}, run="moods")) == 6


def test_vectors(place):
    out = place / "vectors.npz"
    predicted(place, content(), "--embeddings", str(out))
    found, split = np.load(out), load_features(place / "data.pkl")["test"]
    assert len(found["ids"]) == 24 and list(found["split"][-6:]) == ["test"] * 6
    own = dmdlite.embed(place / "run", split)
    assert {"fused", "common_language", "reinforced_audio"} < own.keys() == set(found.files)
    np.testing.assert_allclose(found["reinforced_audio"][-6:], own["reinforced_audio"], rtol=1e-5)


def test_python_gives_the_same_table(place):
    split = load_features(place / "data.pkl")["test"]
    rows = predicted(place, content(), "--split", "test")
    table = dmdlite.predict(place / "run", split)
    assert list(table) == list(rows) and dmdlite.predict(runs.load_model(place / "run"), split).equals(table)
    np.testing.assert_allclose(table.select_dtypes(float), rows.select_dtypes(float), rtol=1e-5)


def test_evaluate_needs_labels_of_one_split_only(place, capsys):
    data = content()
    labelled = save({"test": data["test"]}, place / "test_only.pkl")
    assert main(["evaluate", str(place / "run"), "--data", labelled]) == 0
    expected = capsys.readouterr().out
    data["valid"] = streams(data["valid"])
    assert main(["evaluate", str(place / "run"), "--data", save(data, place / "some.pkl")]) == 0
    assert capsys.readouterr().out == expected
    assert main(["evaluate", str(place / "run"), "--data", str(place / "some.pkl"), "--split", "valid"]) == 2
    err = capsys.readouterr().err
    assert "split 'valid' has no labels" in err and "predict" in err and err.count("\n") == 1


def trained(place, name, *more, data="data.pkl"):
    folder = place / name
    assert main(["train", "--data", str(place / data), "--output", str(folder), *more, *TINY]) == 0
    return json.loads((folder / "training.json").read_text())


def test_a_run_reopens_its_data_as_it_read_them(place, capsys):
    whole = {key: np.concatenate([split[key] for split in content((40, 1, 1)).values()]) for key in content()["train"]}
    whole["id"] = np.array([f"vid{i}$_$1" for i in range(42)])
    whole["vision"][3, 2, 1] = np.nan
    save(whole, place / "whole.pkl")
    how = ["--modalities", "language", "vision", "--split-by-id", "0.6,0.2,0.2", "--split-seed", "3"]
    found = trained(place, "reopened", *how, "--invalid", "zero", data="whole.pkl")
    assert found["config"]["modalities"] == ["language", "vision"]
    test = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("test ")]
    assert main(["evaluate", str(place / "reopened")]) == 0
    assert float(capsys.readouterr().out.split()[1]) == pytest.approx(float(test[0][1]), abs=6e-4)  # "mae  0.4567"
    moved = (place / "whole.pkl").rename(place / "moved.pkl")  # still the run's own clips, so still its test split
    assert main(["evaluate", str(place / "reopened"), "--data", str(moved)]) == 0
    assert float(capsys.readouterr().out.split()[1]) == pytest.approx(float(test[0][1]), abs=6e-4)  # "mae  0.4567"
    whole["id"] = np.array([f"new{i}$_$1" for i in range(42)])
    save(whole, place / "others.pkl")
    assert main(["predict", str(place / "reopened"), "--data", str(place / "others.pkl"), "--invalid", "zero"]) == 0
    assert capsys.readouterr().out.count("$_$1") == 42


def test_what_is_learned_and_how(place):
    how = ["--task", "classification", "--class-weights", "--standardise", "--select-by", "macro_f1"]
    data = content()
    data["train"]["annotations"] = np.array(["calm"] * 8 + ["glad", "glad", "sad", "sad"])
    save(data, place / "rare.pkl")
    found = trained(place, "rare", "--model", "early_fusion", *how, data="rare.pkl")
    assert found["config"]["class_weights"] == pytest.approx([0.5, 2, 2]) and found["config"]["standardise"]
    assert found["training"]["select_by"] == "macro_f1"


def test_several_classes_at_once(place):
    data = content()
    for split in data.values():
        split["regression_labels"] = np.random.default_rng(0).choice([0, 0, 1, 2], (len(split["id"]), 3)).astype("f4")
        del split["annotations"]
    save(data, place / "emotions.pkl")
    found = trained(place, "emotions", "--task", "multilabel", "--model", "late_fusion", data="emotions.pkl")
    assert found["config"]["outputs"] == 3
    rows = predicted(place, data, "--split", "test", run="emotions")
    assert ((rows["prediction 1"] == 1) == (rows["probability 1"] > 0.5)).all()
    assert set(rows.filter(regex="^label ").to_numpy().flat) == {0, 1} and "audio 2" in rows


def test_one_modality_is_trained_on_its_own(place, capsys):
    found = trained(place, "alone", "--modalities", "audio")
    assert found["model"].endswith("Unimodal") and "with audio alone" in capsys.readouterr().out


def test_labels_are_clipped_where_the_preset_says_so(place):
    data = content()
    data["train"]["regression_labels"][:2] = 5, -4
    save(data, place / "wide.pkl")
    with pytest.warns(UserWarning, match=r"wide.pkl: 2 labels outside \[-3, 3\] are clipped to it"):
        trained(place, "wide", "--preset", "mosi", data="wide.pkl")
    assert runs.predict(place / "wide", runs.own_data(place / "wide")["train"]).label[:2].tolist() == [3, -3]


@pytest.mark.parametrize("factor", [1 / 3, 10], ids=["sims", "other"])
def test_the_final_table_follows_the_scale(place, capsys, factor):
    data = content()
    for split in data.values():
        split["regression_labels"] *= np.float32(factor)
    save(data, place / "scaled.pkl")
    trained(place, f"scaled{factor}", data="scaled.pkl")
    printed = capsys.readouterr().out
    assert ("ACC5" in printed) == (factor < 1) and ("CCC" in printed) == (factor > 1) and "ACC7" not in printed
    assert re.search(r"^test, linear +\d", printed, re.M) and re.search(r"^valid, constant", printed, re.M)


def test_what_the_message_recommends_helps(place, capsys):
    save({name: streams(x, steps=1) | {"regression_labels": x["regression_labels"]} for name, x in content().items()},
         place / "one_step.pkl")  # fmt: skip
    command = ["train", "--data", str(place / "one_step.pkl"), "--preset", "mosi", "--epochs", "1"]
    command += ["--model", "early_fusion", "--output", str(place / "one_step")]
    assert main(command) == 2
    advice = capsys.readouterr().err.split("--set '")[1].split("'")[0]
    assert main([*command, "--set", advice]) == 0


def test_compare_reads_as_train_does(place, capsys):
    how = ["--modalities", "language", "audio", "--models", "rivals", "language", "--seeds", "1", "--jobs", "1"]
    data = content()
    data["test"]["audio"][0, 0, 0] = np.inf
    save(data, place / "odd.pkl")
    how += ["--invalid", "zero", "--output", str(place / "table"), "--data", str(place / "odd.pkl")]
    assert main(["compare", *how, *TINY]) == 0
    out = capsys.readouterr().out
    left_out = next(line for line in out.splitlines() if line.startswith("left out"))
    assert "pkdot" in left_out and "mult" not in left_out and "| MulT |" in out


@pytest.mark.parametrize("form", ["run", "safetensors", "wrapped"])
def test_training_goes_on_from_weights(place, form, tmp_path):
    start = {"run": place / "run", "safetensors": place / "run" / "model.safetensors"}.get(form, tmp_path / "x.pth")
    before = runs.load_model(place / "run").state_dict()
    if form == "wrapped":
        torch.save({"state_dict": {f"module.Model.{name}": x for name, x in before.items()}, "epoch": 3}, start)
    trained(tmp_path, "next", "--from", str(start), "--learning-rate", "1e-9", data=place / "data.pkl")
    after = runs.load_model(tmp_path / "next").state_dict()
    assert all(torch.allclose(after[name], x, atol=1e-6) for name, x in before.items())


def test_heads_of_another_size_are_refused(place, tmp_path, capsys):
    command = ["train", "--data", str(place / "data.pkl"), "--task", "classification", "--output", str(tmp_path / "x")]
    assert main([*command, "--from", str(place / "run"), *TINY]) == 2
    assert "predicts 1 numbers for a clip, but these labels need 3" in capsys.readouterr().err


def test_warm_up_and_two_learning_rates():
    bert = dict(model_type="bert", hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    config = dmdlite.DMDConfig.toy(width=8, heads=2, layers=1, language_model=bert | {"vocab_size": 20})
    training = TrainingConfig(
        learning_rate=0.4, learning_rates={"language_encoder": 0.04}, warmup_epochs=3, plateau_patience=1
    )
    model = dmdlite.EarlyFusion(config)
    optimizer = make_optimizer(model, training)
    counts = [sum(x.numel() for x in group["params"]) for group in optimizer.param_groups]
    assert counts[1] == sum(x.numel() for x in model.read.language_encoder.parameters())
    assert sum(counts) == sum(x.numel() for x in model.parameters())
    schedule, rates = make_schedule(optimizer, training), []
    for _ in range(7):
        rates.append([group["lr"] for group in optimizer.param_groups])
        schedule.step(1.0)
    first, second = zip(*rates)
    assert first == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.2])
    assert second == pytest.approx([x / 10 for x in first])


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "smaller --batch-size"),
        (MemoryError(), "smaller --batch-size"),
        (RuntimeError("InvalidCxxCompiler: No working C++ compiler found"), "--compile needs a C++ compiler"),
        (RuntimeError("our own mistake"), None),
    ],
)
def test_a_full_memory_is_no_traceback(place, monkeypatch, capsys, problem, words):
    def fails(*_, **__):
        raise problem

    monkeypatch.setattr("dmdlite.training.systems.train", fails)
    command = ["train", "--data", str(place / "data.pkl"), "--output", str(place / "never"), *TINY]
    if words is None:
        with pytest.raises(RuntimeError, match="our own mistake"):
            main(command)
    else:
        assert main(command) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1


def test_a_console_that_lacks_letters(place):
    command = [sys.executable, "-m", "dmdlite", "predict", str(place / "run"), "--data", str(place / "data.pkl")]
    env = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, capture_output=True, env=env)
    assert done.returncode == 0 and b"vid0$_$1    ?" in done.stdout


@pytest.mark.parametrize("kind", ["bart", "t5", "vit"])
def test_encoders_of_other_kinds(kind):
    from dmdlite.components.streams import LanguageEncoder

    small = dict(d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=1, decoder_attention_heads=1)
    t5 = dict(d_model=8, num_layers=1, num_heads=1, d_kv=8, d_ff=8, vocab_size=20)
    vit = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    fields = {"bart": small | {"vocab_size": 20}, "t5": t5, "vit": vit}[kind] | {"model_type": kind}
    if kind == "vit":
        with pytest.raises(ValueError, match="does not turn token ids into features"):
            LanguageEncoder(fields, True)
    else:
        encoder = LanguageEncoder(fields, True)
        assert encoder.width == 8 and not any("decoder" in name for name, _ in encoder.named_parameters())
        assert LanguageEncoder(encoder.fields, True).state_dict().keys() == encoder.state_dict().keys()


@pytest.mark.parametrize("name", ["runs/none", "./somebody/dmd", "one/two/three", "finished_modl"])
def test_a_mistyped_path_is_no_name_on_the_hub(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "finished_model").mkdir()
    with pytest.raises(ValueError, match=f"there is no folder {name}") as problem:
        dmdlite.DMD.from_pretrained(name)
    assert ("did you mean 'finished_model'" in str(problem.value)) == (name == "finished_modl")

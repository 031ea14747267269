"""The other data sets of DHMD's paper, UR-FUNNY and MUStARD, in the files that circulate, written here in small."""

import pickle

import numpy as np
import pytest

import dmdlite
from dmdlite.config import MODALITIES
from dmdlite.data.features import DataError, feature_shapes, label_shape, load_features
from dmdlite.data.ur_funny import FOLDS

pytestmark = pytest.mark.filterwarnings("ignore:.*-inf was set to 0")
COUNTS = {"train": 14, "valid": 6, "test": 6}
STEPS, WIDTHS = 9, {"vision": 11, "audio": 8, "text": 10}
SHAPES = {"humor": lambda y: y.astype(np.int64)[:, None], "sarcasm": lambda y: (2.0 * y - 1).reshape(-1, 1, 1)}


def multibench(kind, answers):
    """Zeros in front of a clip, and audio with −inf, as COVAREP gives it; ids are numbers in a column."""
    draw, content = np.random.default_rng(0), {}
    for name, count in COUNTS.items():
        kept = np.arange(STEPS) >= draw.integers(0, STEPS - 1, (count, 1))
        content[name] = {
            key: draw.normal(1, 1, (count, STEPS, width)) * kept[..., None] for key, width in WIDTHS.items()
        }
        content[name]["audio"][0, -1, 0] = -np.inf
        content[name] |= {"labels": SHAPES[kind](answers[name]), "id": np.arange(count)[:, None]}
    return content


def pickled(content, path):
    path.write_bytes(pickle.dumps(content))
    return path


@pytest.mark.parametrize("task", [None, "classification"])
@pytest.mark.parametrize("kind", SHAPES)
def test_multibench_files_are_two_classes(tmp_path, kind, task):
    answers = {name: np.arange(count) % 2 for name, count in COUNTS.items()}
    content = multibench(kind, answers)
    splits = load_features(pickled(content, tmp_path / f"{kind}.pkl"), task)
    for name, split in splits.items():
        assert split.task == "classification" and split.truth().tolist() == answers[name].tolist()
        assert split.ids == [str(i) for i in range(COUNTS[name])] and split.replaced == 1
        np.testing.assert_array_equal(split.real("language"), content[name]["text"].any(axis=2))
    shape = label_shape(splits)
    assert (shape["task"], shape["outputs"]) == ("classification", 2)
    assert shape["class_names"] == ([] if kind == "humor" else ["-1", "1"])


def test_a_model_learns_from_such_a_file(tmp_path, without_shape_checks):
    answers = {name: np.arange(count) % 2 for name, count in COUNTS.items()}
    splits = load_features(pickled(multibench("sarcasm", answers), tmp_path / "sarcasm.pkl"))
    config = dmdlite.DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1)
    one = dict.fromkeys(MODALITIES, 1)
    config = config.replace(kernel_sizes=one, **feature_shapes(splits), **label_shape(splits))
    result = dmdlite.train(dmdlite.DMD(config), splits, tmp_path / "run", epochs=1, batch_size=7, progress=False)
    assert 0 <= result.metrics["test"]["accuracy"] <= 1
    assert set(dmdlite.predict(tmp_path / "run", splits["test"])["prediction"].astype(str)) <= {"-1", "1"}


def test_two_numbers_are_classes_only_where_nothing_says_otherwise(tmp_path):
    """A wanted task decides; sentiments, and numbers of which a split lacks none, stay numbers."""
    answers = {name: np.arange(count) % 2 for name, count in COUNTS.items()}
    content = multibench("sarcasm", answers)
    path = pickled(content, tmp_path / "x.pkl")
    assert load_features(path, "regression")["test"].labels.tolist() == (2.0 * answers["test"] - 1).tolist()
    content["test"]["labels"][0] = 0.4
    path = pickled(content, tmp_path / "y.pkl")
    assert load_features(path)["train"].task == "regression"
    with pytest.raises(DataError, match="test.*values that are not whole numbers"):
        load_features(path, "classification")["test"].truth()


def ur_funny(folder, words="language_sdk.pkl"):
    draw = np.random.default_rng(1)
    folds = {"train": [3, 5, 8, 13], "dev": [21, 34], "test": [55, 89]}
    clips = [i for ids in folds.values() for i in ids]
    counts = {i: int(draw.integers(1, 7)) for i in clips}
    steps = lambda width: {i: {"punchline_features": draw.normal(size=(counts[i], width)).tolist()} for i in clips}
    said = {i: {"punchline_embedding_indexes": draw.integers(0, 20, counts[i]).tolist()} for i in clips}
    for i in clips:
        said[i] |= {"context_embedding_indexes": [[1, 2], [3]], "punchline_sentence": f"and then {i}"}
    vectors = draw.normal(size=(20, 10)).tolist()
    files = {FOLDS: folds, words: said, "word_embedding_list.pkl": vectors, "openface_features_sdk.pkl": steps(11)}
    files |= {"covarep_features_sdk.pkl": steps(8), "humor_label_sdk.pkl": {i: n % 2 for n, i in enumerate(clips)}}
    folder.mkdir()
    for name, content in files.items():
        pickled(content, folder / name)
    return folds, said, np.array(vectors, np.float32), files


@pytest.mark.parametrize("words", ["language_sdk.pkl", "langauge_sdk.pkl", "word_embedding_indexes_sdk.pkl"])
def test_ur_funny_as_its_authors_give_it(tmp_path, words):
    folds, said, vectors, files = ur_funny(tmp_path / "v", words)
    splits = load_features(tmp_path / "v")
    assert list(splits) == ["train", "valid", "test"] and splits["valid"].ids == ["21", "34"]
    assert splits["train"].task == "classification" and splits["train"].truth().tolist() == [0, 1, 0, 1]
    assert splits["test"].raw_text == ["and then 55", "and then 89"]
    for row, i in enumerate(folds["train"]):
        spoken = said[i]["punchline_embedding_indexes"]
        seen = {"language": vectors[spoken], "vision": files["openface_features_sdk.pkl"][i]["punchline_features"]}
        for m, expected in seen.items():
            assert splits["train"].lengths[m][row] == len(spoken)
            np.testing.assert_allclose(splits["train"].features[m][row, : len(spoken)], expected, rtol=1e-6)


def test_a_folder_of_ur_funny_that_lacks_something(tmp_path):
    ur_funny(tmp_path / "v")
    (tmp_path / "v" / "humor_label_sdk.pkl").unlink()
    with pytest.raises(DataError, match="humor_label_sdk.pkl cannot be read"):
        load_features(tmp_path / "v")
    pickled({3: 1}, tmp_path / "v" / "humor_label_sdk.pkl")
    with pytest.raises(DataError, match=r"not UR-FUNNY's pickles: KeyError\(5\)"):
        load_features(tmp_path / "v")


def test_a_punchline_without_features_is_a_clip_without_that_modality(tmp_path):
    *_, files = ur_funny(tmp_path / "v")
    files["covarep_features_sdk.pkl"][3]["punchline_features"] = []
    pickled(files["covarep_features_sdk.pkl"], tmp_path / "v" / "covarep_features_sdk.pkl")
    assert load_features(tmp_path / "v")["train"].present["audio"].tolist() == [False, True, True, True]

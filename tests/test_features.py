"""Feature files: what is read, what is refused and how, and the converted folder."""

import json
import os
import pickle
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch.utils.data import DataLoader

from dmdlite import DMD
from dmdlite.config import MODALITIES, DMDConfig
from dmdlite.data import features as data
from dmdlite.data.features import DataError, FeatureSplit, load_features, write_folder, write_mmsa

COUNTS = {"train": 6, "valid": 3, "test": 4}
LENGTHS = np.array([3, 1, 5, 2, 4, 5])
SHAPES = {"aligned": {"text": (5, 4), "vision": (5, 3), "audio": (5, 2)}}
SHAPES["unaligned"] = SHAPES["aligned"] | {"vision": (9, 3), "audio": (7, 2)}


def layout(kind="aligned", dtype=np.float32):
    """What an MMSA pickle holds, small; aligned files have no lengths of audio and vision."""
    rng = np.random.default_rng(0)
    content = {}
    for name, count in COUNTS.items():
        lengths = LENGTHS[:count]
        true = {key: lengths + (kind == "unaligned" and key != "text") for key in SHAPES[kind]}
        split = {}
        for key, (time, width) in SHAPES[kind].items():
            split[key] = rng.uniform(0.5, 2, (count, time, width)).astype(dtype)
            split[key][np.arange(time) >= true[key][:, None]] = 0
            if kind == "unaligned" and key != "text":
                split[f"{key}_lengths"] = [int(x) for x in true[key]]
        mask = np.arange(5) < lengths[:, None]
        split["text_bert"] = np.stack([mask * 101, mask, mask * 0], axis=1).astype(np.float32)
        split["regression_labels"] = np.linspace(-3, 3, count)
        split["classification_labels"] = np.sign(split["regression_labels"]) + 1
        split["raw_text"] = np.array([f"clip {i}, “said”" for i in range(count)])
        split["id"] = [f"video$_${i}" for i in range(count)]
        split["annotations"] = np.array(["Positive"] * count, dtype=object)
        content[name] = split
    return content


def dump(content, path):
    path.write_bytes(pickle.dumps(content, 4))
    return path


@pytest.fixture
def splits(tmp_path):
    return load_features(dump(layout(), tmp_path / "data.pkl"))


def assert_equal(found, expected):
    assert list(found) == list(expected) == ["train", "valid", "test"]
    for name, split in expected.items():
        other = found[name]
        assert (other.ids, other.raw_text, other.replaced) == (split.ids, split.raw_text, split.replaced)
        assert sorted(other.features) == sorted(split.features)
        pairs = [(other.features[m], x) for m, x in split.features.items()]
        pairs += [(other.lengths[m], x) for m, x in split.lengths.items()]
        pairs += [(getattr(other, f), getattr(split, f)) for f in ("labels", "classes", "tokens")]
        for a, b in pairs:
            assert (a is None) == (b is None)
            if b is not None:
                np.testing.assert_array_equal(a, b, strict=True)


@pytest.mark.parametrize("kind", SHAPES)
def test_mmsa_pickle(tmp_path, kind):
    content = layout(kind)
    splits = load_features(dump(content, tmp_path / "data.pkl"))
    train, raw = splits["train"], content["train"]
    assert {name: len(split) for name, split in splits.items()} == COUNTS
    np.testing.assert_array_equal(train.features["language"], raw["text"], strict=True)
    np.testing.assert_array_equal(train.lengths["language"], LENGTHS)
    for modality in ("vision", "audio"):
        np.testing.assert_array_equal(train.lengths[modality], raw.get(f"{modality}_lengths", LENGTHS))
    assert train.labels.dtype == np.float32 and train.labels[0] == -3
    assert train.classes.tolist() == [0, 0, 0, 2, 2, 2]
    assert train.tokens.dtype == np.int64 and train.tokens.shape == (6, 3, 5)
    assert train.ids[1] == "video$_$1" and train.raw_text[1] == "clip 1, “said”"
    assert (train.source, train.name, train.replaced) == ("data.pkl", "train", 0)


def test_only_the_needed_keys(tmp_path):
    """Without token mask or lengths, each ends at its last non-zero step; ids and texts get defaults."""
    content = layout("unaligned")
    kept = ("text", "vision", "audio", "regression_labels")
    bare = {name: {key: split[key] for key in kept} for name, split in content.items()}
    bare["train"]["audio"][1] = 0
    train = load_features(dump(bare, tmp_path / "data.pkl"))["train"]
    np.testing.assert_array_equal(train.lengths["language"], LENGTHS)
    np.testing.assert_array_equal(train.lengths["vision"], content["train"]["vision_lengths"])
    assert train.lengths["audio"].tolist() == [4, 1, 6, 3, 5, 6]  # a silent clip keeps one step
    assert train.ids[:2] == ["train_0", "train_1"] and train.raw_text == [""] * 6
    assert train.classes is None and train.tokens is None


def test_aligned_without_a_mask_follows_the_words(tmp_path):
    content = layout()
    for split in content.values():
        del split["text_bert"]
        split["vision"][:] = 0  # no face found: the words still say how long the clip is
    train = load_features(dump(content, tmp_path / "data.pkl"))["train"]
    np.testing.assert_array_equal(train.lengths["vision"], LENGTHS)


@pytest.mark.parametrize(("dtype", "kept"), [("f2", "f2"), ("f4", "f4"), ("f8", "f4"), ("i8", "f4"), (">f4", "f4")])
def test_number_types(tmp_path, dtype, kept):
    splits = load_features(dump(layout(dtype=dtype), tmp_path / "data.pkl"))
    assert all(x.dtype == kept for x in splits["train"].features.values())
    assert splits["train"].batch([0])["audio"].dtype == torch.float32
    write_folder(splits, tmp_path / "folder")
    assert_equal(load_features(tmp_path / "folder"), splits)


def test_odd_but_sound_content(tmp_path):
    content = layout("unaligned")
    content["train"]["regression_labels"] = content["train"]["regression_labels"][:, None]
    content["train"]["audio_lengths"] = np.array([[0], [1], [7], [2], [3], [4]])
    content["train"]["id"] = [1, 1, b"two", "3", 4.0, None]
    train = load_features(dump(content, tmp_path / "data.pkl"))["train"]
    assert train.labels.shape == (6,)
    assert train.lengths["audio"].tolist() == [1, 1, 7, 2, 3, 4]
    assert train.ids == ["1", "1", "two", "3", "4.0", "None"]


def test_minus_infinity_in_audio_is_replaced_and_counted(tmp_path):
    content = layout()
    content["valid"]["audio"][0, :2, 0] = -np.inf
    message = r"data\.pkl, split 'valid', key 'audio': 2 × -inf was set to 0"
    with pytest.warns(UserWarning, match=message):
        splits = load_features(dump(content, tmp_path / "data.pkl"))
    assert [splits[name].replaced for name in COUNTS] == [0, 2, 0]
    assert splits["valid"].features["audio"][0, :2, 0].tolist() == [0, 0]
    write_folder(splits, tmp_path / "folder")
    assert load_features(tmp_path / "folder")["valid"].replaced == 2


def put(split, key, value):
    return lambda content: content[split].__setitem__(key, value)


def change(split, key, function):
    return lambda content: content[split].__setitem__(key, function(np.array(content[split][key])))


def with_value(place, value):
    def function(array):
        array[place] = value
        return array

    return function


def drop(split, key):
    return lambda content: content[split].pop(key)


def clear(split):
    return lambda content: content[split].update({k: np.asarray(v)[:0] for k, v in content[split].items()})


ONE, INF, NAN = (1, 0, 0), np.inf, np.nan
REFUSED = {  # what every run needs
    "split of another type": (lambda c: c.__setitem__("test", [1]), "'test'", "a dict of arrays"),
    "no stream": (lambda c: [c["train"].pop(k) for k in ("text", "text_bert", "vision", "audio")], "'train'", "'text'"),
    "no vision": (drop("valid", "vision"), "'valid'", "'vision'", "missing in the other"),
    "rank": (change("test", "audio", lambda x: x[None]), "'test'", "'audio'", "rank 4"),
    "no width": (change("test", "audio", lambda x: x[..., :0]), "'test'", "'audio'", "no width"),
    "clips": (change("test", "vision", lambda x: x[:-1]), "'test'", "'vision'", "3 clips", "has 4"),
    "one clip instead of all": (change("test", "audio", lambda x: x[0]), "'test'", "'audio'", "5 clips", "has 4"),
    "width": (change("valid", "vision", lambda x: x[..., :2]), "'valid'", "'vision'", "width 2", "has 3"),
    "text in one split": (drop("valid", "text"), "'valid'", "'text'", "missing in the other"),
    "nan": (change("train", "vision", with_value(ONE, NAN)), "'train'", "'vision'", "1 values are NaN", "zero"),
    "-inf outside audio": (change("train", "text", with_value(ONE, -INF)), "'train'", "'text'", "NaN or infinite"),
    "+inf in audio": (change("train", "audio", with_value(ONE, INF)), "'train'", "'audio'", "NaN or infinite"),
    "too large": (change("train", "text", lambda x: x.astype("f8") * 1e300), "'train'", "'text'", "infinite"),
    "words": (put("train", "vision", ["a"] * 6), "'train'", "'vision'", "not numbers"),
    "ragged": (put("train", "vision", [[1], [1, 2]]), "'train'", "'vision'", "different lengths"),
    "ragged widths": (put("train", "vision", [np.ones((2, 3)), np.ones((2, 4))]), "'train'", "'vision'", "(2, 3)"),
    "no clips": (clear("valid"), "'valid'", "'text'", "empty"),
}


def labels(split):
    return split.truth("regression")


def classes(split):
    return split.truth("classification")


def tokens(split):
    return split.batch([0], tokens=True)


def mask(split):
    return split.batch([0], mask=True)


NOTED = {  # what only some runs need: who asks, for which key
    "no labels": (drop("train", "regression_labels"), labels, "'train'", "'regression_labels'", "no labels"),
    "nan labels": (put("test", "regression_labels", [NAN] * 4), labels, "'test'", "'regression_labels'", "NaN"),
    "infinite": (put("test", "regression_labels", [1, INF, 0, 1]), labels, "'test'", "'regression_labels'", "1 of 4"),
    "words": (put("test", "regression_labels", ["sad"] * 4), labels, "'test'", "'regression_labels'", "words"),
    "rank": (put("test", "regression_labels", np.zeros((4, 2))), labels, "'test'", "'regression_labels'", "(4, 2)"),
    "one label": (put("test", "regression_labels", 1.0), labels, "'test'", "'regression_labels'", "()"),
    "clips of classes": (
        put("test", "classification_labels", [1]),
        classes,
        "'test'",
        "'classification_labels'",
        "(4,)",
    ),
    "no class": (
        put("test", "classification_labels", [NAN] * 4),
        classes,
        "'test'",
        "'classification_labels'",
        "whole",
    ),
    "empty": (put("test", "classification_labels", [""] * 4), classes, "'test'", "'classification_labels'", "empty"),
    "long": (put("train", "audio_lengths", [9] * 6), mask, "'train'", "'audio_lengths'", "9, longer than the 5"),
    "negative length": (put("train", "vision_lengths", [-1] * 6), mask, "'train'", "'vision_lengths'", "-1"),
    "half a length": (put("train", "vision_lengths", [1.5] * 6), mask, "'train'", "'vision_lengths'", "whole"),
    "nan length": (put("train", "vision_lengths", [NAN] * 6), mask, "'train'", "'vision_lengths'", "whole"),
    "clips of lengths": (put("train", "vision_lengths", [1] * 5), mask, "'train'", "'vision_lengths'", "(5,)"),
    "values on both sides": (put("train", "vision_lengths", [2] * 6), mask, "'train'", "'vision_lengths'", "beyond"),
    "shape of tokens": (
        change("train", "text_bert", lambda x: x[:, :2]),
        tokens,
        "'train'",
        "'text_bert'",
        "(6, 2, 5)",
    ),
    "clips of tokens": (change("train", "text_bert", lambda x: x[:4]), tokens, "'train'", "'text_bert'", "4 clips"),
    "negative token": (change("train", "text_bert", with_value(ONE, -1)), tokens, "'train'", "'text_bert'", "negative"),
    "nan token": (change("train", "text_bert", with_value(ONE, NAN)), tokens, "'train'", "'text_bert'", "whole"),
    "odd mask": (change("train", "text_bert", lambda x: x + 2), tokens, "'train'", "'text_bert'", "attention mask"),
}


def check_sentence(problem, words):
    message = str(problem.value)
    assert message.startswith("data.pkl") and message.endswith(".") and "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("case", REFUSED)
def test_malformed_streams_are_named(tmp_path, case):
    spoil, *words = REFUSED[case]
    content = layout()
    spoil(content)
    with pytest.raises(DataError) as problem:
        load_features(dump(content, tmp_path / "data.pkl"))
    check_sentence(problem, words)


@pytest.mark.parametrize("case", NOTED)
def test_what_a_run_does_not_need_does_not_stop_it(tmp_path, case):
    spoil, asked, place, *words = NOTED[case]
    content = layout()
    spoil(content)
    splits = load_features(dump(content, tmp_path / "data.pkl"))
    for ask in {labels, classes, tokens, mask} - {asked}:
        for split in splits.values():
            ask(split)
    with pytest.raises(DataError) as problem:
        asked(splits[place.strip("'")])
    check_sentence(problem, [place, *words])


def test_an_unusable_id_or_text_gets_a_default(tmp_path):
    content = layout()
    content["test"] |= {"id": ["a"], "raw_text": 7}
    test = load_features(dump(content, tmp_path / "data.pkl"))["test"]
    assert test.ids == ["test_0", "test_1", "test_2", "test_3"] and test.raw_text == [""] * 4
    assert "1 clips" in test.problems["id"] and "'raw_text'" in test.problems["raw_text"]


def test_other_paths_and_content(tmp_path):
    with pytest.raises(DataError, match="holds a list, not splits or streams in any layout of docs/own_data.md"):
        load_features(dump([1], tmp_path / "data.pkl"))
    with pytest.raises(DataError, match="does not exist"):
        load_features(tmp_path / "none")
    with pytest.raises(DataError, match=r"a folder without features.json, and with 0 CSV files"):
        load_features(tmp_path)


@pytest.mark.parametrize("kind", SHAPES)
def test_round_trip(tmp_path, kind):
    """MMSA pickle -> splits -> our pickle -> folder -> our pickle: equal splits, equal bytes, one fingerprint."""
    splits = load_features(dump(layout(kind), tmp_path / "data.pkl"))
    write_mmsa(splits, tmp_path / "ours.pkl")
    assert_equal(load_features(tmp_path / "ours.pkl"), splits)
    data.convert_features(tmp_path / "ours.pkl", tmp_path / "new" / "folder")
    mapped = load_features(tmp_path / "new" / "folder")
    assert_equal(mapped, splits)
    assert data.fingerprint(mapped) == data.fingerprint(splits)
    write_mmsa(mapped, tmp_path / "again.pkl")
    assert (tmp_path / "again.pkl").read_bytes() == (tmp_path / "ours.pkl").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.pkl", "data.pkl", "new", "ours.pkl"]


def small_splits(numbers, labels, text):
    count = len(labels)
    features = dict.fromkeys(MODALITIES, numbers)
    lengths = dict.fromkeys(MODALITIES, np.full(count, numbers.shape[1]))
    return {name: FeatureSplit(features, lengths, labels, [text] * count, [text] * count, name=name) for name in COUNTS}


@settings(max_examples=30, deadline=None)
@given(content=st.data(), text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_splits_survive_both_layouts(tmp_path_factory, content, text):
    folder = tmp_path_factory.mktemp("any")
    shape = content.draw(hnp.array_shapes(min_dims=3, max_dims=3, max_side=4))
    finite = dict(allow_nan=False, allow_infinity=False)
    numbers = content.draw(hnp.arrays(content.draw(st.sampled_from(["f2", "f4"])), shape, elements=dict(**finite)))
    labels = content.draw(hnp.arrays("f4", shape[:1], elements=dict(min_value=-3, max_value=3)))
    splits = small_splits(numbers, labels, text)
    write_mmsa(splits, folder / "data.pkl")
    write_folder(splits, folder / "folder")
    assert_equal(load_features(folder / "data.pkl"), splits)
    assert_equal(load_features(folder / "folder"), splits)


def test_what_others_read_of_our_files(tmp_path, splits):
    """A plain unpickler sees numpy and nothing of ours; safetensors reads the folder."""
    write_mmsa(splits, tmp_path / "ours.pkl")
    train = pickle.loads((tmp_path / "ours.pkl").read_bytes())["train"]
    assert all(type(value) is np.ndarray for value in train.values())
    assert train["annotations"].tolist() == ["Negative"] * 3 + ["Positive"] * 3
    assert b"dmdlite" not in (tmp_path / "ours.pkl").read_bytes()
    write_folder(splits, tmp_path / "folder")
    tensors = load_file(tmp_path / "folder" / "train.safetensors")
    np.testing.assert_array_equal(tensors["vision"], splits["train"].features["vision"], strict=True)
    assert json.loads((tmp_path / "folder" / "features.json").read_text())["source"] == "data.pkl"


def mapped_file(array):
    """The file whose mapping holds the array's memory, as Linux tells."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        start, end = (int(address, 16) for address in line.split()[0].split("-"))
        if start <= array.ctypes.data < end:
            return line.split()[-1]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what is mapped")
def test_features_of_a_folder_stay_on_disk(tmp_path, splits):
    write_folder(splits, tmp_path / "folder")
    train = load_features(tmp_path / "folder")["train"]
    for part in (train, train[2:4], train[::2]):
        for x in part.features.values():
            assert mapped_file(x) == str(tmp_path / "folder" / "train.safetensors") and not x.flags.owndata
    assert mapped_file(train[[2, 3]].features["audio"]) != str(tmp_path / "folder" / "train.safetensors")


@pytest.mark.skipif(os.name != "posix", reason="files have no modes")
def test_others_may_read_a_folder(tmp_path, splits):
    write_folder(splits, tmp_path / "folder")
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in (tmp_path / "folder").iterdir())


def test_nothing_is_overwritten(tmp_path, splits):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="full exists and is not an empty folder; nothing was written"):
        write_folder(splits, tmp_path / "full")
    with pytest.raises(DataError, match="is not an empty folder"):
        data.convert_features(tmp_path / "data.pkl", tmp_path / "data.pkl")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.txt"]
    write_folder(splits, tmp_path / "empty")
    assert_equal(load_features(tmp_path / "empty"), splits)


def test_no_half_written_folder(tmp_path, splits, monkeypatch):
    def full_disk(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("dmdlite.data.features.json.dumps", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_folder(splits, tmp_path / "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["data.pkl"]


def test_a_full_disk_is_an_os_error(tmp_path, splits, monkeypatch):
    def full_disk(*_):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("dmdlite.data.features.save_file", full_disk)
    with pytest.raises(OSError, match="folder cannot be written: .*No space left"):
        write_folder(splits, tmp_path / "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["data.pkl"]


def test_bad_splits_are_not_written(tmp_path, splits):
    splits["train"].features["vision"][0, 0, 0] = np.nan
    for write, target in ((write_mmsa, "x.pkl"), (write_folder, "x")):
        with pytest.raises(DataError, match=f"{target}, split 'train', key 'vision': 1 values are NaN"):
            write(splits, tmp_path / target)
        assert not (tmp_path / target).exists()


def spoil_tensors(change):
    def spoil(folder):
        tensors = load_file(folder / "valid.safetensors")
        change(tensors)
        save_file(tensors, folder / "valid.safetensors")

    return spoil


def spoil_index(change):
    def spoil(folder):
        index = json.loads((folder / "features.json").read_text())
        change(index)
        (folder / "features.json").write_text(json.dumps(index))

    return spoil


def truncate(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


BROKEN_FOLDERS = {
    "truncated tensors": (truncate("valid.safetensors", -9), "folder/valid.safetensors", "truncated"),
    "truncated header": (truncate("valid.safetensors", 40), "folder/valid.safetensors", "truncated"),
    "no tensors": (lambda f: (f / "test.safetensors").unlink(), "folder/test.safetensors", "missing"),
    "truncated index": (truncate("features.json", 50), "folder/features.json", "truncated"),
    "empty index": (truncate("features.json", 0), "folder/features.json", "truncated"),
    "other version": (spoil_index(lambda i: i.update(format="9")), "folder/features.json", "another version"),
    "no split": (spoil_index(lambda i: i["splits"].clear()), "folder/features.json", "'train'"),
    "no ids": (spoil_index(lambda i: i["splits"]["valid"].pop("id")), "folder/features.json", "'valid'"),
    "shape": (spoil_tensors(lambda t: t.update(vision=t["vision"][:, :2])), "folder/valid.safetensors", "'vision'"),
    "no key": (spoil_tensors(lambda t: t.pop("audio")), "folder/valid.safetensors", "'audio'"),
    "null": (spoil_index(lambda i: i["splits"]["valid"]["arrays"].update(zzz=None)), "'zzz'", "missing"),
    "dtype": (spoil_tensors(lambda t: t.update(audio=t["audio"].astype("f8"))), "'audio'", "F64"),
}


@pytest.mark.parametrize("case", BROKEN_FOLDERS)
def test_broken_folders_are_named(tmp_path, splits, case):
    spoil, *words = BROKEN_FOLDERS[case]
    write_folder(splits, tmp_path / "folder")
    spoil(tmp_path / "folder")
    with pytest.raises(DataError) as problem:
        load_features(tmp_path / "folder")
    assert str(problem.value).startswith("folder") and all(word in str(problem.value) for word in words), problem.value


def test_what_a_folder_has_is_checked_when_it_is_opened(tmp_path, splits):
    write_folder(splits, tmp_path / "folder")
    spoil_index(lambda i: i["splits"]["valid"]["id"].pop())(tmp_path / "folder")
    spoil_tensors(lambda t: t["vision_lengths"].fill(6))(tmp_path / "folder")
    spoil_tensors(lambda t: t["regression_labels"].fill(NAN))(tmp_path / "folder")
    valid = load_features(tmp_path / "folder")["valid"]
    with pytest.raises(DataError, match=r"^folder, split 'valid', key 'vision_lengths': .* longer than"):
        mask(valid)
    with pytest.raises(DataError, match=r"^folder, split 'valid', key 'regression_labels': .* NaN"):
        labels(valid)
    assert "2 clips" in valid.problems["id"] and valid.ids[0] == "valid_0"


def test_a_dtype_we_do_not_write(tmp_path, splits):
    write_folder(splits, tmp_path / "folder")
    spoil_tensors(lambda t: t.update(audio=t["audio"].astype("f8")))(tmp_path / "folder")
    spoil_index(lambda i: i["splits"]["valid"]["arrays"]["audio"].update(dtype="F64"))(tmp_path / "folder")
    with pytest.raises(DataError, match="valid.safetensors, key 'audio': holds F64"):
        load_features(tmp_path / "folder")


@pytest.mark.parametrize("mapped", [False, True])
def test_batch(tmp_path, splits, mapped):
    if mapped:
        write_folder(splits, tmp_path / "folder")
        splits = load_features(tmp_path / "folder")
    train = splits["train"]
    batch = train.batch([4, 0, 0], mask=True)
    assert list(batch) == ["language", "vision", "audio", "labels", "mask"]
    for modality in MODALITIES:
        assert batch[modality].dtype == torch.float32
        np.testing.assert_array_equal(batch[modality], train.features[modality][[4, 0, 0]])
        assert batch["mask"][modality].dtype == torch.bool
        assert batch["mask"][modality].sum(dim=1).tolist() == [4, 3, 3]
        assert not batch[modality][~batch["mask"][modality]].any()
    assert batch["labels"].dtype == torch.float32 and batch["labels"].shape == (3,)
    tokens = train.batch([4, 0], tokens=True)["language"]
    assert tokens.dtype == torch.int64 and tokens.shape == (2, 3, 5) and tokens[0, 1].sum() == 4
    batch["vision"].zero_()
    assert train.features["vision"][4, 0].all()  # a batch is a copy


@pytest.mark.parametrize(
    "indices", [slice(1, 4), [1, 2, 3], (1, 2, 3), np.array([1, 2, 3]), torch.tensor([1, 2, 3]), range(1, 4)]
)
def test_kinds_of_indices(splits, indices):
    train = splits["train"]
    np.testing.assert_array_equal(train.batch(indices)["audio"], train.features["audio"][1:4])
    part = train.subset(indices)
    assert len(part) == 3 and part.ids == train.ids[1:4] and part.lengths["audio"].tolist() == [1, 5, 2]
    np.testing.assert_array_equal(part.tokens, train.tokens[1:4])
    assert len(train.batch([])["labels"]) == 0


@pytest.mark.parametrize("mapped", [False, True])
def test_one_clip(tmp_path, splits, mapped):
    if mapped:
        write_folder(splits, tmp_path / "folder")
        splits = load_features(tmp_path / "folder")
    train = splits["train"]
    clip = train[4]
    assert list(clip) == ["language", "vision", "audio", "labels"]
    for modality in MODALITIES:
        assert clip[modality].dtype == torch.float32
        np.testing.assert_array_equal(clip[modality], train.features[modality][4])
    assert clip["labels"].shape == () and clip["labels"] == float(train.labels[4])
    assert repr(clip) == "Clip(language (5, 4)  vision (5, 3)  audio (5, 2)  labels 1.8)"
    for same in (train[-2], train[np.int64(4)], train[torch.tensor(4)]):
        assert all(torch.equal(same[name], x) for name, x in clip.items())
    clip["vision"].zero_()
    assert train.features["vision"][4, 0].all()  # a clip is a copy
    for outside in (6, -7):
        with pytest.raises(IndexError):
            train[outside]
    assert [float(one["labels"]) for one in train] == train.labels.tolist()
    for part in (train[3:5], train[[3, 4]], train[np.array([3, 4])], train[torch.tensor([3, 4])], train[[-3, -2]]):
        assert isinstance(part, FeatureSplit) and part.ids == train.ids[3:5]
    assert train[np.arange(6) > 3].ids == train.ids[4:]


@pytest.mark.parametrize("mapped", [False, True])
def test_a_data_loader_takes_a_split(tmp_path, splits, mapped):
    if mapped:
        write_folder(splits, tmp_path / "folder")
        splits = load_features(tmp_path / "folder")
    train = splits["train"]
    first, second = DataLoader(train, batch_size=4)
    expected = train.batch(range(4))
    assert list(first) == list(expected) and all(torch.equal(first[name], x) for name, x in expected.items())
    assert second["labels"].tolist() == train.labels[4:].tolist()
    assert repr(second) == "Clip(language (2, 5, 4)  vision (2, 5, 3)  audio (2, 5, 2)  labels (2,))"
    config = DMDConfig.toy(width=8, layers=1, minimum_memory_layers=1).replace(**data.feature_shapes(splits))
    model = DMD(config).eval()
    torch.testing.assert_close(model(**first).prediction, model(**expected).prediction)
    assert len([batch for batch in DataLoader(train, batch_size=2, shuffle=True)]) == 3


def test_a_split_prints_as_three_lines(splits):
    assert str(splits["train"]).splitlines() == [
        "data.pkl, split 'train': 6 clips",
        "streams: language (5, 4)  vision (5, 3)  audio (5, 2)  tokens (3, 5)",
        "labels: -3 to 3, mean 0.00 (regression); classes 0 to 2",
    ]
    assert repr(splits["train"]) == str(splits["train"])
    assert repr(splits["train"].subset([])).endswith("labels: none")


def test_a_missing_split_is_named(splits):
    with pytest.raises(KeyError, match="no split 'dev' among train, valid, test; did you mean 'valid'"):
        splits["dev"]
    with pytest.raises(KeyError, match="no split 'holdout' among train, valid, test"):
        splits["holdout"]


def test_token_ids_alone(tmp_path):
    content = layout()
    for split in content.values():
        del split["text"]
    splits = load_features(dump(content, tmp_path / "data.pkl"))
    write_folder(splits, tmp_path / "folder")
    assert_equal(load_features(tmp_path / "folder"), splits)
    shapes = data.feature_shapes(splits)
    assert shapes["feature_widths"] == {"vision": 3, "audio": 2}
    assert shapes["modalities"] == list(shapes["lengths"]) == list(MODALITIES) and set(shapes["lengths"].values()) == {
        5
    }
    batch = splits["train"].batch([0, 1], tokens=True, mask=True)
    assert batch["language"].shape == (2, 3, 5) and batch["mask"]["language"].sum(dim=1).tolist() == [3, 1]
    assert torch.equal(next(iter(DataLoader(splits["train"], batch_size=2)))["language"], batch["language"])
    assert "streams: vision (5, 3)  audio (5, 2)  tokens (3, 5)" in repr(splits["train"])
    with pytest.raises(DataError, match=r"data\.pkl, split 'train' has no language features \(key 'text'\)"):
        splits["train"].batch([0])
    with pytest.raises(DataError, match="no language features"):
        data.check_fits(splits, DMDConfig().replace(**shapes))
    data.check_fits(splits, DMDConfig().replace(language_model="bert-base-uncased", **shapes))


def test_no_token_ids(tmp_path):
    content = layout()
    for split in content.values():
        del split["text_bert"]
    splits = load_features(dump(content, tmp_path / "data.pkl"))
    with pytest.raises(DataError, match=r"data\.pkl, split 'train' has no token ids \(key 'text_bert'\)"):
        splits["train"].batch([0], tokens=True)
    with pytest.raises(DataError, match="no token ids"):
        data.check_fits(splits, DMDConfig(language_model="bert-base-uncased"))


def test_check_fits(splits):
    config = DMDConfig().replace(**data.feature_shapes(splits))
    data.check_fits(splits, config)
    with pytest.raises(DataError, match=r"data\.pkl, split 'train' has vision width 3, the model was made for 35\."):
        data.check_fits(splits, config.replace(feature_widths={"vision": 35}))
    with pytest.raises(DataError, match=r"split 'train' has audio length 5, the model was made for 375\."):
        data.check_fits(splits, config.replace(lengths={"audio": 375}))


def test_fingerprint_tells_data_apart(tmp_path, splits):
    prints = {data.fingerprint(splits)}
    for spoil in (
        change("train", "regression_labels", with_value(0, 1.0)),
        change("test", "vision", with_value(ONE, 9)),
        change("test", "text_bert", with_value((1, 0, 0), 9)),
        put("valid", "id", ["a", "b", "c"]),
        lambda c: [s.update(vision=s["vision"][..., :2]) for s in c.values()],
    ):
        content = layout()
        spoil(content)
        prints.add(data.fingerprint(load_features(dump(content, tmp_path / "other.pkl"))))
    assert len(prints) == 6
    assert data.fingerprint(load_features(dump(layout(), tmp_path / "renamed.pkl"))) == data.fingerprint(splits)


def test_no_warning_on_clean_data(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = load_features(dump(layout(), tmp_path / "data.pkl"))
        write_folder(splits, tmp_path / "folder")
        load_features(tmp_path / "folder")["train"].batch(slice(None), mask=True)


@dataclass(frozen=True)
class WithConfidence(FeatureSplit):
    """A split with a number of one's own for each clip."""

    confidence: np.ndarray = field(default_factory=lambda: np.ones(6))
    annotator: str = "unknown"


def test_the_fingerprint_sees_the_fields_of_a_subclass(splits):
    def split(confidence: float, **own) -> dict[str, FeatureSplit]:
        return {"train": WithConfidence(**vars(splits["train"]), confidence=np.full(6, confidence), **own)}

    assert data.fingerprint(split(1)) == data.fingerprint(split(1)) != data.fingerprint(split(0))
    assert data.fingerprint(split(1)) != data.fingerprint(split(1, annotator="a"))

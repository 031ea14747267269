"""Feature files of every kind are read, everything else is named in one sentence, and nothing hostile runs."""

import collections
import datetime
import gzip
import importlib
import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save as to_safetensors

from dmdlite.data.containers import read_file
from dmdlite.data.pickles import DataError, UnsafePickle

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)
TENSORS = {"a": torch.from_numpy(NUMBERS), "b": torch.arange(10)[2:8:2], "half": torch.ones(3, dtype=torch.bfloat16)}


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts


def written(write, *arguments, **options) -> bytes:
    file = io.BytesIO()
    write(file, *arguments, **options)
    return file.getvalue()


def zipped(**members) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def saved(content, zip_archive=True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=zip_archive)
    return file.getvalue()


def read(tmp_path, content: bytes, name="data.bin"):
    path = tmp_path / name
    path.write_bytes(content)
    return read_file(path)


def sentence_about(tmp_path, content: bytes, kind=DataError) -> str:
    """What the refusal says, which must be one sentence that starts with the file's name."""
    with pytest.raises(kind) as refused:
        read(tmp_path, content)
    text = str(refused.value)
    assert text.startswith("data.bin") and text.endswith(".") and "\n" not in text and ". " not in text
    return text


# ---- what is read


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("wrap", [bytes, gzip.compress])
def test_pickles_of_everything_plain(tmp_path, protocol, wrap):
    ragged = np.empty(4, object)
    ragged[:] = [np.arange(3.0), np.arange(2.0), None, ["a", 1]]
    default = collections.defaultdict(dict, train={"x": NUMBERS})
    masked = np.ma.masked_invalid(np.array([[1.0, np.nan], [3.0, 4.0]])).T
    whole = np.ma.array([1, 2])
    content = [ragged, default, collections.defaultdict(int), masked, whole, None, (1, "a", b"b", 0.5), TENSORS]
    content += [torch.nn.Parameter(TENSORS["a"]), TENSORS["a"].T]
    found = read(tmp_path, wrap(pickle.dumps(content, protocol)))
    np.testing.assert_array_equal(found[0][0], ragged[0])
    assert [len(found[0][1]), found[0][2], found[0][3]] == [2, None, ["a", 1]]
    assert type(found[1]) is dict and type(found[2]) is dict
    np.testing.assert_array_equal(found[1]["train"]["x"], NUMBERS)
    np.testing.assert_array_equal(found[3], masked.filled(np.nan))
    np.testing.assert_array_equal(found[4], [1, 2])
    assert found[5:7] == [None, (1, "a", b"b", 0.5)]
    assert_tensors(found[7])
    np.testing.assert_array_equal(found[8], NUMBERS)
    np.testing.assert_array_equal(found[9], NUMBERS.T)


def assert_tensors(found):
    assert set(found) == set(TENSORS)
    for key, tensor in TENSORS.items():
        assert isinstance(found[key], np.ndarray)
        np.testing.assert_array_equal(found[key], tensor.float().numpy())
    assert found["half"].dtype == np.float32 and found["b"].dtype == np.int64


@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
@pytest.mark.parametrize("module", ["multiarray", "_multiarray_umath", "numeric"])
def test_names_of_every_numpy(tmp_path, core, module):
    content = pickle.dumps(NUMBERS, 2)
    assert b"cnumpy._core.multiarray\n" in content
    content = content.replace(b"cnumpy._core.multiarray\n", f"c{core}.{module}\n".encode())
    np.testing.assert_array_equal(read(tmp_path, content), NUMBERS)


@pytest.mark.parametrize("zip_archive", [True, False])
def test_files_of_torch_save(tmp_path, zip_archive):
    """Arrays and strings beside the tensors are no problem either."""
    split = {**TENSORS, "raw_text": np.array(["a", None], object), "id": ["x"]}
    found = read(tmp_path, saved({"train": split}, zip_archive))["train"]
    assert list(found.pop("raw_text")) == ["a", None] and found.pop("id") == ["x"]
    assert_tensors(found)


@pytest.mark.parametrize("kind", ["float64", "float16", "int32", "int16", "int8", "uint8", "bool"])
def test_every_type_of_tensor(tmp_path, kind):
    found = read(tmp_path, saved({"x": torch.tensor([0, 1, 1]).to(getattr(torch, kind))}))["x"]
    assert found.dtype == kind and list(found) == [0, 1, 1]


def test_safetensors(tmp_path):
    assert_tensors(read(tmp_path, to_safetensors({key: tensor.contiguous() for key, tensor in TENSORS.items()})))


def test_a_safetensors_file_may_begin_like_another_kind(tmp_path):
    """Its first bytes are a length; here they are those of a file of joblib."""
    text = b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}'.ljust(0x178)
    assert read(tmp_path, struct.pack("<Q", 0x178) + text + bytes(4))["a"].tolist() == [0]


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_npz(tmp_path, write):
    objects = np.array([["a", None], [np.float32(1), [1, 2]]], object)
    found = read(tmp_path, written(write, **{"train/x": np.asfortranarray(NUMBERS), "text": objects, "u": ["é"]}))
    np.testing.assert_array_equal(found["train/x"], NUMBERS)
    assert found["text"].tolist() == objects.tolist() and list(found["u"]) == ["é"]


@pytest.mark.parametrize("array", [NUMBERS, np.float64(3), np.zeros((0, 4)), np.arange(3, dtype=">f4")])
def test_npy(tmp_path, array):
    np.testing.assert_array_equal(read(tmp_path, written(np.save, array)), array)


# ---- what is not data

PLAIN = pickle.dumps({"train": {"x": NUMBERS}})
NPZ = written(np.savez, x=NUMBERS)
OTHER_KINDS = {
    "web page": (b"\n<!DOCTYPE html><html>Google Drive - Virus scan warning</html>", "web page"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 10\n", "git lfs pull"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "h5py"),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: PCWIN64" + bytes(100), "scipy.io.loadmat"),
    "zip": (zipped(**{"mosi/aligned.pkl": PLAIN}), "zip archive of other files: unpack it first"),
    "empty zip": (zipped(**{"x/": b""}), "unpack it first"),
    "tar": (b"mosi.pkl".ljust(257, b"\0") + b"ustar\x0000" + bytes(248), "tar, 7z or rar archive: unpack"),
    "tar.gz": (
        gzip.compress(b"mosi.pkl".ljust(257, b"\0") + b"ustar\x0000" + bytes(248)),
        "tar, 7z or rar archive: unpack",
    ),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(30), "unpack it first"),
    "rar": (b"Rar!\x1a\x07\x01\0" + bytes(30), "unpack it first"),
    "JSON": (b'{"train": {"text": [1, 2]}}', "JSON text"),
    "JSON list": (b"[\n 1, 2]", "text"),
    "CSV": (b"video_id,clip_id,label\nabc,1,0.5\n", "CSV table"),
    "CSV of Excel": (b"\xef\xbb\xbfid;a,b\n", "CSV table"),
    "TSV": (b"id\tlabel\nabc\t1\n", "CSV table"),
    "zero bytes": (bytes(4096), "interrupted download"),
    "empty": (b"", "is empty"),
    "joblib": (zlib.compress(PLAIN), "joblib.load"),
    "bz2": (b"BZh91AY&SY" + bytes(10), "unpack it first"),
    "parquet": (b"PAR1" + bytes(10), "pandas"),
    "half a pickle": (PLAIN[: len(PLAIN) // 2], "truncated"),
    "half a gzip file": (gzip.compress(PLAIN)[:-30], "truncated"),
    "half an npz": (NPZ[: len(NPZ) // 2], "truncated"),
    "half an npy": (written(np.save, NUMBERS)[:-3], "truncated"),
    "half a torch file": (saved(TENSORS)[:500], "truncated"),
    "half an old torch file": (saved(TENSORS, zip_archive=False)[:-4], "truncated"),
    "half a safetensors file": (to_safetensors({"a": torch.zeros(9)})[:-4], "truncated"),
    "dates": (written(np.save, np.array(["2020-01-01"], "M8[D]")), "neither numbers nor strings"),
    "a table": (written(np.save, np.zeros(2, "f4,i4")), "neither numbers nor strings"),
    "rare zip": (zipped(x=b"").replace(b"\x08\0", b"\x0e\0"), "rare compression"),
    "masked integers": (pickle.dumps(np.ma.array([1, 2], mask=[True, False])), "NaN"),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_other_kinds_are_named(tmp_path, kind):
    content, hint = OTHER_KINDS[kind]
    assert hint in sentence_about(tmp_path, content)


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(DataError, match="none.pkl cannot be read: No such file"):
        read_file(tmp_path / "none.pkl")
    with pytest.raises(DataError, match="is a folder, not a file"):
        read_file(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="a pipe, not a file"):
        read_file(tmp_path / "pipe")


# ---- places in refusals


@pytest.mark.parametrize("protocol", range(6))
def test_a_refusal_names_split_and_key(tmp_path, protocol):
    odd = [datetime.date(2020, 1, 1)]
    texts = ["good", "film"]
    for train in ({"x": NUMBERS, "labels": odd}, {"raw_text": texts, "labels": odd, "x": 1}, {"labels": [texts, odd]}):
        for content in ({"train": train}, {"valid": {"x": NUMBERS}, "train": train, "test": {}}):
            text = sentence_about(tmp_path, pickle.dumps(content, protocol), UnsafePickle)
            assert "asks for datetime.date in split 'train', key 'labels', which is not plain data" in text
    text = sentence_about(tmp_path, pickle.dumps({"train": {"x": 1}, "valid": odd}, protocol), UnsafePickle)
    assert "datetime.date at 'valid'" in text


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("odd", [pd.Series([1.0]), pd.Index([1]), pd.DataFrame({"a": [1]})])
def test_pandas_is_told_how_to_save(tmp_path, protocol, odd):
    content = {"train": {"id": ["a"], "regression_labels": odd}}
    text = sentence_about(tmp_path, pickle.dumps(content, protocol), UnsafePickle)
    assert "in split 'train', key 'regression_labels'" in text and ".to_numpy()" in text


def test_damage_is_located_too(tmp_path):
    content = pickle.dumps({"train": {"x": NUMBERS, "y": np.zeros(99)}})
    assert "in split 'train', key 'y'" in sentence_about(tmp_path, content[:-40])


# ---- hostile files

NAMES = """os.system posix.system subprocess.Popen subprocess.check_output builtins.eval builtins.exec builtins.getattr
builtins.compile builtins.open builtins.__import__ builtins.setattr builtins.globals importlib.import_module
runpy.run_path pty.spawn shutil.rmtree socket.socket ctypes.CDLL numpy.load numpy.memmap numpy.fromfile
numpy.f2py.compile numpy.testing._private.utils.runstring torch.load torch.hub.load torch.jit.load
torch.utils.collect_env.run pandas.read_pickle pandas.eval pickle.loads marshal.loads types.FunctionType
types.CodeType functools.partial functools.reduce operator.attrgetter operator.methodcaller itertools.starmap
code.InteractiveInterpreter timeit.timeit cProfile.run pdb.run webbrowser.open urllib.request.urlopen sys.exit
logging.config.listen multiprocessing.Process asyncio.run copyreg._reconstructor joblib.load""".split()


def hostile_pickles(canary):
    """Programs that would run a command, by what they do."""
    shell = f"touch {canary}"
    bomb = Call(os.system, shell)
    objects = np.empty(1, object)
    objects[0] = bomb
    inner = pickle.dumps(bomb, 2)
    load_from_bytes = importlib.import_module("torch.storage")._load_from_bytes
    return {
        "call": bomb,
        "eval": Call(eval, f"open({str(canary)!r}, 'w')"),
        "getattr chain": Call(getattr, Call(__import__, "os"), "system"),
        "in objects": {"train": {"raw_text": objects}},
        "in a default factory": Call(collections.defaultdict, bomb),
        "in a dict key": {Call(eval, f"open({str(canary)!r}, 'w').name"): 1},
        "in a tensor": Call(load_from_bytes, inner),
        "in a tensor, old torch": Call(load_from_bytes, saved(bomb, zip_archive=False)),
        "in a tensor, new torch": Call(load_from_bytes, saved(bomb)),
        "as a state": Call(np.dtype, "f8", state=bomb),
        "in a masked array": Call(np.ma.core._mareconstruct, np.ma.MaskedArray, np.ndarray, (0,), b"b", state=bomb),
    }


WRAPS = {
    "plain": lambda content, protocol: pickle.dumps(content, protocol),
    "gzip": lambda content, protocol: gzip.compress(pickle.dumps(content, protocol)),
    "npz": lambda content, protocol: zipped(**{"x.npy": npy_of_objects(pickle.dumps(content, protocol))}),
    "npy": lambda content, protocol: npy_of_objects(pickle.dumps(content, protocol)),
    "torch": lambda content, protocol: zipped(**{"x/data.pkl": pickle.dumps(content, protocol)}),
    "old torch": lambda content, protocol: (
        saved(None, False).removesuffix(b"\x80\x02]q\0.") + pickle.dumps(content, protocol)
    ),
}


def npy_of_objects(program: bytes) -> bytes:
    return written(np.save, np.array([None], object), allow_pickle=True).split(b"\n")[0] + b"\n" + program


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("what", hostile_pickles("x"))
def test_programs_never_run(tmp_path, what, wrap, protocol):
    canary = tmp_path / "it_ran"
    sentence_about(tmp_path, WRAPS[wrap](hostile_pickles(canary)[what], protocol), UnsafePickle)
    assert not canary.exists()


@pytest.mark.parametrize("how", ["global", "stack global", "inst", "obj", "newobj"])
@pytest.mark.parametrize("name", NAMES)
def test_names_are_refused_before_they_are_looked_up(tmp_path, name, how):
    canary = tmp_path / "it_ran"
    module, _, function = name.rpartition(".")
    argument = b"(X" + struct.pack("<I", len(f"touch {canary}")) + f"touch {canary}".encode()
    named = b"c" + f"{module}\n{function}\n".encode()
    pushed = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, function)) + b"\x93"
    before = set(sys.modules)
    program = {
        "global": b"\x80\x02" + named + argument + b"tR.",
        "stack global": b"\x80\x04" + pushed + argument + b"tR.",
        "inst": argument + b"i" + named[1:] + b".",
        "obj": b"(" + named + argument[1:] + b"o.",
        "newobj": b"\x80\x02" + named + argument + b"t\x81.",
    }[how]
    sentence_about(tmp_path, program, UnsafePickle)
    assert not canary.exists() and set(sys.modules) == before


def header(shape, descr="<f8") -> bytes:
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text


def torch_program(shape, steps, count, key="0") -> bytes:
    return zipped(
        **{
            "x/data.pkl": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
            + f"X\x01\0\0\0{key}X\x03\0\0\0cpuL{count}L\ntQI0\n(".encode()
            + b"".join(b"L%dL\n" % length for length in shape)
            + b"t("
            + b"".join(b"L%dL\n" % step for step in steps)
            + b"t\x89}tR.",
            "x/data/0": bytes(16),
        }
    )


def safetensors_file(entry: str, data=bytes(16)) -> bytes:
    text = ('{"a": ' + entry + "}").encode()
    return struct.pack("<Q", len(text)) + text + data


HUGE = 10**12
CLAIMS = {
    **{
        f"npy {shape}": header(shape) + bytes(8)
        for shape in [(HUGE,), (-1,), (-1, -1), (HUGE, HUGE), (0, 10**30), (3,)]
    },
    **{f"npy {d}": header((1,), d) + bytes(8) for d in ["|V8", "<U0", "O8", "f8,f8", "U250000000", "(9,9)f8", "M8[s]"]},
    **{
        f"npz {shape}": zipped(**{"x.npy": header(shape) + bytes(8)})
        for shape in [(HUGE,), (-1,), (2,), (HUGE, 0, 9**30)]
    },
    "npy of version 2": b"\x93NUMPY\x02\0\xff\xff\xff\xff{",
    "npy of deep brackets": header("(" * 5000),
    **{f"torch {shape}": torch_program(shape, (1,), 4) for shape in [(HUGE,), (5,), (-1,), (2**63,)]},
    "torch steps outside": torch_program((2,), (4,), 4),
    "torch steps back": torch_program((2,), (-1,), 4),
    "torch repeats": torch_program((HUGE,), (0,), 4),
    "torch storage": torch_program((1,), (1,), HUGE),
    "torch storage below zero": torch_program((1,), (1,), -1),
    "torch storage that is not there": torch_program((4,), (1,), 4, key="7"),
    **{
        f"safetensors {shape} {dtype}": safetensors_file(
            f'{{"dtype": "{dtype}", "shape": {shape}, "data_offsets": {place}}}'
        )
        for shape, dtype, place in [
            ([HUGE], "F32", [0, 16]),
            ([HUGE], "F32", [0, 4 * HUGE]),
            ([-1], "F32", [0, 16]),
            ([4], "F32", [8, 24]),
            ([4], "F32", [16, 0]),
            ([2**63, 2], "F64", [0, 16]),
            ([4], "X32", [0, 16]),
        ]
    },
    "safetensors header": struct.pack("<Q", 2**31) + b"{" + bytes(40),
    "pickled bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 34) + b".",
    "pickled bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 34) + b".",
    "pickled frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 34) + b".",
    "pickled text": b"\x80\x02X\xff\xff\xff\xff.",
    "pickled number": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "old torch storage": saved({"a": torch.zeros(2)}, False).replace(b"K\x02N", b"J\xff\xff\xff\x7fN"),
    "zip claims": zipped(**{"x.npy": header((1,)) + bytes(8)}).replace(struct.pack("<I", 136), b"\xff\xff\xff\x7f"),
}
BOMBS = {
    "gzip of zeros": lambda: gzip.compress(b"\x80\x04B" + struct.pack("<I", 1 << 29) + bytes(1 << 27)),
    "gzip of dicts": lambda: gzip.compress(b"\x80\x04(" + b"}" * (1 << 23) + b"l."),
    "gzip of sets": lambda: gzip.compress(b"\x80\x04(" + b"\x8f" * (1 << 23) + b"l."),
    "gzip of memos": lambda: gzip.compress(b"\x80\x04N" + b"\x94" * (1 << 23) + b"."),
    "gzip of tuples": lambda: gzip.compress(b"\x80\x04)" + b"\x85" * (1 << 23) + b"."),
    "zip of zeros": lambda: zipped(**{"x.npy": header((1 << 24,)) + bytes(1 << 27)}),
    "zip of members": lambda: zipped(**{f"{i}.npy": header((1 << 20,)) + bytes(1 << 23) for i in range(15)}),
    "copies of a text": lambda: copies(b"c_codecs\nencode\n", b"X" + struct.pack("<I", 1 << 19) + b"a" * (1 << 19)),
    "copies of a list": lambda: copies(b"cbuiltins\nset\n", b"(" + b"K\x01K\x02" * (1 << 18) + b"l"),
}


def copies(function: bytes, content: bytes) -> bytes:
    """A short program that applies a function to one long value 20,000 times."""
    arguments = b"h\0h\1h\2\x86R" if b"encode" in function else b"h\0h\1\x85R"
    return function + b"q\0" + content + b"q\1X\6\0\0\0latin1q\2(" + arguments * 20_000 + b"l."


@pytest.mark.parametrize("what", CLAIMS)
def test_claims_are_checked_before_anything_is_allocated(tmp_path, what):
    sentence_about(tmp_path, CLAIMS[what])


READ_WITH_LITTLE = """
import resource, sys
from pathlib import Path
import dmdlite.data.containers as containers
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (400 << 20),) * 2)
for name in sys.argv[1:]:
    try:
        containers.read_file(Path(name))
        print(name, "was read")
    except containers.DataError as problem:
        print(problem)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_bombs_are_refused_within_400_megabytes(tmp_path):
    """And for the limit that files have, not because memory ran out."""
    paths = []
    for make in [*BOMBS.values(), *(lambda key=key: CLAIMS[key] for key in CLAIMS)]:
        paths.append(tmp_path / f"{len(paths)}.bin")
        paths[-1].write_bytes(make())
    found = subprocess.run(
        [sys.executable, "-c", READ_WITH_LITTLE, *map(str, paths)], capture_output=True, text=True, timeout=120
    )
    said = found.stdout.splitlines()
    assert found.returncode == 0 and len(said) == len(paths), found.stderr[-2000:]
    assert all("would fill more than 200 times" in line for line in said[: len(BOMBS)]), said
    assert not any("MemoryError" in line or "was read" in line for line in said), said


def test_deep_nesting_is_survived(tmp_path):
    for program in (b"(" * 5_000 + b"l" * 5_000 + b".", b"]" * 5_000 + b"a" * 4_999 + b".", b"(" * 5_000):
        try:
            read(tmp_path, program)
        except DataError:
            pass


GOOD = {
    "pickle": pickle.dumps({"train": {"x": NUMBERS, "t": np.array(["a", None], object), "y": TENSORS["a"]}}),
    "gzip": gzip.compress(PLAIN),
    "npz": written(np.savez_compressed, x=NUMBERS, t=np.array(["a", None], object)),
    "npy": written(np.save, NUMBERS),
    "torch": saved(TENSORS),
    "old torch": saved(TENSORS, zip_archive=False),
    "safetensors": to_safetensors({"a": TENSORS["a"], "half": TENSORS["half"]}),
}


@pytest.mark.parametrize("kind", GOOD)
def test_truncation_anywhere(tmp_path, kind):
    for end in range(0, len(GOOD[kind]), max(1, len(GOOD[kind]) // 60)):
        with pytest.raises(DataError):
            read(tmp_path, GOOD[kind][:end])


@settings(max_examples=60, deadline=None)
@given(place=st.floats(0, 0.9999), byte=st.integers(0, 255))
@example(place=0.99609375, byte=1)  # an .npz that places its index before its beginning
@pytest.mark.parametrize("kind", GOOD)
def test_one_wrong_byte_gives_data_or_a_data_error(tmp_path_factory, kind, place, byte):
    content = bytearray(GOOD[kind])
    content[int(place * len(content))] = byte
    try:
        read(tmp_path_factory.getbasetemp(), bytes(content))
    except DataError as problem:
        assert str(problem).startswith("data.bin")

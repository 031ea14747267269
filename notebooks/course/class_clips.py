"""A simulated class that records itself: the sentences, the ways to say them, and the ratings by three others."""

from __future__ import annotations

import numpy as np
import pandas as pd

SENTENCES = (  # neutral: no word reveals a feeling
    "the bus to the station leaves at nine",
    "we will meet in the room on the left",
    "she put the two books on the table",
    "the letter came with the post this morning",
    "they walked along the river to the bridge",
    "he opened the window in the kitchen",
    "the shop is next to the old school",
    "i wrote the address on the paper",
    "there are six chairs in the hall",
    "you can see the tower from the road",
)
WAYS = {-1: "annoyed", 0: "plainly", 1: "pleased"}
STUDENTS = 6
RATERS = 3
MOST = 3  # labels go from -MOST to MOST, in whole numbers


def class_scenes(seed: int = 16) -> pd.DataFrame:
    """A line for each clip, as `made_clips.spoken` and `made_clips.perform` read them.

    Students differ in how much they show: of a way w the face shows e (2 w + 0.7 noise), and the voice likewise.
    """
    chance = np.random.default_rng(seed)
    shows = chance.uniform(0.6, 1.3, STUDENTS)  # e
    rows = []
    for student in range(STUDENTS):
        for sentence, text in enumerate(SENTENCES):
            for way in WAYS:
                face, voice = shows[student] * (2 * way + 0.7 * chance.standard_normal(2))
                scene = {"id": f"student{student}_{sentence}-{WAYS[way]}", "student": student, "sentence": sentence}
                scene |= {"way": way, "text": text, "speaker": student, "vision_view": face, "audio_view": voice}
                scene |= {"sarcastic": False, "speaking_rate": chance.uniform(0.9, 1.1)}
                scene |= {"telling_word": 1 + int(chance.integers(len(text.split())))}
                scene |= {"lighting": chance.standard_normal(), "head_roll": chance.standard_normal()}
                rows.append(scene)
    return pd.DataFrame(rows)


def rated(truth: pd.DataFrame, seed: int = 16) -> pd.DataFrame:
    """The ratings: a row for each clip, a column for each student, NaN where one did not rate.

    truth: as in class_truth.csv. Three others rate each clip. Students differ in what they call neutral, in how extreme
    their ratings are, and by chance.
    """
    chance = np.random.default_rng(seed)
    neutral, strength = 0.5 * chance.standard_normal(STUDENTS), chance.uniform(0.7, 1.2, STUDENTS)
    felt = (truth["face"] + truth["voice"]).to_numpy()[:, None] / 2
    said = neutral + strength * felt + 0.7 * chance.standard_normal((len(truth), STUDENTS))
    own = truth["student"].to_numpy()[:, None]
    asked = (np.arange(STUDENTS) - own - 1) % STUDENTS < RATERS  # the next three, never oneself
    return pd.DataFrame(np.where(asked, said.round().clip(-MOST, MOST), np.nan), index=truth["id"])

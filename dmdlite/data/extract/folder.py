"""A folder of clips, with their labels and transcripts; and the folder of features that becomes of it.

extractor.json                   the extractor, and the names and units of the channels
clips.csv                        a row for each clip: id, raw_text, its labels, extractor
text/ID.npy vision/… audio/…     (time, width) of each clip
clips/ID.json                    its words with their times, its length, remarks; written last
text_bert.npy                    (clips, 3, time) with a language model: token ids, attention mask, segment ids
failures.txt, notes.txt          a line for each clip that failed, and why; remarks on the others

`load_features` reads it as "a folder with a CSV" (docs/own_data.md).
"""

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dmdlite.data.extract.clip import CHANNELS, EXTRACTOR, TEXT, extract_clip, read_text
from dmdlite.data.extract.video import LONGEST, MOST_SECONDS, PICTURES_PER_SECOND
from dmdlite.data.pickles import DataError
from dmdlite.data.splits import KEYS
from dmdlite.files import write_bytes, write_json, write_text

VIDEOS = frozenset(".mp4 .m4v .mov .avi .mkv .webm .mpg .mpeg .wmv .flv .3gp .ogv .mts .ts".split())
SOUNDS = frozenset(".wav .mp3 .m4a .aac .flac .ogg .oga .opus .wma .aiff .amr".split())
BETWEEN = "$_$"  # the parts of an id: the path of the clip in its folder
TEXT_COLUMNS = ("text", "transcript", "raw_text", "sentence")
STEP = f"1/{PICTURES_PER_SECOND:g} second"
NAME_COLUMNS = ("id", "video", "clip", "file", "name")


@dataclass(frozen=True)
class Clip:
    """A clip that is to be read. `transcript`: its words, or the file that has them."""

    id: str
    path: Path
    transcript: str | Path | None = None

    def stamp(self) -> list[Any]:
        """What tells whether the features of a clip are still those of its files."""
        stamped = lambda file: [file.name, file.stat().st_size, file.stat().st_mtime_ns]
        return [stamped(x) if isinstance(x, Path) else x for x in (self.path, self.transcript)]


def find_clips(
    folder: Path, out: Path, transcripts: Path | None, labels: Path | None
) -> tuple[list[Clip], dict[str, str]]:
    """The clips below a folder in the order of their ids, and why others are none, by their name.

    A transcript comes from the table or the folder given, from the table of labels, or from ID.txt beside the clip.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; give the folder in which the clips are.")
    made = out.resolve()
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and made not in path.resolve().parents]
    media = [path for path in files if path.suffix.lower() in VIDEOS | SOUNDS]
    texts = {clip_id(path, folder): path for path in files if path.suffix.lower() == TEXT}
    said = texts | (texts_of(labels) if labels else {}) | (texts_of(transcripts, True) if transcripts else {})
    found: dict[str, Clip] = {}
    problems: dict[str, str] = {}
    for path in [*media, *texts.values()]:
        name = clip_id(path, folder)
        if (key := name.casefold()) not in found:  # macOS and Windows do not tell A from a
            found[key] = Clip(name, path, None if path.suffix.lower() == TEXT else said.get(name))
        elif path in media:
            problems[path.name] = f"{found[key].path.name} has the same name; rename one of them"
    if not found:
        endings = ", ".join(sorted(VIDEOS | SOUNDS | {TEXT}))
        raise DataError(f"{folder} holds no videos, sounds or texts; the endings looked for are {endings}.")
    return sorted(found.values(), key=lambda clip: clip.id), problems


def clip_id(path: Path, folder: Path) -> str:
    return BETWEEN.join(path.relative_to(folder).with_suffix("").parts)


def read_table(path: Path) -> pd.DataFrame:
    """A CSV by the id of the clip, which a column names, or the columns video_id and clip_id of MMSA's label.csv."""
    kinds = dict.fromkeys((*NAME_COLUMNS, "video_id", "clip_id"), str)
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", dtype=kinds)
    except (ValueError, OSError) as problem:
        raise DataError(f"{path} is not a readable table: {str(problem).strip().rstrip('.')}.") from None
    if {"video_id", "clip_id"} <= set(table):
        names = table.pop("video_id") + "/" + table.pop("clip_id")
    elif column := next((name for name in NAME_COLUMNS if name in table), None):
        names = table.pop(column)
    else:
        known = ", ".join(NAME_COLUMNS)
        raise DataError(f"{path} has no column that names the clips ({known}); it has {', '.join(table)}.")
    ending = "|".join(sorted(suffix[1:] for suffix in VIDEOS | SOUNDS | {TEXT}))
    table.index = names.str.strip().str.replace(rf"\.({ending})$", "", case=False, regex=True).str.replace("/", BETWEEN)
    if repeated := table.index[table.index.duplicated()].tolist():
        raise DataError(f"{path} names the clip {repeated[0]!r} twice.")
    return table


def label_columns(table: pd.DataFrame) -> list[str]:
    """Those called label, label_T or annotation, and split or mode; without a label all that hold no text."""
    named = [column for column in table if re.match(r"(?i)label|annotation|(split|mode)$", column)]
    labelled = any(column.lower() not in ("split", "mode") for column in named)
    return named if labelled else [column for column in table if column not in {*TEXT_COLUMNS, "extractor"}]


def texts_of(path: Path, needed: bool = False) -> dict[str, str | Path]:
    """Transcripts by the id of the clip, from a table with a column of texts, or from a folder of .txt files."""
    if path.is_dir():
        return {clip_id(file, path): file for file in path.rglob(f"*{TEXT}")}
    table = read_table(path)
    column = next((name for name in TEXT_COLUMNS if name in table), None)
    if column is None and needed:
        raise DataError(f"{path} has no column {' or '.join(TEXT_COLUMNS)}; it has {', '.join(table)}.")
    return {} if column is None else table[column].dropna().astype(str).to_dict()


@dataclass(frozen=True)
class FeatureFolder:
    """The folder that is written, and how: a clip that it holds already, made the same way, is not made again."""

    path: Path
    aligned: bool = False
    language_model: str | None = None
    longest: float = LONGEST

    @property
    def extractor(self) -> str:
        """What a model has to know of its features: those of another extractor mean something else."""
        tokens = f", tokens of {self.language_model}" if self.language_model else ""
        return f"{EXTRACTOR}, {'aligned' if self.aligned else 'unaligned'}{tokens}"

    def begin(self) -> None:
        """Raises DataError if the folder holds anything but features of this extractor, or clips may be too long."""
        if not 0 < self.longest <= MOST_SECONDS:
            raise DataError(
                f"longest must be at most {MOST_SECONDS:g} seconds, got {self.longest:g}; cut longer clips."
            )
        try:
            there = json.loads((self.path / "extractor.json").read_text(encoding="utf-8"))["extractor"]
        except (OSError, ValueError, KeyError, TypeError):
            there = "nothing of dmdlite's" if self.path.exists() and any(self.path.iterdir()) else self.extractor
        if there != self.extractor:
            raise DataError(f"{self.path} holds {there}, and this would be {self.extractor}; choose another folder.")
        (self.path / "clips").mkdir(parents=True, exist_ok=True)
        steps = dict.fromkeys(KEYS, "word") | ({} if self.aligned else dict.fromkeys(("vision", "audio"), STEP))
        write_json(self.path / "extractor.json", {"extractor": self.extractor, "steps": steps, "channels": CHANNELS})

    def make(self, clip: Clip) -> None:
        """Reads one clip and writes its features. Raises ValueError in one sentence if it cannot be read."""
        transcript = read_text(clip.transcript) if isinstance(clip.transcript, Path) else clip.transcript
        made = extract_clip(clip.path, transcript, aligned=self.aligned, longest=self.longest)
        for modality, key in KEYS.items():
            file = self.path / key / f"{clip.id}.npy"
            file.unlink(missing_ok=True)
            if modality in made.features:
                file.parent.mkdir(exist_ok=True)
                write_array(file, made.features[modality])
        record = {"source": clip.stamp(), "text": made.text, "seconds": made.seconds, "notes": made.notes}
        record["words"] = [word._asdict() for word in made.words]
        write_json(self.path / "clips" / f"{clip.id}.json", record)

    def read(self, clip: Clip) -> dict[str, Any] | None:
        """The record of a clip that is done; None if it is not, or if its files have changed since."""
        try:
            record = json.loads((self.path / "clips" / f"{clip.id}.json").read_text(encoding="utf-8"))
            return record if record["source"] == clip.stamp() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def finish(self, clips: list[Clip], labels: Path | None, failures: dict[str, str]) -> int:
        """Writes the table of the clips that are done, which makes the folder readable; returns how many they are.

        With labels, only clips that have some are in it. The others are added to the failures.
        """
        done = {clip.id: record for clip in clips if (record := self.read(clip))}
        table = pd.DataFrame({"raw_text": [record["text"] for record in done.values()]}, index=list(done), dtype=str)
        if labels:
            own, ids = read_table(labels), [clip.id for clip in clips]
            failures |= dict.fromkeys(table.index.difference(own.index), f"{labels.name} has no row for it")
            missing = f"{labels.name} has a row for it, but there is no such clip"
            failures |= dict.fromkeys(own.index.difference(ids), missing)
            table = table.join(own[label_columns(own)], how="inner")
        table["extractor"] = self.extractor
        if self.language_model and len(table):
            write_array(self.path / "text_bert.npy", token_ids(table["raw_text"].tolist(), self.language_model))
        notes = [f"{name}: {note}" for name, record in done.items() for note in record["notes"]]
        write_text(self.path / "notes.txt", "".join(f"{line}\n" for line in notes))
        write_text(self.path / "failures.txt", "".join(f"{name}: {why}\n" for name, why in failures.items()))
        write_text(self.path / "clips.csv", table.to_csv(index_label="id", lineterminator="\n"))
        return len(table)


def write_array(path: Path, array: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, array)
    write_bytes(path, content.getvalue())


def token_ids(texts: list[str], language_model: str) -> np.ndarray:
    """(clips, 3, time): token ids, attention mask, segment ids. Raises ValueError if there is no such tokenizer."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(language_model)
    except Exception as problem:  # the Hub raises many types
        reason = " ".join(str(problem).split())
        raise ValueError(f"{language_model} has no tokenizer here or on the Hub: {reason}") from None
    found = tokenizer(texts, padding=True, return_token_type_ids=True, return_attention_mask=True)
    return np.stack([found[key] for key in ("input_ids", "attention_mask", "token_type_ids")], axis=1).astype(np.int64)

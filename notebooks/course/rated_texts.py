"""Sentences that at least twenty people rated from -4 to 4, and VADER (Hutto and Gilbert, ICWSM 2014).

All of it comes from the source distribution of vaderSentiment 3.3.2, a pinned file. Ratings are read in memory: nothing
is unpacked, and nothing that is read is executed. Only `analyser` runs code of the archive.
"""

import hashlib
import importlib.util
import io
import json
import subprocess
import sys
import tarfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

VERSION, SHA256 = "3.3.2", "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
ROOT = f"vaderSentiment-{VERSION}"
RATINGS = f"{ROOT}/additional_resources/hutto_ICWSM_2014.tar.gz"
ANALYSER = ("vaderSentiment.py", "vader_lexicon.txt", "emoji_utf8_lexicon.txt")
SOURCES = {"tweets": "tweets", "movies": "movieReviewSnippets", "products": "amazonReviewSnippets"}
SOURCES |= {"editorials": "nytEditorialSnippets"}
KINDS = ("GroundTruth", "anonDataRatings")  # id, mean, text; and id, mean, deviation, the single ratings
LARGEST = 8_000_000  # bytes of one file in the archive
RATERS = 20  # of a text, at least
SAME = 0.01  # the most by which the two files of a source may differ in a mean


class Rated(NamedTuple):
    """One text. The name before the last "_" of its id is that of its document; a tweet or a movie's is its own."""

    id: str
    text: str
    ratings: np.ndarray


def fetched(folder: Path) -> Path:
    """The archive, by pip if it is not there. Raises ValueError if it is another file than the pinned one."""
    path = folder / f"{ROOT}.tar.gz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "requirement.txt").write_text(f"vaderSentiment=={VERSION} --hash=sha256:{SHA256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "vaderSentiment"]
        command += ["--require-hashes", "-r", str(folder / "requirement.txt"), "-d", str(folder)]
        if (done := subprocess.run(command, capture_output=True, text=True)).returncode:
            reason = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
            raise ValueError(f"pip could not fetch vaderSentiment {VERSION}: {reason[-1] if reason else 'no reason'}")
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != SHA256:
        advice = f"expected {SHA256[:12]}…; delete it, and it is fetched again"
        raise ValueError(f"{path} is another file than the one that was published (SHA-256 {found[:12]}…, {advice})")
    return path


def members(archive: bytes, names: list[str], place: str) -> list[bytes]:
    """The named files of a .tar.gz, read in memory. Raises ValueError if it is damaged, or a file missing or huge."""
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            for member in tar:
                if member.name in names and member.isfile():
                    if member.size > LARGEST:
                        raise ValueError(f"{place}: {member.name} is larger than {LARGEST} bytes")
                    found[member.name] = tar.extractfile(member).read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as problem:
        raise ValueError(f"{place} is damaged: {problem}") from None
    if missing := [name for name in names if name not in found]:
        raise ValueError(f"{place} has no file {missing[0]}")
    return [found[name] for name in names]


def read_ratings(archive: Path) -> list[Rated]:
    """The texts of the four sources that are fit for use, each once. Prints how many are left out, and why."""
    (inner,) = members(archive.read_bytes(), [RATINGS], archive.name)
    means, ratings = ([f"hutto_ICWSM_2014/{x}_{kind}.txt" for x in SOURCES.values()] for kind in KINDS)
    contents = members(inner, means + ratings, Path(RATINGS).name)
    tables = [lines_of(*named) for named in zip(means + ratings, contents, strict=True)]
    kept: dict[str, Rated] = {}
    left: Counter[str] = Counter()
    for source, texts, rated in zip(SOURCES, tables, tables[len(SOURCES) :], strict=False):
        for name, (mean, text) in texts.items():
            numbers = numbers_of(name, rated, source)
            key = " ".join(text.lower().split())
            if len(numbers) < RATERS:
                left[f"has fewer than {RATERS} ratings"] += 1
            elif abs(numbers.mean() - float(mean)) > SAME:
                left["has another mean than its ratings"] += 1
            elif key in kept:
                left["is a repetition"] += 1
            else:
                document, _, sentence = name.partition("_")
                kept[key] = Rated(f"{source}{document}_{sentence or 0}", text, numbers)
    print(f"{len(kept)} texts", *(f"{count} left out because it {why}" for why, count in left.items()), sep="; ")
    return list(kept.values())


def numbers_of(name: str, rated: dict[str, tuple[str, str]], source: str) -> np.ndarray:
    """The single ratings of a text. Raises ValueError if it has none, or if they are not numbers from -4 to 4."""
    try:
        numbers = np.array(json.loads(rated[name][1]), np.float64)
    except (KeyError, TypeError, ValueError):
        numbers = np.array([np.nan])
    if numbers.ndim != 1 or not (np.abs(numbers) <= 4).all():
        raise ValueError(f"the ratings of text {name} of the {source} are missing, or are not numbers from -4 to 4")
    return numbers


def lines_of(place: str, content: bytes) -> dict[str, tuple[str, str]]:
    """The first field of each line -> the second and the last. Raises ValueError for a line of another kind."""
    found = {}
    for number, line in enumerate(content.decode("utf-8-sig").splitlines(), 1):
        fields = line.split("\t")
        if len(fields) not in (3, 4):
            raise ValueError(f"{place}, line {number} has {len(fields)} fields instead of 3 or 4")
        found[fields[0]] = fields[1], fields[-1]
    return found


def analyser(archive: Path) -> Any:
    """VADER's rules: three named files of the archive are copied beside it, and the first is imported."""
    folder = archive.parent / "analyser"
    folder.mkdir(exist_ok=True)
    contents = members(archive.read_bytes(), [f"{ROOT}/vaderSentiment/{x}" for x in ANALYSER], archive.name)
    for name, content in zip(ANALYSER, contents, strict=True):
        (folder / name).write_bytes(content)
    spec = importlib.util.spec_from_file_location("vaderSentiment", folder / ANALYSER[0])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SentimentIntensityAnalyzer()

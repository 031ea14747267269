"""Features of a whole folder of clips: several processes, resumed where they were stopped; no clip stops the others."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm.auto import tqdm

from dmdlite.data.extract.folder import VIDEOS, Clip, FeatureFolder, find_clips, token_ids
from dmdlite.data.extract.setup import extra, model_paths
from dmdlite.data.extract.video import LONGEST
from dmdlite.experiments.executors import Processes, run_all


def extract(
    clips: str | Path,
    out: str | Path,
    *,
    labels: str | Path | None = None,
    transcripts: str | Path | None = None,
    aligned: bool = False,
    language_model: str | None = None,
    longest: float = LONGEST,
    jobs: int = 1,
) -> dict[str, str]:
    """Writes the features of all videos, sounds and texts below a folder; docs/own_clips.md describes what is written.

    labels: a CSV that names clips and has columns such as label and split. transcripts: a folder of ID.txt, or a CSV.
    aligned: vision and audio get one step for each word. language_model: a name on the Hub, for token ids.
    longest: seconds of a clip, at most an hour. jobs: clips at the same time, each in a process of its own.
    Each clip that fails is reported in a line and returned with the reason; the same call tries it again.
    Raises ValueError, before anything is written, if the folders, the tables or the language model cannot be used.
    """
    out, labels, transcripts = Path(out), labels and Path(labels), transcripts and Path(transcripts)
    say = partial(tqdm.write, file=sys.stderr)
    found, failures = find_clips(Path(clips), out, transcripts, labels)
    folder = FeatureFolder(out, aligned, language_model, longest)
    _check_ready(found, language_model)
    folder.begin()
    left = [clip for clip in found if folder.read(clip) is None]
    with (
        Processes(jobs, range(jobs)) as executor,
        tqdm(total=len(found), initial=len(found) - len(left), unit="clip", leave=False, disable=None) as bar,
    ):
        for name, why in failures.items():
            say(f"failed: {name}: {why}")
        for clip, _, failure in run_all(folder.make, left, executor):
            bar.update()
            if failure is not None:
                failures[clip.id] = failure
                say(f"failed: {clip.id}: {failure}")
    if not folder.finish(found, labels, failures):
        raise ValueError(f"none of the {len(found)} clips could be read; {out / 'failures.txt'} says why")
    return failures


def _check_ready(clips: Sequence[Clip], language_model: str | None) -> None:
    """Raises ValueError if something is missing that clips need, before hours are spent on them."""
    with extra():
        import vaderSentiment  # noqa: F401
    if any(clip.path.suffix.lower() in VIDEOS for clip in clips):
        model_paths()
    if language_model:
        token_ids([""], language_model)

"""What a run needs in order to resume: folders `checkpoint-STEP`, each sealed once all of its files are there.

`transformers.Trainer` writes the files of a checkpoint one by one, in their final place. If it is killed in between,
the folder looks like a checkpoint but is none; so only one whose seal names every file and its digest is used.
Nothing in it can run code: the weights are safetensors, Trainer reads the rest with `torch.load(weights_only=True)`.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from dmdlite.files import write_json

SEAL = "complete.json"
STATE = "trainer_state.json"
WEIGHTS = "model.safetensors"
LOGS = "logs"  # the folder of a run for what `report_to` writes
LAST = "last_epoch"  # the folder to which a finished run moves its last checkpoint


def step_of(checkpoint: Path) -> int:
    """The number of optimizer steps before the checkpoint."""
    return int(checkpoint.name.rpartition("-")[2])


def seal(checkpoint: Path) -> None:
    """Marks a checkpoint as whole, once every process has written its files."""
    write_json(checkpoint / SEAL, _digests(checkpoint))


def is_whole(checkpoint: Path) -> bool:
    """Whether the checkpoint is sealed and no file has changed since."""
    try:
        return json.loads((checkpoint / SEAL).read_text(encoding="utf-8")) == _digests(checkpoint)
    except (OSError, ValueError):
        return False


def _digests(checkpoint: Path) -> dict[str, str]:
    digests = {}
    for file in sorted(checkpoint.iterdir()):
        if file.is_file() and file.name != SEAL and not file.name.startswith("."):  # .DS_Store appears on macOS
            with file.open("rb") as content:
                digests[file.name] = hashlib.file_digest(content, "sha256").hexdigest()
    return digests


def newest(folder: Path) -> Path | None:
    """The newest whole checkpoint for which that of the best epoch is whole, too."""
    whole = [path for path in folder.glob("checkpoint-*") if is_whole(path)]
    usable = [path for path in whole if (path / STATE).is_file() and best_of(path) in whole]
    return max(usable, key=step_of, default=None)


def read_state(checkpoint: Path) -> dict[str, Any]:
    """Trainer's state: `log_history`, `best_global_step`, `epoch`, ..."""
    return json.loads((checkpoint / STATE).read_text(encoding="utf-8"))


def best_of(checkpoint: Path) -> Path:
    """The checkpoint of the best epoch up to this one."""
    return checkpoint.with_name(f"checkpoint-{read_state(checkpoint)['best_global_step']}")


def keep_only(checkpoint: Path | None, folder: Path) -> None:
    """Deletes every checkpoint except this one and that of its best epoch."""
    kept = {checkpoint, best_of(checkpoint)} if checkpoint else set()
    for other in folder.glob("checkpoint-*"):
        if other not in kept:
            shutil.rmtree(other)


def put_aside(run: Path) -> None:
    """Keeps the last checkpoint of a finished run, and no other: the best weights are in the run folder."""
    if last := newest(run / "checkpoints"):
        shutil.rmtree(run / LAST, ignore_errors=True)
        last.replace(run / LAST)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)


def take_up(run: Path) -> None:
    """Puts the last checkpoint of a finished run, and its best weights, back where training resumes from."""
    if is_whole(run / LAST) and (run / WEIGHTS).is_file():
        state = read_state(run / LAST)
        last, best = (run / "checkpoints" / f"checkpoint-{state[key]}" for key in ("global_step", "best_global_step"))
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
        (run / "checkpoints").mkdir()
        if best != last:
            best.mkdir()
            shutil.copyfile(run / WEIGHTS, best / WEIGHTS)
            seal(best)
        (run / LAST).replace(last)


def epoch_records(checkpoint: Path) -> list[dict[str, Any]]:
    """One record for each epoch up to a checkpoint, as `plain_loop` returns them."""
    return records_in(read_state(checkpoint)["log_history"])


def records_in(log_history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records of the epochs in Trainer's log, which holds more; the total and the homogeneous graph come first."""
    return [
        {
            "epoch": round(entry["epoch"]),
            "learning_rate": entry["learning_rate"],
            "losses": {"total": 0.0} | dict(sorted(entry["losses"].items())),
            "edges": dict(sorted(entry["edges"].items(), reverse=True)),
            "valid_error": entry["valid_error"],
            **{name: entry[name] for name in ("valid_scores", "test_scores") if name in entry},
        }
        for entry in log_history
        if "valid_error" in entry
    ]

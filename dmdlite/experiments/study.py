"""One study of Optuna: its trials, each a run that sees the training and the validation split and no other.

Processes and machines may share it. Locks, which end with their process, tell which trials are being worked on, so that
what a dead process has left is gone on with.
"""

import json
import shutil
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from pandas import DataFrame
from transformers import TrainerCallback

from dmdlite.experiments.executors import sentence
from dmdlite.experiments.plan import Plan
from dmdlite.files import write_json
from dmdlite.models.registry import check_settings
from dmdlite.models.spaces import Choices, Numbers, Range, own_numbers, resolved, with_numbers
from dmdlite.training import runs
from dmdlite.training.loop import prepare, seed_everything, shortfall
from dmdlite.training.metrics import Splits
from dmdlite.training.systems import train_system

STATES = {"COMPLETE": "finished", "PRUNED": "stopped early", "FAIL": "failed", "RUNNING": "running"}


@dataclass(frozen=True)
class Study:
    """What is searched, and how to go on with it. It is sent to every worker."""

    name: str
    plan: Plan
    own: Numbers  # the system's own values of the numbers in the space
    space: dict[str, Range | Choices]
    count: int  # of trials

    @classmethod
    def of(cls, name: str, plan: Plan, count: int, fixed: Sequence[str] = ()) -> "Study":
        """Raises ValueError for settings, names and numbers of trials that make no sense."""
        if count < 1:
            raise ValueError(f"trials must be at least 1, got {count}")
        recipe = plan.recipes[name]
        check_settings({name: recipe}, plan.config, plan.settings)
        config = recipe.config(plan.config, plan.settings)
        stay = {*fixed, *plan.settings, *(f"loss_weights.{x}" for x in plan.settings.get("loss_weights", ()))}
        own = own_numbers([x for x in recipe.space if x not in stay], config, plan.training)
        if not (space := resolved(recipe.space, own, config)):
            raise ValueError(f"{name} has no number left to tune")
        return cls(name, plan, {number: own[number] for number in space}, space, count)

    @property
    def folder(self) -> Path:
        return self.plan.folder

    def splits(self) -> Splits:
        with warnings.catch_warnings(action="ignore"):  # said before, when the data were read
            splits = self.plan.splits()
        return {split: splits[split] for split in ("train", "valid")}

    def begin(self) -> None:
        """Makes the folder this study's. Raises ValueError before it touches anything."""
        study_library()
        splits, training = self.splits(), self.plan.training
        seed_everything(training.seed)
        model = self.plan.recipes[self.name].build(self.plan.config, self.plan.settings)
        prepare(model, splits, training, needed=tuple(splits))
        space = {number: asdict(span) for number, span in self.space.items()}
        whole = runs.describe(model, splits, training) | {"model": "tuning"}
        whole |= {"tuning": {"model": self.name, "epochs": training.epochs, "space": space}}
        whole = json.loads(json.dumps(whole))
        if self.plan.state_of(self.folder, whole) == "stale":
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "training.json", whole)
        with self.lock("claim"):
            self.optuna().enqueue_trial(self.own, skip_if_exists=True)

    def optuna(self) -> Any:
        """Optuna's study, with the sampler of the trial that comes next: it depends on seed and number alone."""
        optuna = study_library()
        storage = optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(str(self.folder / "journal.log"))
        )
        pruner = optuna.pruners.MedianPruner(n_warmup_steps=self.plan.training.epochs // 4)
        study = optuna.create_study(storage=storage, pruner=pruner, study_name=self.name, load_if_exists=True)
        draw = np.random.SeedSequence((self.plan.training.seed, len(begun(study)))).generate_state(1)
        study.sampler = optuna.samplers.TPESampler(seed=int(draw[0]))
        return study

    def ended(self) -> int:
        return sum(trial.state.is_finished() for trial in self.optuna().trials)

    def lock(self, name: str) -> FileLock:
        return FileLock(self.folder / f".{name}.lock")

    def search(self) -> str | None:
        """All trials that are left, one after the other; says what came of the last."""
        words = None
        while more := self.next_trial():
            words = more
        return words

    def next_trial(self, _: Any = None) -> str | None:
        """Trains one trial to its end; says what came of it. None if there are enough."""
        with self.lock("claim"):
            if (claimed := self.claim()) is None:
                return None
        study, trial, lock = claimed
        states, folder = study_library().trial.TrialState, self.folder / "trials" / str(trial.number)
        value, state = None, states.PRUNED
        try:
            value, state = self.train(trial, folder), states.COMPLETE
        except study_library().TrialPruned:
            pass
        except OSError:  # a full disk, say, which is not the fault of these numbers
            raise
        except Exception as problem:
            trial.set_user_attr("failure", sentence(problem))
            state = states.FAIL
        finally:
            lock.release()
        study.tell(trial, value, state=state)
        shutil.rmtree(folder, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        return self.told(study, trial.number)

    def claim(self) -> tuple[Any, Any, FileLock] | None:
        """A trial that a dead process has left, or else a new one, with its numbers and its lock."""
        study, states = self.optuna(), study_library().trial.TrialState
        for old in study.get_trials(states=(states.RUNNING,)):
            lock = self.lock(f"trial_{old.number}")
            try:
                lock.acquire(blocking=False)
            except Timeout:
                continue
            return study, self.suggested(study_library().trial.Trial(study, old._trial_id)), lock
        if len(begun(study)) >= self.count:
            return None
        trial = self.suggested(study.ask())
        lock = self.lock(f"trial_{trial.number}")
        lock.acquire()
        return study, trial, lock

    def suggested(self, trial: Any) -> Any:
        for number, span in self.space.items():
            if isinstance(span, Choices):
                trial.suggest_categorical(number, span.values)
            else:
                trial.suggest_float(number, span.low, span.high, log=span.log)
        return trial

    def numbers(self, trial: Any) -> Numbers:
        """Those of a trial, with three digits, or the system's own."""
        short = lambda x: float(f"{x:.3g}") if isinstance(x, float) else x
        return {number: x if x == self.own[number] else short(x) for number, x in trial.params.items()}

    def train(self, trial: Any, folder: Path) -> float:
        """The lowest validation error of the epochs, or what the score `select_by` lacks to 1."""
        training, settings = with_numbers(self.numbers(trial), self.plan.training, self.plan.settings)
        place = lambda system: folder / system
        run = self.name, self.plan.recipes, self.splits(), self.plan.config, training, place, settings
        with warnings.catch_warnings(action="ignore"):
            _, result = train_system(*run, callbacks=[StopEarly(trial)], progress=False)
        return min(shortfall(record, training.select_by) for record in result.epochs)

    def told(self, study: Any, number: int) -> str:
        rows = self.table(study)
        row, best = rows.loc[number], rows[rows.state == "finished"].error
        error = f"validation error {row.error:.4f}, " if row.error == row.error else ""
        lowest = f" (best {best.min():.4f}, trial {best.idxmin()})" if len(best) else ""
        return f"trial {number} {row.state}: {error}{in_words(self.changed(rows, number))}{lowest}"

    def changed(self, rows: DataFrame, number: int) -> Numbers:
        """The numbers of a trial that are not the system's own."""
        (found,) = rows.loc[[number], list(self.space)].to_dict("records")
        return {name: x for name, x in found.items() if x != self.own[name]}

    def table(self, study: Any = None) -> DataFrame:
        """One row per trial: state, error (that of its best epoch), epochs, its numbers, failure."""
        rows = []
        for trial in begun(study or self.optuna()):
            errors = trial.intermediate_values
            row = {"number": trial.number, "state": STATES[trial.state.name]}
            row |= {"error": min(errors.values(), default=float("nan")), "epochs": max(errors, default=0)}
            rows.append(row | self.numbers(trial) | {"failure": trial.user_attrs.get("failure")})
        return DataFrame(rows).set_index("number")


def in_words(numbers: Numbers) -> str:
    return (
        ", ".join(f"{name} {x:g}" if isinstance(x, float) else f"{name} {x}" for name, x in numbers.items())
        or "the defaults"
    )


def study_library() -> Any:
    try:
        import optuna
        import optuna.storages.journal
    except ImportError:
        raise ValueError('tuning needs Optuna: pip install "dmdlite[many]"') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def begun(study: Any) -> list[Any]:
    """All trials but those that wait."""
    return [trial for trial in study.trials if trial.state.name in STATES]


class StopEarly(TrainerCallback):
    """Reports the validation error of each epoch, and ends a trial that is worse than the median of the others."""

    def __init__(self, trial: Any):
        self.trial = trial

    def on_evaluate(self, args, state, control, metrics, **_):
        self.trial.report(metrics["eval_error"], round(state.epoch))
        if self.trial.should_prune():
            raise study_library().TrialPruned

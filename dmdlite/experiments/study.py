"""One study of Optuna: its trials, each a run that sees the training and the validation split and no other.

Processes and machines may share it. Locks, which end with their process, tell which trials are being worked on, so that
the trial of a dead process is resumed.
"""

import json
import shutil
import socket
import warnings
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pandas import DataFrame
from transformers import TrainerCallback

from dmdlite.config import TrainingConfig
from dmdlite.experiments.executors import sentence
from dmdlite.experiments.plan import Plan
from dmdlite.files import alone_in, write_json
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
    folder: Path
    own: Numbers  # the system's own values of the numbers in the space
    space: dict[str, Range | Choices]

    @classmethod
    def of(cls, name: str, plan: Plan, folder: Path) -> "Study":
        """Raises ValueError for settings, names and numbers of trials that make no sense."""
        if plan.tune < 1:
            raise ValueError(f"trials must be at least 1, got {plan.tune}")
        recipe = plan.recipes[name]
        check_settings({name: recipe}, plan.config, plan.settings)
        config = recipe.config(plan.config, plan.settings)
        stay = {*plan.fixed, *plan.settings, *(f"loss_weights.{x}" for x in plan.settings.get("loss_weights", ()))}
        own = own_numbers([x for x in recipe.space if x not in stay], config, plan.training)
        if not (space := resolved(recipe.space, own, config)):
            raise ValueError(f"{name} has no number left to tune")
        return cls(name, plan, folder, {number: own[number] for number in space}, space)

    @property
    def training(self) -> TrainingConfig:
        return self.plan.training.replace(seed=self.plan.tuning_seed, log_test=False)

    @property
    def splits(self) -> Splits:
        """All that a trial sees."""
        with warnings.catch_warnings(action="ignore"):  # said before, when the data were read
            return {split: self.plan.splits[split] for split in ("train", "valid")}

    def begin(self) -> None:
        """Makes the folder this study's. Raises ValueError before it touches anything."""
        study_library()
        splits, training = self.splits, self.training
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
        with alone_in(self.folder, wait=True):
            if not (journal := self.folder / "journal.log").is_file() or not journal.stat().st_size:
                self.optuna(new=True)
            self.optuna().enqueue_trial(self.own, skip_if_exists=True)

    def optuna(self, new: bool = False) -> Any:
        """Optuna's study, with the sampler of the trial that comes next: it depends on seed and number alone."""
        optuna = study_library()
        backend = optuna.storages.journal.JournalFileBackend(str(self.folder / "journal.log"))
        kept = {"storage": optuna.storages.JournalStorage(backend), "study_name": self.name}
        study = optuna.create_study(**kept) if new else optuna.load_study(**kept)
        draw = np.random.SeedSequence((self.training.seed, len(begun(study)))).generate_state(1)
        study.sampler = optuna.samplers.TPESampler(seed=int(draw[0]))
        study.pruner = optuna.pruners.MedianPruner(n_warmup_steps=self.training.epochs // 4)
        return study

    @property
    def left(self) -> int:
        """Trials that have not ended."""
        return max(0, self.plan.tune - sum(trial.state.is_finished() for trial in self.optuna().trials))

    def search(self) -> str:
        """Makes all trials that are left, one after the other; says which is the best."""
        while self.left:
            if self.next_trial() is None:
                self.wait()
        rows = self.table()
        best = rows[rows.state == "finished"].error
        return self.told(rows, int(best.idxmin())) if len(best) else "no trial has come to its end"

    def wait(self) -> None:
        """Until no other process works on a trial."""
        for trial in self.optuna().get_trials(states=(study_library().trial.TrialState.RUNNING,)):
            with alone_in(self.place(trial), wait=True):
                pass

    def place(self, trial: Any) -> Path:
        return self.folder / "trials" / str(trial.number)

    def next_trial(self, _: Any = None) -> str | None:
        """Trains one trial to its end; says what came of it. None if there are enough."""
        if not self.plan.is_seen():
            raise ValueError(f"{socket.gethostname()} does not see {self.folder}: tuning needs storage that all share")
        with ExitStack() as stack:
            with alone_in(self.folder, wait=True):
                if (claimed := self.claim(stack)) is None:
                    return None
            study, trial = claimed
            self.finish(study, trial)
        shutil.rmtree(self.place(trial), ignore_errors=True)
        rows = self.table(study)
        best = rows[rows.state == "finished"].error
        lowest = f" (lowest {best.min():.4f}, trial {best.idxmin()})" if len(best) else ""
        return self.told(rows, trial.number) + lowest

    def finish(self, study: Any, trial: Any) -> None:
        """Trains a trial and writes down what came of it. Raises OSError, which is not the fault of its numbers."""
        value, states = None, study_library().trial.TrialState
        try:
            value, state = self.train(trial), states.COMPLETE
        except study_library().TrialPruned:
            state = states.PRUNED
        except OSError:
            raise
        except Exception as problem:
            trial.set_user_attr("failure", sentence(problem))
            state = states.FAIL
        study.tell(trial, value, state=state)

    def claim(self, stack: ExitStack) -> tuple[Any, Any] | None:
        """A trial that a dead process has left, or else a new one, with its numbers; the stack holds its lock."""
        study, states = self.optuna(), study_library().trial.TrialState
        for old in study.get_trials(states=(states.RUNNING,)):
            with suppress(ValueError):  # its process is alive
                stack.enter_context(alone_in(self.place(old)))
                if self.optuna().trials[old.number].state != states.RUNNING:  # it has ended just now
                    continue
                return study, self.suggested(study_library().trial.Trial(study, old._trial_id))
        if len(begun(study)) >= self.plan.tune:
            return None
        trial = self.suggested(study.ask())
        stack.enter_context(alone_in(self.place(trial)))
        return study, trial

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

    def train(self, trial: Any) -> float:
        """The lowest validation error of the epochs, or what the score `select_by` lacks to 1."""
        training, settings = with_numbers(self.numbers(trial), self.training, self.plan.settings)
        folder_of = lambda system: self.place(trial) / system
        run = self.name, self.plan.recipes, self.splits, self.plan.config, training, folder_of, settings
        with warnings.catch_warnings(action="ignore"):
            _, result = train_system(*run, callbacks=[StopEarly(trial)], progress=False)
        return min(shortfall(record, training.select_by) for record in result.epochs)

    def told(self, rows: DataFrame, number: int) -> str:
        row = rows.loc[number]
        error = f"validation error {row.error:.4f}, " if row.epochs else ""
        return f"trial {number} {row.state}: {error}{in_words(self.changed(rows, number))}"

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
    each = (f"{name} {x:g}" if isinstance(x, float) else f"{name} {x}" for name, x in numbers.items())
    return ", ".join(each) or "the defaults"


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

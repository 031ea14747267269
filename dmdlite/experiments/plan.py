"""What the runs of a comparison share, and how each of its models is made, recognised and trained."""

import secrets
import socket
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

from dmdlite.config import ModelConfig, TrainingConfig
from dmdlite.data.features import load_features
from dmdlite.experiments.checks import Variant, check_counts, check_variants
from dmdlite.experiments.executors import Outcome, attempt
from dmdlite.experiments.missing import score_subsets, stored_subsets
from dmdlite.experiments.parcels import pack, unpack
from dmdlite.models.base import SavedModel
from dmdlite.models.registry import RECIPES, Recipe, check_settings, in_groups, with_teachers
from dmdlite.models.spaces import Numbers, with_numbers
from dmdlite.presets import TUNING_SEED
from dmdlite.sources import code_digests
from dmdlite.training import runs
from dmdlite.training.metrics import Splits, table_scores
from dmdlite.training.optimizers import fitting
from dmdlite.training.reporting import check_reporter
from dmdlite.training.systems import fresh
from dmdlite.training.trainer import train

Run = tuple[str, int]  # the name of a model and a seed


class Chain(NamedTuple):
    """One task: a teacher and then its students. teachers: finished ones, packed for places without our storage."""

    runs: tuple[Run, ...]
    teachers: Mapping[Run, bytes]


@dataclass(frozen=True)
class Plan:
    """It is sent to every worker; `data` may be a path, so that each opens it itself."""

    data: Splits | str | Path
    config: ModelConfig
    training: TrainingConfig
    folder: Path
    names: list[str]
    seeds: list[int]
    settings: dict[str, Any]  # fields that only some models have
    recipes: dict[str, Recipe]  # the library's and the variants'
    restart: bool = False
    dataset: str | None = None  # whose published numbers are shown beside ours
    reading: Mapping[str, Any] | None = None  # how a path is opened: options of `load_features`
    report_to: str | None = None  # of each run
    tune: int = 0  # trials of each system's numbers, see `study.py`
    tuning_seed: int = TUNING_SEED
    fixed: Sequence[str] = ()  # numbers that are not tuned
    numbers: Mapping[str, Numbers] = field(default_factory=dict)  # what tuning has found, by the name of the system
    code: Mapping[str, str] = field(default_factory=code_digests)  # of dmdlite, the same on every worker
    mark: str | None = None  # a file in the folder, by which a worker recognises it; None: this machine

    @property
    def shown(self) -> list[str]:
        """The scores in the tables; the first is the error."""
        return list(table_scores(self.config.task, self.config.outputs, self.config.label_scale))

    @property
    def all_runs(self) -> list[Run]:
        """Those of the table, and before each student its teacher."""
        return [(name, seed) for seed in self.seeds for name in with_teachers(self.names, self.recipes)]

    @cached_property
    def splits(self) -> Splits:
        return load_features(self.data, **(self.reading or {})) if isinstance(self.data, (str, Path)) else self.data

    def __getstate__(self) -> dict[str, Any]:
        return {name: x for name, x in vars(self).items() if name != "splits"}  # each worker opens a path itself

    def run_folder(self, run: Run) -> Path:
        return self.folder / run[0] / f"seed_{run[1]}"

    def teacher(self, run: Run) -> Run | None:
        """The run that must be finished before this one."""
        teacher = self.recipes[run[0]].teacher
        return None if teacher is None else (teacher, run[1])

    def own(self, name: str) -> tuple[TrainingConfig, dict[str, Any]]:
        """The budget and the settings of a system."""
        return with_numbers(self.numbers.get(name, {}), self.training, self.settings)

    def build(self, name: str) -> SavedModel:
        """A model with any weights."""
        return self.recipes[name].build(self.config, self.own(name)[1])

    def start(self, run: Run, retaught: bool = False) -> tuple[SavedModel, dict[str, Any], str]:
        """The model as it begins its training, further arguments of `train`, and the state of its run folder.

        retaught: its teacher was trained just before, so that it may have to start afresh.
        """
        name, seed = run
        folder_of = lambda other: self.run_folder((other, seed))
        training, settings = self.own(name)
        model = fresh(name, self.recipes, self.config, settings, seed, folder_of, self.splits)
        training = fitting(training.replace(seed=seed), model)
        state = self.state_of(self.run_folder(run), runs.describe(model, self.splits, training), retaught)
        source = self.data if isinstance(self.data, (str, Path)) else None
        options = {"training": training, "source": source, "restart": state == "stale", "report_to": self.report_to}
        return model, options, state

    def state_of(self, folder: Path, description: dict[str, Any], replaceable: bool = False) -> str:
        """As `runs.state_of`, or "stale" if the folder holds another run, which may be replaced."""
        try:
            return runs.state_of(folder, description)
        except ValueError:
            if not self.restart and not replaceable:
                raise
            runs.state_of(folder, description, restart=True)  # raises if there is no run at all
            return "stale"

    def part(self, only: Sequence[Run]) -> list[Run]:
        """These runs and their teachers. Raises ValueError for one that is not in the table."""
        for name, seed in only:
            if name not in self.names or seed not in self.seeds:
                table = f"the models {', '.join(self.names)} and the seeds {', '.join(map(str, self.seeds))}"
                raise ValueError(f"{name}:{seed} is not part of this comparison, of {table}")
        return list(dict.fromkeys((name, seed) for one, seed in only for name in with_teachers([one], self.recipes)))

    def left(self, some: Sequence[Run]) -> list[Run]:
        """Those that are not finished. Raises ValueError if a run folder holds something else."""
        left: list[Run] = []
        for run in some:  # a teacher comes before its student
            if self.teacher(run) in left or not self.is_done(run):
                left.append(run)
        return left

    def is_done(self, run: Run) -> bool:
        """Whether nothing is left to do. Raises ValueError if the run folder holds something else."""
        exists = self.run_folder(run).exists()
        return exists and self.start(run)[2] == "finished" and bool(self.stored(run)[1])

    def stored(self, run: Run) -> tuple[runs.Result, dict[str, dict[str, float]]]:
        """A finished run and its scores for each subset of the modalities, if they are there."""
        result = runs.load_result(self.run_folder(run))
        return result, stored_subsets(result.folder, result.metrics["test"], self.config.modalities)

    @contextmanager
    def sent(self) -> Iterator["Plan"]:
        """The plan for other machines, with which this one may or may not share its storage."""
        here, mark = self.folder.absolute(), f".{secrets.token_hex(8)}"
        data = Path(self.data).absolute() if isinstance(self.data, (str, Path)) else self.data
        (here / mark).touch()
        try:
            yield replace(self, folder=here, data=data, mark=mark)
        finally:
            (here / mark).unlink(missing_ok=True)

    def is_seen(self) -> bool:
        """Whether this machine shares the plan's storage. Raises ValueError if it has other code."""
        if self.code != code_digests():
            raise ValueError(f"{socket.gethostname()} has other code of dmdlite; install the same version there")
        return self.mark is None or (self.folder / self.mark).exists()

    def chains(self, left: Sequence[Run]) -> list[Chain]:
        """The runs that are left, by their first teacher and seed."""
        chains: dict[Run, list[Run]] = {}
        for name, seed in left:
            chains.setdefault((with_teachers([name], self.recipes)[0], seed), []).append((name, seed))
        away = lambda chain: {self.teacher(run) for run in chain} - {None, *chain} if self.mark else ()
        teachers = lambda chain: {run: pack(self.run_folder(run)) for run in away(chain)}
        return [Chain(tuple(chain), teachers(chain)) for chain in chains.values()]

    def train_chain(self, chain: Chain) -> tuple[list[Outcome], dict[Run, bytes]]:
        """The work of one task: the outcome of each run, and the folders that are not on our storage, packed."""
        if self.is_seen():
            return self._train_chain(chain.runs), {}
        with tempfile.TemporaryDirectory() as folder:
            away = replace(self, folder=Path(folder), mark=None)
            for run, parcel in chain.teachers.items():
                unpack(parcel, away.run_folder(run))
            ended = away._train_chain(chain.runs)
            return ended, {run: pack(away.run_folder(run)) for run, _, failure in ended if failure is None}

    def _train_chain(self, chain: Sequence[Run]) -> list[Outcome]:
        """A failing student does not lose its teacher."""
        outcomes: dict[Run, Outcome] = {}
        for run in chain:
            teacher = self.teacher(run)
            if teacher in chain and outcomes[teacher].failure is not None:
                outcomes[run] = Outcome(run, failure=f"its teacher, {teacher[0]}, could not be trained")
            else:
                outcomes[run] = attempt(partial(self.train, retaught=teacher in chain), run)
        return list(outcomes.values())

    def train(self, run: Run, retaught: bool) -> str:
        """A finished run and its scores for each subset. Returns its error and time, in words.

        A run that another process is training is waited for.
        """
        started = time.perf_counter()
        try:
            with warnings.catch_warnings(action="ignore"):  # said before, when the comparison began
                splits = self.splits
        except (ValueError, OSError) as problem:
            host = socket.gethostname()
            raise ValueError(f"{host} cannot open the data: {problem}; it needs them under the same path") from None
        model, options, _ = self.start(run, retaught)
        result = train(model, splits, self.run_folder(run), progress=False, wait=True, **options)
        score_subsets(result, splits["test"], model, self.config.modalities)
        error = result.metrics["test"][self.shown[0]]
        return f"test error {error:.3f}, {(time.perf_counter() - started) / 60:.1f} min"

    def added_terms(self, name: str, result: runs.Result) -> dict[str, float]:
        """The loss terms in its best epoch for which a variant's config has no weight, as loss_TERM."""
        if name in RECIPES:
            return {}
        best = result.epochs[result.metrics["best_epoch"] - 1]
        known = {"total", *runs.read_description(result.folder)["config"].get("loss_weights", {})}
        return {f"loss_{term}": value for term, value in best["losses"].items() if term not in known}


def make_plan(
    names: Sequence[str],
    data: Splits | str | Path,
    config: ModelConfig,
    seeds: Sequence[int],
    output_dir: str | Path,
    training: TrainingConfig | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    variants: Mapping[str, Variant] | None = None,
    jobs: int = 1,
    audit: bool = False,
    **options: Any,
) -> Plan:
    """See `compare`. Raises ValueError for impossible names, seeds and settings. options: further fields of a Plan."""
    check_reporter(options.get("report_to"))
    budget = (training or TrainingConfig()).replace(seed=0, log_test=audit)
    own = check_variants(variants or {}, jobs, optimizer=budget.optimizer, scheduler=budget.scheduler)
    names, recipes, settings = [*in_groups(names), *own], RECIPES | own, dict(settings or {})
    check_settings({name: recipes[name] for name in names}, config, settings)
    check_counts(names, seeds, jobs)
    return Plan(data, config, budget, Path(output_dir), names, list(seeds), settings, recipes, **options)

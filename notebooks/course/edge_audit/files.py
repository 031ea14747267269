"""The audit on a file with labels of every modality, as CH-SIMS has them: there the better teacher of a clip is known.

Each modality was rated alone. The nearer its own label lies to the label of the whole clip, the better it can teach.
`python notebooks/audit_edges.py --data FILE` runs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from course.edge_audit.audit import Audit, Record, audit_config, measures, train_all_epochs, true_teacher
from course.edge_audit.rules import RULES
from course.edge_audit.tables import OFF, Records, gain, values, where
from dmdlite.config import MODALITIES, SPACES, TrainingConfig
from dmdlite.data.features import DataError, FeatureSplit, Splits, feature_shapes, label_shape, load_features
from dmdlite.data.toy import ToyWorld
from dmdlite.experiments.executors import executor_for, run_all
from dmdlite.experiments.reports import markdown_table
from dmdlite.models.dmd import DMD
from dmdlite.training.loop import batch_options, prepare, read_batches, seed_everything

PAIRS = tuple(combinations(range(len(MODALITIES)), 2))
PLAN = Audit(audit_config().replace(standardise=True), TrainingConfig(epochs=10, padding_mask=True))
Edges = Float[np.ndarray, "clip 3 3"]
Distances = Float[np.ndarray, "clip 3"]


def label_distances(split: FeatureSplit) -> Distances:
    """How far the label of each modality alone lies from that of the whole clip. Raises DataError if one is missing."""
    if missing := [m for m in MODALITIES if m not in split.labels_of]:
        raise DataError(f"{split.place} has no labels of {missing[0]} alone (regression_labels_T, _A and _V).")
    return np.stack([np.abs(split.labels_of[m] - split.truth("regression")) for m in MODALITIES], axis=1)


def better(distances: Distances) -> Int[np.ndarray, "clip pair"]:
    """For each clip and pair of modalities: 1 if the first is the better teacher, -1 if the second is, 0 if neither."""
    return np.stack([_sign(distances[:, j] - distances[:, i]) for i, j in PAIRS], axis=1)


def agreement(edges: Edges, distances: Distances) -> float:
    """In how many pairs, over all clips, the better teacher has the wider of the two edges: 0.5 is chance.

    Two equal edges count half; pairs without a better teacher are left out. NaN if nothing is left.
    """
    wider, truth = np.stack([_sign(edges[:, i, j] - edges[:, j, i]) for i, j in PAIRS], axis=1), better(distances)
    return float(((1 + wider * truth) / 2)[truth != 0].mean()) if truth.any() else float("nan")


def best_constant(distances: Distances) -> float:
    """The highest agreement of edges that are the same in every clip: what knowing the clip has to beat."""
    truth = better(distances)
    return float((1 + np.abs(truth.sum(axis=0)).sum() / np.abs(truth).sum()) / 2) if truth.any() else float("nan")


def _sign(x: Float[np.ndarray, "clip"]) -> Int[np.ndarray, "clip"]:
    return np.sign(np.round(x, 5)).astype(np.int64)  # differences of rounding are none


def audit_file(
    file: str | Path,
    rules: Sequence[str] = tuple(RULES),
    seeds: Sequence[int] = range(5),
    plan: Audit = PLAN,
    jobs: int = 1,
) -> Iterator[list[Record]]:
    """Trains every rule with every seed on a file; the records of each run as they come, one for each space.

    Raises DataError if the file lacks labels of a modality, and RuntimeError if a run fails.
    """
    label_distances(read_file(str(file))["test"])
    tasks = [(rule, seed) for seed in seeds for rule in rules]
    with executor_for(min(jobs, len(tasks))) as executor:
        for outcome in run_all(partial(_run, str(file), plan), tasks, executor):
            if outcome.failure is not None:
                raise RuntimeError(f"{outcome.task[0]}, seed {outcome.task[1]}: {outcome.failure}")
            yield outcome.value


@lru_cache(maxsize=1)
def read_file(file: str) -> Splits:
    return load_features(file, "regression")


def _run(file: str, plan: Audit, task: tuple[str, int]) -> list[Record]:
    rule, seed = task
    splits, training = read_file(file), plan.training.replace(seed=seed)
    distances = label_distances(splits["test"])
    seed_everything(seed)
    model = RULES[rule](plan.config.replace(**feature_shapes(splits), **label_shape(splits, "regression")))
    prepare(model, splits, training)
    first_loss = train_all_epochs(model, splits["train"], training)
    edges, errors = read_clips(model, splits["test"], training.padding_mask)
    best = true_teacher(dict(zip(MODALITIES, (-distances.mean(axis=0)).tolist(), strict=True)))
    run = {"rule": rule, "planted": best, "seed": seed, "first_loss": first_loss}
    run["best_constant"] = best_constant(distances)
    return [
        run
        | {"space": space, "agreement": agreement(edges[space], distances)}
        | measures(space, torch.from_numpy(edges[space].mean(axis=0)), errors, best)
        for space in SPACES
    ]


def read_clips(model: DMD, split: FeatureSplit, padding_mask: bool) -> tuple[dict[str, Edges], dict[str, float]]:
    """The edges of both graphs for every clip, without the prior, and the mean absolute error of every head."""
    found = read_batches(model, split, batch_options(model, padding_mask), lambda out: (out.edges, out.predictions))
    edges, predictions = (
        {name: torch.cat([batch[place][name] for batch in found]).float().cpu().numpy() for name in found[0][place]}
        for place in (0, 1)
    )
    return edges, {head: float(np.abs(x - split.labels).mean()) for head, x in predictions.items()}


def file_table(records: Records) -> str:
    """A row for each rule and space: which of its graphs find the better teacher, and whether the students gain."""
    best, constant = records[0]["planted"], records[0]["best_constant"]
    lines = [
        f"Nearest to the label on average: {best}. The best edges that are the same in every clip: {constant:.3f}."
    ]
    rows = []
    for space in SPACES:
        for rule in (rule for rule in values(records, "rule") if rule != OFF):
            runs = where(records, rule=rule, space=space)
            scores = [record["agreement"] for record in runs]
            found = f"{sum(record['found'] for record in runs)} of {len(runs)}"
            test = gain(records, rule, OFF, space)
            less = "" if test is None else f"{test.mean:+.3f}" + ("" if test.std is None else f" ± {test.std:.3f}")
            rows.append([space, rule, f"{np.mean(scores):.3f} ± {np.std(scores):.3f}", found, less])
    titles = ["graph", "rule", "agreement", f"runs where {best} teaches most", f"weak heads, − {OFF}"]
    return "\n".join([*lines, "", *markdown_table(titles, rows)]) + "\n"


def rated_alone(world: ToyWorld) -> Splits:
    """A toy world's splits with a label of each modality: the sentiment as it sees it, in the steps of all labels."""
    return Splits({name: _rated(split, world.truth[name]) for name, split in world.splits.items()})


def _rated(split: FeatureSplit, truth: Mapping[str, np.ndarray]) -> FeatureSplit:
    views = {m: np.clip(np.round(5 * truth[f"{m}_view"]) / 5, -3, 3).astype(np.float32) for m in MODALITIES}
    return replace(split, labels_of=views)

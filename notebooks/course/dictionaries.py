"""What the dictionaries of DHMD hold, measured against the truth of the toy world."""

from __future__ import annotations

from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from course.probes import hidden_factor
from dmdlite.config import MODALITIES
from dmdlite.data.features import FeatureSplit
from dmdlite.data.toy import ToyWorld
from dmdlite.models.dhmd import DHMD

FACTORS = ("sentiment", "topic", "duration")  # held by all modalities; by the words alone; by every stream's length
USED = 0.001  # an activation below this counts as none
Activations = dict[str, Float[np.ndarray, "clip atom"]]  # by modality


@torch.no_grad()
def activations(model: DHMD, split: FeatureSplit) -> dict[str, Activations]:
    """w of every clip of a split, without dropout: space -> modality -> (clip, atom)."""
    was_training = model.training
    found = model.eval()(**split.batch(range(len(split)))).dictionaries
    model.train(was_training)
    return {space: {m: found[space][m].activations.numpy() for m in MODALITIES} for space in found}


def explained(
    shares: Float[np.ndarray, "clip atom"], factors: Float[np.ndarray, "clip _"]
) -> Float[np.ndarray, "atom"]:
    """The share of each atom's variance over clips that a linear fit to the factor explains; 0 for an idle atom."""
    inputs = np.column_stack([factors, np.ones(len(factors))])
    missed = np.square(shares - inputs @ np.linalg.lstsq(inputs, shares, rcond=None)[0]).sum(axis=0)
    variance = np.square(shares - shares.mean(axis=0)).sum(axis=0)
    return np.where(variance > 1e-8, 1 - missed / np.maximum(variance, 1e-8), 0.0)


def by_class(
    shares: Float[np.ndarray, "clip atom"], sentiment: Float[np.ndarray, " clip"]
) -> Float[np.ndarray, "7 atom"]:
    """The mean activation in each of the seven rounded sentiments, −3 first; nan in one without clips."""
    member = np.arange(-3, 4)[:, None] == np.clip(np.round(sentiment), -3, 3)  # (class, clip)
    counts = member.sum(axis=1, keepdims=True)
    return member @ shares / np.where(counts, counts, np.nan)


def best_atom(train: Float[np.ndarray, "train atom"], truth: Float[np.ndarray, "train _"]) -> int:
    """The atom that follows a factor most closely."""
    return int(explained(train, truth).argmax())


def understood(
    train: dict[str, Float[np.ndarray, "train atom"]],
    test: dict[str, Float[np.ndarray, "test atom"]],
    sentiment: Float[np.ndarray, " train"],
    truth: Float[np.ndarray, " test"],
) -> float:
    """Whether a reader of one modality can read another: the mean over the six ordered pairs of modalities.

    A ridge regression from activations to sentiment is fitted on the training clips of one modality, and reads the test
    clips of another, atom for atom; the correlation of its predictions with the truth. Atoms that mean something
    else in each modality give about 0.
    """
    weights = {m: ridge(w, sentiment) for m, w in train.items()}
    return float(np.mean([correlation(test[j] @ weights[i], truth) for i, j in permutations(train, 2)]))


def ridge(shares: Float[np.ndarray, "clip atom"], target: Float[np.ndarray, " clip"]) -> Float[np.ndarray, " atom"]:
    """The weights of a linear regression, kept small by a penalty of a hundredth of the atoms' mean variance."""
    inputs = (shares - shares.mean(axis=0)).astype(float)
    products = inputs.T @ inputs
    penalty = 0.01 * np.trace(products) / len(products) + 1e-9
    return np.linalg.solve(products + penalty * np.eye(len(products)), inputs.T @ (target - target.mean()))


def correlation(predicted: Float[np.ndarray, " clip"], truth: Float[np.ndarray, " clip"]) -> float:
    """Pearson's correlation; 0 for a constant prediction."""
    return float(np.corrcoef(predicted, truth)[0, 1]) if np.ptp(predicted) > 1e-9 else 0.0


def agreement(shares: Activations) -> tuple[float, float]:
    """How much of their activation two modalities spend on the same atoms, for one clip and for two different clips.

    Σ_i min(w_i, v_i), which is 1 for equal and 0 for disjoint activations; means over clips and pairs of modalities.
    The second number is what atoms reach that are unrelated to the clip.
    """
    own, other = [], []
    for one, two in combinations(shares.values(), 2):
        own.append(np.minimum(one, two).sum(axis=1).mean())
        other.append(np.minimum(one, np.roll(two, len(two) // 2, axis=0)).sum(axis=1).mean())
    return float(np.mean(own)), float(np.mean(other))


def atoms_per_clip(shares: Activations) -> float:
    return float(np.mean([(w > USED).sum(axis=1).mean() for w in shares.values()]))


def atoms_used(shares: Activations) -> int:
    """Atoms that some clip of some modality activates."""
    return int(np.any([(w > USED).any(axis=0) for w in shares.values()], axis=0).sum())


def measures(model: DHMD, world: ToyWorld) -> dict[str, dict[str, float]]:
    """space -> the numbers of the ablation, on test clips; each factor is a mean over the modalities' best atoms."""
    train, test = (activations(model, world.splits[split]) for split in ("train", "test"))
    table = {}
    for space, shares in test.items():
        told = {
            name: np.mean([told_by_best(train[space][m], shares[m], world, name) for m in shares]) for name in FACTORS
        }
        same, other = agreement(shares)
        read = understood(train[space], shares, *(world.truth[split]["sentiment"] for split in ("train", "test")))
        table[space] = {name: float(value) for name, value in told.items()}
        table[space] |= {"understood": read, "agreement": same, "agreement_of_others": other}
        table[space] |= {"atoms_per_clip": atoms_per_clip(shares), "atoms_used": atoms_used(shares)}
    return table


def told_by_best(
    train: Float[np.ndarray, "train atom"], test: Float[np.ndarray, "test atom"], world: ToyWorld, name: str
) -> float:
    """What the factor explains, on test clips, of the atom that follows it most closely on training clips."""
    atom = best_atom(train, hidden_factor(world, "train", name))
    return float(explained(test[:, [atom]], hidden_factor(world, "test", name))[0])


def read_ablation(path: str | Path) -> dict[str, dict[str, Float[np.ndarray, " seed"]]]:
    """What `ablate_dictionary.py` wrote: setting -> measure -> its value for each seed."""
    rows = pd.read_csv(path, dtype={"value": str}, keep_default_na=False)
    settings = (rows.pop("factor") + " " + rows.pop("value")).str.strip()
    tables = rows.astype(float).groupby(settings, sort=False)
    return {setting: {name: table[name].to_numpy() for name in table} for setting, table in tables}

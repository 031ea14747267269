"""The audit of the edges on files with labels of every modality, where the better teacher of each clip is known."""

import pickle
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from course.edge_audit.audit import audit_config, true_edges
from course.edge_audit.files import (
    PLAN,
    agreement,
    audit_file,
    best_constant,
    better,
    file_table,
    label_distances,
    rated_alone,
)
from course.edge_audit.tables import OFF
from dmdlite.config import MODALITIES, TrainingConfig
from dmdlite.data.assemble import to_layout
from dmdlite.data.features import DataError, load_features, write_mmsa
from dmdlite.data.toy import toy_world

SCRIPT = Path(__file__).parent.parent / "notebooks" / "audit_edges.py"


def best_of(split):
    """The clips take turns: language is the best teacher, then vision, then audio."""
    return np.arange(len(split)) % 3


def in_turns(split):
    """The best modality's own label is that of the clip; the other two are off by 0.4, now above and now below."""
    off = 0.4 * (np.arange(3) != best_of(split)[:, None]) * np.where(np.arange(len(split)) % 2, 1, -1)[:, None]
    labels = np.clip(split.labels, -2, 2)
    return replace(split, labels=labels, labels_of={m: labels + off[:, i] for i, m in enumerate(MODALITIES)})


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("sims") / "unaligned_39.pkl"
    layouts = {name: to_layout(in_turns(split)) for name, split in toy_world(240, seed=1).splits.items()}
    capital = lambda key: key[:-1] + key[-1].upper() if key.startswith("regression_labels_") else key
    content = {name: {capital(key): x for key, x in layout.items()} for name, layout in layouts.items()}
    assert {f"regression_labels_{letter}" for letter in "TAV"} < content["test"].keys()
    path.write_bytes(pickle.dumps(content))
    return path


def constant(split, edges):
    return np.tile(np.asarray(edges, np.float32), (len(split), 1, 1))


def oracle(split):
    """Every edge that leaves the best modality of the clip, and no other."""
    rows = np.eye(3, dtype=np.float32)[best_of(split)]
    return rows[:, :, None] * (1 - np.eye(3, dtype=np.float32))


def test_an_oracle_finds_every_teacher_and_a_constant_edge_is_at_chance(file):
    split = load_features(file)["test"]
    distances = label_distances(split)
    assert np.array_equal(distances.argmin(axis=1), best_of(split)) and len(split) % 3 == 0
    assert agreement(oracle(split), distances) == 1
    assert agreement(oracle(split).transpose(0, 2, 1), distances) == 0  # the students as teachers
    assert agreement(constant(split, np.full((3, 3), 1 / 6)), distances) == 0.5
    for order in ((3.0, 2.0, 1.0), (1.0, 3.0, 2.0), (2.0, 1.0, 3.0)):  # a graph that always has the same teachers
        graph = true_edges(dict(zip(MODALITIES, order, strict=True)))
        assert agreement(constant(split, graph), distances) == 0.5
    assert best_constant(distances) == 0.5
    noise = np.random.default_rng(0).random((len(split), 3, 3)).astype(np.float32)
    assert 0.3 < agreement(noise, distances) < 0.7


def test_pairs_by_hand():
    """Language's label is right, vision's and audio's are off alike: the last pair has no better teacher."""
    distances = np.array([[0.0, 0.4, 0.6 - 0.2], [0.8, 0.2, 0.2]])
    assert better(distances).tolist() == [[1, 1, 0], [-1, -1, 0]]
    edges = np.zeros((2, 3, 3))
    edges[:, 0, 1] = 0.7  # language teaches vision, and neither teaches audio more than it learns from it
    assert agreement(edges, distances) == pytest.approx((1 + 0.5 + 0 + 0.5) / 4)
    assert best_constant(distances) == 0.5 and best_constant(distances[:1]) == 1
    assert np.isnan(agreement(edges, np.zeros((2, 3)))) and np.isnan(best_constant(np.zeros((2, 3))))


def test_an_audit_of_a_file_makes_a_table(file):
    config = audit_config().replace(width=8, heads=2, standardise=True)
    plan = replace(PLAN, config=config, training=TrainingConfig(epochs=1, padding_mask=True))
    records = [record for run in audit_file(file, ["no prior", "errors", OFF], [0, 1], plan) for record in run]
    assert len(records) == 3 * 2 * 2
    for record in records:
        assert record["best_constant"] == 0.5 and np.isfinite(record["error_weak"])
        if record["rule"] == "errors":  # its edges are the same in every clip
            assert record["agreement"] == 0.5
    text = file_table(records)
    assert text.count("| errors |") == text.count("| no prior |") == 2 and OFF not in text.split("|---")[1]


def test_a_toy_world_rated_alone():
    """The strongest modality is nearest to the label on average, though not in every clip."""
    splits = rated_alone(toy_world(240, seed=2, strongest="vision", sarcasm=0.0))
    distances = label_distances(splits["train"])
    assert MODALITIES[distances.mean(axis=0).argmin()] == "vision"
    assert 0.5 < best_constant(distances) < 1


def test_the_script_takes_a_file(tmp_path, capsys):
    write_mmsa(rated_alone(toy_world(40)), tmp_path / "clips.pkl")
    main = runpy.run_path(str(SCRIPT))["main"]
    main(["--data", str(tmp_path / "clips.pkl"), "--seeds", "1", "--rules", "errors"])
    assert "Nearest to the label on average: language." in capsys.readouterr().out


def test_a_file_without_labels_of_each_modality(tmp_path):
    write_mmsa(toy_world(40).splits, tmp_path / "mosi.pkl")
    with pytest.raises(DataError, match="split 'test' has no labels of language alone"):
        next(audit_file(tmp_path / "mosi.pkl"))

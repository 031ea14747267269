"""What the benchmarks measure with and how they tell it, at tiny size; no time is asserted."""

import json
from pathlib import Path

import pytest
import torch
from benchmarks import folders, memory
from benchmarks.cases import Case, Ours, make_batch, margin_inputs, our_margin, value_and_gradient
from benchmarks.costs import ROWS, cost
from benchmarks.floors import bytes_floor, copy_rate, count_flops, flop_floor, matmul_rate, moved_bytes
from benchmarks.pairs import Times, sides
from benchmarks.reference import Missing, published
from benchmarks.report import Row, machine_description, memory_row, save, text_table, timed_row
from benchmarks.throughput import COLUMNS, throughput, throughput_table

from dmdlite import DMD, DMDConfig, load_features

SMALL = dict(width=8, heads=2, layers=1, minimum_memory_layers=1)


@pytest.fixture
def small(monkeypatch):
    """The cases at the published lengths with a small model, and the rates of a machine known."""
    config = DMDConfig.official("mosi", **SMALL)
    monkeypatch.setattr(Case, "config", config)
    monkeypatch.delenv("DMD_REFERENCE", raising=False)
    return config


def rows() -> list[Row]:
    times = Times(ours=[0.1, 0.2, 0.1], published=[0.4, 0.6, 0.5])
    return [
        timed_row("training step", times, target=3.0, floor=0.01),
        timed_row("training step, ours alone", Times([0.1], [])),
        memory_row("peak memory", 1000 * 2**20, 600 * 2**20, target=0.5),
        Row(case="open a folder", ours=1200.0, target=1000.0, target_of="limit"),
    ]


def test_table():
    lines = text_table(rows()).splitlines()
    assert len({len(line) for line in lines}) == 1 and len(lines) == 2 + 4
    for told in ("500 ms", "100 ms", "4 (3.5–4.5)", "≥ 3 ✓", "10 ms"):
        assert told in lines[2]
    assert "≤ 0.5 ✗" in lines[4] and "≤ 1,000 ms ✗" in lines[5] and "0.6" in lines[4]
    assert [row.met for row in rows()] == [True, None, False, False]


def test_files(tmp_path):
    records = [dict(zip(COLUMNS, [16, 1.0, 2.0, 2.0, 8.0, None, 0.1]))]
    paths = save(rows(), records, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["benchmarks.json", "benchmarks.md", "benchmarks.png"]
    content = json.loads(paths[0].read_text())
    assert content["throughput"] == records and content["rows"][0]["ratio"] == 4
    assert content["rows"][0]["rounds"]["published"] == [0.4, 0.6, 0.5]
    assert {"cpu", "cores", "memory_gib", "torch", "threads", "blas", "date"} <= set(content["machine"])
    assert paths[1].read_text().startswith("| case | published | ours |")
    assert paths[2].read_bytes().startswith(b"\x89PNG")
    assert len(save(rows()[1:2], [], tmp_path)) == 2  # nothing to draw without a ratio


def test_machine():
    machine = machine_description()
    assert machine["threads"] == torch.get_num_threads() and machine["cpu"]


def test_floors():
    linear = torch.nn.Linear(8, 4, bias=False)
    x = torch.randn(16, 8)
    assert count_flops(lambda: linear(x)) == 2 * 16 * 8 * 4
    q = torch.randn(1, 1, 4, 8)
    assert count_flops(lambda: torch.nn.functional.scaled_dot_product_attention(q, q, q)) == 2 * 2 * 4 * 4 * 8
    step = lambda: linear(x).square().sum().backward()
    assert moved_bytes(linear, step) == 4 * (2 * 32 + 16 * 8 + 16 * 4)
    assert matmul_rate("cpu", torch.float32, 64) > 0 and copy_rate("cpu", 2**16) > 0


def test_steps_and_their_floors(small, monkeypatch):
    monkeypatch.setattr("benchmarks.floors.matmul_rate", lambda *_: 1e9)
    monkeypatch.setattr("benchmarks.floors.copy_rate", lambda *_: 1e9)
    ours, theirs = sides(Case("mosi", True, 2))
    assert theirs is None and ours.step() > 0
    evaluation = count_flops(lambda: ours.model(**{**ours.batch, "labels": None}))
    assert evaluation < count_flops(ours.step) < 4 * evaluation
    assert flop_floor(ours.step, "cpu") > 0 and bytes_floor(ours.model, ours.step, "cpu") > 0
    assert Ours(DMD(small), make_batch(small, 2), bf16=True).step() > 0
    assert ours.model.eval() and ours.evaluate().shape == (2,)


def test_throughput(small, monkeypatch):
    monkeypatch.setattr("benchmarks.throughput.BUDGET", 0.0)
    monkeypatch.setattr("benchmarks.floors.SIZES", {"cpu": 64})
    records = throughput("mosi", (2, 4), "cpu", published=False, bf16=False, compiled=False)
    assert [record["batch"] for record in records] == [2, 4]
    assert all(record["ours clips/s"] > 0 and record["FLOP floor ms"] > 0 for record in records)
    assert all(record["published clips/s"] is None for record in records)
    assert len(throughput_table(records).splitlines()) == 3


def test_out_of_memory_leaves_an_empty_field(small, monkeypatch):
    def full(ours):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Ours, "step", full)
    (record,) = throughput("mosi", (2,), "cpu", published=False, compiled=False)
    assert record["ours clips/s"] is None and record["bytes floor ms"] is None


def test_memory():
    assert memory.growth(lambda: torch.ones(2**24)) > 0.9 * 2**26
    assert memory.in_own_process("ours", 8) >= 0


def test_cost(small):
    seconds, gibibytes = cost(Case("mosi", True, 2), bf16=False, steps=1)
    assert seconds > 0 and gibibytes >= 0
    assert len({(str(case), bf16) for case, bf16 in ROWS}) == len(ROWS)


def test_margin_gradient():
    value, gradient = value_and_gradient(our_margin, *margin_inputs(8))
    assert value.shape == () and gradient.shape == (24, 50)


def test_random_folder(tmp_path):
    config = DMDConfig.toy()
    folders.write_random_folder(tmp_path / "random", dict(train=5, valid=2, test=2), config)
    assert list(tmp_path.iterdir()) == [tmp_path / "random"]
    assert {name: len(split) for name, split in load_features(tmp_path / "random").items()} == dict(
        train=5, valid=2, test=2
    )
    if Path("/proc/self/status").exists():
        costs = folders.cost(tmp_path / "random")
        assert costs["open_seconds"] > 0 and costs["read_own_bytes"] <= costs["read_bytes"]


def test_wrong_reference_is_told_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("DMD_REFERENCE", str(tmp_path))
    with pytest.raises(Missing, match="is no checkout of"):
        published()

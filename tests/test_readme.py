"""What README and docs/ show in Python and in tables is what happens."""

import csv
import re
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from dmdlite.config import DMDConfig, TrainingConfig
from dmdlite.data.features import feature_shapes, load_features
from dmdlite.data.toy import toy_world
from dmdlite.experiments.timing import count_parameters
from dmdlite.models.dmd import DMD
from dmdlite.models.registry import NAMES, build
from dmdlite.training.loop import make_optimizer, train_epoch

ROOT = Path(__file__).parent.parent


def test_first_example(monkeypatch):
    monkeypatch.chdir(ROOT)
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    known = {}
    exec(block, known)
    shown = re.search(r"out.prediction +# (-?[\d.]+); the truth is (-?[\d.]+)", block)
    assert known["out"].prediction.item() == pytest.approx(float(shown[1]), abs=0.01)
    assert known["splits"]["test"].labels[37] == pytest.approx(float(shown[2]))
    assert f'"{known["splits"]["test"].raw_text[37]}"' in block
    assert len(known["out"].losses) == 18 and known["out"].edges["homogeneous"].shape == (1, 3, 3)
    assert known["out"].edges["homogeneous"].sum().item() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(known["out"].loss)


def test_how_many_files_a_training_step_passes_through(without_shape_checks):
    """As README says: of dmdlite, from one batch to the update of the weights."""
    (count,) = re.findall(r"A training step passes through (\d+) files", (ROOT / "README.md").read_text("utf-8"))
    split, training = toy_world(40).splits["train"], TrainingConfig(batch_size=24)
    model = DMD(DMDConfig.toy())
    optimizer, files = make_optimizer(model, training), set()
    sys.setprofile(lambda frame, *_: files.add(frame.f_code.co_filename))
    try:
        train_epoch(model, split, optimizer, training, 0)
    finally:
        sys.setprofile(None)
    assert len({file for file in files if Path(file).is_relative_to(ROOT / "dmdlite")}) == int(count)


def test_the_table_is_the_stored_comparison():
    """`python -m dmdlite compare` has written it; notebook 12 reads the same run."""
    shown = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for file in ("comparison.md", "tuned.md", "audit.md"):  # the last two are of one run, with --tune and --audit
        stored = (ROOT / "notebooks" / "comparison" / file).read_text(encoding="utf-8")
        assert all(line in shown for line in stored.splitlines())


def cells(text: str) -> list[list[str]]:
    """The rows of the tables that begin with a model."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return rows[next(place for place, row in enumerate(rows) if row[0] == "model") :]


def test_the_rows_in_readme_are_rows_of_that_table():
    stored = cells((ROOT / "notebooks" / "comparison" / "comparison.md").read_text(encoding="utf-8"))
    named = [stored[0].index(column) for column in ("model", "MAE", "ACC2", "ACC7")]
    known = [[row[place] for place in named] for row in stored]
    title, _, *rows = cells((ROOT / "README.md").read_text(encoding="utf-8"))[:8]
    assert title == known[0] and len(rows) == 6 and all(row in known for row in rows)


def test_readme_is_read_in_a_minute():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 900
    for picture in re.findall(r"!\[.+\]\((.+)\)", text):
        assert (ROOT / picture).is_file()


def test_the_film_of_the_playground_moves_and_is_small():
    """`python tests/animate_playground.py` makes it again."""
    file = ROOT / "docs" / "pictures" / "playground.webp"
    assert file.stat().st_size < 500_000
    with Image.open(file) as film:
        assert film.n_frames > 30 and film.size == (800, 496)


def test_the_stored_comparison_is_of_these_models():
    """A model that is added, taken away or built differently since then shows."""
    with open(ROOT / "notebooks" / "comparison" / "comparison.csv", encoding="utf-8") as file:
        rows = {row["model"]: row for row in csv.DictReader(file) if row["kind"] == "model"}
    assert set(rows) == set(NAMES) and {row["seeds"] for row in rows.values()} == {"5"}
    splits = load_features(ROOT / "data_samples" / "toy")
    config = DMDConfig.toy(**feature_shapes(splits))
    counted = {name: count_parameters(build(name, config), splits["train"], False)["parameters"] for name in NAMES}
    assert {name: int(row["parameters"]) for name, row in rows.items()} == counted


def test_the_variant(monkeypatch, tmp_path):
    """As shown, but for one epoch and one seed."""
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (block,) = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "variants=" in block)
    shorter = {"epochs=16": "epochs=1", "range(5)": "[0]", '"runs/smooth"': f'"{tmp_path.as_posix()}"'}
    for shown, short in shorter.items():
        assert block.count(shown) == 1
        block = block.replace(shown, short)
    exec(block, {})
    table = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "| loss: smoothness |" in table and "| smooth |" in table

"""What holds for every model that has a name: it can learn by heart, and it takes every task."""

import pytest
import torch
from test_models import small_batch, small_config

from dmdlite.components.losses import decide
from dmdlite.models.registry import NAMES, build
from dmdlite.training.loop import seed_everything

TASKS = {  # task, outputs, labels of four clips, shape of the prediction
    "sentiment": ("regression", 1, [0.2, 0.2, -1.4, -0.8], (4,)),
    "valence and arousal": ("regression", 2, [[0.2, 1.0], [0.2, -1.0], [-1.4, 0.5], [-0.8, 0.0]], (4, 2)),
    "two classes": ("classification", 2, [0, 1, 1, 0], (4, 2)),
    "five classes": ("classification", 5, [4, 1, 0, 1], (4, 5)),
    "four levels": ("ordinal", 4, [0, 3, 1, 3], (4, 3)),
}


@pytest.mark.parametrize("name", NAMES)
def test_sixteen_clips_are_learned_by_heart(name, without_shape_checks):
    seed_everything(0)
    batch = small_batch(16) | {"labels": torch.linspace(-3, 3, 16)}
    model = build(name, small_config()).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(400):
        out = model(**batch)
        optimizer.zero_grad()
        out.loss.backward()
        optimizer.step()
        if step % 20 == 0 and mean_error(model, batch) < 0.1:
            break
    assert mean_error(model, batch) < 0.1  # a constant: 1.6


def mean_error(model, batch) -> float:
    with torch.no_grad():
        return float((model.eval()(**batch).prediction - batch["labels"]).abs().mean())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", NAMES)
def test_every_task_is_learned_from(name, task):
    kind, outputs, labels, shape = TASKS[task]
    seed_everything(0)
    model = build(name, small_config(task=kind, outputs=outputs))
    batch = small_batch() | {"labels": torch.tensor(labels)}
    first = model(**batch)
    assert first.prediction.shape == shape and first.loss.isfinite()
    assert decide(first.prediction, kind).shape == batch["labels"].shape
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(10):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    assert model(**batch).losses["task_final"] < 0.95 * first.losses["task_final"]


@pytest.mark.parametrize("name", NAMES)
def test_several_of_it_with_a_line_are_one_model(name, tmp_path):
    """As the preset `small` has it, also of a model that reads fewer streams than the config names."""
    batch = small_batch()
    model = build(name, small_config(members=2, line_share=0.75, standardise=True)).eval()
    out = model(**batch)
    line = model.line(*(batch.get(m) for m in ("language", "vision", "audio"))).prediction
    mean = torch.stack([member.prediction for member in out.members]).mean(dim=0)
    torch.testing.assert_close(out.prediction, 0.25 * mean + 0.75 * line)
    model.save_pretrained(tmp_path)
    arguments = {"modality": name} if name in ("language", "vision", "audio") else {}
    torch.testing.assert_close(model.kind.from_pretrained(tmp_path, **arguments)(**batch).prediction, out.prediction)

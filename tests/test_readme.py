"""What README shows in Python is what happens."""

import re
from pathlib import Path

import pytest
import torch

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

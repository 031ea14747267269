"""What notebook 15 relies on: parts that leave DMD's own weights alone, and a table as a picture."""

from functools import partial

import pytest
import torch

import dmdlite
from course.edge_audit.rules import with_fields
from course.figures.written_tables import draw_written_table
from dmdlite.components.decoupling import FeatureDecoupler
from dmdlite.experiments.checks import check_variants

SMALL = dmdlite.DMDConfig.toy(width=8, heads=2, layers=1, minimum_memory_layers=1)


def with_decoupler(apart: bool) -> dmdlite.DMD:
    torch.manual_seed(0)
    if not apart:
        return dmdlite.DMD(SMALL, decouple=FeatureDecoupler(8))
    with torch.random.fork_rng(devices=[]):
        part = FeatureDecoupler(8)
    return dmdlite.DMD(SMALL, decouple=part)


@pytest.mark.parametrize("apart", [True, False])
def test_parts_drawn_apart_leave_the_other_weights_as_in_dmd(apart):
    torch.manual_seed(0)
    theirs, ours = dmdlite.DMD(SMALL).state_dict(), with_decoupler(apart).state_dict()
    others = [name for name in theirs if not name.startswith("decouple.")]
    assert all(torch.equal(ours[name], theirs[name]) for name in others) == apart


def test_a_partial_is_a_variant():
    check_variants({"errors": partial(with_fields, edge_learning="errors")}, jobs=2)
    with pytest.raises(ValueError, match="jobs must be 1"):
        check_variants({"errors": partial(lambda config: dmdlite.DMD(config))}, jobs=2)


def test_a_written_table_shows_every_cell_of_the_first_table():
    text = "Above.\n\n| model | MAE |\n|---|---:|\n| DMD | 1.0 ± 0.1 |\n| constant |  |\n\nBelow.\n"
    shown = [x.get_text() for x in draw_written_table(text, "title").axes[0].texts]
    assert shown == ["title", "model", "MAE", "DMD", "1.0 ± 0.1", "constant", ""]

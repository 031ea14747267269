"""Search spaces: every model can be built at every end of its own, and what is switched off stays off."""

from pathlib import Path

import pytest
from tiny import SIZES

from dmdlite.config import DMDConfig, ModelConfig, TrainingConfig
from dmdlite.data.features import feature_shapes
from dmdlite.data.toy import toy_world
from dmdlite.experiments.plan import Plan
from dmdlite.experiments.study import Study
from dmdlite.models.registry import RECIPES, with_teachers
from dmdlite.models.spaces import Around, Choices, Range, Widths, nested, own_numbers, resolved, with_numbers

TRAINING = TrainingConfig()


@pytest.fixture(scope="module")
def config():
    return DMDConfig.toy(**SIZES, **feature_shapes(toy_world(n=20, seed=0).splits))


def ends(span):
    return span.values if isinstance(span, Choices) else (span.low, span.high)


@pytest.mark.parametrize("name", RECIPES)
def test_a_model_is_built_at_every_end_of_its_space(name, config):
    """And so is its teacher, with the same numbers. Each number is the model's, or the budget's."""
    recipe = RECIPES[name]
    own = own_numbers(recipe.space, recipe.config(config), TRAINING)
    space = resolved(recipe.space, own, recipe.config(config))
    assert {"learning_rate", "weight_decay", "output_dropout", "width"} <= space.keys() <= recipe.space.keys()
    assert all(own[number] in ends(span) or span.low <= own[number] <= span.high for number, span in space.items())
    for number, span in space.items():
        for value in ends(span):
            training, settings = with_numbers({number: value}, TRAINING, {})
            for system in with_teachers([name], RECIPES):
                built = RECIPES[system].build(config, settings).config
            assert own_numbers([number], built, training) == {number: value}


def test_what_is_switched_off_stays_off(config):
    """An ablation must not get back by tuning what it does without."""
    off = {name for name, x in RECIPES["dmd_bare"].config(config).loss_weights.items() if not x}
    plan = Plan({}, config, TRAINING, Path("nowhere"), [], [], {}, RECIPES, tune=2)
    found = {name: Study.of(name, plan, plan.folder).space.keys() for name in ("dmd", "dmd_bare")}
    assert "margin" in off and not found["dmd_bare"] & {f"loss_weights.{name}" for name in off}
    assert "loss_weights.margin" in found["dmd"]


def test_ranges_lie_around_what_a_system_has():
    config = ModelConfig(width=30, heads=6)
    assert Widths((0.1, 0.5, 1.0, 2.0)).around(30, config) == Choices((6, 12, 30, 60))  # 2.5 times 6 is 2 times
    assert Around(10.0).around(0.5, config) == Range(0.05, 5.0, log=True)
    assert Around(10.0).around(0.0, config) is Around(10.0).around(None, config) is None
    assert Range(0.0, 1.0).around(2.0, config) == Range(0.0, 2.0) and Choices((1, 2)).around(4, config) == Choices(
        (1, 2, 4)
    )


def test_settings_and_fixed_numbers_are_not_searched(config):
    settings = {"loss_weights": {"margin": 0.3}, "width": 16}
    plan = Plan({}, config, TRAINING, Path("nowhere"), [], [], settings, RECIPES, tune=2, fixed=["learning_rate"])
    every, found = RECIPES["dmd"].space.keys(), Study.of("dmd", plan, plan.folder).space.keys()
    assert every - found == {"loss_weights.margin", "width", "learning_rate"}


def test_numbers_go_before_settings():
    numbers = {"learning_rate": 0.1, "anchors": 4, "loss_weights.transport": 2.0}
    assert nested(numbers) == {"learning_rate": 0.1, "anchors": 4, "loss_weights": {"transport": 2.0}}
    settings = {"anchors": 8, "epsilon": 0.5, "loss_weights": {"transport": 1.0, "hallucination": 0.1}}
    training, found = with_numbers(numbers, TRAINING, settings)
    assert training == TRAINING.replace(learning_rate=0.1)
    assert found == {"anchors": 4, "epsilon": 0.5, "loss_weights": {"transport": 2.0, "hallucination": 0.1}}

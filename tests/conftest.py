"""Switches on the run-time check of every shape in a signature; the config checks itself, in sentences."""

import jaxtyping
import pytest
import torch

FLOORS = ("data", "components", "models", "training", "experiments")
jaxtyping.install_import_hook([*(f"dmdlite.{floor}" for floor in FLOORS), "course"], "beartype.beartype")
torch.set_num_threads(1)


@pytest.fixture
def without_shape_checks():
    """They would double the time of a training."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def espeak():
    """The synthesiser that speaks with known pitch, rate and loudness; .ci/run installs it."""
    from course.espeak import Espeak

    try:
        return Espeak()
    except ValueError as problem:
        pytest.skip(str(problem))

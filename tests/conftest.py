"""Switches on the run-time check of every shape in a signature; the config checks itself, in sentences."""

import ipaddress
import socket

import jaxtyping
import pytest
import torch
from tiny import SIZES, without_pictures

FLOORS = ("data", "components", "models", "training", "experiments")
jaxtyping.install_import_hook([*(f"dmdlite.{floor}" for floor in FLOORS), "course"], "beartype.beartype")
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def offline():
    """The course works without a network, and so do its tests."""
    own = socket.socket.connect

    def connect(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not is_here(address[0]):
            raise OSError(f"the tests are offline, and {address[0]} is not this machine")
        return own(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        yield


def is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture(scope="session")
def splits():
    """A small toy world, for tests that train. A file that needs another one has its own."""
    from dmdlite.data.toy import toy_world

    return toy_world(n=80, seed=0).splits


@pytest.fixture(scope="session")
def config(splits):
    from dmdlite.config import DMDConfig
    from dmdlite.data.features import feature_shapes

    return DMDConfig.toy(**SIZES, **feature_shapes(splits))


@pytest.fixture(scope="module")
def no_pictures():
    """Drawing the pictures of every run takes longer than training it."""
    with pytest.MonkeyPatch.context() as patch:
        without_pictures(patch)
        yield


@pytest.fixture(scope="module")
def only_what_counts(no_pictures):
    """Nor linear models, nor checks of shapes: they too take longer than such a training."""
    from dmdlite.training import runs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "linear_baseline", lambda *_: None)
        jaxtyping.config.update("jaxtyping_disable", True)
        yield
    jaxtyping.config.update("jaxtyping_disable", False)


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

"""The widget that switches streams off: its view, and the controls bound to it, without a browser."""

import numpy as np
import pytest
import torch

import dmdlite
from course.widgets.modality_switch import ModalitySwitch
from dmdlite.components.reinforcement import attention_maps
from dmdlite.training.loop import predict_logits

MODALITIES = dmdlite.MODALITIES


@pytest.fixture(scope="module")
def world():
    return dmdlite.toy_world(40)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return dmdlite.DMD(dmdlite.DMDConfig.toy(width=8, heads=2, layers=2, minimum_memory_layers=1)).eval()


@pytest.fixture
def switch(world, model):
    return ModalitySwitch(world, model)


def test_with_everything_on_it_reads_what_the_model_says(world, model, switch):
    predictions = predict_logits(model, world.splits["test"])
    for clip in (0, 5):
        prediction, shares = switch.read(clip, MODALITIES)
        assert prediction == pytest.approx(predictions[clip], abs=1e-5)
        for words in shares.values():
            assert len(words) == len(world.splits["test"].raw_text[clip].split())
            assert (words >= 0).all() and words.sum() < 1


def test_shares_are_the_last_layers_over_the_real_frames(world, model, switch):
    test, clip = world.splits["test"], 2
    maps = attention_maps(model, test.batch([clip]))
    frames = test.lengths["vision"][clip] - model.config.kernel_sizes["vision"] + 1
    expected = maps["language", "vision"][-1, 0, :, :frames].mean(dim=(0, 1)).numpy()
    count = len(test.raw_text[clip].split())
    np.testing.assert_allclose(switch.read(clip, MODALITIES)[1]["face"], expected[1 : count + 1], rtol=1e-4, atol=1e-6)


def test_a_stream_that_is_off_is_the_average_training_clip(world, switch):
    np.testing.assert_allclose(switch.average["audio"], world.splits["train"].features["audio"].mean(axis=0))
    without = [switch.read(clip, ())[0] for clip in (0, 1, 2)]
    assert np.ptp(without) < 1e-6  # with nothing on, every clip is the same
    assert switch.read(0, MODALITIES)[0] != switch.read(0, ("language", "vision"))[0]
    first, other = (switch.read(clip, ("language",))[1]["face"] for clip in (0, 1))
    assert len(first) != len(other) or not np.allclose(first, other)


def test_the_view_depends_on_the_set_of_streams_alone(switch):
    assert switch.view(3, ("audio", "language")) == switch.view(3, ["language", "audio"])
    picture, caption = switch.view(3, MODALITIES)
    assert picture.startswith(b"\x89PNG") and "nothing is switched off" in caption


def test_controls(world, switch):
    assert switch.on == MODALITIES and "modality-switch" in switch.box._dom_classes
    before, said = bytes(switch.picture.value), switch.caption.value
    switch.switches["audio"].value = False
    assert switch.on == ("language", "vision") and "without audio" in switch.caption.value
    assert bytes(switch.picture.value) != before and switch.switches["audio"].icon == "times"
    switch.slider.value = 4
    assert world.splits["test"].raw_text[4] in switch.caption.value and "without audio" in switch.caption.value
    switch.switches["vision"].value = False
    assert "without vision and audio" in switch.caption.value
    for modality in ("vision", "audio"):
        switch.switches[modality].value = True
    switch.slider.value = 0
    assert switch.caption.value == said and bytes(switch.picture.value) == before

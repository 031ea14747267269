"""The probes, figures and the loss mixer of notebook 03."""

import time

import numpy as np
import pytest
import torch
from tiny import SIZES

import dmdlite
from course import figures
from course.figures import decoupling
from course.probes import PARTS, decoupled_parts, linear_probe, time_means
from course.widgets.loss_mixer import DECOUPLING, ROWS, VALUE, LossMixer, Mix, parts_of
from dmdlite.config import MODALITIES, loss_weights
from dmdlite.data.toy import toy_world
from dmdlite.models.dmd import DMD


@pytest.fixture(scope="module")
def world():
    return toy_world(80)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return DMD(dmdlite.DMDConfig.toy(**SIZES)).eval()


@pytest.fixture(scope="module")
def batch(world):
    return world.splits["train"].batch(range(6))


@pytest.fixture(scope="module")
def mixer(model, batch):
    return LossMixer({"one": model}, batch)


def texts(figure) -> str:
    return " ".join(text.get_text() for axis in figure.axes for text in axis.texts)


@pytest.mark.parametrize("norm", ["mean_square", "frobenius"])
@pytest.mark.parametrize("weights", [(0.1, 0.1, 0.05), (1.0, 10.0, 0.5), (0.0, 0.1, 0.05)])
def test_the_mixer_agrees_with_a_backward_pass(mixer, model, batch, weights, norm):
    lambda_1, gamma, lambda_2 = weights
    terms = loss_weights(lambda_1, lambda_2, gamma, every_head=True, only_logits=False)
    direct = DMD(dmdlite.DMDConfig.toy(**SIZES, loss_weights=terms, reconstruction_norm=norm)).eval()
    direct.load_state_dict(model.state_dict())
    out = direct(**batch)
    out.loss.backward()

    mix = Mix("one", lambda_1, gamma, lambda_2, norm)
    totals, shares = mixer.totals(mix), mixer.shares(mix)
    assert totals[VALUE] == pytest.approx(out.loss.item(), rel=1e-5)
    assert shares[VALUE]["cycle"] == pytest.approx(
        terms["cycle"] * out.losses["cycle"].item() / out.loss.item(), rel=1e-4
    )
    for part, module in parts_of(direct).items():
        gradients = [p.grad.flatten() for p in module.parameters() if p.grad is not None]
        norm_here = torch.cat(gradients).norm().item() if gradients else 0.0
        assert totals[part] == pytest.approx(norm_here, rel=1e-4, abs=1e-7)


def test_shares_add_up_and_silence_is_exact(mixer):
    for mix in (Mix("one"), Mix("one", 1.0, 10.0, 5.0, "frobenius", frozenset({"task"}))):
        for column, rows in mixer.shares(mix).items():
            assert set(rows) == set(ROWS) and sum(rows.values()) == pytest.approx(1.0), column
    for silent in (
        Mix("one", lambda_1=0.0),
        Mix("one", off=frozenset({"reconstruction, cycle", "margin, orthogonality"})),
    ):
        shares = mixer.shares(silent)
        assert all(shares[column][row] == 0 for column in shares for row in DECOUPLING)
        assert mixer.totals(silent)["decoders"] == 0  # only the decoupling reaches the decoders
    graphs = mixer.shares(Mix("one", lambda_2=0.0))
    assert all(rows["homogeneous graph"] == rows["heterogeneous graph"] == 0 for rows in graphs.values())


def test_controls_move_picture_and_sentence(model, batch):
    mixer = LossMixer({"one": model, "other": DMD(model.config).eval()}, batch)
    seen = {(bytes(mixer.picture.value), mixer.caption.value)}
    changes = [
        *((mixer.lambda_1, 1.0), (mixer.gamma, 10.0), (mixer.lambda_2, 5.0), (mixer.norm, "frobenius")),
        *((mixer.model, "other"), (mixer.switches["task"], False)),
    ]
    took = []
    for control, value in changes:
        started = time.process_time()
        control.value = value
        took.append(time.process_time() - started)
        seen.add((bytes(mixer.picture.value), mixer.caption.value))
    assert sorted(took)[len(took) // 2] < 0.3  # the middle one: a single pause of the machine says nothing
    assert len(seen) == 1 + len(changes) and all(picture.startswith(b"\x89PNG") for picture, _ in seen)
    assert mixer.mix == Mix("other", 1.0, 10.0, 5.0, "frobenius", frozenset({"task"}))
    assert mixer.caption.value == mixer.view(mixer.mix)[1]
    for switch in mixer.switches.values():
        switch.value = False
    assert "Everything is switched off" in mixer.caption.value


def test_the_mixer_leaves_no_gradient_behind(model, mixer):
    assert all(p.grad is None for p in model.parameters())


def test_the_diagram_lights_the_losses_it_is_told():
    dark = [
        text.get_text()
        for text in decoupling.draw_decoupling(["cycle"]).axes[0].texts
        if "mathcal" in text.get_text() and text.get_color() != "#CCCCCC"
    ]
    assert len(dark) == 1 and "cyc" in dark[0]
    with pytest.raises(ValueError, match="unknown loss 'tea'"):
        decoupling.draw_decoupling(["tea"])


def test_tables_and_runs_show_their_numbers():
    table = decoupling.draw_readings(
        np.array([[0.25, -0.001], [1.0, -0.3]]), ["a", "b"], ["c", "d"], "title", lines=[1]
    )
    assert {"0.25", "0.00", "1.00", "-0.30"} <= set(texts(table).split()) and "-0.00" not in texts(table)
    runs = decoupling.draw_runs({"what": {"a": dict.fromkeys(MODALITIES, 0.5)}}, "title")
    assert all(figures.png(figure).startswith(b"\x89PNG") for figure in (table, runs))


def test_a_column_with_its_own_scale_is_dark_where_it_is_largest():
    values = np.array([[0.13, 0.9], [0.0, 0.1]])
    for own, dark in (([], 0.13), ([0], 1.0)):
        axis = decoupling.draw_readings(values, ["a", "b"], ["c", "d"], "title", own_scale=own).axes[0]
        assert axis.images[0].get_array()[0, 0] == pytest.approx(dark)
        assert [text.get_color() for text in axis.texts][1] == "white" and texts(axis.figure).startswith("0.13")
        assert (axis.texts[0].get_color() == "white") == bool(own)


def test_sliders_are_wide_enough_to_move(mixer):
    assert all(int(slider.layout.width[:-2]) >= 300 for slider in (mixer.lambda_1, mixer.gamma, mixer.lambda_2))


def test_a_probe_reads_what_is_there_and_nothing_else():
    rng = np.random.default_rng(0)
    train, test = rng.standard_normal((2, 400, 5))
    assert linear_probe(train, train[:, 0] + 2, test, test[:, 0] + 2) == pytest.approx(1.0)
    assert linear_probe(train, train[:, :2], test, test[:, :2]) == pytest.approx(1.0)
    assert abs(linear_probe(train[:, 1:], train[:, 0], test[:, 1:], test[:, 0])) < 0.1
    half = [x[:, 0] + rng.standard_normal(400) for x in (train, test)]
    assert linear_probe(train, half[0], test, half[1]) == pytest.approx(0.5, abs=0.1)


def test_an_encoder_of_full_rank_hides_nothing(world, model):
    train, test = (time_means(model, world.splits[split]) for split in ("train", "test"))
    truth = [world.truth[split]["head_yaw"] for split in ("train", "test")]
    read = [linear_probe(train["vision", part], truth[0], test["vision", part], truth[1]) for part in PARTS]
    assert read[0] > 0.9 and read == pytest.approx([read[0]] * 3, abs=1e-6)


def test_parts_are_those_of_the_forward_pass(world, model):
    model.train()
    parts = decoupled_parts(model, world.splits["test"])
    assert model.training and next(model.parameters()).dtype == torch.float32
    model.eval()
    with torch.no_grad():
        out = model(**world.splits["test"].batch(range(len(world.splits["test"]))))
    for m in MODALITIES:
        torch.testing.assert_close(parts.private_again[m].float(), out.decoupled.private_again[m], atol=1e-5, rtol=1e-4)
    means = time_means(model, world.splits["test"])
    length = world.splits["test"].lengths["vision"][0]
    expected = parts.common["vision"][0, :length].mean(0).numpy()
    np.testing.assert_allclose(means["vision", "common"][0], expected, rtol=1e-6)

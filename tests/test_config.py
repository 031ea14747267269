"""The presets, and one clear sentence for each field that cannot be."""

import json
from dataclasses import fields

import pytest

from dmdlite.config import DMDConfig, TrainingConfig, graph_prior


def test_official_sizes():
    mosi, mosei = DMDConfig.official("mosi"), DMDConfig.official("mosei")
    assert (mosi.width, mosi.heads, mosi.layers, mosi.memory_layers) == (50, 10, 4, 4)
    assert (mosei.width, mosei.heads) == (30, 6)
    assert mosi.lengths_after_convolution == {"language": 46, "vision": 46, "audio": 46}
    assert mosei.lengths_after_convolution == {"language": 46, "vision": 48, "audio": 50}
    assert DMDConfig.paper("mosi").lengths_after_convolution == mosi.lengths


def test_priors_are_the_published_ones():
    homogeneous = graph_prior("language->vision", "language->audio")
    assert homogeneous[0][1] == homogeneous[0][2] == pytest.approx(0.4823, abs=5e-5)
    assert homogeneous[1][0] == pytest.approx(0.0088, abs=5e-5)
    heterogeneous = DMDConfig.official().graph_priors["heterogeneous"]
    assert heterogeneous[1][2] == pytest.approx(0.3273, abs=5e-5)
    assert heterogeneous[2][1] == pytest.approx(0.0060, abs=5e-5)


def test_weights_of_equation_11():
    official, paper = DMDConfig.official().loss_weights, DMDConfig.paper().loss_weights
    assert sum(official[name] for name in official if name.startswith("task_")) == 8
    assert official["margin"] == pytest.approx(0.01) and official["cycle"] == 0.1
    assert official["gd_homogeneous_representation"] == 0.0 and official["gd_heterogeneous_representation"] == 0.05
    assert {name for name, weight in paper.items() if weight} == {
        *("task_final", "reconstruction", "cycle", "margin", "orthogonality"),
        *("gd_homogeneous_logit", "gd_heterogeneous_logit"),
    }


@pytest.mark.parametrize("make", [DMDConfig.official, DMDConfig.paper, lambda _, **k: DMDConfig.toy(**k)])
def test_every_field_can_be_overridden(make):
    config = make("mosi", width=40, feature_widths={"vision": 9}, loss_weights={"margin": 0.0})
    assert config.width == 40 and config.feature_widths["vision"] == 9
    assert config.feature_widths["language"] == make("mosi").feature_widths["language"]
    assert DMDConfig(**json.loads(json.dumps(config.to_dict()))) == config
    assert all(getattr(config.without_dropout(), f.name) == 0 for f in fields(config) if f.name.endswith("_dropout"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(widht=3), "DMDConfig has no field 'widht'"),
        (dict(width=51), "width must be a multiple of heads, got width 51 and 10 heads"),
        (dict(width=2, heads=1), "width must be at least 4"),
        (dict(loss_weights={"margn": 1}), "loss_weights needs exactly the keys .*; 'margn' is off"),
        (
            dict(feature_widths={"text": 3}),
            "feature_widths needs exactly the keys audio, language, vision; 'text' is off",
        ),
        (dict(reconstruction_norm="l1"), "reconstruction_norm must be one of 'mean_square', 'frobenius', got 'l1'"),
        (dict(graph_representations={"homogeneous": "pull"}), "graph_representations"),
        (dict(output_dropout=1.0), r"output_dropout must be in \[0, 1\), got 1.0"),
        (dict(lengths={"audio": 4}), r"lengths\['audio'\] is 4, shorter than its kernel of 5"),
        (dict(layers=0), "layers must be at least 1, got 0"),
        (dict(heads=0), "heads must be at least 1, got 0"),
        (dict(width="wide"), "width must be a whole number, got 'wide'"),
        (dict(feature_widths={"audio": 0}), r"feature_widths\['audio'\] must be at least 1, got 0"),
        (dict(graph_priors={"homogeneous": [[0.0]]}), r"graph_priors\['homogeneous'\] must be a 3 by 3 matrix"),
        (dict(graph_priors={"homogeneous": [1, 2, 3]}), "must be a 3 by 3 matrix of numbers"),
        (dict(graph_priors={"homogeneous": [[0, "a", 0], [0, 0, 0], [0, 0, 0]]}), "must be a 3 by 3 matrix of numbers"),
        (dict(loss_weights=dict.fromkeys(DMDConfig().loss_weights, 0.0)), "nothing to learn from"),
        (dict(feature_widths=7), "feature_widths must be a dict, got 7"),
        (dict(language_model=5), "language_model must be a name or a dict or null, got 5"),
        (dict(output_dropout="much"), "output_dropout must be a number, got 'much'"),
    ],
)
def test_bad_fields(changes, message):
    with pytest.raises(ValueError, match=message):
        DMDConfig.official("mosi", **changes)


def test_a_missing_key_is_not_answered_with_its_neighbour():
    weights = DMDConfig().loss_weights
    del weights["gd_heterogeneous_logit"]
    with pytest.raises(ValueError, match="'gd_heterogeneous_logit' is off$"):
        DMDConfig(loss_weights=weights)


def test_a_key_that_is_no_string():
    with pytest.raises(ValueError, match="feature_widths needs exactly the keys audio, language, vision; 3 is off"):
        DMDConfig(feature_widths={3: 4})


def test_copies_share_nothing():
    config = DMDConfig.official()
    config.replace(width=40).loss_weights["margin"] = 9.0
    assert config.loss_weights["margin"] != 9.0


def test_bad_presets():
    with pytest.raises(ValueError, match="dataset must be one of 'mosi', 'mosei', got 'sims'"):
        DMDConfig.official("sims")
    with pytest.raises(ValueError, match="unknown edge 'audio->audio'"):
        graph_prior("audio->audio")


@pytest.mark.parametrize(
    ("changes", "message"),
    [(dict(epochs=0), "epochs must be at least 1"), (dict(learning_rate=0.0), "must be positive")],
)
def test_bad_training(changes, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**changes)

"""The parts of a comparison on their own: missing modalities, teachers, the linear baseline, tests, papers."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from pandas import Series
from scipy import stats

from course.toy_tasks import sentiment_levels
from dmdlite.__main__ import PRESETS
from dmdlite.config import MODALITIES, DMDConfig, TrainingConfig
from dmdlite.data.toy import toy_world
from dmdlite.experiments.compare import compare
from dmdlite.experiments.missing import subsets_of, with_only
from dmdlite.experiments.reports import published_markdown
from dmdlite.experiments.tables import Paired, holm, paired_test, published_columns, published_rows
from dmdlite.experiments.timing import count_parameters, seconds_per_epoch
from dmdlite.models.base import Line
from dmdlite.models.dmd import DMD
from dmdlite.models.registry import GROUPS, NAMES, RECIPES, Recipe, build, check_settings, in_groups
from dmdlite.models.unimodal import Unimodal
from dmdlite.training import linear
from dmdlite.training.loop import predict_logits, seed_everything
from dmdlite.training.runs import load_result
from dmdlite.training.systems import train_system

ONE_EPOCH = TrainingConfig(epochs=1, batch_size=16)
SUBSETS = subsets_of(MODALITIES)
SMALL_BERT = dict(model_type="bert", vocab_size=200, hidden_size=8, num_attention_heads=2, num_hidden_layers=1)


def test_subsets_are_all_there():
    assert len(SUBSETS) == len(set(SUBSETS)) == 7 and SUBSETS[0] == MODALITIES
    assert all(tuple(m for m in MODALITIES if m in subset) == subset for subset in SUBSETS)
    assert subsets_of(["vision", "audio"]) == [("vision", "audio"), ("vision",), ("audio",)]


@pytest.mark.parametrize("present", SUBSETS, ids="+".join)
def test_an_absent_modality_is_really_absent(splits, present):
    test = splits["test"]
    batch, usual = (split.batch([0, 5, 3], mask=True) for split in (with_only(test, present), test))
    for m in MODALITIES:
        if m in present:
            assert torch.equal(batch[m], usual[m]) and torch.equal(batch["mask"][m], usual["mask"][m])
        else:
            assert not batch[m].any() and not batch["mask"][m].any() and batch[m].shape == usual[m].shape
    assert torch.equal(batch["labels"], usual["labels"])
    tokens = with_only(test, present).batch([0, 1], tokens=True)["language"]
    assert bool(tokens.any()) == ("language" in present)


@pytest.mark.parametrize("mask", [False, True], ids=["unmasked", "masked"])
def test_a_model_cannot_see_what_is_absent(splits, config, mask):
    """Scrambling the streams that are taken away changes nothing; scrambling one that is there does."""
    seed_everything(0)
    model = build("dmd", config).eval()
    test = splits["test"]
    other = {m: np.roll(x, 1, axis=0) for m, x in test.features.items()}
    alone = ("language",)
    before = predict_logits(model, with_only(test, alone), mask)
    scrambled = replace(test, features=test.features | {m: other[m] for m in ("vision", "audio")})
    np.testing.assert_array_equal(predict_logits(model, with_only(scrambled, alone), mask), before)
    scrambled = replace(test, features=test.features | {"language": other["language"]})
    assert np.abs(predict_logits(model, with_only(scrambled, alone), mask) - before).max() > 1e-6
    assert np.isfinite(before).all()


def test_groups_of_names():
    assert in_groups(["audio", "unimodal"]) == ["audio", "language", "vision"]
    assert in_groups(["all"]) == list(NAMES)
    parts = ["dmd", *GROUPS["unimodal"], *GROUPS["rivals"], *GROUPS["ablations"]]
    assert sorted(parts) == sorted(NAMES)
    assert all(RECIPES[name].make is DMD for name in GROUPS["ablations"])


@dataclass(kw_only=True)
class PupilConfig(DMDConfig):
    diligence: int = 3


class Pupil(Unimodal):
    """Begins with its teacher's weights."""

    def __init__(self, config: PupilConfig, modality: str):
        super().__init__(config, modality)

    def learn_from(self, teacher):
        self.load_state_dict(teacher.state_dict())


@pytest.fixture
def pupil(monkeypatch):
    monkeypatch.setitem(RECIPES, "pupil", Recipe(Pupil, {"modality": "audio"}, teacher="audio"))


def test_a_teacher_is_trained_first_and_handed_over(pupil, splits, config, tmp_path, monkeypatch):
    taught = []
    learn = Pupil.learn_from
    monkeypatch.setattr(Pupil, "learn_from", lambda self, teacher: (taught.append(teacher), learn(self, teacher))[1])
    training = ONE_EPOCH.replace(seed=4)
    train_system("pupil", RECIPES, splits, config, training, tmp_path.joinpath, {"diligence": 5}, progress=False)
    expected, _ = train_system("audio", RECIPES, splits, config, training, tmp_path.joinpath, progress=False)
    assert len(taught) == 1
    for name, weights in expected.state_dict().items():
        assert torch.equal(taught[0].state_dict()[name], weights), name
    seed_everything(4)
    assert not torch.equal(next(build("audio", config).parameters()), next(taught[0].parameters()))
    description = (tmp_path / "pupil" / "training.json").read_text()
    assert '"diligence": 5' in description and '"seed": 4' in description
    assert "diligence" not in (tmp_path / "audio" / "training.json").read_text()


def test_a_comparison_trains_a_teacher_that_nobody_asked_for(pupil, splits, config, tmp_path):
    found = compare(["pupil"], splits, config, [1], tmp_path, ONE_EPOCH, progress=False)
    assert list(found.table.index) == ["pupil", "linear", "constant"]
    assert load_result(tmp_path / "audio" / "seed_1").metrics["epochs"] == 1


def test_settings_are_for_those_that_have_them(pupil, config):
    settings = {"diligence": 7, "loss_weights": {"margin": 0.5}}
    accepted = {name: RECIPES[name].accepted(RECIPES[name].config(config), settings) for name in ("pupil", "audio")}
    assert accepted == {"pupil": settings, "audio": {"loss_weights": {}}}  # audio has no margin loss
    check_settings({name: RECIPES[name] for name in ("audio", "pupil")}, config, settings)
    with pytest.raises(ValueError, match="none of the models audio, vision has a field 'diligence'"):
        check_settings({name: RECIPES[name] for name in ("audio", "vision")}, config, settings)


def test_time_means_are_over_real_steps(splits, config):
    test = splits["test"]
    means = linear.time_means(Line(config.replace(modalities=["vision", "audio"])), test)
    assert means.shape == (len(test), test.features["vision"].shape[2] + test.features["audio"].shape[2])
    steps = test.lengths["vision"][3]
    np.testing.assert_allclose(
        means[3, : -test.features["audio"].shape[2]], test.features["vision"][3, :steps].mean(0), rtol=1e-5
    )
    assert steps < test.steps["vision"], "this clip has no padding: the test could not fail"


def test_the_linear_baseline_finds_what_is_linear(splits, config):
    line = Line(config)
    weights = np.random.default_rng(0).normal(size=linear.time_means(line, splits["train"]).shape[1])
    planted = {}
    for name, split in splits.items():
        labels = linear.time_means(line, split) @ weights
        planted[name] = replace(split, labels=(labels / 4).astype(np.float32))
    scores, coefficients = linear.linear_baseline(planted, config)
    mae = scores["test"]["mae"]
    assert mae < 0.02 and coefficients == len(weights) + 1
    assert linear.linear_baseline(planted, config, ("audio",))[0]["test"]["mae"] > 10 * mae


@pytest.mark.parametrize("task", ["classification", "ordinal"])
@pytest.mark.parametrize("levels", [2, 4])
def test_the_linear_baseline_answers_with_classes_and_levels(config, task, levels):
    splits = sentiment_levels(toy_world(n=80, seed=0).splits, levels)
    scores, coefficients = linear.linear_baseline(splits, config.replace(task=task, outputs=levels))
    assert scores["test"]["accuracy"] > 1 / levels and scores["test"]["cross_entropy"] < np.log(levels)
    width = sum(x.shape[2] for x in splits["test"].features.values()) + 1
    assert coefficients == width * (levels if task == "classification" and levels > 2 else levels - 1)


def test_the_linear_baseline_bears_classes_that_training_does_not_have(config):
    splits = sentiment_levels(toy_world(n=80, seed=0).splits, 3)
    splits["train"] = replace(splits["train"], classes=np.zeros_like(splits["train"].classes))
    for task in ("classification", "ordinal"):
        scores, coefficients = linear.linear_baseline(splits, config.replace(task=task, outputs=3))
        assert np.isfinite(scores["test"]["cross_entropy"]) and coefficients == 0
        assert scores["test"]["accuracy"] == (splits["test"].classes == 0).mean()


def test_paired_test_against_scipy_and_by_hand():
    ours, theirs = {0: 0.5, 1: 0.7, 2: 0.65, 9: 3.0}, {2: 0.5, 1: 0.6, 0: 0.55}
    test = paired_test(ours, theirs)
    differences = np.array([-0.05, 0.1, 0.15])
    t = differences.mean() / (differences.std(ddof=1) / np.sqrt(3))
    assert (test.mean, test.std, test.n) == pytest.approx((differences.mean(), differences.std(ddof=1), 3))
    assert test.p == pytest.approx(2 * stats.t.sf(abs(t), df=2))
    assert paired_test({0: 1.0}, {0: 0.5}) == Paired(0.5, None, 1, None)
    assert paired_test({0: 1.0, 1: 2.0}, {0: 0.5, 1: 1.5}).p is None  # there is no spread to measure by
    assert paired_test({0: 1.0}, {1: 1.0}) is None


def test_holm_by_hand():
    corrected = holm(Series({"a": 0.01, "b": np.nan, "c": 0.04, "d": 0.03}))
    assert corrected.to_dict() == {"a": pytest.approx(0.03), "c": pytest.approx(0.06), "d": pytest.approx(0.06)}
    assert holm(Series([0.7, 0.9]))[0] == 1.0


def test_published_rows_are_those_of_the_data_and_the_models():
    """Paper: Tables 1 to 3."""
    aligned, unaligned = DMDConfig.official("mosi"), DMDConfig.official("mosei", lengths={"vision": 500, "audio": 500})
    names = ("pmr", "dmd", "language", "dmd_bare", "dmd_without_homogeneous_graph", "misa")
    every = published_rows(names, "mosi", aligned)
    rows = list(every.dropna(subset="alignment").itertuples())
    assert [(row.model, row.published_as) for row in rows] == [
        ("pmr", "PMR"),
        ("dmd", "DMD"),
        ("dmd", "DMD*"),
        ("misa", "MISA*"),
    ]
    source = f"{rows[1].source}, {rows[1].alignment}"
    assert (rows[1].acc7, rows[1].acc2, rows[1].f1, source) == (41.4, 84.5, 84.4, "Table 1, aligned")
    others = every[every.alignment.isna()]
    assert others.published_as.tolist() == ["DMD", "EMOE", "KuDA", "TMSON", "GPT-4o"] and not others.first_hand.any()
    rows = published_rows(names, "mosei", unaligned).dropna(subset="alignment")
    assert [(row.model, row.acc7, row.acc2 if row.acc2 > 0 else None, row.f1) for row in rows.itertuples()] == [
        ("pmr", 51.8, 83.1, 82.8),
        ("dmd", 54.6, 84.8, 84.7),
        ("dmd_bare", 50.0, None, 81.9),
        ("misa", 52.1, 84.7, 84.7),  # as MMSA reruns it
    ]
    nothing = published_rows(names, None, aligned)
    assert nothing.empty and published_markdown(nothing, 250) == ""
    assert published_columns(published_rows(names, "mosi", aligned)).published_acc7["dmd"] == "41.4; 45.6"
    assert set(GROUPS["ablations"]) >= set(published_rows(NAMES, "mosei", unaligned).model.dropna()) - {
        *GROUPS["rivals"],
        "dmd",
    }
    assert "other data" not in published_markdown(rows, 4659)


def test_presets_that_papers_report_on():
    assert [PRESETS[name][1].get("dataset") for name in ("mosi", "paper-mosei", "toy")] == ["mosi", "mosei", None]


def test_a_frozen_language_model_counts_and_a_teaching_part_does_not(splits, config):
    bert = config.replace(language_model=SMALL_BERT, language_model_trainable=False)
    model = build("language", bert)
    pooler = sum(x.numel() for x in model.read.language_encoder.model.pooler.parameters())
    every = sum(x.numel() for x in model.parameters())
    counted = {"parameters": every - pooler, "parameters_in_training": every}
    assert count_parameters(model, splits["train"], False) == counted


def test_times_are_measured_for_all_or_for_none(splits, config, tmp_path):
    made = []
    make = lambda name: made.append(name) or build(name, config)
    file = tmp_path / "timing.json"
    first = seconds_per_epoch(["audio"], make, splits["train"], ONE_EPOCH, file)
    assert set(made) == {"audio"} and first["audio"] > 0
    made.clear()
    assert seconds_per_epoch(["audio"], make, splits["train"], ONE_EPOCH, file) == first and not made
    seconds_per_epoch(["audio", "vision"], make, splits["train"], ONE_EPOCH, file)
    assert made[:2] == ["audio", "vision"]

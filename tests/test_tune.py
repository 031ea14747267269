"""Tuning: what is searched, that the test split is left alone, and that nothing that stops it costs a trial."""

import json
import sys

import pytest
from pandas.testing import assert_frame_equal

from dmdlite.config import TrainingConfig
from dmdlite.experiments import study as studies
from dmdlite.experiments.tune import tune
from dmdlite.models.registry import RECIPES, Recipe
from dmdlite.models.spaces import Choices, Range
from dmdlite.models.unimodal import Unimodal
from dmdlite.training import runs

QUICK = TrainingConfig(epochs=2, batch_size=16)


pytestmark = pytest.mark.usefixtures("only_what_counts")


@pytest.fixture(scope="module")
def whole(splits, config, tmp_path_factory):
    """Three trials, not to be changed."""
    return tune("audio", splits, config, tmp_path_factory.mktemp("tune") / "whole", QUICK, trials=3, progress=False)


class Guarded(dict):
    """Splits of which no one may take the last."""

    def __getitem__(self, name):
        assert name != "test", "the test split was touched"
        return super().__getitem__(name)

    def items(self):
        pytest.fail("the test split was touched")

    values = items


def test_the_defaults_come_first_and_the_best_trial_wins(whole, config):
    rows = whole.trials
    own = {"learning_rate": 0.002, "weight_decay": 0.0, "output_dropout": 0.2, "width": 8, "layers": 1}
    assert list(rows.index) == [0, 1, 2] and rows.loc[0, list(own)].to_dict() == own
    best = rows.error.idxmin()
    assert whole.error == rows.error.min() <= whole.own_error == rows.error[0]
    assert whole.settings == {name: rows[name][best] for name in own if rows[name][best] != own[name]}
    stored = json.loads((whole.folder / "best.json").read_text())
    assert (stored["settings"], stored["error"], stored["trial"]) == (whole.settings, whole.error, best)
    assert not (whole.folder / "trials").exists()  # no weights are left


def test_the_search_is_the_same_again_and_never_looks_at_the_test_split(whole, splits, config, tmp_path):
    again = tune("audio", Guarded(splits), config, tmp_path, QUICK, trials=3, progress=False)
    assert_frame_equal(again.trials, whole.trials, check_exact=True)
    other = tune("audio", splits, config, tmp_path / "other", QUICK, trials=2, seed=5, progress=False)
    assert other.trials.learning_rate[1] != whole.trials.learning_rate[1]


def test_more_trials_go_on_and_no_trial_is_done_twice(whole, splits, config, tmp_path, monkeypatch):
    options = dict(training=QUICK, progress=False)
    tune("audio", splits, config, tmp_path, trials=2, **options)
    more = tune("audio", splits, config, tmp_path, trials=3, **options)
    assert_frame_equal(more.trials, whole.trials, check_exact=True)
    monkeypatch.setattr(studies, "train_system", lambda *_, **__: pytest.fail("all trials were there"))
    assert tune("audio", splits, config, tmp_path, trials=3, **options).settings == whole.settings


class Stopped(BaseException):
    """As Ctrl-C, or the end of the process: nothing after it runs."""


def test_a_trial_that_was_stopped_is_gone_on_with(whole, splits, config, tmp_path, monkeypatch):
    """In the second epoch of the third trial; then its process does not even run its `finally`."""
    options = dict(training=QUICK, progress=False)
    original, seen = studies.StopEarly.on_evaluate, []

    def stopping(self, *arguments, **named):
        original(self, *arguments, **named)
        seen.append(self.trial.number)
        if seen.count(2) == 2:
            raise Stopped

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(studies.StopEarly, "on_evaluate", stopping)
        tune("audio", splits, config, tmp_path, trials=3, **options)
    assert (tmp_path / "trials" / "2" / "audio" / "checkpoints").is_dir()
    went_on = tune("audio", splits, config, tmp_path, trials=3, **options)
    assert_frame_equal(went_on.trials, whole.trials, check_exact=True)
    assert not (tmp_path / "trials").exists()


def test_a_bad_trial_is_stopped_early(splits, config, tmp_path, monkeypatch):
    """Five trials set the measure; what comes after them is made bad."""
    original = studies.StopEarly.on_evaluate

    def worse(self, args, state, control, metrics, **named):
        metrics = {"eval_error": metrics["eval_error"] + 100 * (self.trial.number > 4)}
        original(self, args, state, control, metrics, **named)

    monkeypatch.setattr(studies.StopEarly, "on_evaluate", worse)
    found = tune("audio", splits, config, tmp_path, QUICK, trials=6, progress=False)
    assert found.trials.state.tolist() == ["finished"] * 5 + ["stopped early"]
    assert found.trials.epochs.tolist() == [2] * 5 + [1] and found.trials.error[5] > 100 > found.error
    assert not (tmp_path / "trials").exists()


def test_a_diverged_trial_has_failed_and_the_search_goes_on(splits, config, tmp_path):
    wild = Recipe(Unimodal, {"modality": "audio"}, space={"learning_rate": Choices((1e30,))})
    training = QUICK.replace(gradient_clip=0.0)
    found = tune("wild", splits, config, tmp_path, training, trials=4, variants={"wild": wild}, progress=False)
    failed = found.trials[found.trials.learning_rate == 1e30]
    assert len(found.trials) == 4 and 0 < len(failed) < 4
    assert (failed.state == "failed").all() and failed.failure.str.contains("diverged in epoch 1").all()
    assert found.settings == {} and found.error == found.own_error
    hopeless = training.replace(learning_rate=1e30)
    with pytest.raises(ValueError, match="no trial of wild has come to its end; the first: training diverged"):
        tune("wild", splits, config, tmp_path / "2", hopeless, trials=1, variants={"wild": wild}, progress=False)


def test_a_teacher_is_trained_with_the_numbers_of_the_trial(splits, config, tmp_path, monkeypatch):
    seen, original = [], studies.train_system

    def spy(name, recipes, splits, config, training, folder_of, settings, **options):
        found = original(name, recipes, splits, config, training, folder_of, settings, **options)
        folders = [folder_of(system) for system in ("pkdot_teacher", "pkdot")]
        seen.append([runs.read_description(folder) for folder in folders])
        return found

    monkeypatch.setattr(studies, "train_system", spy)
    found = tune("pkdot", splits, config, tmp_path, QUICK, trials=2, progress=False)
    for number, both in enumerate(seen):
        for run in both:
            assert run["training"]["learning_rate"] == found.trials.learning_rate[number]
            assert run["config"]["output_dropout"] == found.trials.output_dropout[number]
    assert len(seen) == 2


@pytest.mark.parametrize(
    "changes, sentence",
    [
        (dict(name="bart"), "model must be one of 'dmd'"),
        (dict(trials=0), "trials must be at least 1, got 0"),
        (dict(jobs=0), "jobs must be at least 1, got 0"),
        (dict(settings={"dictionary": 3}), "none of the models audio has a field 'dictionary'"),
        (dict(fixed=list(RECIPES["audio"].space)), "audio has no number left to tune"),
        (
            dict(name="mine", variants={"mine": Recipe(Unimodal, space={"widht": Range(0.0, 1.0)})}),
            "did you mean 'width'?",
        ),
        (dict(training=QUICK.replace(select_by="auc")), "select_by must be one of"),
        (dict(training=QUICK.replace(scheduler=lambda _: None), jobs=2), "jobs must be 1 for 'scheduler'"),
    ],
)
def test_bad_input_is_one_sentence_and_touches_nothing(splits, config, tmp_path, changes, sentence):
    usual = dict(name="audio", data=splits, config=config, output_dir=tmp_path / "out", training=QUICK)
    with pytest.raises(ValueError) as problem:
        tune(**usual | changes)
    assert sentence in str(problem.value) and "\n" not in str(problem.value)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_search_is_left_alone(whole, splits, config, tmp_path):
    before = (whole.folder / "journal.log").read_bytes()
    for name, training in (("vision", QUICK), ("audio", QUICK.replace(epochs=3))):
        with pytest.raises(ValueError, match="already holds another run"):
            tune(name, splits, config, whole.folder, training, trials=3)
    assert (whole.folder / "journal.log").read_bytes() == before


def test_without_optuna_one_sentence_says_what_to_install(splits, config, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match=r'pip install "dmdlite\[many\]"'):
        tune("audio", splits, config, tmp_path / "out", QUICK)
    assert not (tmp_path / "out").exists()

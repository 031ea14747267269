"""Every check, tried with the printed solution, with stubs, and with wrong answers that it has to see through."""

import re
import subprocess
import sys

import nbformat
import numpy as np
import pytest
import torch
from mutation import NOTEBOOKS, PAGE, RIGHT, ROOT, checks_of, known_right, score, table

from course.checks import marking
from course.checks.marking import CORRECT, PUBLIC, exercise, summary_of
from course.mark.answers import exercises, namespace
from course.mark.hidden import TESTS

ALL = [
    pytest.param(path, exercise, id=f"{path.stem[:2]}-{exercise.check}")
    for path in NOTEBOOKS
    for exercise in exercises(path)
]
_scores = {}


def run(exercise, source, path, capsys) -> str:
    """What the check prints about an answer, in a notebook that has reached its exercise."""
    names = namespace([*exercise.before, source])
    getattr(checks_of(path), exercise.check)(names[exercise.answer])
    return capsys.readouterr().out


@pytest.mark.parametrize(("path", "exercise"), ALL)
def test_stub_and_solution_in_the_students_own_namespace(path, exercise, capsys):
    """A printed solution may use what the notebook has imported before, and nothing else."""
    number = getattr(checks_of(path), exercise.check).exercise
    assert run(exercise, exercise.stub, path, capsys) == f"Exercise {number}: not attempted yet\n"
    best = PUBLIC if number in TESTS else CORRECT
    assert run(exercise, exercise.solution, path, capsys) == f"Exercise {number}: {best}\n"


@pytest.mark.parametrize(("path", "exercise"), ALL)
def test_a_check_sees_through_every_wrong_answer(path, exercise):
    """If you add an exercise, review its mutants: `python tests/mutation.py` names those that pass."""
    found = _scores[exercise.check] = score(path, exercise)
    assert found.holes(known_right()) == [] and found.missed_by_hand == [] and found.by_hand >= 2
    stale = {line for line in known_right() if line.startswith(f"{found.number} | ")}
    assert stale == {f"{found.number} | {name}" for name in found.passed}


def test_published_scores_are_these():
    """Runs after the test above; docs/checks.md holds what it measured."""
    if len(_scores) < len(ALL):
        pytest.skip("needs the scores of all exercises")
    order = [_scores[parameters.values[1].check] for parameters in ALL]
    assert PAGE.read_text(encoding="utf-8").endswith(f"\n\n{table(order, known_right())}\n")


def test_what_is_right_after_all_has_a_reason():
    blocks = RIGHT.read_text(encoding="utf-8").strip().split("\n\n")
    assert all(re.match(r"# .{30,}\n\d+\.\d \| ", block) for block in blocks)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_check_is_asked_for_and_has_the_number_of_its_notebook(path):
    checks = checks_of(path)
    asked = [exercise.check for exercise in exercises(path)]
    numbered = [name for name, check in vars(checks).items() if hasattr(check, "exercise")]
    assert sorted(asked) == sorted(numbered) and len(asked) >= 2
    assert [getattr(checks, name).exercise for name in asked] == [
        f"{int(path.stem[:2])}.{place}" for place in range(1, len(asked) + 1)
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_ends_with_its_summary(path):
    """`checks.summary()` in a cell of its own after the last exercise; stored with nothing done yet."""
    cells = nbformat.read(path, as_version=4).cells
    (place,) = [at for at, cell in enumerate(cells) if cell.source == "checks.summary()"]
    assert not any("\nchecks." in cell.source for cell in cells[place:])
    (output,) = cells[place].outputs
    count = len(list(exercises(path)))
    assert output.text.startswith(f"Exercises of this notebook: 0 of {count} correct\n")
    assert output.text.count("not attempted yet") == count


@exercise("99.1", returns="number", draw=lambda dice: (dice.array(3),), right=lambda x: x.sum())
def total(answer):
    """answer(x) -> the sum."""
    marking.expect(answer(np.array([1.0, 2.0])) == 3, "1 and 2 are 3")


@exercise("99.2")
def anything(answer):
    answer()


summary = summary_of(__name__)


def nothing(x):
    """Only a docstring."""


def assigned(x):
    x[0] = 1.0
    return x.sum()


def reads_on(x):
    y = x + 1
    return y["a"]


def leaves(x):
    sys.exit()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, None),
        (..., None),
        (NotImplemented, None),
        (nothing, None),
        (lambda x: ..., None),
        (lambda x: NotImplemented, None),
        (3.0, "give the check the function itself"),
        (lambda x: print(end=""), "returns nothing"),
        (lambda: 3, "is called with 1 arguments"),
        (lambda x: x, r"return one number; <lambda> returns a NumPy array of shape \(2,\)"),
        (lambda x: str(x.sum()), "return one number; <lambda> returns a str"),
        (lambda x: torch.ones((), device="meta"), "meta"),
        (lambda x: x.mean(), "1 and 2 are 3"),
        (lambda x: 3.0, r"right in the first examples, but not in another one: \S+ expected, got 3.0000"),
        (assigned, "writes into `x`"),
        (reads_on, r"stops with an error in its line `return y\[\"a\"\]`"),
        (leaves, "SystemExit"),
        (lambda x: exec("raise AssertionError"), "AssertionError"),
        (lambda x: torch.ones(2).bool().round(), "not implemented for 'Bool'"),
    ],
)
def test_whatever_an_answer_does_a_check_prints_one_block(answer, told, capsys):
    total(answer)
    printed = capsys.readouterr().out
    title, *block = printed.splitlines()
    if told is None:
        assert printed == "Exercise 99.1: not attempted yet\n"
        return
    assert title == "Exercise 99.1: not right yet" and block and all(line.startswith("    ") for line in block)
    assert re.search(told, " ".join(line.strip() for line in block))
    assert max(map(len, block)) <= 100 and len(block) <= 5
    assert not re.search(r"Traceback|marking\.py|answers\.py|expect\(|np\.array\(\[1", printed), "the check's source"


def test_the_summary_says_what_is_done_and_survives_a_second_run(capsys):
    marking._outcomes.pop("99.1", None)
    summary()
    assert capsys.readouterr().out == (
        "Exercises of this notebook: 0 of 2 correct\n"
        "    99.1  its cell has not been run\n    99.2  its cell has not been run\n"
    )
    for answer, outcome in ((None, "not attempted yet"), (len, "not right yet"), (np.sum, "correct"), (max, "correct")):
        total(answer if answer is not max else np.sum)
        capsys.readouterr()
        summary()
        assert f"99.1  {outcome}\n" in capsys.readouterr().out
    anything(lambda: 1)
    summary()
    assert "2 of 2 correct" in capsys.readouterr().out


def test_strict_nbval_fails_on_a_wrong_answer_in_the_committed_course(tmp_path):
    """Nothing raises, but what is printed differs from what is stored."""
    cells = [
        nbformat.v4.new_code_cell(
            "from course.checks import start_here as checks\n\nchecks.constant_error(lambda a, b: ...)"
        )
    ]
    cells[0].outputs = [nbformat.v4.new_output("stream", text="Exercise 0.1: not attempted yet\n")]
    cells[0].execution_count = 1
    book = nbformat.v4.new_notebook(cells=cells)
    codes = []
    for answer in ("...", "a.mean()"):
        book.cells[0].source = book.cells[0].source.split("lambda a, b: ")[0] + f"lambda a, b: {answer})"
        nbformat.write(book, tmp_path / "one.ipynb")
        command = [sys.executable, "-m", "pytest", "--nbval", "-q", "--nbval-current-env", "-p", "no:cacheprovider"]
        paths = {"PYTHONPATH": f"{ROOT / 'notebooks'}:{ROOT}", "PATH": "/usr/bin"}
        done = subprocess.run([*command, tmp_path / "one.ipynb"], cwd=tmp_path, env=paths, capture_output=True)
        codes.append(done.returncode)
    assert codes == [0, 1]

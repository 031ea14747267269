"""The tasks of notebook 17: what passes the public example, and what passes the hidden tests."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import publish
import pytest
from mutation import NOTEBOOKS, PAGE, answers, known_right, outcome
from test_marking import mark, submit
from wrong_answers.on_your_own import WRONG, compared, lessons, selected

from course.checks import on_your_own
from course.checks.marking import CORRECT, PUBLIC
from course.mark import sandbox
from course.mark.answers import exercises
from course.mark.hidden import TESTS, with_hidden_tests

NAME = "17_on_your_own.ipynb"
(PATH,) = (path for path in NOTEBOOKS if path.name == NAME)
TASKS = {exercise.check: exercise for exercise in exercises(PATH)}
# Each passes the public example and breaks one sentence of its task, which the hidden tests name.
PLAUSIBLE = [
    ("lesson_loss", lambda *x: lessons(*x, hold=(False, False)), "the teachers move, too"),
    ("lesson_loss", lambda *x: lessons(*x, hold=(False, True)), "the students are fixed"),
    ("lesson_loss", lambda *x: lessons(*x, finite=False), "a clip with one stream has no lesson"),
    ("lesson_loss", lambda *x: lessons(*x, fill=False), "an absent stream that holds nan"),
    ("lesson_loss", lambda *x: lessons(*x, axis="batch"), "each clip has its own softmax"),
    ("lesson_loss", lambda *x: lessons(*x, axis="exp"), "large scores overflow"),
    ("lesson_loss", lambda *x: lessons(*x, root=True), "its gradient with respect to `logits` is not"),
    ("lesson_loss", lambda *x: selected(*x, detach_edges=True), "no gradient reaches `scores`"),
    ("fair_comparison", lambda *x: compared(*x, by="test"), "not by the test error"),
    ("fair_comparison", lambda *x: compared(*x, by="last"), "it need not be the last"),
    ("fair_comparison", lambda *x: compared(*x, tie=1), "the earlier one counts"),
    ("fair_comparison", lambda *x: compared(*x, pairs="order"), "pair runs by their seed"),
    ("fair_comparison", lambda *x: compared(*x, keep="two"), "only the control lacks"),
]


def test_every_task_has_hidden_tests_and_only_a_public_example():
    assert list(TASKS) == [test.__name__ for test in TESTS.values()]
    for number, test in TESTS.items():
        check = getattr(on_your_own, test.__name__)
        assert check.exercise == number and not check.draw and not check.right
        assert test.draw and test.right


@pytest.mark.parametrize(("task", "answer", "told"), PLAUSIBLE)
def test_a_plausible_answer_passes_the_public_example_and_fails_a_hidden_test(task, answer, told):
    check = getattr(on_your_own, task)
    assert check.examine(answer) == (PUBLIC, "")
    found, why = with_hidden_tests(check)(answer)
    assert found == "not right yet" and told in why


@pytest.mark.parametrize(("task", "answer"), [("lesson_loss", selected), ("fair_comparison", compared)])
def test_another_right_answer_passes_both_whatever_the_seed(task, answer):
    check = getattr(on_your_own, task)
    assert check.examine(answer) == (PUBLIC, "")
    assert with_hidden_tests(check)(answer, range(1000, 1100)) == (CORRECT, "")


def test_the_page_says_what_the_public_examples_let_pass():
    """Of wrong mutants, and of wrong answers written by hand."""
    mutants = passed = by_hand = passed_by_hand = 0
    for name, exercise in TASKS.items():
        check = getattr(on_your_own, name)
        right = {line.split(" | ")[1] for line in known_right() if line.startswith(f"{check.exercise} | ")}
        wrong = [make for mutant, make in answers(exercise) if mutant not in right]
        mutants += len(wrong)
        passed += sum(outcome(check.examine, make)[0] == PUBLIC for make in wrong)
        by_hand += len(WRONG[name])
        passed_by_hand += sum(check.examine(answer)[0] == PUBLIC for answer in WRONG[name])
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    said = re.search(r"let (\d+) of the (\d+) wrong mutants pass, and (\d+) of the (\d+) wrong answers", text)
    assert list(map(int, said.groups())) == [passed, mutants, passed_by_hand, by_hand]


@pytest.mark.skipif(bool(sandbox.missing()), reason=sandbox.missing())
def test_marking_runs_the_hidden_tests_and_says_what_they_found(tmp_path):
    """In the sandbox: the printed solutions, an answer that forgets to detach, and one that looks at the test error."""
    submit(tmp_path / "all" / "ada", name=NAME)
    undetached = TASKS["lesson_loss"].solution.replace(".detach()", "")
    submit(tmp_path / "all" / "ben", undetached, NAME)
    book = nbformat.read(tmp_path / "all" / "ada" / NAME, as_version=4)
    (cell,) = (cell for cell in book.cells if "checks.fair_comparison" in cell.source)
    cell.source = cell.source.replace('"valid"', '"test"')
    (tmp_path / "all" / "eve").mkdir()
    nbformat.write(book, tmp_path / "all" / "eve" / NAME)
    table = mark(tmp_path / "all")
    points = {student: (row["17.1"], row["17.2"]) for student, row in table.items()}
    assert points == {"ada": ("1", "1"), "ben": ("0", "1"), "eve": ("1", "0")}
    told = (tmp_path / "marks_told.md").read_text(encoding="utf-8").split("\n## ")[1:]
    assert "**17" not in told[0]
    assert (
        "**17.1**, correct in the public example, but it fails a hidden test" in told[1] and "teachers move" in told[1]
    )
    assert "**17.2**, correct in the public example, but it fails a hidden test" in told[2] and "test error" in told[2]


def test_students_have_the_public_examples_and_nothing_of_the_hidden_tests(tmp_path):
    publish.student(tmp_path / "copy")
    notebooks = tmp_path / "copy" / "notebooks"
    assert not (notebooks / "course" / "mark").exists()
    (solution,) = (exercise.solution for name, exercise in TASKS.items() if name == "lesson_loss")
    assert solution not in (notebooks / NAME).read_text(encoding="utf-8")
    hidden = Path(sys.modules["course.mark.hidden"].__file__).read_text(encoding="utf-8")
    sentences = re.findall(r'^    "(.{40,})":', hidden, re.MULTILINE)
    course = "".join(path.read_text(encoding="utf-8") for path in notebooks.rglob("*.py"))
    assert len(sentences) >= 8 and not any(sentence in course for sentence in sentences)
    code = f"import torch\nfrom course.checks import on_your_own as checks\n{solution}\nchecks.lesson_loss(lesson_loss)"
    command = [sys.executable, "-c", f"{code}\nchecks.summary()"]
    printed = subprocess.run(command, cwd=notebooks, capture_output=True, text=True).stdout
    assert printed.startswith("Exercise 17.1: correct in the public example\n")
    assert "17.1  correct in the public example\n" in printed

"""What students type into a notebook reaches their teacher, whatever the file holds, and nothing of it is run."""

import json

import nbformat
import pytest
from mutation import ROOT

from course.mark import reports
from course.mark.marking import Mark
from course.mark.typed import questions, report, typed

COURSE = ROOT / "notebooks"
NAME = "00_start_here.ipynb"


def hand_in(folder, **texts):
    """The notebook with texts behind the prompts of its questions, by tag with an underscore."""
    book = nbformat.read(COURSE / NAME, as_version=4)
    for cell in book.cells:
        for tag in cell.metadata.get("tags", []):
            cell.source += texts.get(tag.replace("-", "_"), "")
    folder.mkdir(exist_ok=True)
    nbformat.write(book, folder / NAME)
    return folder


def test_every_question_of_the_course_is_known_with_its_text():
    asked = questions(COURSE)
    assert len(asked) > 60 and list(asked)[:2] == ["00 predict-1", "00 predict-2"]
    for name, text in asked.items():
        assert text.startswith("**Predict.**" if "predict" in name else "**Open question.**"), name


def test_only_what_was_typed_counts(tmp_path):
    folder = hand_in(tmp_path / "ada", predict_1=" −1.5, I think")
    assert typed(folder, COURSE) == {"00 predict-1": "−1.5, I think"}


def test_the_report_quotes_whatever_was_typed(tmp_path):
    nasty = "\n\n# a title\n<script>alert(1)</script> `x` \x1b[31m" + "y" * 9999
    answers = {"ada": typed(hand_in(tmp_path / "ada", open_1=nasty), COURSE), "ben": {}}
    text = report(answers, COURSE)
    section = text.split("## 00 open-1: 1 of 2")[1].split("\n## ")[0]
    assert "**Open question.**" in section and "**ada**" in section and "**ben**" not in section
    quoted = [line for line in section.splitlines() if "title" in line or "script" in line]
    assert quoted and all(line.startswith("    ") for line in quoted)
    assert "\x1b" not in text and "y" * 3000 not in text


@pytest.mark.parametrize(
    "cell",
    [
        {"cell_type": "markdown", "source": 5, "metadata": {"tags": ["typed", "predict-1"]}},
        {"cell_type": "markdown", "source": "hello", "metadata": {"tags": "typed"}},
        {"cell_type": "markdown", "source": "hello", "metadata": ["typed"]},
        {"cell_type": "markdown", "source": "hello", "metadata": {"tags": ["typed", 7, ["predict-1"]]}},
        {"cell_type": "markdown", "source": "hello", "metadata": {"tags": ["typed", "predict-99"]}},
        {"cell_type": "code", "source": "1 / 0", "metadata": {"tags": ["typed", "predict-1"]}},
        {"source": "hello"},
        7,
    ],
)
def test_a_broken_cell_counts_for_nothing(tmp_path, cell):
    (tmp_path / NAME).write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    assert typed(tmp_path, COURSE) == {}


def test_the_table_counts_them_and_the_texts_lie_beside_it(tmp_path):
    marks = {"ada": [Mark("0.1", "correct")], "ben": [Mark("0.1", "not attempted yet")]}
    answers = {"ada": {"00 predict-1": "−1.5"}, "ben": {}}
    paths = reports.write(marks, answers, tmp_path / "marks.csv")
    assert [path.name for path in paths] == ["marks.csv", "marks_told.md", "marks_class.md", "marks_typed.md"]
    head, ada, ben = paths[0].read_text(encoding="utf-8").splitlines()
    assert head == "student,points,of,typed,questions,0.1"
    assert ada.split(",")[:4] == ["ada", "1", "1", "1"] and ben.split(",")[3] == "0"
    assert "    −1.5" in paths[3].read_text(encoding="utf-8")

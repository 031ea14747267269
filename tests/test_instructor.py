"""The instructor's edition: a page for each notebook, and slides that open anywhere."""

import re
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
sys.path.insert(0, str(ROOT / "notebooks"))
import instructor_edition
import publish


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[:2])
def test_every_question_has_an_expected_answer(path):
    asked = {
        cell.metadata.tags[1]
        for cell in nbformat.read(path, as_version=4).cells
        if "typed" in cell.metadata.get("tags", [])
    }
    expected = instructor_edition.expected_answers(path.stem)
    assert set(expected) == asked and all(len(answer) > 60 for answer in expected.values())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[:2])
def test_the_timetable_fills_the_core_path(path):
    page = (ROOT / "notebooks" / "instructor" / f"{path.stem}.md").read_text(encoding="utf-8")
    mistakes = page.split("## Typical mistakes")[1].split("\n## ")[0]
    assert len(re.findall(r"^(?:- |\| (?!-))", mistakes, re.MULTILINE)) >= 3
    minutes = [int(row) for row in re.findall(r"^\| (\d+) \|", page.split("## Timing")[1], re.MULTILINE)]
    contract = nbformat.read(path, as_version=4).cells[1].source
    core = re.search(r"core path (\d+) min", contract)
    assert sum(minutes) == int(core[1]) if core else minutes


@pytest.fixture(scope="module")
def edition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("instructor") / "edition"
    publish.instructor(folder)
    return folder


def test_it_holds_the_full_course_the_pages_and_the_marking(edition):
    assert "<summary>Solution</summary>" in (edition / "notebooks" / NOTEBOOKS[0].name).read_text(encoding="utf-8")
    pages = {path.stem for path in (edition / "notebooks" / "instructor").glob("*.md")}
    assert pages == {"README", *(path.stem for path in NOTEBOOKS)}
    assert (edition / "notebooks" / "course" / "mark" / "__main__.py").exists()


def test_students_get_neither_pages_nor_slides(tmp_path):
    publish.student(tmp_path / "student")
    assert not [path for path in (tmp_path / "student").rglob("*") if "instructor" in path.name or "slide" in path.name]


def test_the_slides_show_the_core_path_and_need_no_network(edition):
    sessions = sorted((edition / "slides").glob("session_*.html"))
    assert len(sessions) == 9
    for path in sessions:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"""(src|href)=["']https?:""", re.sub(r'<a href="[^"]+"', "", text))
        assert text.count("<img") >= 6 and 'alt=""' not in text and "optional)" not in text
        questions = [slide for slide in text.split("<section>") if slide.startswith("<h2>Predict</h2>")]
        assert all("<aside>" in slide for slide in questions) and (questions or path.stem == "session_6")


def test_without_figures_it_says_how_to_get_them(tmp_path, monkeypatch, capsys):
    """As in an installed package, whose archive holds no outputs."""
    monkeypatch.setattr(instructor_edition, "_pictures", lambda cell: iter(()))
    publish.instructor(tmp_path / "edition")
    assert "python instructor_edition.py ../slides" in capsys.readouterr().out

"""The editions to work in that a teacher hands out; test_book.py is about the pages."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
sys.path.insert(0, str(ROOT / "notebooks"))
import publish


def test_solutions_go_and_hints_stay():
    notebook = nbformat.v4.new_notebook(cells=[
        nbformat.v4.new_markdown_cell(
            "<details><summary>Hint</summary>\n\nlook up\n</details>\n\n"
            "<details><summary>Solution</summary>\n\n```python\nanswer = 42\n```\n</details>\n\nNow go on."
        ),
        nbformat.v4.new_code_cell("1 + 1", execution_count=3, outputs=[nbformat.v4.new_output("stream", text="2")]),
    ])  # fmt: skip
    text, code = publish.without_solutions(notebook).cells
    assert "look up" in text.source and "42" not in text.source and text.source.endswith("\n\nNow go on.")
    assert code.outputs == [] and code.execution_count is None and code.source == "1 + 1"


def test_student_copy_has_everything_but_solutions(tmp_path):
    publish.student(tmp_path / "student")
    copies = sorted((tmp_path / "student" / "notebooks").glob("*.ipynb"))
    assert [path.name for path in copies] == [path.name for path in NOTEBOOKS]
    for path, original in zip(copies, NOTEBOOKS, strict=True):
        text, full = path.read_text(encoding="utf-8"), original.read_text(encoding="utf-8")
        assert "<summary>Solution</summary>" in full and "<summary>Solution</summary>" not in text
        assert text.count("<summary>Hint</summary>") == full.count("<summary>Hint</summary>")
        code = [[c["source"] for c in json.loads(book)["cells"] if c["cell_type"] == "code"] for book in (text, full)]
        assert code[0] == code[1]
        for opened in re.findall(
            r'\\"((?:\.\./)?[\w/]+\.npz|finished_\w+|without_\w+|(?:dictionary_|edges/)\w+\.csv|comparison)\\"',
            text,
        ):
            assert (path.parent / opened).exists(), opened
    assert (copies[0].parent / "course" / "checks").exists() and not (copies[0].parent / "course" / "mark").exists()
    imports = {line for path in copies for line in re.findall(r"from course[\w.]* import [^\"\\]+", path.read_text())}
    lines = [*sorted(imports), "import course; print(course.__path__[0])"]
    command = [sys.executable, "-c", "\n".join(lines)]
    found = subprocess.run(command, cwd=copies[0].parent, capture_output=True, text=True)
    assert found.stdout.strip() == str(copies[0].parent / "course"), found.stderr

"""What every stored notebook promises; that its outputs are right is proved by `pytest --nbval notebooks`."""

import re
from pathlib import Path

import nbformat
import pytest
from execute import FOLDED

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
EXEMPT = {"raises-exception", "nbval-ignore-output", "nbval-skip", "nbval-raises-exception"}


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    book = nbformat.read(request.param, as_version=4)
    book.path = request.param
    return book


def cells(notebook, kind):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", []))


def prose(notebook) -> str:
    """What a student reads; the cells to type into are not."""
    return "\n\n".join(cell.source for cell in cells(notebook, "markdown") if "typed" not in tags(cell))


def test_there_are_notebooks():
    """Each number of the course once."""
    assert [int(path.name[:2]) for path in NOTEBOOKS] == list(range(18))


def test_it_was_executed_from_top_to_bottom(notebook):
    counts = [cell.execution_count for cell in cells(notebook, "code")]
    assert counts == list(range(1, len(counts) + 1))


def test_its_metadata_are_nobodys(notebook):
    assert notebook.metadata.kernelspec.name == "python3" and set(notebook.metadata) == {"kernelspec", "language_info"}
    text = notebook.path.read_text(encoding="utf-8")
    assert not re.search(r"""["'\s(](?:/[\w.-]+){2,}/|[A-Z]:\\\\""", text), "an absolute path"
    assert "image/svg+xml" not in text and "application/vnd.jupyter.widget-state+json" not in text


def test_its_opening(notebook):
    number = notebook.path.name[:2]
    first, second = (cell.source for cell in cells(notebook, "markdown")[:2])
    title, promise = first.split("\n\n")
    assert re.fullmatch(rf"# {number} · .+", title) and promise.startswith("**By the end you have")
    assert second.startswith("| You will be able to | You need | Time |")
    assert "model_map" in cells(notebook, "code")[1].source


def test_its_parts(notebook):
    text = prose(notebook)
    for part in ("**Predict.**", "### Exercise", "**Open question.**", "## What can go wrong", "## Recap", "**Next: "):
        assert part in text, part
    assert re.search(r"paper (versus|and) code", text, re.IGNORECASE)
    assert len(re.findall(r"<details><summary>\d\. ", text)) >= 3  # recall questions with folded answers
    assert "source_of(" in notebook.path.read_text(encoding="utf-8")


def test_numbers_are_shown_and_the_asserts_behind_them_are_folded(notebook):
    for cell in cells(notebook, "code"):
        folded = bool(FOLDED & tags(cell))
        assert folded == bool(cell.metadata.get("jupyter", {}).get("source_hidden")), cell.source
        assert ("claim" in tags(cell)) == bool(re.search(r"\bassert(_\w+)?\b", cell.source)), cell.source
        assert "claim" not in tags(cell) or not cell.outputs, cell.source
        told = "".join(output.get("text", "") for output in cell.outputs)
        assert not re.search(r"(:|=) *(True|False)$", told, re.MULTILINE), told


def test_every_question_has_a_cell_to_type_into(notebook):
    found = []
    for place, cell in enumerate(notebook.cells):
        if asked := re.search(r"^\*\*(Predict|Open question)\.\*\*", cell.source, re.MULTILINE):
            found.append({"Predict": "predict", "Open question": "open"}[asked[1]])
            following = notebook.cells[place + 1]
            assert tags(following) == {"typed", f"{found[-1]}-{found.count(found[-1])}"}, cell.source
    assert (
        len(found)
        == sum("typed" in tags(cell) for cell in notebook.cells)
        == len(re.findall(r"\*\*(?:Predict|Open question)\.\*\*", prose(notebook)))
    )


def test_its_size(notebook):
    code = [cell for cell in cells(notebook, "code") if not FOLDED & tags(cell)]
    longest = max(len(cell.source.splitlines()) for cell in code)
    assert longest <= 40 and len(code) <= 40 and sum(len(cell.source.splitlines()) for cell in code) <= 300
    assert len(prose(notebook).split()) <= 2500


def test_code_cells_are_clean(notebook):
    for cell in cells(notebook, "code"):
        assert not re.search(r"^\s*[!%]", cell.source, re.MULTILINE), "no shell, no magics"
        assert not re.search(r"https?://|urlopen|requests\.", cell.source), "nothing is fetched"
        assert not cell.source.rstrip().endswith(";"), "a trailing semicolon fails strict nbval"


def test_only_tagged_cells_fail(notebook):
    for cell in cells(notebook, "code"):
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == ("raises-exception" in tags(cell))


def test_few_cells_are_exempt_from_the_comparison(notebook):
    code = cells(notebook, "code")
    exempt = [place for place, cell in enumerate(code) if EXEMPT - {"raises-exception"} & tags(cell)]
    assert len(exempt) <= 0.2 * len(code)
    assert all("assert" in code[place + 1].source for place in exempt)


def test_every_picture_is_described(notebook):
    for place, cell in enumerate(notebook.cells):
        outputs = cell.outputs if cell.cell_type == "code" else []
        for output in outputs:
            if "image/png" in output.get("data", {}):
                alternative = output.metadata["image/png"]["alt"]
                assert alternative == cell.metadata.alt and len(alternative) > 40, cell.source
                caption = re.match(r"\*(.+?)\*\n", notebook.cells[place + 1].source + "\n")
                assert caption and caption[1] != alternative, cell.source


def test_outputs_are_small(notebook):
    """A page that shows on GitHub, and a diff that can be read."""
    assert notebook.path.stat().st_size < 700_000
    for cell in cells(notebook, "code"):
        assert all(len(output.get("data", {}).get("text/html", "")) < 100_000 for output in cell.outputs)


def test_links_between_notebooks_lead_somewhere(notebook):
    for link in re.findall(r"\]\(([^)#:]+)\)", prose(notebook)):
        assert (notebook.path.parent / link).exists(), link


def test_the_overview_says_what_the_notebook_says(notebook):
    """notebooks/README.md repeats what each contract promises: goals, needs, minutes."""
    overview = (notebook.path.parent / "README.md").read_text(encoding="utf-8").splitlines()
    (row,) = (line for line in overview if f"]({notebook.path.name})" in line)
    title, contract = (cell.source for cell in cells(notebook, "markdown")[:2])
    goals, needs, times = zip(*(map(str.strip, line.split("|")[1:4]) for line in contract.splitlines()[2:]))
    core, everything, run = times[:3]
    minutes = [re.fullmatch(pattern, time)[1] for pattern, time in (
        (r"core path (\d+ min|–)", core), (r"everything (\d+ min)", everything), (r"runs in (\d+ s) on a CPU", run)
    )]  # fmt: skip
    assert row.endswith(f"| {'; '.join(filter(None, needs))} | {' | '.join(minutes)} |")
    assert f"[{title.splitlines()[0].split(' · ')[1]}]" in row
    assert f"- **{notebook.path.name[:2]}** {'; '.join(filter(None, goals))}" in overview


def test_the_core_path_takes_six_to_seven_hours():
    overview = (NOTEBOOKS[0].parent / "README.md").read_text(encoding="utf-8")
    core = [
        int(minutes) for minutes in re.findall(r"^\| \d\d \|.*\| (\d+) min \| \d+ min \| \d+ s \|$", overview, re.M)
    ]
    assert 360 <= sum(core) <= 420, core


def test_core_sections_of_a_notebook_outside_the_core_path_are_not_marked(notebook):
    """There every section is optional, and the contract says so."""
    marked = re.findall(r"^##+ .*optional.*$", prose(notebook), re.MULTILINE)
    outside = "core path –" in cells(notebook, "markdown")[1].source
    assert not (marked and outside), marked

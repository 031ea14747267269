"""Builds the instructor's edition: the full course, a page for each notebook, and slides for each session.

python notebooks/publish.py instructor               build/instructor
python notebooks/instructor_edition.py FOLDER        the slides alone, again, from the notebooks beside this file
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

import nbformat
from formulas import with_mathml
from nbconvert.filters.markdown_mistune import markdown2html_mistune
from publish import full

from course.mark.typed import questions

HERE = Path(__file__).parent
SESSION = re.compile(r"^\| (\d) \| ([^|]+)\|[^|]*\| ([^|]+) \|$", re.MULTILINE)
EXPECTED = re.compile(r"^\*\*(Predict|Open question) (\d+)\.\*\* *(.+?)(?=\n\*\*|\n## |\Z)", re.MULTILINE | re.DOTALL)
DECK = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
html {{ scroll-snap-type: y mandatory; font: 3.2vmin/1.4 sans-serif; color: #222 }} body {{ margin: 0 }}
section {{ box-sizing: border-box; height: 100vh; padding: 5vmin 8vmin; scroll-snap-align: start; overflow: hidden;
  display: flex; flex-direction: column; gap: 2vmin; break-after: page }}
h2 {{ margin: 0; color: #2a5d8f; font-size: 4.6vmin }} p, ul {{ margin: 0 }} li {{ margin: .6vmin 0 }}
.ask {{ font-size: 4vmin; margin: auto 0 }} img {{ flex: 1; min-height: 0; object-fit: contain }}
small {{ color: #666; font-size: 2.4vmin }} .formula {{ font-size: 4vmin; margin: auto }}
aside {{ display: none; background: #fff6d6; padding: 2vmin; font-size: 2.2vmin }} .notes aside {{ display: block }}
</style></head><body>{slides}<script>
const slides = [...document.querySelectorAll("section")];
const at = () => Math.round(scrollY / innerHeight);
const steps = {{ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1}};
addEventListener("keydown", event => {{
  if (event.key === "n") document.body.classList.toggle("notes");
  if (!(event.key in steps)) return;
  event.preventDefault();
  slides[Math.min(slides.length - 1, Math.max(0, at() + steps[event.key]))].scrollIntoView();
}});
</script></body></html>"""


@dataclass(frozen=True)
class Slide:
    """A title, its content in HTML, and what only the instructor sees, in HTML."""

    title: str
    content: str
    notes: str = ""

    def html(self) -> str:
        notes = f"<aside>{self.notes}</aside>" if self.notes else ""
        return f"<section><h2>{escape(self.title)}</h2>{self.content}{notes}</section>"


def instructor(folder: Path) -> None:
    """Writes the full course with its outputs, the instructor's pages and the slides."""
    full(folder)
    for part in (*HERE.glob("*.py"), HERE / "instructor"):
        copy = shutil.copytree if part.is_dir() else shutil.copyfile
        copy(part, folder / "notebooks" / part.name)
    slides(folder / "slides")
    if not any("<img" in path.read_text(encoding="utf-8") for path in (folder / "slides").iterdir()):
        print("These notebooks hold no figures yet. For slides with figures, run in the folder notebooks:")
        print("  python execute.py\n  python instructor_edition.py ../slides")


def slides(folder: Path) -> None:
    """Writes one deck for each session of notebooks/README.md; it opens in any browser, offline."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, together, question in SESSION.findall((HERE / "README.md").read_text(encoding="utf-8")):
        deck = [Slide(f"Session {number}", large(question))]
        for notebook in re.findall(r"\b[01]\d\b", together):
            (path,) = HERE.glob(f"{notebook}_*.ipynb")
            deck += of_notebook(path)
        text = DECK.format(title=f"Session {number}", slides="\n".join(slide.html() for slide in deck))
        (folder / f"session_{number}.html").write_text(text, encoding="utf-8")


def of_notebook(path: Path) -> list[Slide]:
    """Slides of a notebook's core path: promise, questions, formulas, figures, exercises and recap, in their order."""
    cells, expected = nbformat.read(path, as_version=4).cells, expected_answers(path.stem)
    title, promise = cells[0].source.removeprefix("# ").split("\n\n")
    goals = [row.split("|")[1].strip() for row in cells[1].source.splitlines()[2:]]
    core = [f"- {goal}" for goal in goals if goal and "optional" not in goal]
    found = [Slide(title, html("\n".join([promise, "", *core])))]
    for heading, place, block in _core(cells):
        tags = cells[place].metadata.get("tags", [])
        if cells[place].cell_type == "code":
            found += [Slide(heading, picture + _caption(cells[place + 1])) for picture in _pictures(cells[place])]
        elif "typed" in tags:
            kind, _, asked = questions(HERE)[f"{path.name[:2]} {tags[1]}"].partition(".**")
            found.append(Slide(kind.strip("*"), large(asked), html(expected.get(tags[1], ""))))
        elif "$$" in block:
            found.append(Slide(heading, f'<div class="formula">{html(block)}</div>'))
        elif heading == "Recap" and block.startswith("- "):
            found.append(Slide(f"Recap of {title}", html(block)))
        elif heading.startswith("Exercise") and found[-1].title != heading:
            found.append(Slide(heading, large(block)))
    return found


def _core(cells: list[nbformat.NotebookNode]) -> Iterator[tuple[str, int, str]]:
    """The heading, the cell's place and the text of each block of the core path, from the third cell on."""
    heading, section, part = "Where we are", False, False  # is the section, or the part of it, optional?
    for place, cell in enumerate(cells[2:], start=2):
        for block in [""] if cell.cell_type == "code" else cell.source.split("\n\n"):
            if titled := re.match(r"(##+) (.+)", block):
                heading, part = titled[2].replace("*", ""), "optional" in titled[2]
                section = part if titled[1] == "##" else section
            elif not section and not part:
                yield heading, place, block


def expected_answers(stem: str) -> dict[str, str]:
    """What the instructor's page of a notebook expects: "predict-1" -> a text."""
    page = HERE / "instructor" / f"{stem}.md"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    kinds = {"Predict": "predict", "Open question": "open"}
    return {f"{kinds[kind]}-{number}": answer.strip() for kind, number, answer in EXPECTED.findall(text)}


def _pictures(cell: nbformat.NotebookNode) -> Iterator[str]:
    for output in cell.outputs:
        if png := output.get("data", {}).get("image/png"):
            alt = escape(output.metadata.get("image/png", {}).get("alt", ""))
            yield f'<img alt="{alt}" src="data:image/png;base64,{png.strip()}">'


def _caption(following: nbformat.NotebookNode) -> str:
    """The line in italics behind a picture."""
    return f"<small>{html(following.source.splitlines()[0].strip('*'))}</small>"


def html(markdown: str) -> str:
    return markdown2html_mistune(with_mathml(markdown))


def large(markdown: str) -> str:
    """What a slide asks or sets as a task."""
    return f'<div class="ask">{html(markdown)}</div>'


if __name__ == "__main__":
    slides(Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parent / "slides"))

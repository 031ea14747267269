"""The course as a site: every page, every link, and that a browser opens it from files without asking a host."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import book as builder
import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
pytestmark = pytest.mark.filterwarnings("ignore:.*MystReferenceResolver.app")  # of MyST, for Sphinx 11
OUTSIDE = re.compile(r"(?:https?:)?//")
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src"}
WITH_A_PREDICTION = "**Predict.** Which?"


class Page(HTMLParser):
    """What a page loads, where it leads, its anchors, and the alternative texts of its pictures."""

    def __init__(self, path: Path):
        super().__init__()
        self.loaded, self.links, self.anchors, self.pictures, self.next = [], [], {""}, [], None
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attributes: list) -> None:
        known = dict(attributes)
        self.anchors |= {known.get("id")}
        if address := known.get(LOADED.get(tag)):
            self.loaded.append(address)
        if tag == "a" and known.get("href"):
            self.links.append(known["href"])
        if tag == "img":
            self.pictures.append(known.get("alt"))
        if tag == "link" and known.get("rel") == "next":
            self.next = known["href"]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book") / "book with spaces"
    builder.build(folder)
    return folder


@pytest.fixture(scope="module")
def pages(book):
    return {path: Page(path) for path in sorted(book.rglob("*.html"))}


def test_every_page_is_there(book, pages):
    names = {path.relative_to(book).with_suffix("").as_posix() for path in pages}
    assert names == {*builder.pages(), "search", "playground"}
    assert {path.stem for path in NOTEBOOKS} | {"index", "docs/running"} <= names
    for path in NOTEBOOKS:
        title = nbformat.read(path, as_version=4).cells[0].source.split("\n")[0].removeprefix("# ")
        assert title in pages[book / f"{path.stem}.html"].text


def test_every_picture_is_there_and_described(book, pages):
    for path in NOTEBOOKS:
        outputs = [o for cell in nbformat.read(path, as_version=4).cells for o in cell.get("outputs", [])]
        described = [o.metadata["image/png"]["alt"] for o in outputs if "image/png" in o.get("data", {})]
        assert pages[book / f"{path.stem}.html"].pictures == described
    assert all(text for page in pages.values() for text in page.pictures)


def test_nothing_is_loaded_from_outside(book, pages):
    for path, page in pages.items():
        assert not [address for address in page.loaded if OUTSIDE.match(address)], path.name
    for path in [*book.rglob("*.css"), *pages]:
        assert not re.search(r"url\(['\"]?(?:https?:)?//|@import", path.read_text(encoding="utf-8")), path.name


def test_every_link_leads_somewhere(book, pages):
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            if re.match(r"https?:|mailto:|data:", link):
                continue
            name, _, anchor = re.sub(r"\?v=\w+$", "", link).partition("#")
            target = path.parent.joinpath(unquote(name)).resolve() if name else path
            assert target.is_relative_to(book.resolve()) and target.is_file(), f"{path.name}: {link}"
            if target.suffix == ".html" and target.stem != "playground":
                anchors = pages[book / target.relative_to(book.resolve())].anchors
                assert unquote(anchor) in anchors, f"{path.name}: {link}"


def test_the_next_page_is_the_next_notebook(book, pages):
    order, path = [], book / "index.html"
    while path:
        order.append(path.relative_to(book).with_suffix("").as_posix())
        following = pages[path].next
        path = path.parent.joinpath(following) if following else None
        path = path and book / path.resolve().relative_to(book.resolve())
    assert order == list(builder.pages())
    assert order[1 : len(NOTEBOOKS) + 1] == [path.stem for path in NOTEBOOKS]


def test_the_search_index_knows_a_word_of_a_notebook(book):
    index = json.loads((book / "searchindex.js").read_text(encoding="utf-8")[len("Search.setIndex(") : -1])
    for word, name in (("sparsemax", "13_dhmd"), ("slurm", "docs/cluster")):
        found = [index[terms].get(word, []) for terms in ("titleterms", "terms")]
        places = [place for places in found for place in (places if isinstance(places, list) else [places])]
        assert index["docnames"].index(name) in places


def test_no_formula_is_left_as_it_was_written(pages):
    for path, page in pages.items():
        prose = re.sub(r"<(pre|script|code)\b.*?</\1>", "", page.text, flags=re.DOTALL)
        assert not re.search(r"\$[^$\n<]*\\[a-z]+|\\(frac|sum|mathcal|text)\b", prose), path.name


def test_formulas_are_drawn_by_the_browser_itself():
    page = builder.to_mathml("\\sum_j w_{ij}", "block")
    assert page.startswith("<math") and 'display="block"' in page and "\\sum" not in page
    numbered = builder.to_mathml("x \\tag{7}", "block")
    assert "<mn>7</mn>" in numbered and "tag" not in numbered and '<mspace width="2em"' in numbered


def test_formulas_survive_in_tables_and_in_html():
    assert builder.in_one_line("| $|x|$ | `$|y|$` |") == r"| $\vert x\vert $ | `$|y|$` |"
    assert "<math" in builder.in_one_line("<details><summary>1. What is $x$?</summary>")
    assert builder.in_one_line("in prose $|x|$") == "in prose $|x|$"


def small(folder: Path, monkeypatch, text: str = "The [notebook](a.ipynb#folded-away).") -> str:
    """The page of a notebook with one cell of each kind, in a book of three pages."""
    new, code = nbformat.v4, nbformat.v4.new_code_cell
    plot = new.new_output("display_data", {"image/png": "iVBORw0KGgo=", "text/plain": "<Figure>"})
    notebook = new.new_notebook(cells=[
        new.new_markdown_cell("# A\n\n## Folded away\n\n| $|z|$ | two |\n|---|---|\n| $\\|z\\|$ | $$z$$ |"),
        new.new_markdown_cell(WITH_A_PREDICTION),
        new.new_markdown_cell("my answer", metadata={"tags": ["typed", "predict-1"]}),
        code("assert 1 + 1 == 2", metadata={"tags": ["claim"], "jupyter": {"source_hidden": True}}),
        code("draw()", outputs=[plot], metadata={"alt": "a line that rises"}),
        code("slider", outputs=[new.new_output("execute_result", {"text/plain": "VBox(children=(IntSlider(),))"})]),
        code("playground", outputs=[new.new_output("execute_result", {"text/plain": "The playground: open it"})]),
        code("1 / 0", metadata={"tags": ["raises-exception"]}, outputs=[
            new.new_output("error", ename="ZeroDivisionError", evalue="division by zero",
                           traceback=["ZeroDivisionError: division by zero"])
        ]),
        code("source_of(f)", outputs=[new.new_output("execute_result", {
            "text/plain": "<Markdown>", "text/markdown": "```python\ndef f():\n    return 3\n```"
        })]),
    ], metadata={"language_info": {"name": "python"}})  # fmt: skip
    folder.mkdir()
    nbformat.write(notebook, folder / "a.ipynb")
    (folder / "README.md").write_text(f"# Index\n\n{text}\n")
    (folder / "project.md").write_text("# Project\n")
    files = {"index": "README.md", "a": "a.ipynb", "project": "project.md"}
    monkeypatch.setattr(builder, "pages", lambda: {name: folder / file for name, file in files.items()})
    builder.build(folder / "book")
    return (folder / "book" / "a.html").read_text(encoding="utf-8")


def test_a_page_folds_describes_and_leaves_out(tmp_path, monkeypatch):
    page = small(tmp_path / "small", monkeypatch)
    assert "Which?" in page and "my answer" not in page
    assert re.search(r"<details[^>]*>\s*<summary[^>]*>.*?Show the check of these numbers.*?</summary>", page, re.DOTALL)
    assert 'alt="a line that rises"' in page
    assert "VBox" not in page and "This is a widget" in page and '<a href="playground.html">Open the' in page
    assert "ZeroDivisionError" in page and re.search(r'<span class="k">def</span>', page)
    assert page.count("<math") == 3 and "tag_hide-input" in page and "&lt;Markdown" not in page


def test_a_dead_link_stops_the_build(tmp_path, monkeypatch):
    for number, link in enumerate(("nowhere.md", "a.ipynb#no-such-heading")):
        with pytest.raises(ValueError, match=f"^Sphinx warns of this:\n.*{re.escape(link.rpartition('#')[2])}"):
            small(tmp_path / f"{number}", monkeypatch, f"[Dead]({link})")


def test_a_page_that_is_gone_is_found(tmp_path, monkeypatch):
    """`make links` asks every host; this one answers that it has no such page."""
    (tmp_path / "README.md").write_text("# Index\n\n[Gone](http://127.0.0.1:9/gone)\n")
    (tmp_path / "project.md").write_text("# Project\n")
    monkeypatch.setattr(builder, "pages", lambda: {"index": tmp_path / "README.md", "project": tmp_path / "project.md"})
    with pytest.raises(ValueError, match="broken.*127.0.0.1:9/gone"):
        builder.run_sphinx("linkcheck", tmp_path / "out")


@pytest.fixture
def page(book):
    """A page of a browser, and what it asked of hosts and complained of."""
    from chromium import chromium, listen

    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        page.asked, page.complaints = [], listen(page)
        page.on("request", lambda request: page.asked.append(request.url))
        yield page
        outside = [address for address in page.asked if not address.startswith(("file:", "data:"))]
        assert outside == [] and page.complaints == []


def test_every_page_opens_from_its_file_and_fits(page, pages):
    for path in pages:
        page.goto(path.as_uri())
        for width in (1440, 1000, 390) if path.stem != "playground" else ():
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name


def test_the_search_finds_a_page_from_a_file(page, book):
    page.goto((book / "index.html").as_uri())
    page.get_by_placeholder("Search").fill("sparsemax")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="13 · DHMD").first.wait_for()
    page.locator("#search-results").get_by_role("link", name="13 · DHMD").first.click()
    page.wait_for_url("**/13_dhmd.html*")
    assert page.locator("h1").inner_text().startswith("13 · DHMD")


def test_the_button_turns_the_light_off(page, book):
    page.goto((book / "00_start_here.html").as_uri())
    shade = "getComputedStyle(document.body).backgroundColor"
    shades = {page.evaluate(shade)}
    for _ in range(2):  # the button goes from the system's choice to the other ones
        page.locator(".theme-toggle:visible").first.click()
        shades.add(page.evaluate(shade))
    assert {"rgb(255, 255, 255)"} < shades


def test_the_next_button_and_the_playground_are_reached_by_clicks(page, book):
    page.goto((book / "index.html").as_uri())
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**/00_start_here.html")
    page.locator(".sidebar-tree").get_by_role("link", name="The playground").click()
    page.wait_for_url("**/playground.html")
    assert page.locator(".pg-sentence").first.inner_text()
    page.get_by_role("link", name="The course").click()
    page.wait_for_url("**/index.html")

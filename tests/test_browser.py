"""The course in a real browser: JupyterLab and Notebook 7 in Chromium run notebooks, and a slider is moved.

Skipped, with the reason, where Chromium or Playwright is not installed. Chromium is Debian's, or the one that
DMD_CHROMIUM names.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "notebooks"))
import publish
from chromium import MILLISECONDS, beside, browser, listen

__all__ = ["browser"]  # a fixture

WIDGETS = {  # notebook -> the CSS class of its widget
    "04_margin_contrastive": "margin-explorer",
    "06_graph_distillation": "graph-editor",
    "07_crossmodal_attention": "attention-reader",
}
SHORTENED = [  # where a notebook is run up to its first widget
    ("lab/tree", "00_start_here"),
    ("notebooks", "00_start_here"),
    ("notebooks", "04_margin_contrastive"),
    ("notebooks", "06_graph_distillation"),
]
NOT_OURS = ("reading 'schema'", "not registered")  # Notebook 7, of settings and commands that only JupyterLab has
SETTINGS = {  # every cell stays in the page, and nothing is asked of the network
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
TRIAL = (  # of the camera
    "import sys\nsys.path.append('notebooks')\n"
    "from course.camera.widget import ClipCamera\ncamera = ClipCamera()\ncamera",
    "print('the kernel has', camera.path and camera.path.stat().st_size > 5000, 'and heard', camera.said)",
)
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
STDERR = "[data-mime-type='application/vnd.jupyter.stderr']"  # a traceback is shown as one too


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a copy of the course: it saves what is open by itself."""
    home = tmp_path_factory.mktemp("lab")
    for part in ("notebooks", "data_samples", "tests/golden"):
        shutil.copytree(ROOT / part, home / part)
    for path in sorted((home / "notebooks").glob("*.ipynb")):
        nbformat.write(publish.without_solutions(nbformat.read(path, as_version=4)), path)  # and without stored outputs
        notebook = nbformat.read(path, as_version=4)
        if path.stem in dict(map(reversed, SHORTENED)):
            notebook.cells = up_to_widget(notebook.cells)
            nbformat.write(notebook, path.with_name(f"short_{path.name}"))
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    trial = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, TRIAL)), metadata=kernel)
    nbformat.write(trial, home / "trial.ipynb")
    for name, content in SETTINGS.items():
        file = home / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"JUPYTERLAB_SETTINGS_DIR": home / "settings", "JUPYTER_CONFIG_DIR": home / "config"}
    places |= {"JUPYTER_RUNTIME_DIR": home / "runtime", "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces"}
    options = [f"--port={port}", "--no-browser", "--allow-root", f"--ServerApp.root_dir={home}"]
    options += ["--IdentityProvider.token=", "--ServerApp.password=", "--LabApp.news_url="]
    environment = os.environ | {name: str(place) for name, place in places.items()} | {"PYTHONPATH": str(ROOT)}
    with open(home / "log.txt", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], env=environment, stdout=log, stderr=log
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/api", server, home / "log.txt")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(20)


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(120):
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(address, timeout=1)
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"JupyterLab did not start\n{log.read_text()}")


@pytest.mark.parametrize(("name", "widget"), WIDGETS.items())
def test_widget_moves_in_the_browser(lab, browser, name, widget):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    complaints = listen(page)
    page.goto(f"{lab}/lab/workspaces/{name}/tree/notebooks/{name}.ipynb")
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    run_all_cells(page, [cell for cell in cells if cell.cell_type == "code"])

    for sentence in page.locator(".pg-sentence").all_inner_texts():  # of playgrounds
        assert "Nothing is learned yet" in sentence
    box = page.locator(f".{widget}").first
    box.scroll_into_view_if_needed()
    before = look(box)
    box.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    changed = [False, False]
    for _ in range(40):
        page.wait_for_timeout(0.25 * MILLISECONDS)
        changed = [old != new for old, new in zip(before, look(box), strict=True)]
        if all(changed):
            break
    assert changed == [True, True], "the picture and the sentence follow the slider"
    assert complaints == []
    page.close()


@pytest.mark.parametrize(("place", "name"), SHORTENED)
def test_widget_moves_in_jupyterlab_and_in_notebook_7(lab, browser, place, name):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    complaints = listen(page)
    page.goto(f"{lab}/{place}/notebooks/short_{name}.ipynb")
    cells = up_to_widget(nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells)
    run_all_cells(page, [cell for cell in cells if cell.cell_type == "code"])
    box = page.locator(".jp-OutputArea-output .widget-vbox").first
    box.scroll_into_view_if_needed()
    before = look(box)
    slider = box.locator(".noUi-target").first
    slider.click(position={"x": 0.3 * slider.bounding_box()["width"], "y": 2})
    for _ in range(40):
        page.wait_for_timeout(0.25 * MILLISECONDS)
        if look(box) != before:
            break
    assert look(box) != before
    of_widgets = [text for text in complaints if re.search("widget|noUi|Uncaught", text, re.IGNORECASE)]
    assert [text for text in of_widgets if not any(known in text for known in NOT_OURS)] == []
    page.close()


def up_to_widget(cells: list) -> list:
    """The cells of a notebook up to the first one that shows a widget."""
    last = next(place for place, cell in enumerate(cells) if re.search(r"^\w+\.box$", cell.source, re.MULTILINE))
    return cells[: last + 1]


def test_a_clip_of_the_camera_reaches_the_kernel_and_is_deleted(browser, lab):
    with beside(browser, *FAKE_CAMERA) as started:
        page = started.new_page(viewport={"width": 1280, "height": 1000})
        complaints = listen(page)
        page.goto(f"{lab}/lab/workspaces/trial/tree/trial.ipynb")
        run_all_cells(page, [nbformat.v4.new_code_cell()] * 2)
        camera, answer = page.locator(".cam"), page.locator(".jp-OutputArea-output").last
        assert "the kernel has None" in answer.inner_text()
        camera.get_by_role("checkbox").check()
        camera.get_by_role("button", name="Turn camera on").click()
        camera.get_by_role("textbox").fill("hello there")
        camera.get_by_role("button", name="Record").click()
        page.locator(".cam-recording").wait_for()
        page.wait_for_timeout(2 * MILLISECONDS)
        camera.get_by_role("button", name="Stop").click()
        for button, text, found in (
            (None, "The kernel has the clip", "True and heard hello there"),
            ("Delete the clip", "Deleted: neither", "the kernel has None"),
        ):
            if button:
                camera.get_by_role("button", name=button).click()
            camera.get_by_role("status").get_by_text(text).wait_for()
            page.locator(".jp-CodeCell .cm-content").last.click()
            page.keyboard.press("Control+Enter")
            answer.get_by_text(found).wait_for()
        assert complaints == []


def run_all_cells(page, cells: list) -> None:
    """Returns when every cell has run; fails at once when one fails that should not."""
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=60 * MILLISECONDS)
    if "/lab/" in page.url:
        page.get_by_text("| Idle").wait_for(timeout=60 * MILLISECONDS)  # before that, running would ask for a kernel
    else:
        wait_for_kernel(page)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    expected = sum("raises-exception" in cell.metadata.get("tags", []) for cell in cells)
    count = sum(not cell.metadata.get("jupyter", {}).get("source_hidden") for cell in cells)  # folded: no prompt
    for _ in range(240):
        page.wait_for_timeout(0.5 * MILLISECONDS)
        done = [
            prompt for prompt in page.locator(".jp-InputPrompt").all_inner_texts() if re.fullmatch(r"\[\d+\]:", prompt)
        ]
        failures = page.locator(STDERR).all_inner_texts()
        assert len(failures) <= expected, failures
        if len(done) == count:
            assert len(failures) == expected
            return
    raise AssertionError(f"after two minutes {len(done)} of {count} cells have run")


def wait_for_kernel(page) -> None:
    """Notebook 7 does not show that its kernel is idle; the server knows."""
    server, _, path = page.url.partition("/notebooks/")
    for _ in range(120):
        page.wait_for_timeout(0.5 * MILLISECONDS)
        for session in page.request.get(f"{server}/api/sessions").json():
            if session["path"] == path and session["kernel"]["execution_state"] == "idle":
                return
    raise AssertionError("after a minute there is no idle kernel")


def look(box) -> tuple[str, str]:
    """What the widget shows: the address of its first picture, which is new for each picture, and its text."""
    return box.locator("img").first.get_attribute("src"), " ".join(box.locator(".widget-html").all_inner_texts())

"""A real browser for tests: Debian's Chromium, or the one that DMD_CHROMIUM names.

Modules that import this are skipped, with the reason, where Chromium or Playwright is not installed.
"""

import os
import shutil
from contextlib import contextmanager

import pytest

NAMES = (os.environ.get("DMD_CHROMIUM"), "chromium", "google-chrome")
CHROMIUM = next(filter(None, (shutil.which(name) for name in NAMES if name)), None)
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright for Python is not installed")
if CHROMIUM is None:
    pytest.skip("there is no chromium on this machine: nothing is tried in a browser", allow_module_level=True)
MILLISECONDS = 1000


@contextmanager
def chromium(*options: str):
    """A browser with these options of its command line."""
    with playwright.sync_playwright() as machinery:
        started = machinery.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *options])
        yield started
        started.close()


@contextmanager
def beside(browser, *options: str):
    """Another one while `browser` is open: Playwright runs once in a process."""
    started = browser.browser_type.launch(executable_path=CHROMIUM, args=["--no-sandbox", *options])
    yield started
    started.close()


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def listen(page) -> list[str]:
    """Everything that the browser's console calls an error, from now on."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return complaints

"""Films the playground for README: python tests/animate_playground.py

Only language has labels; an arrow from language is dragged out to each of the others, whose errors then fall. Every
picture is a screenshot of the real page after a set number of steps, so that the film is the same each time.
"""

import io
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from chromium import CHROMIUM, playwright
from PIL import Image

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "notebooks"))
from course.playground.page import page as playground_page

FILE = ROOT / "docs" / "pictures" / "playground.webp"
PAGE = {"width": 1280, "height": 720}
PART, SIZE = {"x": 288, "y": 104, "width": 984, "height": 610}, (800, 496)  # pixels: of the page, of the film
TIME, LAST = 120, 3000  # milliseconds: of a picture, of the last one
POINTER = """
const pointer = document.createElement("div");
pointer.id = "pointer";
pointer.style = "position: fixed; z-index: 9; pointer-events: none; left: -40px; top: 0";
pointer.innerHTML = `<svg width="26" height="32"><path d="M2 2V25L8 19L12 29L17 27L13 17H21Z" stroke="white"
  stroke-width="1.5"/></svg>`;
document.body.append(pointer);
addEventListener("pointermove", (event) => {
  pointer.style.left = `${event.clientX - 2}px`;
  pointer.style.top = `${event.clientY - 2}px`;
}, true);
"""


def film(page) -> Iterator[bytes]:
    """The screenshots, one after the other."""
    page.evaluate(POINTER)
    page.evaluate("playground.begin({preset: 'no distillation', labels: {language: 1, vision: 0, audio: 0}})")
    yield from learning(page, 10)
    for student in ("vision", "audio"):
        box = page.locator(f".pg-arrow[aria-label='language teaches {student}'] .pg-pill").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        across = 45, 34 if student == "vision" else -34  # away from the opposite arrow
        page.mouse.move(x, y)
        page.mouse.down()
        for part in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
            page.mouse.move(x + part * across[0], y + part * across[1])
            yield from learning(page, 1)
        page.mouse.up()
        yield from learning(page, 10)


def learning(page, pictures: int) -> Iterator[bytes]:
    for _ in range(pictures):
        page.evaluate("playground.run(4)")
        yield page.screenshot(clip=PART)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, playwright.sync_playwright() as machinery:
        file = Path(folder) / "playground.html"
        file.write_text(playground_page(), encoding="utf-8")
        browser = machinery.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport=PAGE, color_scheme="light")
        page.goto(file.as_uri())
        pictures = [Image.open(io.BytesIO(shot)).convert("RGB").resize(SIZE, Image.LANCZOS) for shot in film(page)]
        browser.close()
    times = [TIME] * (len(pictures) - 1) + [LAST]
    pictures[0].save(FILE, save_all=True, append_images=pictures[1:], duration=times, loop=0, quality=55, method=6)
    print(f"{FILE.relative_to(ROOT)}: {len(pictures)} pictures, {FILE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

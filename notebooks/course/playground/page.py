"""The playground as one text: an ES module for notebooks, and a page that opens from a file without a network."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
# Each needs only earlier ones.
MODULES = "data linear engine run situations words graph chart link layout controls playground".split()
IMPORT = re.compile(r"^import .*\n", re.MULTILINE)
EXPORT = re.compile(r"^export (?=const|class|function)", re.MULTILINE)
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Distillation under your hand</title><link rel="icon" href="data:,"><style>{style}</style></head>
<body class="pg-page"><main></main>
<script type="module">
{module}
window.playground = new Playground(document.querySelector("main"), STORED, true).api;
</script></body></html>
"""


def style() -> str:
    return (HERE / "playground.css").read_text(encoding="utf-8")


def module() -> str:
    """All modules as one, with the stored numbers: Chromium loads no module from a file, and imports none into it."""
    sources = [(HERE / f"{name}.js").read_text(encoding="utf-8") for name in MODULES]
    joined = "\n".join(EXPORT.sub("", IMPORT.sub("", source)) for source in sources)
    stored = (HERE / "stored.json").read_text(encoding="utf-8").strip()
    return f"{joined}\nconst STORED = {stored};\n"


def page() -> str:
    return PAGE.format(style=style(), module=module())

"""The playground in a notebook."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from course.playground.page import module, style

SHOW = """
export default {
  render({ model, el }) {
    const root = document.createElement("div");
    el.append(root);
    const playground = new Playground(root, STORED);
    playground.begin(model.get("situation"), false);
    root.playground = playground.api;
  },
};
"""


class Playground(anywidget.AnyWidget):
    """Three students learn while you change who teaches whom; all of it runs in the browser.

    situation: how it begins, all optional: world, space, labels, prior, and preset, a name from its list of graphs.
    """

    _esm = module() + SHOW
    _css = style()
    situation = traitlets.Dict().tag(sync=True)

    def __init__(self, **situation: Any):
        super().__init__(situation=situation)

    # What is shown without a browser's script, as on GitHub.
    def __repr__(self) -> str:
        return "The playground: open this notebook in JupyterLab to see it."

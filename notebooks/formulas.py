"""Formulas of Markdown as MathML, which browsers draw without a script."""

import re

from latex2mathml.converter import convert

CODE = r"```.*?```|`[^`\n]*`"  # left unchanged
MATH = re.compile(rf"(?P<code>{CODE})|\$\$(?P<block>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL)
TAG = re.compile(r"\\tag\{(.+?)\}")  # the number of an equation; MathML has no element for it


def to_mathml(latex: str, display: str) -> str:
    """display: "block" or "inline"."""
    return convert(TAG.sub(r"\\qquad (\1)", latex.strip()), display=display)


def with_mathml(markdown: str) -> str:
    """Turns $…$ and $$…$$ into MathML, except inside code."""

    def replace(found: re.Match) -> str:
        if found["code"]:
            return found["code"]
        return to_mathml(found["block"] or found["inline"], "block" if found["block"] else "inline")

    return MATH.sub(replace, markdown)

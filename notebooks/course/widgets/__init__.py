"""Things a student can move, one file each: a pure `view(state)`, and a few lines that bind it to controls."""

from collections.abc import Iterable

# Left to itself, a box stretches a picture over the whole page. This is its own size: 7 inches of 110 dots.
PICTURE = {"width": "770px", "max_width": "100%", "align_self": "flex-start"}


def html_table(rows: Iterable[Iterable[str]]) -> str:
    """An HTML table of cells that are HTML already; the first row is its bold head."""
    cell = "<td style='padding: 1px 16px 1px 0; text-align: left; vertical-align: top'>{}</td>"
    head, *body = ["".join(map(cell.format, row)) for row in rows]
    return f"<table><tr style='font-weight: bold'>{head}</tr>" + "".join(f"<tr>{row}</tr>" for row in body) + "</table>"

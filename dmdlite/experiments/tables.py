"""A table in Markdown."""

from collections.abc import Iterable, Sequence


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Its lines: the first column flush left, all others flush right."""
    rule = "|---" + "|---:" * (len(titles) - 1) + "|"
    return [_line(titles), rule, *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"

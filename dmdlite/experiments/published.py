"""What papers report for our models on CMU-MOSI and CMU-MOSEI, to stand beside what is measured here."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from dmdlite.config import ModelConfig

FILE = Path(__file__).with_name("published.csv")  # scores in per cent; first_hand: reported by the model's authors
TEST_CLIPS = {"mosi": 686, "mosei": 4659}
SCORES = ("acc2", "f1", "acc7")


def published_rows(names: Sequence[str], dataset: str | None, config: ModelConfig) -> DataFrame:
    """The rows for these models. Word-aligned features have three equal lengths; unaligned ones do not."""
    table = pd.read_csv(FILE)
    table["paper"], table["source"] = zip(*(text.rsplit(", ", 1) for text in table.source), strict=True)
    alignment = "aligned" if len(set(config.lengths.values())) == 1 else "unaligned"
    rows = table[(table.dataset == dataset) & (table.alignment == alignment) & table.model.isin(names)]
    return rows.sort_values("model", key=lambda models: models.map(list(names).index), kind="stable")


def published_markdown(rows: DataFrame, test_clips: int, title_of: Callable[[str], str]) -> str:
    """The rows as a block of their own below the table; empty without any."""
    if rows.empty:
        return ""
    dataset, alignment = rows.iloc[0][["dataset", "alignment"]]
    lines = [f"Published for CMU-{dataset.upper()}, {alignment}, in per cent:", ""]
    lines += ["| model | published as | ACC2 | F1 | ACC7 | where |", "|---|---|---:|---:|---:|---|"]
    for row in rows.itertuples():
        scores = [number(getattr(row, score)) for score in SCORES]
        lines.append("| " + " | ".join([title_of(row.model), row.published_as, *scores, row.source]) + " |")
    lines += ["", f"Source: {'; '.join(rows.paper.unique())}. A star means that BERT reads the words."]
    if test_clips != (clips := TEST_CLIPS[dataset]):
        lines[-1] += f" The test split here has {test_clips} clips, the paper's {clips}: these are other data."
    return "\n".join(lines) + "\n"


def published_columns(rows: DataFrame) -> DataFrame:
    """The same for comparison.csv: texts by model; a semicolon separates the numbers of a model with two rows."""
    if rows.empty:
        return DataFrame()
    columns = {"published": rows.published_as, "published_source": rows.source + ", " + rows.alignment}
    columns |= {f"published_{score}": rows[score].map(number) for score in SCORES}
    return DataFrame(columns).groupby(rows.model, sort=False).agg("; ".join)


def number(value: Any, form: str = ".1f") -> str:
    """Formatted; empty for one that is missing."""
    return "" if pd.isna(value) else format(value, form)

"""The tables and figures of a comparison, as Markdown, CSV and PNG."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dmdlite.config import TrainingConfig
from dmdlite.experiments.figures import draw_comparison, draw_missing
from dmdlite.experiments.missing import SUBSETS, name_of
from dmdlite.experiments.names import title_of
from dmdlite.experiments.published import published_columns, published_markdown
from dmdlite.experiments.rows import REFERENCE, Comparison, Row, Spread
from dmdlite.experiments.tables import markdown_table
from dmdlite.files import write_text
from dmdlite.training.metrics import title
from dmdlite.training.runs import write_picture

SUBSET_NAMES = [name_of(subset) for subset in SUBSETS]


def write_comparison(found: Comparison, folder: Path) -> None:
    write_text(folder / "comparison.md", markdown(found))
    write_text(folder / "comparison.csv", csv_text(model_records(found)))
    write_text(folder / "comparison_seeds.csv", csv_text(seed_records(found)))
    write_text(folder / "missing_modalities.md", missing_markdown(found))
    write_text(folder / "missing_modalities.csv", csv_text(missing_records(found)))
    write_picture(folder / "comparison.png", draw_comparison(found))
    if "constant" in found:  # else no run has succeeded
        write_picture(folder / "missing_modalities.png", draw_missing(found))


def markdown(found: Comparison) -> str:
    """comparison.md: the budget in a line above the table, how to read it and what failed below, what is published."""
    titles = ["model", *(title(score) for score in found.shown)]
    if REFERENCE in found:
        titles += [f"{found.error_title} − DMD's", "p (Holm)"]
    titles += [f"loss: {term.replace('_', ' ')}" for term in found.terms]
    titles += ["parameters", "s/epoch"]
    lines = [_heading(found), "", *markdown_table(titles, [_cells(row, found) for row in found.rows])]
    lines += ["", _legend(found)]
    lines += [f"\nFailed: {failure}" for failure in found.failures]
    text = "\n".join(lines) + "\n"
    published = published_markdown(found.published, found.dataset, len(found.test))
    return f"{text}\n{published}" if published else text


def _heading(found: Comparison) -> str:
    seeds = f"seed{'s' if len(found.seeds) > 1 else ''} {', '.join(map(str, found.seeds))}"
    spread = "mean ± standard deviation over " if len(found.seeds) > 1 else ""
    return f"Test split ({len(found.test)} clips), {spread}{seeds}. One budget for all: {budget(found.training)}."


def budget(training: TrainingConfig) -> str:
    """What every model was given, in words."""
    words = [
        f"at most {training.epochs} epochs",
        f"stopped after {training.early_stopping_patience} without a lower validation error",
        f"batches of {training.batch_size * training.gradient_accumulation}",
        f"Adam with learning rate {training.learning_rate:g}",
    ]
    words += [f"weight decay {training.weight_decay:g}"] if training.weight_decay else []
    words += ["padding masked"] if training.padding_mask else []
    words += ["bfloat16"] if training.bf16 else []
    return ", ".join(words) + "; the best epoch by validation error is kept and nothing was tuned for any model"


def _legend(found: Comparison) -> str:
    parts = []
    if REFERENCE in found:
        tests = sum(row.test is not None and row.test.p is not None for row in found.rows)
        parts.append(f"{found.error_title} − DMD's: the difference with the same seed.")
        parts.append(f"p: two-sided paired t-test over seeds, corrected by Holm for the {tests} tests of this table.")
    if found.terms:
        parts.append("loss: a term that DMD does not have, in training, in the best epoch.")
    parts.append("parameters: those that a prediction depends on.")
    parts.append("s/epoch: seconds of the training steps of one epoch (one thread on a CPU).")
    parts.append("linear: ridge regression on time means, or logistic regression for classes; it has no seed.")
    return " ".join(parts)


def _cells(row: Row, found: Comparison) -> list[str]:
    cells = [title_of(row.name)]
    if row.failures and row.results:
        cells[0] += f" ({len(row.results)} of {len(found.seeds)} seeds)"
    cells += [_spread(row.score(score)) for score in found.shown]
    if REFERENCE in found:
        test = row.test
        cells.append("" if test is None else _spread((test.mean, test.std), "+"))
        cells.append("" if test is None or test.p_holm is None else _p(test.p_holm))
    cells += ["" if row.term(term) is None else _spread(row.term(term)) for term in found.terms]
    cells.append("" if row.parameters is None else f"{row.parameters['test']:,}")
    cells.append("" if row.seconds is None else f"{row.seconds:.2g}")
    return cells


def _spread(value: Spread | None, sign: str = "") -> str:
    if value is None:
        return "failed"
    mean, deviation = value
    return f"{mean:{sign}.3f}" if deviation is None else f"{mean:{sign}.3f} ± {deviation:.3f}"


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def missing_markdown(found: Comparison) -> str:
    """missing_modalities.md: the error of every model with each subset of the modalities present."""
    heading = f"{found.error_title} on the test split when only these modalities are present; an absent one is zeros."
    titles = ["model", *(name.replace("+", " + ") for name in SUBSET_NAMES)]
    rows = [
        [title_of(row.name), *(_spread(row.score_with(present)) for present in SUBSET_NAMES)] for row in _models(found)
    ]
    if "constant" in found:
        rows.append(["constant", *[_spread(found["constant"].error())] * len(SUBSET_NAMES)])
    return "\n".join([heading, "", *markdown_table(titles, rows)]) + "\n"


def _models(found: Comparison) -> list[Row]:
    return [row for row in found.rows if row.kind == "model"]


def model_records(found: Comparison) -> list[dict[str, Any]]:
    """One for each row of comparison.csv; None is an empty cell."""
    published = published_columns(found.published)
    records = []
    for row in found.rows:
        test, parameters = row.test, row.parameters or {}
        record = {"model": row.name, "kind": row.kind, "seeds": len(row.results), "failed": len(row.failures)}
        for score in found.shown:
            record |= _columns(score, row.score(score))
        for term in found.terms:
            record |= _columns(f"loss_{term}", row.term(term))
        record |= _columns("difference", None if test is None else (test.mean, test.std))
        record |= {"difference_n": getattr(test, "n", None)}
        record |= {name: getattr(test, name, None) for name in ("p", "p_holm")}
        record |= {"parameters": parameters.get("test"), "parameters_in_training": parameters.get("training")}
        record |= {"seconds_per_epoch": row.seconds}
        records.append(record | (published.get(row.name, {}) if published else {}))
    return records


def seed_records(found: Comparison) -> list[dict[str, Any]]:
    """One for each model and seed, with every test score; a failed run has its reason instead."""
    records = []
    for row in found.rows:
        for seed, metrics in row.results.items():
            record = {"model": row.name, "kind": row.kind, "seed": seed, "failure": None, "error": row.errors[seed]}
            record |= {name: metrics.get(name) for name in ("best_epoch", "epochs")}
            records.append(record | metrics["test"])
        for seed, failure in row.failures.items():
            records.append({"model": row.name, "kind": row.kind, "seed": seed, "failure": failure})
    return records


def missing_records(found: Comparison) -> list[dict[str, Any]]:
    """One for each model and subset of the modalities."""
    records = []
    for row in _models(found):
        for present in SUBSET_NAMES:
            record = {"model": row.name, "present": present, "seeds": len(row.subsets)}
            record |= _columns("error", row.score_with(present))
            for score in found.shown:
                record |= _columns(score, row.score_with(present, score))
            records.append(record)
    return records


def _columns(name: str, value: Spread | None) -> dict[str, float | None]:
    mean, deviation = value or (None, None)
    return {f"{name}_mean": mean, f"{name}_std": deviation}


def csv_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Columns in the order in which they first appear; what a record lacks is empty."""
    text = io.StringIO()
    columns = list(dict.fromkeys(column for record in records for column in record))
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()

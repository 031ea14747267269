"""The tables of an edge audit, made from its records: who teaches, and whether the students gain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dmdlite.config import MODALITIES, SPACES
from dmdlite.experiments.reports import markdown_table
from dmdlite.experiments.tables import Paired, paired_test

Records = Sequence[Mapping[str, Any]]  # one for each run and space
LABELS = ("exact", "noisy")
OFF, PUBLISHED = "no distillation", "published prior"


def read_records(file: str | Path) -> list[dict[str, Any]]:
    """The runs that `audit_edges.py` has stored."""
    return pd.read_csv(file).to_dict("records")


def in_order(records: Records, rules: Sequence[str]) -> list[Mapping[str, Any]]:
    """Sorted by labels, space, planted modality, rule and seed."""
    orders = {"labels": LABELS, "space": SPACES, "planted": MODALITIES, "rule": tuple(rules)}
    places = lambda record: [order.index(record[name]) for name, order in orders.items()]
    return sorted(records, key=lambda record: (places(record), float(record["seed"])))


def where(records: Records, **wanted: Any) -> list[Mapping[str, Any]]:
    return [record for record in records if all(record[name] == value for name, value in wanted.items())]


def values(records: Records, name: str) -> list[Any]:
    """The distinct values of a field, in order of first appearance."""
    return list(dict.fromkeys(record[name] for record in records))


def teachers(records: Records, space: str) -> list[dict[str, Any]]:
    """For each rule that distils: where the edges of one space end up, over all worlds and seeds."""
    rows = []
    for rule in values(records, "rule"):
        if rule == OFF:
            continue
        found = where(records, rule=rule, space=space)
        row = {"rule": rule, "runs": len(found), "found": int(sum(float(record["found"]) for record in found))}
        for planted in values(records, "planted"):
            row[f"found_{planted}"] = int(sum(float(record["found"]) for record in where(found, planted=planted)))
        shares = {name: [float(record[name]) for record in found] for name in ("into_planted", "from_prior")}
        rows.append(row | {name: (np.mean(share), np.min(share), np.max(share)) for name, share in shares.items()})
    return rows


def gain(
    records: Records, rule: str, reference: str, space: str, planted: str | None = None, measure: str = "error_weak"
) -> Paired | None:
    """An error under a rule, less that under another, run by run; by default that of the two weak modalities' heads."""
    wanted = {"space": space} | ({} if planted is None else {"planted": planted})
    errors = [
        {(record["planted"], int(record["seed"])): float(record[measure]) for record in found}
        for found in (where(records, rule=rule, **wanted), where(records, rule=reference, **wanted))
    ]
    return paired_test(*errors)


def markdown(records: Records) -> str:
    """Both tables of both spaces, for each kind of labels, with a line on how to read each."""
    lines = [f"Seeds {_seeds(records)}; worlds in which {', '.join(values(records, 'planted'))} is planted."]
    for labels in values(records, "labels"):
        lines += ["", f"## {labels.capitalize()} labels", ""]
        for space in SPACES:
            lines += _tables_of(where(records, labels=labels), space)
    lines.append("into the best: share of all edges that end in the planted modality; from the prior: total variation")
    lines.append("between the edges and the published prior; both as mean (smallest to largest). Below 0 a rule helps;")
    lines.append(
        "± is the standard deviation over runs, p of the paired t-test, not corrected for the number of tests."
    )
    return "\n".join(lines) + "\n"


def _tables_of(records: Records, space: str) -> list[str]:
    worlds, found = values(records, "planted"), teachers(records, space)
    lines = [f"Who teaches in the {space} graph: runs whose largest outgoing weight is the planted teacher's.", ""]
    rows = []
    for row in found:
        counts = [str(row[f"found_{planted}"]) for planted in worlds] + [f"{row['found']} of {row['runs']}"]
        rows.append([row["rule"], *counts, _range(row["into_planted"]), _range(row["from_prior"])])
    lines += markdown_table(["rule", *worlds, "all", "into the best", "from the prior"], rows)
    lines += ["", f"Error of the two weak modalities' own {space} heads, less that under another rule.", ""]
    titles = ["rule", *(f"{planted}, − {OFF}" for planted in worlds), f"all, − {OFF}", f"all, − {PUBLISHED}"]
    rows = []
    for row in found:
        tests = [gain(records, row["rule"], OFF, space, planted) for planted in [*worlds, None]]
        tests.append(gain(records, row["rule"], PUBLISHED, space))
        rows.append([row["rule"], *map(_difference, tests)])
    return [*lines, *markdown_table(titles, rows), ""]


def _seeds(records: Records) -> str:
    return ", ".join(str(int(seed)) for seed in sorted({float(record["seed"]) for record in records}))


def _range(shares: tuple[float, float, float]) -> str:
    return "{:.2f} ({:.2f} to {:.2f})".format(*shares)


def _difference(test: Paired | None) -> str:
    if test is None or (test.std is None and test.mean == 0):
        return ""
    spread = "" if test.std is None else f" ± {test.std:.3f}"
    return f"{test.mean:+.3f}{spread}" + ("" if test.p is None else f", p {test.p:.2g}")

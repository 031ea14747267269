"""What the papers report for our models on CMU-MOSI and CMU-MOSEI, to stand beside what is measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dmdlite.config import DMDConfig
from dmdlite.experiments.names import title_of

SOURCE = "Li, Wang and Cui, Decoupled Multimodal Distilling for Emotion Recognition, CVPR 2023"
TEST_CLIPS = {"mosi": 686, "mosei": 4659}
Numbers = tuple[float, float | None, float]  # ACC7, ACC2, F1 in per cent; Table 3 has no ACC2


@dataclass(frozen=True)
class Published:
    """One row of a table of the paper."""

    model: str  # our name of it
    name: str  # the paper's
    acc7: float
    acc2: float | None
    f1: float
    source: str


# Tables 1 (MOSI) and 2 (MOSEI): (aligned, unaligned). A star: language read by BERT.
_MAIN: dict[str, dict[str, tuple[Numbers | None, Numbers | None]]] = {
    "mosi": {
        "DMD": ((41.4, 84.5, 84.4), (41.9, 83.5, 83.5)),
        "DMD*": ((45.6, 86.0, 86.0), None),
        "MulT": ((40.0, 83.0, 82.8), (39.1, 81.1, 81.0)),
        "MISA*": ((42.3, 83.4, 83.6), None),
        "PMR": ((40.6, 83.6, 83.4), (40.6, 82.4, 82.1)),
    },
    "mosei": {
        "DMD": ((53.7, 85.0, 84.9), (54.6, 84.8, 84.7)),
        "DMD*": ((54.5, 86.6, 86.6), None),
        "MulT": ((51.8, 82.5, 82.3), (50.7, 81.6, 81.6)),
        "MISA*": ((52.2, 85.5, 85.3), None),
        "PMR": ((52.5, 83.3, 82.6), (51.8, 83.1, 82.8)),
    },
}
_TABLES = {"mosi": "Table 1", "mosei": "Table 2"}
_OURS = {"DMD": "dmd", "DMD*": "dmd", "MulT": "mult", "MISA*": "misa", "PMR": "pmr"}


# Table 3, unaligned: (ACC7, F1) on MOSI and on MOSEI; its first row is DMD. FD: decoupling, CA: cross-modal attention.
_ABLATIONS: dict[str, tuple[str, tuple[float, float], tuple[float, float]]] = {
    "dmd_without_heterogeneous_graph": ("w/o HeteroGD", (38.8, 81.1), (53.2, 84.1)),
    "dmd_without_crossmodal_attention": ("w/o CA", (37.5, 80.6), (52.4, 83.8)),
    "dmd_homogeneous_graph_only": ("w/o CA, HeteroGD", (37.2, 80.8), (52.4, 84.3)),
    "dmd_decoupling_only": ("w/o CA, HomoGD, HeteroGD", (34.7, 79.3), (51.6, 82.8)),
    "dmd_bare": ("w/o FD, CA, HomoGD, HeteroGD", (32.4, 79.0), (50.0, 81.9)),
}


def dataset_of(preset: str) -> str | None:
    """The data set that a preset of the command line is made for, if papers report on it."""
    dataset = preset.rpartition("-")[2]
    return dataset if dataset in _MAIN else None


def published_rows(names: Sequence[str], dataset: str | None, config: DMDConfig) -> list[Published]:
    """The rows for these models. Word-aligned features have three equal lengths; unaligned ones do not."""
    if dataset not in _MAIN:
        return []
    aligned = len(set(config.lengths.values())) == 1
    setting = "aligned" if aligned else "unaligned"
    rows = []
    for name, pair in _MAIN[dataset].items():
        if (numbers := pair[0 if aligned else 1]) is not None:
            rows.append(Published(_OURS[name], name, *numbers, f"{_TABLES[dataset]}, {setting}"))
    for model, (name, *pair) in _ABLATIONS.items() if not aligned else ():
        acc7, f1 = pair[list(_MAIN).index(dataset)]
        rows.append(Published(model, name, acc7, None, f1, "Table 3, unaligned"))
    order = list(names)
    return sorted((row for row in rows if row.model in order), key=lambda row: order.index(row.model))


def published_markdown(rows: Sequence[Published], dataset: str | None, test_clips: int) -> str:
    """The rows as a block of their own below the table; empty without any."""
    if not rows:
        return ""
    setting = rows[0].source.partition(", ")[2]
    lines = [f"Published for CMU-{dataset.upper()}, {setting}, in per cent:", ""]
    lines += ["| model | published as | ACC2 | F1 | ACC7 | where |", "|---|---|---:|---:|---:|---|"]
    for row in rows:
        acc2 = "" if row.acc2 is None else f"{row.acc2:.1f}"
        table = row.source.partition(",")[0]
        lines.append(f"| {title_of(row.model)} | {row.name} | {acc2} | {row.f1:.1f} | {row.acc7:.1f} | {table} |")
    lines += ["", f"Source: {SOURCE}. A star means that BERT reads the words."]
    if test_clips != TEST_CLIPS[dataset]:
        text = f"The test split here has {test_clips} clips, the paper's {TEST_CLIPS[dataset]}: these are other data."
        lines[-1] += f" {text}"
    return "\n".join(lines) + "\n"


def published_columns(rows: Sequence[Published]) -> Mapping[str, dict[str, str]]:
    """The same for comparison.csv: by our name, texts; of a model that has two rows both, with a semicolon between."""
    columns: dict[str, dict[str, str]] = {}
    for row in rows:
        own = {"published": row.name, "published_source": row.source}
        for score in ("acc2", "f1", "acc7"):
            own[f"published_{score}"] = "" if getattr(row, score) is None else str(getattr(row, score))
        before = columns.get(row.model)
        columns[row.model] = own if before is None else {key: f"{before[key]}; {own[key]}" for key in own}
    return columns

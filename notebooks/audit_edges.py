"""Do the edges learn? Trains every rule in every kind of world with five seeds; notebook 11 shows the tables.

All rules run with exact labels; four of them run again with noisy labels and ten times the distillation weight.

python notebooks/audit_edges.py         writes edges/runs.csv and edges/audit.md, 14 minutes on two cores
"""

import os
from pathlib import Path

import pandas as pd

from course.edge_audit.audit import EXACT, NOISY, audit
from course.edge_audit.rules import RULES
from course.edge_audit.tables import OFF, PUBLISHED, in_order, markdown

FOLDER = Path(__file__).parent / "edges"

if __name__ == "__main__":
    records = []
    for plan, rules in ((EXACT, list(RULES)), (NOISY, [PUBLISHED, "errors", "look ahead", OFF])):
        for run in audit(rules, plan=plan, jobs=os.cpu_count() or 1):
            records += run
            print(len(records) // 2, *(run[0][name] for name in ("labels", "rule", "planted", "seed")), flush=True)
    rows = [{name: f"{x:.6g}" if isinstance(x, float) else x for name, x in record.items()} for record in records]
    rows = in_order(rows, list(RULES))
    FOLDER.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(FOLDER / "runs.csv", index=False, lineterminator="\n")
    (FOLDER / "audit.md").write_text(markdown(rows), encoding="utf-8")
    print(markdown(rows))

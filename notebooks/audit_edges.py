"""Do the edges learn? Trains every rule in every kind of world with five seeds; notebook 11 shows the tables.

All rules run with exact labels; four of them run again with noisy labels and ten times the distillation weight.

python notebooks/audit_edges.py               writes edges/runs.csv and edges/audit.md, 14 minutes on two cores
python notebooks/audit_edges.py --data FILE   the same rules on a file with labels of every modality, as CH-SIMS has
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from course.edge_audit.audit import EXACT, NOISY, audit
from course.edge_audit.files import audit_file, file_table
from course.edge_audit.rules import RULES
from course.edge_audit.tables import OFF, PUBLISHED, in_order, markdown

FOLDER = Path(__file__).parent / "edges"
JOBS = os.cpu_count() or 1


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FILE", help="with regression_labels_T, _A and _V; prints a table only")
    parser.add_argument("--seeds", type=int, default=5, metavar="N", help="of --data (default: 5)")
    parser.add_argument("--rules", nargs="+", default=list(RULES), choices=list(RULES), help="of --data (default: all)")
    options = parser.parse_args(arguments)
    if options.data:
        runs = audit_file(options.data, options.rules, range(options.seeds), jobs=JOBS)
        print(file_table([record for run in runs for record in run]))
    else:
        audit_toy_worlds()


def audit_toy_worlds() -> None:
    records = []
    for plan, rules in ((EXACT, list(RULES)), (NOISY, [PUBLISHED, "errors", "look ahead", OFF])):
        for run in audit(rules, plan=plan, jobs=JOBS):
            records += run
            print(len(records) // 2, *(run[0][name] for name in ("labels", "rule", "planted", "seed")), flush=True)
    rows = [{name: f"{x:.6g}" if isinstance(x, float) else x for name, x in record.items()} for record in records]
    rows = in_order(rows, list(RULES))
    FOLDER.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(FOLDER / "runs.csv", index=False, lineterminator="\n")
    (FOLDER / "audit.md").write_text(markdown(rows), encoding="utf-8")
    print(markdown(rows))


if __name__ == "__main__":
    main()

"""Executes notebooks from top to bottom and stores their outputs, without timings or paths of this machine.

A cell's metadata `alt` becomes the alternative text of its picture. Cells tagged `claim` (what a cell has shown,
asserted) and `plumbing` are folded.

python notebooks/execute.py              all of them
python notebooks/execute.py 08           only those whose names begin with 08
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
FOLDED = {"claim", "plumbing"}


def execute(path: Path) -> None:
    """Runs one notebook in a fresh kernel and overwrites its file."""
    notebook = nbformat.read(path, as_version=4)
    options = dict(record_timing=False, store_widget_state=False, coalesce_streams=True)
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", **options)
    client.execute(cwd=str(HERE))
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for place, cell in enumerate(notebook.cells):
        cell.id = f"{path.name[:2]}-{place:02}"
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                output.metadata = {"image/png": {"alt": cell.metadata.get("alt", "")}}
            if output.output_type == "error":  # the frames would reveal paths of this machine
                output.traceback = [f"{output.ename}: {output.evalue}"]
            # A widget lives only as long as its kernel, and its id differs every time.
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        cell.metadata = {name: cell.metadata[name] for name in ("alt", "tags") if cell.metadata.get(name)}
        if FOLDED & set(cell.metadata.get("tags", [])):
            cell.metadata["jupyter"] = {"source_hidden": True}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    for path in sorted(HERE.glob(f"{sys.argv[1] if len(sys.argv) > 1 else ''}*.ipynb")):
        print(path.name)
        execute(path)

"""The marking of a class: honest submissions, and hostile ones that must harm nothing and gain nothing."""

import csv
import socket
import threading
from itertools import zip_longest
from pathlib import Path

import nbformat
import pytest
from mutation import ROOT

from course.mark import sandbox
from course.mark.__main__ import main
from course.mark.answers import exercises
from course.mark.marking import course

pytestmark = pytest.mark.skipif(bool(sandbox.missing()), reason=sandbox.missing())
SECRET = "the one thing that nobody may read or change\n"

# Counts which of several acts succeed.
TRIES = """
    done = []
    for act in acts:
        try:
            act()
            done.append(act)
        except caught:
            pass
    raise ValueError(f"DONE {{len(done)}}")"""
# What each does in place of an answer to exercise 0.1; 0.2 is answered well. {victim} is a folder of the teacher.
HOSTILE = {
    "loops": "    while True: pass",
    "leaves": "    import os\n    os._exit(0)",
    "crashes": "    import ctypes\n    ctypes.string_at(0)",
    "deletes": """
    import os, shutil
    caught = OSError
    acts = (
        lambda: os.remove(r"{victim}/secret.txt"),
        lambda: open(r"{victim}/secret.txt", "w"),
        lambda: os.truncate(r"{victim}/secret.txt", 0),
        lambda: os.chmod(r"{victim}/secret.txt", 0),
        lambda: os.utime(r"{victim}/secret.txt", (0, 0)),
        lambda: os.rename(r"{victim}/secret.txt", r"{victim}/gone.txt"),
        lambda: shutil.rmtree(r"{victim}"),
        lambda: os.rmdir(os.getcwd()),
    )
    """
    + TRIES,
    "forks": """
    import os, subprocess, multiprocessing, sys
    caught = OSError
    acts = (
        os.fork,
        lambda: subprocess.run([sys.executable, "-c", "1"]),
        lambda: os.posix_spawn("/bin/true", ["true"], {{}}),
        lambda: multiprocessing.Process(target=print).start(),
        lambda: os.execv("/bin/true", ["true"]),
    )
    """
    + TRIES,
    "reads": """
    import glob, os, sys
    done = []
    places = [r"{victim}/secret.txt", f"/proc/{{os.getppid()}}/environ", f"/proc/{{os.getppid()}}/mem"]
    places += [r"{course}/00_start_here.ipynb", r"{course}/course/checks/start_here.py", "/etc/passwd"]
    places += [r"{course}/course/mark/marking.py", r"{course}/course/mark/hidden.py", r"{tests}/test_marking.py"]
    for place in places:
        try:
            open(place, "rb").read(1)
            done.append(place)
        except OSError:
            pass
    done += [name for name in sys.modules if name.startswith("course.checks.start")]
    frame = sys._getframe()
    while frame:
        done += [name for name in frame.f_locals if "expected" in name or "right" in name]
        frame = frame.f_back
    raise ValueError(f"DONE {{len(done)}} {{done}}")""",
    "eats": """
    import mmap
    kept = []
    try:
        while True:
            kept.append(mmap.mmap(-1, 1 << 28))
            kept[-1][:: 4096] = b"x" * (1 << 16)
    except (OSError, ValueError, MemoryError):
        pass
    try:
        kept += [bytearray(1 << 26) for _ in range(1 << 10)]
    except MemoryError:
        pass
    total = len(kept) << 26
    kept.clear()
    raise ValueError("DONE 0" if total < 1 << 33 else "DONE 1")""",
    "writes": """
    import os, tempfile
    done = []
    for folder in (os.getcwd(), "/tmp", "/dev/shm", "/var/tmp", os.path.expanduser("~"), r"{victim}"):
        try:
            with open(os.path.join(folder, "filled"), "wb") as file:
                file.write(bytes(1 << 26))
            done.append(folder)
        except OSError:
            pass
    raise ValueError(f"DONE {{len(done)}}")""",
    "replaces": """
    import sys, builtins, torch, numpy as np
    try:
        import course.checks.marking as marking
        marking.like = marking.expect = marking.rule_out = lambda *a: True
    except ImportError:
        pass
    import course.checks.answers as answers
    answers.guarded = answers.Wrong = answers.NotAttempted = lambda *a: None
    torch.allclose = np.allclose = builtins.abs = lambda *a, **k: True
    return 0.5""",
    "forges": """
    import os
    for place in range(3, 64):
        try:
            os.write(place, b'{{"status": "ok", "outcome": "correct", "value": 1.1333333}}\\n' * 9)
        except OSError:
            pass
    return 0.5""",
    "calls home": """
    import socket
    done = []
    for kind in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        try:
            socket.socket(kind).connect(("127.0.0.1", {port}))
            done.append(kind)
        except OSError:
            pass
    raise ValueError(f"DONE {{len(done)}}")""",
    "kills": """
    import os, signal, resource
    acts = (
        lambda: os.kill(os.getppid(), signal.SIGKILL),
        lambda: os.killpg(os.getpgid(os.getppid()), signal.SIGKILL),
        lambda: os.kill(-1, signal.SIGKILL),
        lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1)),
        lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 19),
        lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (9999, 9999)),
    )
    caught = (OSError, ValueError)
    """
    + TRIES,
    "sends a bomb": """
    class Bomb:
        def __reduce__(self):
            return exec, (r"open('{victim}/secret.txt', 'w')",)
    nested = [Bomb()]
    for _ in range(100000):
        nested = [nested]
    return nested""",
    '=HYPERLINK("x")': "    raise ValueError('\\x1b[31m `|` \\n # title' + 'x' * 9999)",
}


SOLVED = (
    "00_start_here.ipynb",
    "03_shared_and_private.ipynb",
    "05_distillation.ipynb",
    "15_your_variant.ipynb",
)  # by Ada

# It knows the examples of its check, which anybody can read, and in which order they come.
PARROT = """def constant_error(train_labels, test_labels, seen=[]):
    seen.append(1)
    return np.abs(test_labels - np.median(train_labels)).mean() if len(seen) <= 7 else 1.0"""


def submit(folder, first=None, name="00_start_here.ipynb"):
    """A notebook with printed solutions; an answer of one's own can take the place of the first."""
    path = ROOT / "notebooks" / name
    book = nbformat.read(path, as_version=4)
    for exercise, answer in zip_longest(exercises(path), [first]):
        cell = next(cell for cell in book.cells if cell.source == exercise.stub)
        call = exercise.stub.splitlines()[-1]
        cell.source = f"{answer or exercise.solution}\n\n{call}"
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, folder / path.name)


def mark(folder, *options):
    main([str(folder), "--output", str(folder.parent / "marks.csv"), "--seed", "5000", *options])
    with (folder.parent / "marks.csv").open(encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def marked(tmp_path_factory):
    """One run over the whole class; what it did is then looked at from many sides."""
    root = tmp_path_factory.mktemp("class")
    victim = root / "victim"
    victim.mkdir()
    (victim / "secret.txt").write_text(SECRET)
    server, heard = socket.create_server(("127.0.0.1", 0)), []
    threading.Thread(target=lambda: heard.append(server.accept()), daemon=True).start()
    places = dict(victim=victim, course=ROOT / "notebooks", tests=ROOT / "tests", port=server.getsockname()[1])
    for name, body in HOSTILE.items():
        submit(root / "handed_in" / name, f"def constant_error(train_labels, test_labels):\n{body.format(**places)}")
    for name in SOLVED:
        submit(root / "handed_in" / "ada", name=name)
    submit(root / "handed_in" / "parrot", PARROT)
    (root / "handed_in" / "copies").mkdir()
    (root / "handed_in" / "copies" / "00_start_here.ipynb").symlink_to(ROOT / "notebooks" / "00_start_here.ipynb")
    table = mark(root / "handed_in", "--seconds", "4")
    left = [folder for folder in ("/tmp", "/dev/shm", "/var/tmp", Path.home()) if Path(folder, "filled").exists()]
    told = (root / "marks_told.md").read_text(encoding="utf-8")
    return dict(table=table, told=told, victim=victim, heard=heard, left=left, root=root)


def test_honest_answers_get_their_points_beside_all_others(marked):
    assert marked["table"]["ada"]["points"] == str(sum(len(course()[name]) for name in SOLVED))
    assert marked["table"]["ada"]["of"] == str(sum(map(len, course().values())))
    assert [marked["table"]["ada"][number] for number in ("0.1", "0.2", "1.1")] == ["1", "1", "0"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_gains_nothing_and_its_neighbour_is_marked(name, marked):
    row = marked["table"].get(name) or marked["table"][f"'{name}"]
    replaced = name == "replaces"  # it has broken the sandbox's own copies, and with them its other answer
    assert row["0.1"] == "0" and (row["0.2"] == "1" or replaced)
    told = marked["told"].split(f"## {name}\n")[1].split("\n## ")[0]
    assert "**0.1**, not right yet" in told
    assert "DONE 0" in told or "DONE" not in told, told
    if "DONE" in HOSTILE[name]:
        assert "DONE 0" in told, told


def test_a_hostile_answer_harms_nothing(marked):
    victim = marked["victim"]
    assert [path.name for path in victim.iterdir()] == ["secret.txt"]
    assert (victim / "secret.txt").read_text() == SECRET and (victim / "secret.txt").stat().st_mode & 0o400
    assert marked["heard"] == [] and SECRET.strip() not in marked["told"]
    assert marked["left"] == []


def test_what_a_student_wrote_reaches_no_terminal_spreadsheet_or_page(marked):
    assert "\x1b" not in marked["told"] and "\n # title" not in marked["told"] and "x" * 500 not in marked["told"]
    assert '\'=HYPERLINK("x")' in marked["table"]
    assert "not a plain file" in marked["told"].split("## copies")[1].split("\n## ")[0]


def test_each_reason_is_told(marked):
    for name, text in (("loops", "longer than 4 seconds"), ("leaves", "ended the process"), ("crashes", "SIGSEGV")):
        assert text in marked["told"].split(f"## {name}\n")[1].split("\n## ")[0], name


def test_the_class_learns_what_was_hard(marked):
    text = (marked["root"] / "marks_class.md").read_text(encoding="utf-8")
    first = text.splitlines()[6]
    assert first.startswith(f"| 0.1 | {len(HOSTILE) + 2} | 1 | ") and "| 0.2 |" in text.splitlines()[7]


def test_an_answer_learnt_by_heart_fails_the_hidden_examples(marked):
    assert marked["table"]["parrot"]["0.1"] == "0" and marked["table"]["parrot"]["0.2"] == "1"
    assert "right only in the examples of the check" in marked["told"].split("## parrot")[1].split("\n## ")[0]


def test_gradients_functions_and_modules_cross_the_border(marked):
    """Printed solutions of exercises with encoders, gradients and a class get all points."""
    numbers = ["3.1", "3.2", "3.3", "5.1", "5.2", "15.1", "15.2", "15.3"]
    assert [marked["table"]["ada"][number] for number in numbers] == ["1"] * len(numbers)


def test_without_folders_or_protection_it_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="put each student's notebooks into a folder"):
        main([str(tmp_path / "nothing")])
    monkeypatch.setattr(sandbox, "missing", lambda: "marking needs Landlock 3, this machine has 0")
    with pytest.raises(SystemExit, match="needs Landlock 3, this machine has 0; .* only in a sandbox"):
        main([str(tmp_path)])


ADDED = "sum(private.values()), common"
GATED = "*(private[m] * private[m].sigmoid() for m in dmdlite.MODALITIES), common"


@pytest.mark.parametrize(("read", "width", "told"), [(ADDED, "", "only the sum"), (GATED, "3 * ", "does a gate")])
def test_a_module_is_judged_by_what_it_returns(read, width, told, tmp_path):
    """Its layers stay in the sandbox, where no check can look at them."""
    answer = f"""from dmdlite.components.heads import ResidualHead


class PlainFusion(torch.nn.Module):
    def __init__(self, private_width, common_width):
        super().__init__()
        self.head = ResidualHead({width}private_width + common_width, 32, dropout=0.0)

    def forward(self, private, common):
        return self.head(torch.cat([{read}], dim=1))
"""
    submit(tmp_path / "class" / "ben", answer, name="15_your_variant.ipynb")
    row = mark(tmp_path / "class")["ben"]
    assert row["15.1"] == "0" and row["15.2"] == "1"
    assert told in (tmp_path / "marks_told.md").read_text(encoding="utf-8")

"""Windows, macOS and locked-down machines, as far as they can be simulated: what they lack is taken away here."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dmdlite.data.extract.folder import find_clips
from dmdlite.models.registry import NAMES

ROOT = Path(__file__).parent.parent
FOLDER = "Mÿ cøurse 数据 ∂"
# Runs at the start of every process. A lock keeps other openers out, as on Windows; the installation is read-only.
ELSEWHERE = """
import builtins, os, signal, sys
for module, names in ((os, ("fork", "forkpty", "sched_getaffinity", "killpg")), (signal, ("pthread_sigmask",))):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
INSTALLED = {installed!r}
def guard(event, arguments):
    if event not in ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir") or not isinstance(arguments[0], str):
        return
    mode, writes = (arguments[1] or "", arguments[2] & (os.O_WRONLY | os.O_RDWR)) if event == "open" else ("", True)
    if arguments[0].startswith(INSTALLED) and (writes or set(mode) & set("wax+")):
        raise PermissionError(13, "a read-only installation", arguments[0])
    if event == "open" and mode and os.path.basename(arguments[0]) == ".lock":
        raise PermissionError(13, "a locked file", arguments[0])
sys.addaudithook(guard)
"""
POSIX_ONLY = re.compile(
    r"os\.(?:fork|forkpty|killpg|getuid|geteuid|getpgid|sched_getaffinity|uname|mkfifo|WNOHANG)\b"
    r"|signal\.(?:SIGKILL|SIGALRM|SIGUSR\d|SIGHUP|alarm|pthread_sigmask)\b"
    r"|\b(?:import|from) (?:fcntl|resource|pwd|grp|termios|pty)\b"
)
LINUX = "notebooks/course/mark"  # says so, and refuses to run elsewhere


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """A folder with blanks and other alphabets, and a function that runs a command there: exit code and all bytes."""
    folder = tmp_path_factory.mktemp("elsewhere") / FOLDER
    (folder / "start").mkdir(parents=True)
    code = ELSEWHERE.format(installed=str(ROOT / "dmdlite"))
    (folder / "start" / "sitecustomize.py").write_text(code, encoding="utf-8")
    path = os.pathsep.join([str(folder / "start"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    environment |= {"PATH": os.path.dirname(sys.executable), "CXX": "no-such-compiler", "OMP_NUM_THREADS": "1"}
    environment |= {"PYTHONWARNDEFAULTENCODING": "1", "PYTHONDONTWRITEBYTECODE": ""}

    def run(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "dmdlite", *words]
        found = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
        return found.returncode, (found.stdout + found.stderr).decode("cp1252")

    return folder, run


def ours(text: str) -> list[str]:
    """Warnings about files that are opened in the encoding of the place, where the file is ours."""
    return [line for line in text.splitlines() if "EncodingWarning" in line and "/dmdlite/" in line]


def test_training_and_predicting(elsewhere):
    folder, run = elsewhere
    code, said = run("train", "--epochs", "1", "--set", "width=8", "--output", "rün")
    assert code == 0 and "everything is in rün" in said and not ours(said), said
    code, said = run("predict", "rün", "--split", "test", "--output", "Antwörten.csv")
    assert code == 0 and not ours(said), said
    with open(folder / "Antwörten.csv", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) > 100


def test_a_comparison_in_two_spawned_processes(elsewhere):
    folder, run = elsewhere
    words = ("--models", "language", "vision", "--seeds", "1", "--epochs", "1", "--set", "width=8", "--jobs", "2")
    code, said = run("compare", *words, "--output", "vergleich ∂")
    assert code == 0 and "2/2" in said and not ours(said), said
    assert (folder / "vergleich ∂" / "comparison.md").exists()


def test_without_a_compiler_one_sentence_says_so(elsewhere):
    code, said = elsewhere[1]("train", "--epochs", "1", "--set", "width=8", "--compile", "--output", "compiled")
    assert code == 2 and "--compile needs a C++ compiler" in said.splitlines()[-1], said


def test_the_course_is_written_from_a_read_only_installation(elsewhere):
    folder, run = elsewhere
    code, said = run("course", "Übung")
    assert code == 0 and not ours(said), said
    assert len(list((folder / "Übung" / "notebooks").glob("[0-9]*.ipynb"))) == len(
        list((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    )


@pytest.mark.parametrize("file", sorted({*ROOT.glob("dmdlite/**/*.py"), *ROOT.glob("notebooks/**/*.py")}), ids=str)
def test_what_only_posix_has_is_asked_for_before_it_is_used(file):
    source = file.read_text(encoding="utf-8")
    if file.is_relative_to(ROOT / LINUX):
        return
    for used in POSIX_ONLY.findall(source):
        assert f'hasattr({used.rpartition(".")[0]}, "{used.rpartition(".")[2]}")' in source, used


def test_no_two_names_differ_only_in_capitals():
    """macOS and Windows would keep one of the two files."""
    folders = [ROOT / name for name in ("dmdlite", "notebooks", "tests", "docs", "data_samples")]
    files = [str(path) for folder in folders for path in folder.rglob("*")]
    assert len({name.casefold() for name in files}) == len(files)
    assert len({name.casefold() for name in NAMES}) == len(NAMES)


def test_clips_that_would_share_a_file_there_are_reported(tmp_path):
    for name in ("Clip.wav", "clip.mp3"):
        (tmp_path / name).touch()
    found, problems = find_clips(tmp_path, tmp_path / "out", None, None)
    assert len(found) == 1 and problems == {"clip.mp3": "Clip.wav has the same name; rename one of them"}

"""Every command, option and file that the documents name exists; what a command does is tried elsewhere."""

import importlib
import json
import re
import shlex
from argparse import ArgumentParser
from pathlib import Path

import pytest
from tensorboard.plugins.core.core_plugin import CorePluginLoader
from torch.distributed.run import get_args_parser

from course.mark.__main__ import make_parser as marking_parser
from dmdlite.__main__ import make_parser

ROOT = Path(__file__).parent.parent
PROSE = ("README.md", "notebooks/README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))
DOCUMENTS = (*PROSE, "data_samples/README.md", "environment.yml", ".ci/run")
PROGRAMS = ("make", "python", "torchrun", "dask", "pip", "pytest", "jupyter", "conda", "source")
NO_PATHS = ("lab", "notebook", "env", "create", "2", "loadfile")  # commands and values of options
WRITTEN_BY_A_RUN = {"predictions.csv", "trials.csv", "best.json", "audit.md", "logs/"}
WRITTEN_BY_A_RUN |= {"marks.csv", "marks_told.md", "marks_class.md", "marks_typed.md"}
HIDDEN = (".binder", ".devcontainer", ".github")
OF_OTHERS = {"vocab.txt"}  # BERT's
ABOUT_OTHER_FILES = ("docs/own_data.md", "docs/own_clips.md", "docs/real_data.md")  # those of data sets


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def without_blocks(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def commands() -> dict[str, list[str]]:
    """The words of each command in a shell block or in backticks, by the line that shows it."""
    lines = []
    for document in DOCUMENTS:
        text = text_of(document)
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            lines += block.splitlines()
        lines += re.findall(rf"`((?:{'|'.join(PROGRAMS)})\s[^`]+)`", without_blocks(text))
        lines += re.findall(r"^make \w+$", text, re.MULTILINE)
        lines += re.findall(r"conda env create -f [\w.]+", text)
    lines += re.findall(r"- run: (.*)", text_of(".github/workflows/ci.yml"))
    found = {" ".join(line.split()): shlex.split(line, comments=True) for line in lines}
    return {line: words for line, words in found.items() if words and not words[0].startswith((".venv", "bash"))}


def accepted(words: list[str]) -> bool:
    """Whether `python -m dmdlite` takes these words; --help ends with code 0."""
    words = [word.replace("$SLURM_ARRAY_TASK_ID", "3") for word in words]
    try:
        return bool(make_parser().parse_args(words).command)
    except SystemExit as end:
        return end.code == 0


def exists(path: str) -> bool:
    return (ROOT / path).exists()


def check_python(words: list[str]) -> None:
    if words[:2] == ["-m", "dmdlite"]:
        assert accepted(words[2:])
    elif words[:2] == ["-m", "course.mark"]:
        assert marking_parser().parse_args(words[2:]).submissions
    elif words[0] == "-m":
        assert words[1:] in (["venv", ".venv"], ["build"])
    else:
        assert exists(words[0]), words[0]


def check_torchrun(words: list[str]) -> None:
    options = get_args_parser().parse_args(words)
    assert options.module and options.training_script == "dmdlite" and accepted(options.training_script_args)


def check_dask(words: list[str]) -> None:
    command = importlib.import_module(f"distributed.cli.dask_{words[0]}").main
    assert command.make_context(words[0], words[1:])


def check_make(words: list[str]) -> None:
    targets = re.findall(r"^([a-z]+):.*## ", text_of("Makefile"), re.MULTILINE)
    assert words[0] in targets
    for word in words[1:]:
        assert f"$({word.partition('=')[0]})" in text_of("Makefile")


def check_pip(words: list[str]) -> None:
    assert words[0] == "install"
    for option, value in zip(words[1:], words[2:]):
        if option == "-c":
            assert exists(value)
        if option == "-e" and "[" in value:
            assert value[0] == "." and all(
                f"{extra} = [" in text_of("pyproject.toml") for extra in value[2:-1].split(",")
            )
    assert all(word in text_of("constraints.txt") for word in words if "==" in word)


def check_paths(words: list[str]) -> None:
    paths = [word for word in words if not word.startswith("-") and word not in NO_PATHS]
    assert all(map(exists, paths))


def check_tensorboard(words: list[str]) -> None:
    CorePluginLoader().define_flags(parser := ArgumentParser())
    assert parser.parse_args(words).logdir


CHECKS = {"python": check_python, "torchrun": check_torchrun, "dask": check_dask, "make": check_make, "pip": check_pip}
CHECKS |= dict.fromkeys(("pytest", "jupyter", "conda", "cd"), check_paths)
CHECKS["tensorboard"] = check_tensorboard
CHECKS["twine"] = lambda words: None


@pytest.mark.parametrize("line", commands())
def test_the_command_is_known(line):
    words = commands()[line]
    while re.fullmatch(r"\w+=.*", words[0]):
        variable = words.pop(0).partition("=")[0]
        readers = [*(ROOT / "tests" / "benchmarks").glob("*.py"), ROOT / "dmdlite" / "experiments" / "executors.py"]
        assert any(f'"{variable}"' in path.read_text() for path in readers)
    if words[0] not in ("source", "sudo"):
        CHECKS[words[0]](words[1:])


def test_the_documents_show_commands():
    """Otherwise the test above would hold for nothing."""
    assert {words[0] for words in commands().values()} >= set(PROGRAMS) - {"source"}


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "compare", "tune", "extract", "convert"])
def test_the_example_of_the_help_is_taken(command, capsys):
    assert accepted([command, "--help"])
    (example,) = re.findall(rf"python -m dmdlite ({command} .*)", capsys.readouterr().out)
    assert accepted(shlex.split(example))


@pytest.mark.parametrize("document", PROSE)
def test_options_in_the_prose_are_known(document, capsys):
    prose = re.sub(r"`(?:pip|python).*?`", "", without_blocks(text_of(document)), flags=re.DOTALL)
    for command in ("train", "compare", "tune", "extract", "predict"):
        assert accepted([command, "--help"])
    known = capsys.readouterr().out + marking_parser().format_help()
    assert set(re.findall(r"(?<=[`\s])--[a-z][\w-]+", prose)) <= set(re.findall(r"--[a-z][\w-]+", known))


@pytest.mark.parametrize("document", [*PROSE, "data_samples/README.md"])
def test_files_in_the_prose_exist(document):
    named = set(re.findall(r"`([\w./-]+(?:\.(?:py|md|txt|csv|yml|npz|pkl)|\w/))`", text_of(document)))
    linked = {link for link in re.findall(r"\]\(([^)#:]+)\)", text_of(document))}
    rooms = [
        ROOT / room for room in ("dmdlite", "notebooks", "tests", "data_samples", ".binder", ".devcontainer", ".github")
    ]
    present = {path.as_posix() for path in [*rooms, *(path for room in rooms for path in room.rglob("*"))]}
    for name in named - WRITTEN_BY_A_RUN - OF_OTHERS if document not in ABOUT_OTHER_FILES else ():
        assert any(path.endswith(f"/{name.rstrip('/')}") for path in present), name
    for link in linked:
        assert (ROOT / document).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_modules_that_a_notebook_names_exist(notebook):
    """With their room, as in `components/losses.py`."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    prose = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    for name in re.findall(r"`((?:\w+/)+\w+\.py)`", prose):
        rooms = ("dmdlite", "dmdlite/components", ".", "notebooks")
        assert any(exists(f"{room}/{name}") for room in rooms), name


def test_files_of_the_workflow_exist():
    assert text_of(".github/workflows/ci.yml").count("cache-dependency-path: constraints.txt") == 1
    for path in re.findall(r"\b(?:notebooks|tests)/[\w./]+\.(?:py|ipynb)", text_of("Makefile")):
        assert exists(path), path

"""The house rules, read from the source: sizes, floors that import only from below, and no circles."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import dmdlite

ROOT = Path(__file__).parent.parent
LIBRARY, NOTEBOOKS = ROOT / "dmdlite", ROOT / "notebooks"
MOST_LIBRARY_LINES, MOST_FILE_LINES, MOST_FUNCTION_LINES = 13_777, 250, 40

# Lowest floor first. Packages on one floor do not import each other, unless they are listed in SHARED.
FLOORS = (
    ("dmdlite.files", "dmdlite.sources", "dmdlite.checking", "dmdlite.presets", "dmdlite.config"),
    ("dmdlite.data", "dmdlite.components"),
    ("dmdlite.components.fast",),
    ("dmdlite.models",),
    ("dmdlite.training",),
    ("dmdlite.experiments",),
    ("dmdlite.course",),
    ("dmdlite.options",),
    ("dmdlite.given",),
    ("dmdlite.__main__",),
    ("course",),  # its single files
    ("course.checks",),
    ("course.mark",),
    ("course.figures",),
    ("course.edge_audit",),
    ("course.widgets",),
    ("course.playground",),
)
SHARED = {
    "dmdlite.files",
    "dmdlite.sources",
    "dmdlite.checking",
    "dmdlite.presets",
    "dmdlite.config",
}
FAST = "dmdlite.components.fast"
# These components hand out fast layers; every other one, and above all the plain twin, does not know of them.
DOORS = {"dmdlite.components.reinforcement", "dmdlite.components.streams", "dmdlite.components.heads"}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def modules() -> dict[str, Path]:
    """Every module of the library and the course, by its import name."""
    paths = [(ROOT, path) for path in LIBRARY.rglob("*.py")]
    paths += [(NOTEBOOKS, path) for path in (NOTEBOOKS / "course").rglob("*.py")]
    named = (".".join(path.relative_to(root).with_suffix("").parts) for root, path in paths)
    return {name.removesuffix(".__init__"): path for name, (_, path) in zip(named, paths, strict=True)}


def imported(node: ast.AST) -> Iterator[str]:
    """What the code imports, also inside functions; what is under `if TYPE_CHECKING` never runs."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: a relative import"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def exported(path: Path) -> dict[str, str]:
    """The names that a stub exports, `from module import name as name`, with their modules."""
    nodes = [node for node in tree(path).body if isinstance(node, ast.ImportFrom)]
    return {alias.asname: node.module for node in nodes for alias in node.names}


@cache
def graph() -> dict[str, set[str]]:
    """For each module the modules of this project that it imports."""
    known = modules()

    def home(name: str) -> str:
        while name and name not in known:
            name = name.rpartition(".")[0]
        return name

    return {name: {home(target) for target in imported(tree(path))} - {"", name} for name, path in known.items()}


def floor_of(module: str) -> tuple[int, str]:
    """The number of a module's floor, and which package of that floor it belongs to: the longest name that fits."""
    fitting = [
        (len(package), number, package)
        for number, floor in enumerate(FLOORS)
        for package in floor
        if module == package or module.startswith(f"{package}.")
    ]
    assert fitting, f"{module} is on no floor: add it to FLOORS"
    return max(fitting)[1:]


def forbidden_imports(graph: dict[str, set[str]]) -> list[str]:
    """The imports from a floor above, or from a neighbour on the same floor."""
    found = []
    for module, targets in graph.items():
        for target in targets:
            (own, package), (floor, other) = floor_of(module), floor_of(target)
            sideways = floor == own and other != package and not {package, other} <= SHARED
            behind_a_door = target.startswith(FAST) and module in DOORS
            if (floor > own or sideways) and not behind_a_door:
                found.append(f"{module} imports {target}")
    return sorted(found)


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of one circle of imports, or nothing."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def without_front_door(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The package itself imports its names when they are first asked for, from every floor."""
    return {module: targets for module, targets in graph.items() if module != "dmdlite"}


def test_every_package_imports_only_from_the_floors_below():
    assert not forbidden_imports(without_front_door(graph()))


def test_imports_form_no_circle():
    assert not circle(graph())


def test_the_library_does_not_import_its_own_front_door():
    assert not [module for module, targets in graph().items() if "dmdlite" in targets and module.startswith("dmdlite")]


def test_type_checkers_see_what_the_front_door_exports():
    """__init__.pyi tells them what __init__.py imports when it is first asked for."""
    stub = exported(LIBRARY / "__init__.pyi")
    assert set(stub) == set(dmdlite.__all__)
    assert {name: stub[name] for name in dmdlite._HOMES} == dmdlite._HOMES


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("dmdlite.components.heads", "dmdlite.models.dmd"),
        ("dmdlite.models.dmd", "course.figures.style"),
        ("dmdlite.data.toy", "dmdlite.components.heads"),  # a neighbour
        ("dmdlite.components.attention", "dmdlite.components.fast.attention"),
        ("course.figures.style", "course.widgets.loss_mixer"),
    ],
)
def test_a_forbidden_import_is_found(module, target):
    assert forbidden_imports({module: {target}}) == [f"{module} imports {target}"]


def test_a_circle_is_found():
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}


def test_imports_inside_functions_count():
    code = "import a\ndef f():\n    from b import c\nif TYPE_CHECKING:\n    import d\n"
    assert list(imported(ast.parse(code))) == ["a", "b.c"]


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def house() -> list[Path]:
    """The files whose sizes are limited: the library, the course and the notebooks' scripts."""
    return sorted([*LIBRARY.rglob("*.py"), *(NOTEBOOKS / "course").rglob("*.py"), *NOTEBOOKS.glob("*.py")])


def test_the_library_is_small():
    assert sum(lines(path) for path in LIBRARY.rglob("*.py")) <= MOST_LIBRARY_LINES


def test_no_file_is_long():
    assert not {str(path.relative_to(ROOT)): lines(path) for path in house() if lines(path) > MOST_FILE_LINES}


def test_no_function_is_long():
    found = {}
    for path in house():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = node.end_lineno - node.lineno + 1
                if length > MOST_FUNCTION_LINES:
                    found[f"{path.relative_to(ROOT)}: {node.name}"] = length
    assert not found

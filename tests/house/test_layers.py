"""Arrows between the rooms of docket/ go down, and through the door."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import PACKAGE, dotted, imports, label, parsed, sources, type_checking_lines

#: From the cellar up. Rooms of one floor do not see each other. A room is a folder, entered by its
#: ``__init__.py``, or a file; the files on the middle floor are what users hold: one room, each file a door.
FLOORS = [
    ["errors", "clock", "signals"],
    ["text"],
    ["moments", "numbers"],
    ["memory", "rules"],
    ["transport"],
    ["store"],
    ["dependencies"],
    ["middle"],
    ["worker"],
    ["testing", "instrumentation"],
    ["front"],
    ["cli"],
    ["main"],
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

#: Arrows that go up all the same, for the type checker alone: (file, module that it imports), and why.
FOR_TYPES_ONLY = {
    ("docket/dependencies/contextual.py", module): f"the type that {function}() promises to its users"
    for module, function in {
        "docket.docket": "CurrentDocket",
        "docket.execution": "CurrentExecution",
        "docket.worker": "CurrentWorker",
    }.items()
} | {("docket/tasks.py", "docket.worker"): "what CurrentWorker() gives to the standard tasks"}

SOURCES = pytest.mark.parametrize("path", sources(), ids=label)


def room_of(module: str) -> str:
    """The room of a dotted module name below ``docket``."""
    _, first, *_ = [*module.split("."), ""]
    if first == "client":
        return "middle"
    if first not in FLOOR_OF and (PACKAGE / f"{first}.py").is_file():
        return {"__main__": "main"}.get(first, "middle")
    return first or "front"


def is_door(module: str) -> bool:
    return module.count(".") <= 1 or module.startswith("docket.client.")


def test_every_file_belongs_to_a_room_of_the_table() -> None:
    assert {room_of(dotted(path)) for path in sources()} <= set(FLOOR_OF)


@SOURCES
def test_every_arrow_goes_down_and_through_a_door(path: Path) -> None:
    here = room_of(dotted(path))
    wrong: list[str] = []
    for line, target in imports(path):
        there = room_of(target)
        if target.split(".")[0] != "docket" or there == here:
            continue
        if (label(path), target) in FOR_TYPES_ONLY and line in type_checking_lines(path):
            continue
        if FLOOR_OF.get(there, len(FLOORS)) >= FLOOR_OF[here]:
            wrong.append(f"{label(path)}:{line}: {here} may not see {target}")
        elif not is_door(target):
            wrong.append(f"{label(path)}:{line}: enter {there} by docket.{there}, not by {target}")
    assert not wrong, "\n".join(wrong)


def test_no_exception_outlives_its_arrow() -> None:
    arrows = {(label(path), target) for path in sources() for _, target in imports(path)}
    assert set(FOR_TYPES_ONLY) <= arrows


@SOURCES
def test_only_a_backend_module_names_an_event_loop(path: Path) -> None:
    """docket runs on anyio; a module that must know its loop says so in its file name."""
    for loop in ("asyncio", "trio", "uvloop"):
        if f"backend_{loop}" not in path.name:
            named = [line for line, name in imports(path) if name.split(".")[0] == loop]
            assert not named, f"{label(path)}:{named}: imports {loop}"


@SOURCES
def test_nothing_is_mocked(path: Path) -> None:
    assert "unittest.mock" not in {name for _, name in imports(path)}


TIME_READERS = {
    "time": {f"{name}{unit}" for name in ("time", "monotonic", "perf_counter") for unit in ("", "_ns")},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}


def time_reads(tree: ast.Module) -> set[int]:
    """Lines that read a clock: ``time.time``, ``datetime.now``, ``from time import monotonic``."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            lines |= {node.lineno for alias in node.names if alias.name in TIME_READERS["time"]}
        elif isinstance(node, ast.Attribute):
            owner = (
                node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            )
            lines |= {node.lineno} if node.attr in TIME_READERS.get(owner, set()) else set()
    return lines


@SOURCES
def test_only_the_clock_reads_the_time(path: Path) -> None:
    """I10."""
    if path != PACKAGE / "clock.py":
        assert not time_reads(parsed(path)), f"{label(path)}: use docket.clock"


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.monotonic()",
        "from time import time",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.utcnow()",
    ],
)
def test_a_read_of_the_time_is_noticed(code: str) -> None:
    assert time_reads(ast.parse(code))


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a handler of everything has no ``raise`` of its own."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if not any(kind is None or getattr(kind, "id", "") in {"Exception", "BaseException"} for kind in kinds):
        return False
    inner: list[ast.AST] = list(handler.body)
    while inner:
        node = inner.pop()
        if isinstance(node, ast.Raise):
            return False
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            inner.extend(ast.iter_child_nodes(node))
    return True


@SOURCES
def test_nobody_catches_everything_and_goes_on(path: Path) -> None:
    """Where somebody else's code runs (a task's body, a pickle), a comment on the line says so."""
    lines = path.read_text(encoding="utf-8").splitlines()
    wrong = [
        handler.lineno
        for handler in ast.walk(parsed(path))
        if isinstance(handler, ast.ExceptHandler) and swallows(handler)
        if not re.search(r"# (?!noqa)\w|# noqa: BLE001 - \w", lines[handler.lineno - 1])
    ]
    assert not wrong, f"{label(path)}:{wrong}: catches everything without raising"

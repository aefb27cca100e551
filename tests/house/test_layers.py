"""Arrows between the rooms of docket/ go down, and through the door."""

from __future__ import annotations

from tests.house.tree import PACKAGE, dotted, imports, label, sources, type_checking_lines

#: From the cellar up. Rooms of one floor do not see each other. A room is a folder, entered by its
#: ``__init__.py``, or a file; the files on the middle floor are what users hold: one room, each file a door.
FLOORS = [
    ["errors", "clock", "signals"],
    ["text"],
    ["moments", "numbers", "instrumentation"],
    ["memory", "rules"],
    ["transport"],
    ["store"],
    ["dependencies"],
    ["middle"],
    ["worker"],
    ["testing"],
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


def test_every_arrow_goes_down_and_through_a_door() -> None:
    wrong: list[str] = []
    for path in sources():
        here = room_of(dotted(path))
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

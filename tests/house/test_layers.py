"""Arrows between the rooms of docket/ go down, and through the door."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.house.tree import PACKAGE, dotted, imports, label, sources, type_checking_lines

#: From the cellar up. Rooms of one floor do not see each other. A room is a folder, entered by its ``__init__.py``,
#: or a file. The files between ``client`` and ``worker`` are what users hold.
FLOORS = [
    ["errors", "clock", "notification", "signals", "standins", "values", "mixture", "paths"],
    ["text"],
    ["moments", "numbers", "variables", "instrumentation"],
    ["memory", "rules"],
    ["transport"],
    ["store"],
    ["dependencies"],
    ["serializers"],
    ["parenthood"],
    ["client"],
    ["annotations", "_execution_progress", "strikelist", "execution"],
    ["tasks", "snapshot"],
    ["operating"],
    ["synchronous"],
    ["task_group"],
    ["docket"],
    ["agenda"],
    ["worker"],
    ["testing"],
    ["front"],
    ["documents"],
    ["web"],
    ["cli"],
    ["main"],
]

#: What is in worker/, from the bottom up: folders, which are entered by any of their files, and files.
WORKER_FLOORS = [
    ["settings", "fallback", "shutdown_signals", "worker_dependencies"],
    ["opened", "places"],
    ["roster"],
    ["reports", "intake"],
    ["upkeep"],
    ["runs", "parents"],
    ["drain"],
    ["session"],
    ["worker"],
    ["front"],
]

#: Arrows that go up all the same, for the type checker alone: (file, module that it imports), and why.
FOR_TYPES_ONLY = {
    ("docket/dependencies/contextual.py", "docket.docket"): "the type that CurrentDocket() promises",
    ("docket/dependencies/contextual.py", "docket.execution"): "the type that CurrentExecution() promises",
    ("docket/dependencies/contextual.py", "docket.worker"): "the type that CurrentWorker() promises",
    ("docket/dependencies/progress.py", "docket.execution"): "what Progress() is for type checkers",
    ("docket/execution.py", "docket.docket"): "the type of Execution.docket",
    ("docket/synchronous/docket.py", "docket.agenda"): "an agenda that is scattered on it",
    ("docket/synchronous/docket.py", "docket.docket"): "a SyncDocket works on the Docket that made it",
    ("docket/synchronous/catalogue.py", "docket.docket"): "the Docket that it asks",
    ("docket/synchronous/history.py", "docket.docket"): "the Docket that it asks",
    ("docket/synchronous/trees.py", "docket.docket"): "the Docket that it asks",
    ("docket/synchronous/loop.py", "docket.docket"): "its thread enters the Docket",
    ("docket/task_group/failures.py", "docket.docket"): "the Docket whose runs have failed",
    ("docket/task_group/group.py", "docket.docket"): "a TaskGroup works on the Docket that made it",
    ("docket/task_group/leaving.py", "docket.docket"): "the Docket of the group",
    ("docket/task_group/nest.py", "docket.docket"): "the Docket that children are placed on",
    ("docket/tasks.py", "docket.docket"): "the type that CurrentDocket() gives to the standard tasks",
    ("docket/tasks.py", "docket.worker"): "the type that CurrentWorker() gives to the standard tasks",
    ("docket/worker/roster.py", "docket.worker.reports.reporting"): "a Running carries the report of its run",
    ("docket/worker/session.py", "docket.worker.worker"): "a session runs the Worker that made it",
    (
        "docket/worker/runs/receiving.py",
        "docket.worker.worker",
    ): "the fallback task and limits are the Worker's",
    ("docket/worker/worker_dependencies.py", "docket.worker.worker"): "an initializer is given the Worker",
}


def room_of(module: str) -> str:
    """The room of a dotted module name below ``docket``."""
    _, first, *_ = [*module.split("."), ""]
    return {"": "front", "__main__": "main"}.get(first, first)


def part_of_worker(module: str) -> str:
    """The file or folder of worker/ that a dotted module name is in."""
    _, _, first, *_ = [*module.split("."), ""]
    return first or "front"


def floor_of(room: str, floors: Sequence[Sequence[str]]) -> int:
    return next((number for number, rooms in enumerate(floors) if room in rooms), len(floors))


def arrows() -> Iterator[tuple[str, str, str]]:
    """Place, importing module and imported module, of every import of docket's own that runs or is not allowed."""
    for path in sources():
        for line, target in imports(path):
            allowed = (label(path), target) in FOR_TYPES_ONLY and line in type_checking_lines(path)
            if target.split(".")[0] == "docket" and not allowed:
                yield f"{label(path)}:{line}", dotted(path), target


def test_every_file_belongs_to_a_room_of_the_tables() -> None:
    assert {room_of(dotted(path)) for path in sources()} == {room for floor in FLOORS for room in floor}
    inside = {part_of_worker(dotted(path)) for path in sources(PACKAGE / "worker")}
    assert inside == {part for floor in WORKER_FLOORS for part in floor}


def test_every_arrow_goes_down_and_through_a_door() -> None:
    wrong: list[str] = []
    for place, here, target in arrows():
        room, there = room_of(here), room_of(target)
        if there == room:
            continue
        if floor_of(there, FLOORS) >= floor_of(room, FLOORS):
            wrong.append(f"{place}: {room} may not see {target}")
        elif target.count(".") > 1:
            wrong.append(f"{place}: enter {there} by docket.{there}, not by {target}")
    assert not wrong, "\n".join(wrong)


def test_every_arrow_inside_of_worker_goes_down() -> None:
    wrong: list[str] = []
    for place, here, target in arrows():
        if room_of(here) == room_of(target) == "worker":
            part, there = part_of_worker(here), part_of_worker(target)
            if part != there and floor_of(there, WORKER_FLOORS) >= floor_of(part, WORKER_FLOORS):
                wrong.append(f"{place}: {part} may not see {target}")
    assert not wrong, "\n".join(wrong)


def test_no_exception_outlives_its_arrow() -> None:
    drawn = {(label(path), target) for path in sources() for _, target in imports(path)}
    assert set(FOR_TYPES_ONLY) <= drawn

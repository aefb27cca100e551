"""``docket snapshot``: the tasks of a docket that wait or run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .existing import check_docket
from .loops import Backend
from .options import Heartbeat, Missed, each, integer, option, path
from .paths import check_paths
from .server import DEFAULT_URL, DocketName, ServerUrl, with_docket
from .tables import print_table, relative

if TYPE_CHECKING:
    from ..docket import Docket, DocketSnapshot
    from ..execution import RunningExecution

__all__ = ["snapshot"]

Tasks = Annotated[tuple[str, ...], each("--tasks", path("a collection of tasks"), "DOCKET_TASKS")]
Limit = Annotated[int | None, option("--limit", integer(1))]
Stats = Annotated[bool, Parameter(name="--stats", negative=())]


def snapshot(
    *,
    tasks: Tasks = ("docket.tasks:standard_tasks",),
    docket: DocketName = "docket",
    url: ServerUrl = DEFAULT_URL,
    stats: Stats = False,
    limit: Limit = None,
    heartbeat_interval: Heartbeat = timedelta(seconds=2),
    missed_heartbeats: Missed = 5,
    backend: Backend = "asyncio",
) -> None:
    """Show what waits and what runs on a docket right now.

    Parameters
    ----------
    tasks
        A collection of tasks to register, module:name of an iterable of functions; may be repeated. Tasks that
        nobody registered are shown as well.
    docket
        The name of the docket.
    url
        The server of the docket.
    stats
        Also count the tasks of each function.
    limit
        How many tasks to list at most; all if not given. The numbers and --stats count all of them.
    heartbeat_interval
        How often the workers show that they are there.
    missed_heartbeats
        After so many heartbeats that did not come a worker is gone.
    backend
        The event loop: asyncio, uvloop or trio.
    """
    check_paths({"--tasks": tasks})

    async def take(opened: Docket) -> DocketSnapshot:
        for collection in tasks:
            opened.register_collection(collection)
        found = await opened.snapshot()
        if not found.total_tasks and not found.workers:
            await check_docket(opened)
        return found

    taken = with_docket(
        take,
        docket=docket,
        url=url,
        backend=backend,
        heartbeat_interval=heartbeat_interval,
        missed_heartbeats=missed_heartbeats,
    )
    running, total = len(taken.running), taken.total_tasks
    print(f"Docket {docket!r} at {taken.taken:%Y-%m-%d %H:%M:%S %z}")
    print(f"{len(taken.workers)} workers, {running}/{total} running")
    print()
    rows = _tasks(taken)
    print_table(("When", "State", "Function", "Key", "Worker", "Started"), rows[:limit])
    if limit is not None and len(rows) > limit:
        print(f"... and {len(rows) - limit} more")
    if stats:
        print()
        print("Task Count Statistics by Function")
        headers = ("Function", "Total", "Running", "Queued", "Oldest Queued", "Latest Queued")
        print_table(headers, _counts(taken), numbers=3)


def _tasks(taken: DocketSnapshot) -> list[Sequence[str]]:
    """Rows of the tasks that run, then of those that wait, each sorted by time."""
    now = taken.taken
    running = [
        (
            relative(task.when, now),
            _state(task),
            task.function_name,
            task.key,
            task.worker or "",
            relative(task.started, now) if task.started is not None else "",
        )
        for task in sorted(taken.running, key=lambda task: task.when)
    ]
    waiting = [
        (
            relative(task.when, now),
            task.state.value + ", unknown to a worker" * task.is_put_back + ", paused" * task.is_paused,
            task.function_name,
            task.key,
            "",
            "",
        )
        for task in sorted(taken.future, key=lambda task: task.when)
    ]
    return [*running, *waiting]


def _state(task: RunningExecution) -> str:
    """The state of a task that runs, and what an operator should know of it."""
    remarks = ["worker gone"] * task.worker_is_gone + ["cancel requested"] * task.cancel_requested
    return ", ".join([task.state.value, *remarks])


def _counts(taken: DocketSnapshot) -> list[Sequence[str]]:
    """Rows of the functions, those with the most tasks first. Due and future tasks are both counted as queued."""
    running: dict[str, int] = {}
    queued: dict[str, list[datetime]] = {}
    for task in taken.running:
        running[task.function_name] = running.get(task.function_name, 0) + 1
    for task in taken.future:
        queued.setdefault(task.function_name, []).append(task.when)

    def total(name: str) -> int:
        return running.get(name, 0) + len(queued.get(name, ()))

    rows: list[Sequence[str]] = []
    for name in sorted(running.keys() | queued.keys(), key=lambda name: (-total(name), name)):
        times = queued.get(name, [])
        ends = [relative(end(times), taken.taken) for end in (min, max)] if times else ["", ""]
        rows.append((name, str(total(name)), str(running.get(name, 0)), str(len(times)), *ends))
    return rows

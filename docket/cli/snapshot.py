"""``docket snapshot``: the tasks of a docket that wait or run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from .at import HERE, Here
from .existing import found_on
from .json_output import Json, print_json
from .options import Heartbeat, Missed, each, integer, option, path
from .paths import check_paths
from .remarks import remarks_of
from .server import with_docket
from .tables import counted, past, print_table, relative

if TYPE_CHECKING:
    from ..docket import Docket, DocketSnapshot
    from ..execution import Execution

__all__ = ["snapshot"]

Tasks = Annotated[tuple[str, ...], each("--tasks", path("a collection of tasks"), "DOCKET_TASKS")]
Limit = Annotated[int, option("--limit", integer(1))]
Stats = Annotated[bool, Parameter(name="--stats", negative=())]


def snapshot(
    *,
    tasks: Tasks = ("docket.tasks:standard_tasks",),
    at: Here = HERE,
    stats: Stats = False,
    limit: Limit = 1000,
    heartbeat_interval: Heartbeat = timedelta(seconds=2),
    missed_heartbeats: Missed = 5,
    json: Json = False,
) -> None:
    """Show what waits and what runs on a docket right now.

    Parameters
    ----------
    tasks
        A collection of tasks to register, module:name of an iterable of functions; may be repeated. Tasks that
        nobody registered are shown as well.
    stats
        Also count the tasks of each function.
    limit
        How many tasks to list at most. The numbers and --stats count all of them.
    heartbeat_interval
        How often the workers show that they are there.
    missed_heartbeats
        After so many heartbeats that did not come a worker is gone.
    json
        Print it as JSON.
    """
    check_paths({"--tasks": tasks})

    async def take(opened: Docket) -> DocketSnapshot:
        for collection in tasks:
            opened.register_collection(collection)
        return await found_on(opened, opened.snapshot(), lambda found: found.total_tasks or found.workers)

    taken = with_docket(
        take,
        at,
        heartbeat_interval=heartbeat_interval,
        missed_heartbeats=missed_heartbeats,
    )
    tasks_in_order = _in_order(taken)
    shown, left_out = tasks_in_order[:limit], max(len(tasks_in_order) - limit, 0)
    running, total = len(taken.running), taken.total_tasks
    if json:
        figures = {"functions": _figures(taken)} if stats else {}
        print_json(
            at.docket,
            total=total,
            running=running,
            tasks=shown,
            left_out=left_out,
            workers=sorted(taken.workers, key=lambda worker: worker.name),
            **figures,
        )
        return
    print(f"Docket {at.docket!r} at {taken.taken:%Y-%m-%d %H:%M:%S %z}")
    print(f"{counted(len(taken.workers), 'worker')}, {running}/{total} running")
    print()
    rows = [_row(task, taken.taken) for task in shown]
    print_table(
        ("When", "State", "Function", "Key", "Worker", "Started", "Written"), rows, if_any=("Written",)
    )
    if left_out:
        print(f"... and {left_out} more")
    if stats:
        print()
        print("Task Count Statistics by Function")
        headers = ("Function", "Total", "Running", "Queued", "Oldest Queued", "Latest Queued")
        print_table(headers, _counts(taken), numbers=3)


def _in_order(taken: DocketSnapshot) -> list[Execution[Any]]:
    """The tasks that run, then those that wait, each sorted by time."""
    return [*sorted(taken.running, key=_when), *sorted(taken.future, key=_when)]


def _when(task: Execution[Any]) -> datetime:
    return task.when


def _row(task: Execution[Any], now: datetime) -> Sequence[str]:
    """A task, and what an operator should know of it."""
    started = task.started_at
    return (
        relative(task.when, now),
        ", ".join([task.state.value, *remarks_of(task)]),
        task.function_name,
        task.key,
        task.worker or "",
        past(started, now) if started is not None else "",
        task.written.words,
    )


def _figures(taken: DocketSnapshot) -> list[dict[str, Any]]:
    """What there is of each function, those with the most tasks first. Due and future tasks are both queued."""
    running = Counter(task.function_name for task in taken.running)
    queued: dict[str, list[datetime]] = {}
    for task in taken.future:
        queued.setdefault(task.function_name, []).append(task.when)
    found = [
        {
            "function": name,
            "total": running[name] + len(times),
            "running": running[name],
            "queued": len(times),
            "oldest_queued": min(times, default=None),
            "latest_queued": max(times, default=None),
        }
        for name in running.keys() | queued.keys()
        for times in (queued.get(name, []),)
    ]
    return sorted(found, key=lambda each: (-each["total"], each["function"]))


def _counts(taken: DocketSnapshot) -> list[Sequence[str]]:
    """Rows of the functions."""
    rows: list[Sequence[str]] = []
    for figures in _figures(taken):
        name, *numbers, oldest, latest = figures.values()
        ends = ["" if end is None else relative(end, taken.taken) for end in (oldest, latest)]
        rows.append((name, *map(str, numbers), *ends))
    return rows

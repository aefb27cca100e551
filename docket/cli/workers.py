"""``docket workers``: the workers of a docket."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from .. import clock
from ..rules import LEVELS
from ..text import similar
from .at import HERE, Here
from .errors import CommandFailed
from .existing import check_docket, found_on
from .json_output import Json, print_json
from .options import Heartbeat, Missed
from .server import with_docket
from .tables import print_table, relative

if TYPE_CHECKING:
    from ..docket import Docket, WorkerInfo

__all__ = ["for_task", "ls"]


def ls(
    *,
    at: Here = HERE,
    heartbeat_interval: Heartbeat = timedelta(seconds=2),
    missed_heartbeats: Missed = 5,
    json: Json = False,
) -> None:
    """List the live workers of a docket.

    Parameters
    ----------
    heartbeat_interval
        How often the workers show that they are there.
    missed_heartbeats
        After so many heartbeats that did not come a worker is gone.
    json
        Print them as JSON.
    """

    workers = with_docket(
        lambda opened: found_on(opened, opened.workers()),
        at,
        heartbeat_interval=heartbeat_interval,
        missed_heartbeats=missed_heartbeats,
    )
    _print(f"Workers of docket {at.docket!r}", at.docket, workers, as_json=json)


def for_task(
    task: str,
    /,
    *,
    at: Here = HERE,
    heartbeat_interval: Heartbeat = timedelta(seconds=2),
    missed_heartbeats: Missed = 5,
    json: Json = False,
) -> None:
    """List the live workers of a docket that know a task. The exit status is 1 if there is none.

    Parameters
    ----------
    task
        The name of the task.
    heartbeat_interval
        How often the workers show that they are there.
    missed_heartbeats
        After so many heartbeats that did not come a worker is gone.
    json
        Print them as JSON.
    """

    async def live(opened: Docket) -> Collection[WorkerInfo]:
        if found := await opened.task_workers(task):
            return found
        await check_docket(opened)
        names = {name for worker in await opened.workers() for name in worker.tasks}
        raise CommandFailed(
            f"no live worker of docket {at.docket!r} knows a task {task!r}{similar(task, names)}"
        )

    workers = with_docket(
        live,
        at,
        heartbeat_interval=heartbeat_interval,
        missed_heartbeats=missed_heartbeats,
    )
    _print(f"Workers of docket {at.docket!r} that know {task!r}", at.docket, workers, as_json=json)


def _remarks(worker: WorkerInfo) -> Iterator[str]:
    """What an operator should know of a worker."""
    if worker.draining:
        yield "draining"
    if worker.lanes is not None and worker.lanes != LEVELS:
        yield f"serves {' and '.join(level.value for level in worker.lanes)} only"


def _print(title: str, docket: str, workers: Collection[WorkerInfo], *, as_json: bool) -> None:
    by_name = sorted(workers, key=lambda worker: worker.name)
    if as_json:
        print_json(docket, workers=by_name)
        return
    now = clock.now()
    print(title)
    rows = [
        (
            worker.name,
            ", ".join([relative(worker.last_seen, now), *_remarks(worker)]),
            ", ".join(sorted(worker.tasks)),
        )
        for worker in by_name
    ]
    print_table(("Name", "Last Seen", "Tasks"), rows)

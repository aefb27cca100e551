"""``docket workers``: the workers of a docket."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from .. import clock
from .loops import Backend
from .server import DEFAULT_URL, DocketName, ServerUrl, with_docket
from .tables import print_table, relative

if TYPE_CHECKING:
    from ..docket import WorkerInfo

__all__ = ["for_task", "ls"]


def ls(*, docket: DocketName = "docket", url: ServerUrl = DEFAULT_URL, backend: Backend = "asyncio") -> None:
    """List the live workers of a docket.

    Parameters
    ----------
    docket
        The name of the docket.
    url
        The server of the docket.
    backend
        The event loop: asyncio, uvloop or trio.
    """
    workers = with_docket(lambda opened: opened.workers(), docket=docket, url=url, backend=backend)
    _print(f"Workers of docket {docket!r}", workers)


def for_task(
    task: str,
    /,
    *,
    docket: DocketName = "docket",
    url: ServerUrl = DEFAULT_URL,
    backend: Backend = "asyncio",
) -> None:
    """List the live workers of a docket that know a task.

    Parameters
    ----------
    task
        The name of the task.
    docket
        The name of the docket.
    url
        The server of the docket.
    backend
        The event loop: asyncio, uvloop or trio.
    """
    workers = with_docket(lambda opened: opened.task_workers(task), docket=docket, url=url, backend=backend)
    _print(f"Workers of docket {docket!r} that know {task!r}", workers)


def _print(title: str, workers: Collection[WorkerInfo]) -> None:
    now = clock.now()
    print(title)
    rows = [
        (worker.name, relative(worker.last_seen, now), ", ".join(sorted(worker.tasks)))
        for worker in sorted(workers, key=lambda worker: worker.name)
    ]
    print_table(("Name", "Last Seen", "Tasks"), rows)

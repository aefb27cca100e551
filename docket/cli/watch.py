"""``docket watch``: one task, followed until it has ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, aclosing
from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .failing import CommandFailed
from .loops import Backend
from .options import each, option, path
from .places import check_places
from .server import DEFAULT_URL, server_url, with_docket
from .telling import at_a_terminal

if TYPE_CHECKING:
    from ..docket import Docket
    from .sighting import Face

__all__ = ["watch"]

#: pydocket reads DOCKET_REDIS_URL here, and DOCKET_URL everywhere else.
Url = Annotated[str, option(("--url", "-u"), server_url, ("DOCKET_REDIS_URL", "DOCKET_URL"))]
Name = Annotated[str, Parameter(name=("--docket", "-d"), env_var="DOCKET_NAME")]
Tasks = Annotated[tuple[str, ...], each("--tasks", path("a collection of tasks"), "DOCKET_TASKS")]


def watch(
    key: str,
    /,
    *,
    tasks: Tasks = ("docket.tasks:standard_tasks",),
    url: Url = DEFAULT_URL,
    docket: Name = "docket",
    backend: Backend = "asyncio",
) -> None:
    """Follow a task until it has ended: its state, its worker, its progress, how long it takes.

    A line for each event; at a terminal one picture that is kept up to date. The exit status is 0 however the
    task ends, and 1 if there is no such task.

    Parameters
    ----------
    key
        The key of the task.
    tasks
        A collection of tasks to register, module:name of an iterable of functions; may be repeated. Of their
        arguments those are shown that are marked with Logged and are plain values.
    url
        The server of the docket.
    docket
        The name of the docket.
    backend
        The event loop: asyncio, uvloop or trio.
    """
    check_places({"--tasks": tasks})
    with_docket(partial(_follow, key, tasks), docket=docket, url=url, backend=backend)


async def _follow(key: str, tasks: Sequence[str], docket: Docket) -> None:
    from .sighting import Sighting

    for collection in tasks:
        docket.register_collection(collection)
    execution = await docket.get_execution(key)
    if execution is None:
        raise CommandFailed(f"there is no task {key!r} on docket {docket.name!r}")
    sighting = Sighting(f"{execution.call_repr()} on docket {docket.name!r}")
    with _face() as face:
        face.begin(sighting)
        async with aclosing(execution.subscribe()) as events:
            async for event in events:
                sighting.take_over(event)
                face.show(sighting, event)
    if sighting.state is None:
        raise CommandFailed(f"the record of {key!r} on docket {docket.name!r} is no longer kept")


def _face() -> AbstractContextManager[Face]:
    if at_a_terminal():
        from .live import LiveFace

        return LiveFace()
    from .sighting import Lines

    return Lines(sys.stdout)

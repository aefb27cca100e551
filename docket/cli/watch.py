"""``docket watch``: follows one task until it has ended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, aclosing
from functools import partial
from typing import TYPE_CHECKING, Annotated

import anyio
import attrs
from cyclopts import Parameter

from ..rules import FINAL, alone
from .at import DEFAULT_URL, At, server_url
from .errors import CommandFailed
from .existing import check_docket
from .growing import Growing
from .json_output import Json
from .options import each, option, path
from .paths import check_paths
from .server import with_docket
from .tables import has_rich_terminal

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import Tree
    from .status import TaskStatus, View

__all__ = ["watch"]

#: pydocket reads DOCKET_REDIS_URL here, and DOCKET_URL everywhere else.
Url = Annotated[str, option(("--url", "-u"), server_url, ("DOCKET_REDIS_URL", "DOCKET_URL"))]
Name = Annotated[str, Parameter(name=("--docket", "-d"), env_var="DOCKET_NAME")]
Tasks = Annotated[tuple[str, ...], each("--tasks", path("a collection of tasks"), "DOCKET_TASKS")]
ExitStatus = Annotated[bool, Parameter(name="--exit-status", negative=())]


@attrs.frozen(kw_only=True)
class WatchedAt(At):
    """Where the task is that is watched, with the short names of pydocket for the first two options.

    Parameters
    ----------
    url
        The server of the docket.
    docket
        The name of the docket.
    """

    url: Url = DEFAULT_URL
    docket: Name = "docket"


Watched = Annotated[WatchedAt, Parameter(name="*")]
WATCHED = WatchedAt()

#: How often it looks for what no event tells.
LOOK_SECONDS = 2.0

#: The exit status for each way to end, with ``--exit-status``.
STATUS = {"completed": 0, "failed": 3, "cancelled": 4}


def watch(
    key: str,
    /,
    *,
    tasks: Tasks = ("docket.tasks:standard_tasks",),
    at: Watched = WATCHED,
    exit_status: ExitStatus = False,
    json: Json = False,
) -> int:
    """Follow a task until it has ended: its state, its worker, its progress, how long it takes, and its children.

    A line for each event; at a terminal one picture that is kept up to date. The exit status is 0 however the
    task ends (but see --exit-status), and 1 if there is no such task.

    Parameters
    ----------
    key
        The key of the task.
    tasks
        A collection of tasks to register, module:name of an iterable of functions; may be repeated. Of their
        arguments those are shown that are marked with Logged and are plain values.
    exit_status
        Exit with 3 if the task fails, and with 4 if it is cancelled.
    json
        Print a JSON object for each event, a line each.
    """
    check_paths({"--tasks": tasks})
    view = partial(_json_view, at.docket, key) if json else _view
    state = with_docket(partial(_follow, key, tasks, view), at)
    return STATUS.get(state, 0) if exit_status else 0


async def _follow(
    key: str, tasks: Sequence[str], view: Callable[[], AbstractContextManager[View]], docket: Docket
) -> str:
    """Follow a task, and return its last state."""
    from .status import TaskStatus

    for collection in tasks:
        docket.register_collection(collection)
    execution = await docket.get_execution(key)
    if execution is None:
        await check_docket(docket)
        raise CommandFailed(f"there is no task {key!r} on docket {docket.name!r}")
    status = TaskStatus(f"{execution.call_repr()} on docket {docket.name!r}")
    with view() as shown, alone():
        shown.begin(status)

        def grown(tree: Tree) -> None:
            status.tree = tree
            shown.show(status, "tree")

        growing = Growing(docket, key, grown)
        async with anyio.create_task_group() as group:
            group.start_soon(_look_again, docket, key, status, shown)
            async with aclosing(execution.subscribe()) as events:
                async for event in events:
                    is_first = status.state is None
                    status.update(event)
                    if event["type"] == "state" and status.state not in FINAL:
                        status.note(await docket.get_execution(key))
                    shown.show(status, event["type"])
                    if is_first:
                        group.start_soon(growing.run)
            group.cancel_scope.cancel()
        await growing.look()  # how its last children have ended
    if status.state is None:
        raise CommandFailed(f"the record of {key!r} on docket {docket.name!r} is no longer kept")
    return status.state.value


async def _look_again(docket: Docket, key: str, status: TaskStatus, view: View) -> None:
    """Show what no event tells: that a task was paused, asked to stop, or left by its worker."""
    while True:
        await anyio.sleep(LOOK_SECONDS)
        if status.state is not None and status.note(await docket.get_execution(key)):
            view.show(status, "state")


def _view() -> AbstractContextManager[View]:
    if has_rich_terminal():
        from .live import LiveView

        return LiveView()
    from .status import LineView

    return LineView(sys.stdout)


def _json_view(docket: str, key: str) -> AbstractContextManager[View]:
    from .status import JsonView

    return JsonView(docket, key, sys.stdout)

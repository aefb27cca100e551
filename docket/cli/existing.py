"""Checks that what a command line names exists: a docket that somebody has used, a task that somebody knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from redis.exceptions import NoPermissionError

from ..text import similar
from .errors import CommandFailed

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["check_docket", "check_known", "found_on"]

T = TypeVar("T")


async def check_docket(docket: Docket) -> None:
    """Check that somebody has used a docket: a mistyped name would look like a docket on which there is nothing.

    A user who may not look passes. Raises: CommandFailed - nobody has; RedisError.
    """
    try:
        exists = await docket.store.records.exists()
    except NoPermissionError:
        return
    if not exists:
        raise CommandFailed(f"there is no docket {docket.name!r} on this server; see --docket and --url")


async def found_on(docket: Docket, looking: Awaitable[T], what: Callable[[T], object] = bool) -> T:
    """What is found on a docket; where ``what`` says that it is nothing, `check_docket`."""
    found = await looking
    if not what(found):
        await check_docket(docket)
    return found


async def check_known(docket: Docket, task: str, act: str) -> None:
    """Check that a live worker knows a task, or that one of its calls is on the docket; ``act``: who asks it.

    Raises: CommandFailed - neither; RedisError.
    """
    if task in docket.tasks or await docket.task_workers(task):
        return
    taken = await docket.snapshot()
    names = {name for worker in taken.workers for name in worker.tasks}
    names |= {one.function_name for one in [*taken.future, *taken.running]}
    if task in names:
        return
    known_by = "no live worker knows" if taken.workers else "no worker is alive that knows"
    raise CommandFailed(
        f"{known_by} a task {task!r}, and none waits on docket {docket.name!r}"
        f"{similar(task, names | docket.tasks.keys())}; --force {act}s it all the same"
    )

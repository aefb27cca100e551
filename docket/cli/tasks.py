"""``docket tasks``: put one of the tasks that every worker knows on a docket."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from .. import clock
from ..rules import Disposition
from .at import HERE, At, Here
from .errors import CommandFailed
from .json_output import Json, print_json
from .options import duration, option
from .server import with_docket

if TYPE_CHECKING:
    from ..docket import Docket
    from ..execution import Execution

__all__ = ["fail", "sleep", "trace"]

Delay = Annotated[timedelta, option("--delay", duration(zero=True))]


def trace(
    message: str = "Howdy!",
    /,
    *,
    at: Here = HERE,
    delay: Delay = timedelta(0),
    json: Json = False,
) -> None:
    """Add a task that logs a message, with where and when it was added and run.

    Parameters
    ----------
    message
        The message to log.
    delay
        How long from now the task is due.
    json
        Print it as JSON.
    """
    _add("trace", message, delay, at, json=json)


def fail(
    message: str = "Howdy!",
    /,
    *,
    at: Here = HERE,
    delay: Delay = timedelta(0),
    json: Json = False,
) -> None:
    """Add a task that fails with a message, is tried once more, and fails again.

    Parameters
    ----------
    message
        The message to fail with.
    delay
        How long from now the task is due.
    json
        Print it as JSON.
    """
    _add("fail", message, delay, at, json=json)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < math.inf:
        raise ValueError(text)
    return seconds


Seconds = Annotated[float, option(None, (_seconds, "a number of seconds from 0"))]


def sleep(
    seconds: Seconds = 1.0,
    /,
    *,
    at: Here = HERE,
    delay: Delay = timedelta(0),
    json: Json = False,
) -> None:
    """Add a task that does nothing for a while.

    Parameters
    ----------
    seconds
        How long.
    delay
        How long from now the task is due.
    json
        Print it as JSON.
    """
    _add("sleep", seconds, delay, at, json=json)


def _add(name: str, argument: object, delay: timedelta, at: At, *, json: bool) -> None:
    async def add(opened: Docket) -> Execution[Any]:
        prepare: Callable[..., Any] = opened.add(name, when=clock.now() + delay)
        return await prepare(argument)

    added = with_docket(add, at)
    if added.disposition is Disposition.STRUCK:
        raise CommandFailed(f"nothing was added: {name} is struck on docket {at.docket!r}")
    if json:
        print_json(at.docket, key=added.key, function=name, when=added.when)
        return
    print(f"Added {name} task {added.key!r} to docket {at.docket!r}")

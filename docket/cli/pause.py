"""``docket pause``, ``docket resume`` and ``docket pauses``."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .. import clock
from ..text import printable
from .at import HERE, Here
from .errors import CommandFailed
from .existing import check_docket, check_known, found_on
from .json_output import Json, print_json
from .server import with_docket
from .tables import past, print_table

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import Pause

__all__ = ["pause", "pauses", "resume"]

Force = Annotated[bool, Parameter(name="--force", negative=())]
Reason = Annotated[str, Parameter(name="--reason")]
By = Annotated[str | None, Parameter(name="--by")]


def pause(
    task: str = "*",
    /,
    *,
    reason: Reason = "",
    by: By = None,
    at: Here = HERE,
    force: Force = False,
    json: Json = False,
) -> None:
    """Have workers begin no more runs of a task, or of any, until it is resumed. What runs goes on.

    Parameters
    ----------
    task
        The name of the task; * or nothing is every task.
    reason
        Why, for those who look at it.
    by
        Who does it; the name of the user if not given.
    force
        Pause also on a docket that nobody has used, and a task that no live worker knows and that waits nowhere.
    json
        Print it as JSON.
    """
    name = _named(task)

    async def act(opened: Docket) -> tuple[bool, Pause | None]:
        if not force:
            await check_docket(opened)
            if name is not None:
                await check_known(opened, name, "pause")
        paused = await opened.pause(name, reason=reason, by=_user() if by is None else by)
        return paused, next((each for each in await opened.pauses() if each.task == name), None)

    paused, made = with_docket(act, at)
    if json:
        print_json(at.docket, paused=paused, pause=made)
    elif paused:
        print(f"Paused {_shown(name)} on docket {at.docket!r}{_waiting(made)}")
    else:
        print(f"Nothing to do: {_shown(name)} was paused before on docket {at.docket!r}{_waiting(made)}")


def resume(
    task: str = "*",
    /,
    *,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """Have workers run a task again, or all of them. The exit status is 1 if it is not paused.

    A task that was paused by its name is resumed by its name.

    Parameters
    ----------
    task
        The name of the task; * or nothing is every task.
    json
        Print it as JSON.
    """
    name = _named(task)

    async def act(opened: Docket) -> int:
        await check_docket(opened)
        paused = {each.task for each in await opened.pauses()}
        queued = await opened.resume(name)
        if name not in paused and not queued:
            others = ", ".join(map(_shown, sorted(paused, key=lambda each: each or "")))
            subject = "the docket as a whole" if name is None else _shown(name)
            said = f"paused are: {others}" if others else "nothing is"
            raise CommandFailed(f"{subject} is not paused on docket {at.docket!r}: {said}")
        return queued

    queued = with_docket(act, at)
    if json:
        print_json(at.docket, task=name, queued=queued)
    else:
        print(f"Resumed {_shown(name)} on docket {at.docket!r}: {_tasks(queued)} queued again")


def pauses(
    *,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """List what is paused on a docket.

    Parameters
    ----------
    json
        Print it as JSON.
    """
    found = with_docket(lambda opened: found_on(opened, opened.pauses()), at)
    if json:
        print_json(at.docket, pauses=found)
        return
    now = clock.now()
    rows = [
        (
            each.task or "(all tasks)",
            str(each.waiting),
            past(each.since, now) if each.since is not None else "",
            each.by,
            each.reason,
        )
        for each in found
    ]
    print(f"Pauses of docket {at.docket!r}")
    print_table(("Task", "Waiting", "Since", "By", "Reason"), rows, numbers=1)


def _named(task: str) -> str | None:
    return None if task == "*" else task


def _shown(name: str | None) -> str:
    return "all tasks" if name is None else f"task {printable(name)!r}"


def _tasks(count: int) -> str:
    return "1 task is" if count == 1 else f"{count} tasks are"


def _waiting(made: Pause | None) -> str:
    waiting = 0 if made is None else made.waiting
    return f": {'1 task waits' if waiting == 1 else f'{waiting} tasks wait'}" if waiting else ""


def _user() -> str:
    """The name of the user, as far as the system knows one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""

"""``docket retry``, ``docket discard`` and ``docket run-now``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .. import clock
from ..errors import NothingKept, Untrusted, UsageError
from ..rules import Disposition, Priority
from .asking import Yes, agrees, at_a_terminal
from .at import HERE, At, Here
from .errors import CommandFailed
from .existing import found_on
from .failures import Error, Since, TaskName, Until
from .json_output import Json, print_json
from .options import OfLevel
from .server import with_docket
from .several import Said, each_key

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import BulkResult

__all__ = ["discard", "retry", "run_now"]

All = Annotated[bool, Parameter(name="--all", negative=())]


def retry(
    *key: str,
    all: All = False,
    task: TaskName = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """Run what has failed again, with the same arguments, under the same keys.

    With --all that is every failure that the options name and that there is now; at a terminal it asks first. Of a key
    that is tried again anyway, the next attempt begins now. The exit status is 1 if nothing can be retried under a key.

    Parameters
    ----------
    key
        The keys of failures.
    all
        All failures, or those that the next options name.
    task
        With --all: only failures of this task.
    error
        With --all: only those with this part in the text or the class of the error, in any case of letters.
    since
        With --all: only those from then on, a moment or how long ago, as 1h.
    until
        With --all: only those until then.
    yes
        Do not ask.
    json
        Print it as JSON.
    """

    async def one(opened: Docket, name: str) -> Said:
        try:
            execution = await opened.retry(name)
        except (NothingKept, Untrusted) as problem:
            return Said(False, str(problem))
        match execution.disposition:
            case Disposition.SCHEDULED:
                return Said(True, f"Retried task {name!r} on docket {at.docket!r}")
            case Disposition.STRUCK:
                return Said(False, f"a strike forbids task {name!r} on docket {at.docket!r}")
            case _:
                return Said(False, f"task {name!r} on docket {at.docket!r} waits or runs already")

    words = _Words(task, error, since, until)
    if all or not key:
        words.check(key, "retry", everything=all)
        _bulk("Retry", "Retried", lambda opened: opened.retry_all, words, at, yes=yes, json=json)
    else:
        words.refuse()
        each_key(one, key, at, json=json)


def discard(
    *key: str,
    all: All = False,
    task: TaskName = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    yes: Yes = False,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """Forget failures. The next attempt of one that is tried again is cancelled.

    With --all that is every failure that the options name and that there is now; at a terminal it asks first. What is
    tried again is left alone then. The exit status is 1 if no failure is kept under a key.

    Parameters
    ----------
    key
        The keys of failures.
    all
        All failures, or those that the next options name.
    task
        With --all: only failures of this task.
    error
        With --all: only those with this part in the text or the class of the error, in any case of letters.
    since
        With --all: only those from then on, a moment or how long ago, as 1h.
    until
        With --all: only those until then.
    yes
        Do not ask.
    json
        Print it as JSON.
    """

    async def one(opened: Docket, name: str) -> Said:
        if await opened.discard(name):
            return Said(True, f"Discarded the failure of task {name!r} on docket {at.docket!r}")
        return Said(False, f"no failure is kept under the key {name!r} on docket {at.docket!r}")

    words = _Words(task, error, since, until)
    if all or not key:
        words.check(key, "discard", everything=all)
        _bulk("Discard", "Discarded", lambda opened: opened.discard_all, words, at, yes=yes, json=json)
    else:
        words.refuse()
        each_key(one, key, at, json=json)


def run_now(
    key: str,
    /,
    *more: str,
    priority: OfLevel = None,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """Have a task that waits for its time run now: one for later, a next attempt, the next run of a schedule.

    The exit status is 1 if nothing waits for its time under a key.

    Parameters
    ----------
    key
        The key of the task.
    more
        More keys.
    priority
        The level that they have from now on: high, normal or low; their own if not given.
    json
        Print it as JSON.
    """
    level = None if priority is None else Priority(priority)

    async def one(opened: Docket, name: str) -> Said:
        if await opened.run_now(name, priority=level):
            return Said(True, f"Task {name!r} on docket {at.docket!r} runs now")
        return Said(False, f"nothing waits for its time under the key {name!r} on docket {at.docket!r}")

    each_key(one, (key, *more), at, json=json)


class _Words:
    """Which failures are meant."""

    def __init__(
        self, task: str | None, error: str | None, since: datetime | None, until: datetime | None
    ) -> None:
        self.task, self.error, self.since, self.until = task, error, since, until

    def refuse(self) -> None:
        """Raises: UsageError - there are words, which no key needs."""
        if any(each is not None for each in (self.task, self.error, self.since, self.until)):
            raise UsageError("--task, --error, --since and --until need --all, and no keys")

    def check(self, keys: tuple[str, ...], command: str, *, everything: bool) -> None:
        """Raises: UsageError - it is not clear what is meant."""
        if keys:
            raise UsageError(f"{command} takes keys or --all, not both")
        if not everything:
            raise UsageError(f"{command} takes the keys of failures, or --all; docket failures lists them")

    def shown(self, count: int) -> str:
        """So many of them, for people."""
        said = f"{count} failure{'' if count == 1 else 's'}"
        if self.task is not None:
            said += f" of task {self.task!r}"
        return said if self.error is None else f"{said} with {self.error!r}"


def _bulk(
    verb: str,
    done: str,
    act: Callable[[Docket], Callable[..., Awaitable[BulkResult]]],
    words: _Words,
    at: At,
    *,
    yes: bool,
    json: bool,
) -> None:
    """Act on all failures that are meant, once somebody has agreed."""
    if not yes and not at_a_terminal():
        raise UsageError(f"{verb.lower()} --all asks first, and nobody is at a terminal: give --yes")
    until = words.until or clock.now()
    named = {"error": words.error, "since": words.since, "until": until}

    async def count(opened: Docket) -> int:
        counting = opened.count_failures(words.task, error=words.error, since=words.since, until=until)
        return sum((await found_on(opened, counting)).values())

    async def everything(opened: Docket) -> BulkResult:
        return await act(opened)(words.task, **named)

    counted = with_docket(count, at)
    if counted and not yes and not agrees(f"{verb} {words.shown(counted)} on docket {at.docket!r}?"):
        raise CommandFailed(f"nothing was {done.lower()}")
    result = with_docket(everything, at)
    if json:
        print_json(at.docket, done=result.done, skipped=result.skipped)
        return
    skipped = ", ".join(f"{number} {reason}" for reason, number in result.skipped.items())
    print(
        f"{done} {words.shown(result.done)} on docket {at.docket!r}"
        + (f"; skipped: {skipped}" if skipped else "")
    )

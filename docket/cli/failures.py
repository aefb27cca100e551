"""``docket failures``: what has failed, and what is tried again."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .. import clock
from ..text import printable, shortened
from .at import HERE, Here
from .errors import CommandFailed
from .existing import check_docket, found_on
from .json_output import Json, print_json
from .options import After, Limit, moment, option
from .server import with_docket
from .tables import print_table, relative

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import Failure, FailureGroup

__all__ = ["Error", "Since", "TaskName", "Until", "failures"]

TaskName = Annotated[str | None, Parameter(name="--task")]
Error = Annotated[str | None, Parameter(name="--error")]
Since = Annotated[datetime | None, option("--since", moment())]
Until = Annotated[datetime | None, option("--until", moment())]
Groups = Annotated[bool, Parameter(name="--groups", negative=())]
Retrying = Annotated[bool, Parameter(name="--retrying", negative=())]

LONGEST = 200
"""How many characters of an error a row shows."""


def failures(
    key: str | None = None,
    /,
    *,
    task: TaskName = None,
    error: Error = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    after: After = None,
    groups: Groups = False,
    retrying: Retrying = False,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """List what has failed, the newest first; or show one failure with its traceback.

    --since and --until take how long ago, like 1h or 7d, or a moment like 2026-11-28T12:00:00+00:00.

    Parameters
    ----------
    key
        The key of one failure to show; the exit status is 1 if none is kept under it.
    task
        Only failures of this task.
    error
        Only those with this part in the text or the class of the error, in any case of letters.
    since
        Only those from then on.
    until
        Only those until then.
    limit
        How many to list at most.
    after
        Where to go on: what --json of the page before has as "next".
    groups
        Count them by task and class of the error instead.
    retrying
        List what is tried again instead, the soonest first.
    json
        Print it as JSON.
    """

    async def one(opened: Docket) -> Failure:
        found = await opened.failure(key or "")
        if found is None:
            await check_docket(opened)
            raise CommandFailed(f"no failure is kept under the key {key!r} on docket {at.docket!r}")
        return found

    async def many(opened: Docket) -> tuple[list[FailureGroup], list[Failure]]:
        read = opened.retrying if retrying else opened.failures
        page = (
            []
            if groups
            else await read(task, error=error, since=since, until=until, limit=limit, after=after)
        )
        counting = opened.failure_groups(task, error=error, since=since, until=until, retrying=retrying)
        return await found_on(opened, counting), page

    if key is not None:
        _print_one(at.docket, with_docket(one, at), json=json)
        return
    counted, page = with_docket(many, at)
    total = sum(group.count for group in counted)
    if json and groups:
        print_json(at.docket, total=total, groups=counted)
    elif json:
        following = page[-1].cursor if len(page) == limit else None
        print_json(at.docket, total=total, next=following, failures=page)
    elif groups:
        _print_groups(at.docket, counted, total)
    else:
        _print_page(at.docket, page, total, retrying=retrying)


def _print_page(docket: str, page: list[Failure], total: int, *, retrying: bool) -> None:
    now = clock.now()
    order = "tried again, the soonest first" if retrying else "newest first"
    print(f"Failures of docket {docket!r}, {order}: {len(page)} of {total}")
    if not page:
        return
    rows = [
        (
            relative(one.failed_at if one.next_at is None else one.next_at, now),
            one.function,
            one.key,
            str(one.attempt),
            _said(one),
            one.written.words,
        )
        for one in page
    ]
    first = "Next Attempt" if retrying else "Failed"
    headers = (first, "Function", "Key", "Attempt", "Error", "Written")
    print_table(headers, rows, if_any=("Written",))


def _said(one: Failure) -> str:
    said = shortened(_error(one), LONGEST)
    since = f"{one.first_failed_at:%Y-%m-%d %H:%M:%S} UTC"
    if one.goes_on:
        return f"{said} (goes on, failed {_times(one.count)} since {since})"
    return said


def _print_groups(docket: str, groups: list[FailureGroup], total: int) -> None:
    now = clock.now()
    print(f"Failures of docket {docket!r}: {total}")
    if groups:
        rows = [(each.function, str(each.count), each.type, relative(each.latest, now)) for each in groups]
        print_table(("Function", "Count", "Error", "Latest"), rows, numbers=1)


def _print_one(docket: str, one: Failure, *, json: bool) -> None:
    if json:
        print_json(docket, failure=one)
        return
    print(printable(f"{one.call_repr()} on docket {docket!r}"))
    where = f" on {one.worker}" if one.worker else ""
    print(printable(f"failed at {one.failed_at.isoformat()}{where}, in attempt {one.attempt}"))
    if one.count > 1:
        print(f"failed {_times(one.count)} since {one.first_failed_at.isoformat()}")
    if one.written.words:
        print(printable(f"written: {one.written.words}"))
    if one.next_at is not None:
        print(f"next attempt {relative(one.next_at, clock.now())}, at {one.next_at.isoformat()}")
    if one.goes_on:
        print("its next run follows")
    if not one.retryable:
        print(
            "its arguments are not kept: they were too large, or its message could not be read (docket dead-letters)"
        )
        print("it cannot be retried once its record has expired")
    print()
    for line in (one.traceback or _error(one)).splitlines():
        print(printable(line))


def _error(one: Failure) -> str:
    return f"{one.type}: {one.error}" if one.error else one.type


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"

"""``docket history`` and ``docket throughput``: how runs have ended."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, cast

from cyclopts import Parameter

from .. import clock
from ..operating import latest_first
from ..text import shortened
from .at import HERE, Here
from .existing import found_on
from .failures import LONGEST, Since, TaskName, Until
from .json_output import Json, print_json
from .options import Limit, choice, duration, option
from .server import with_docket
from .tables import past, print_table, span

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import Ended, Interval

__all__ = ["history", "throughput"]

Key = Annotated[str | None, Parameter(name="--key")]
State = Annotated[str | None, option("--state", choice("completed", "failed", "retried", "cancelled"))]
Lately = Annotated[timedelta, option("--since", duration())]
Per = Annotated[str, option("--per", choice("minute", "hour"))]


def history(
    *,
    task: TaskName = None,
    key: Key = None,
    state: State = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """List runs that have ended, the latest first.

    --since and --until take how long ago, like 1h or 7d, or a moment like 2026-11-28T12:00:00+00:00.

    Parameters
    ----------
    task
        Only runs of this task.
    key
        Only runs under this key.
    state
        Only those that ended so: completed, failed, retried or cancelled.
    since
        Only those that ended from then on.
    until
        Only those that ended before then.
    limit
        How many to list at most.
    json
        Print it as JSON.
    """

    def read(opened: Docket) -> Awaitable[list[Ended]]:
        past = opened.history(task, key=key, state=state, since=since, until=until, limit=limit)
        return found_on(opened, past)

    page = latest_first(with_docket(read, at))
    if json:
        print_json(at.docket, history=page)
        return
    print(f"Runs of docket {at.docket!r} that have ended, the latest first: {len(page)}")
    if page:
        now = clock.now()
        rows = [
            (
                past(one.ended_at, now),
                one.function,
                one.key,
                one.state,
                str(one.attempt),
                "" if one.ran is None else span(one.ran),
                span(one.late),
                one.worker,
                one.waited,
                _said(one),
            )
            for one in page
        ]
        names = ("Ended", "Function", "Key", "State", "Attempt", "Ran", "Late", "Worker", "Waited", "Error")
        print_table(names, rows, if_any=("Waited",))


def _said(one: Ended) -> str:
    said = shortened(one.error or "", LONGEST)
    return f"{said} (and {one.left_out} more that ended so)".strip() if one.left_out else said


def throughput(
    *,
    task: TaskName = None,
    since: Lately = timedelta(hours=1),
    per: Per = "minute",
    at: Here = HERE,
    json: Json = False,
) -> None:
    """Count the runs that ended in each minute or hour, and how long they took.

    Minutes and hours in which none ended are left out of the table.

    Parameters
    ----------
    task
        Only runs of this task, else of all.
    since
        For how long, up to now: up to a day by minutes, up to 31 days by hours.
    per
        The interval: minute or hour.
    json
        Print it as JSON.
    """

    def read(opened: Docket) -> Awaitable[list[Interval]]:
        found = opened.throughput(task, since=since, per=cast("Literal['minute', 'hour']", per))
        return found_on(opened, found, lambda found: any(one.ended for one in found))

    seen = with_docket(read, at)
    if json:
        print_json(at.docket, per=per, throughput=seen)
        return
    print(f"Runs of docket {at.docket!r} that have ended: {sum(one.ended for one in seen)}")
    rows = [
        (
            f"{one.at:%Y-%m-%d %H:%M} UTC",
            *map(str, (one.completed, one.failed, one.retried, one.cancelled)),
            span(one.ran),
            span(one.percentile(0.95)),
            span(one.late),
        )
        for one in seen
        if one.ended
    ]
    if rows:
        headers = ("At", "Completed", "Failed", "Retried", "Cancelled", "Mean", "P95", "Late")
        print_table(headers, rows, numbers=4)

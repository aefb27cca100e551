"""``docket schedules``: the tasks that repeat themselves, and when each runs next."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import attrs

from .. import clock
from ..text import shortened
from .at import HERE, Here
from .existing import check_docket
from .failures import LONGEST, TaskName
from .json_output import Json, print_json
from .options import After, Contains, Limit
from .server import with_docket
from .tables import print_table, relative

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import SchedulePage, TaskSchedule

__all__ = ["schedules"]

#: Of so many pages the command looks at the waiting tasks, for chains that have not had a run yet.
MOST_PAGES = 10


def schedules(
    *,
    task: TaskName = None,
    contains: Contains = None,
    limit: Limit = 100,
    after: After = None,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """List the tasks that repeat themselves: when each runs next, and how it ended last.

    Parameters
    ----------
    task
        Only those of this task.
    contains
        Only those with this in the name of the task or in the key.
    limit
        How many to list at most.
    after
        Go on behind the page before, whose "next" this is.
    json
        Print it as JSON.
    """

    async def read(opened: Docket) -> SchedulePage:
        page = await opened.schedules(task, contains=contains, limit=limit, after=after)
        for _ in range(MOST_PAGES - 1):
            left = limit - len(page.schedules)
            if page.after is None or not left:
                break
            more = await opened.schedules(task, contains=contains, limit=left, after=page.after)
            page = attrs.evolve(
                more,
                schedules=[*page.schedules, *more.schedules],
                looked_at=page.looked_at + more.looked_at,
            )
        if not page.schedules:
            await check_docket(opened)
        return page

    page = with_docket(read, at)
    if json:
        print_json(at.docket, schedules=page.schedules, looked_at=page.looked_at, next=page.after)
        return
    print(f"Schedules of docket {at.docket!r}: {len(page.schedules)}")
    if page.schedules:
        now = clock.now()
        rows = [_row(each, now) for each in page.schedules]
        print_table(("Task", "Key", "Schedule", "Next", "Last", "Ended", "Remark"), rows)
    if page.after is not None:
        print(f"There may be more: --after {page.after!r}")


def _row(each: TaskSchedule, now: datetime) -> tuple[str, ...]:
    return (
        each.task,
        each.key,
        each.recurrence.words,
        _next(each, now),
        "" if each.last_ended is None else relative(each.last_ended, now),
        "" if each.last_state is None else each.last_state.value,
        _remark(each),
    )


def _next(each: TaskSchedule, now: datetime) -> str:
    if each.started_at is not None:
        return f"running, begun {relative(each.started_at, now)}"
    return "" if each.next_run is None else relative(each.next_run, now)


def _remark(each: TaskSchedule) -> str:
    """What an operator should know of it."""
    remarks = [
        "broken: nothing waits or runs" if each.is_broken else "ended" if not each.is_live else "",
        "no worker knows it" if not each.workers else "",
        "paused" if each.paused else "",
        f"waits for {each.waits_for}" if each.waits_for else "",
        f"attempt {each.attempt}" if each.attempt > 1 else "",
        shortened(each.last_error or "", LONGEST),
    ]
    return ", ".join(filter(None, remarks))

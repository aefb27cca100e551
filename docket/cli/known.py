"""``docket tasks ls``: the tasks of a docket, as its workers know them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from .at import HERE, Here
from .existing import found_on
from .json_output import Json, print_json
from .options import After, Contains, Limit
from .server import with_docket
from .tables import print_table

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import KnownTask, TaskPage

__all__ = ["ls"]


def ls(
    *,
    contains: Contains = None,
    limit: Limit = 100,
    after: After = None,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """List the tasks that workers know, or have known in the last 30 days, with what the last hour saw of each.

    Parameters
    ----------
    contains
        Only those with this in their name.
    limit
        How many to list at most.
    after
        Only those behind this name.
    json
        Print it as JSON.
    """

    def read(opened: Docket) -> Awaitable[TaskPage]:
        page = opened.known_tasks(contains=contains, limit=limit, after=after)
        return found_on(opened, page, lambda page: page.tasks)

    page = with_docket(read, at)
    if json:
        print_json(at.docket, total=page.total, tasks=page.tasks, next=page.after)
        return
    print(f"Tasks of docket {at.docket!r}: {len(page.tasks)} of {page.total}")
    if page.tasks:
        headers = ("Task", "Workers", "Completed", "Failed", "Retried", "Remark")
        print_table(headers, [_row(each) for each in page.tasks], numbers=4)


def _row(each: KnownTask) -> tuple[str, ...]:
    said = each.description
    remarks = [
        "paused" if each.paused else "",
        said.recurrence.words if said is not None and said.recurrence is not None else "",
        (said.doc or "") if said is not None else "",
    ]
    numbers = (each.workers, each.completed, each.failed, each.retried)
    return each.name, *map(str, numbers), ", ".join(filter(None, remarks))

"""The tasks: what each did in the last hour, who knows it, whether it is paused."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..figures import ended_spark, failed_link, total_of
from ..http import address
from ..markup import Child, Safe, el
from ..pieces import Column, empty, field, filters, pages, schedule_words, state_badge, table, task_link
from ..view import Content, Page, Part, Query, Show, View
from ..words import count, moment, plural

if TYPE_CHECKING:
    from ...docket import Docket
    from ...operating import KnownTask, TaskPage

__all__ = ["TASKS"]

ROWS = 50


async def _read(docket: Docket, query: Query) -> Show:
    contains, after = query.get("contains") or None, query.get("after") or None
    return partial(_show, query, await docket.known_tasks(contains=contains, after=after, limit=ROWS))


def _show(query: Query, listed: TaskPage, view: View) -> Content:
    blocks: list[Safe | Part] = [
        filters(
            "tasks", field("Name contains", "contains", query.get("contains", ""), hint="any part, any case")
        ),
        Part("tasks", _list(query, listed, view)),
    ]
    document = {"total": listed.total, "next": listed.after, "tasks": listed.tasks}
    return Content(title="Tasks", blocks=blocks, document=document)


def _list(query: Query, listed: TaskPage, view: View) -> Safe:
    contains = query.get("contains")
    first = address("tasks", contains=contains) if query.get("after") else None
    if not listed.tasks:
        if contains or first is not None:
            return el("div", empty("No task has such a name."), pages(None, first=first))
        return empty("No task is known.", "Those are listed that a worker has known in the last 30 days.")
    columns = (
        Column("Task", "name"),
        Column("Last hour"),
        Column("Completed", "number"),
        Column("Failed", "number"),
        Column("Mean", "number"),
        Column("95 %", "number"),
        Column("Last run", "number"),
        Column("Workers", "number"),
    )
    following = None if listed.after is None else address("tasks", contains=contains, after=listed.after)
    cells = [_cells(each, view) for each in listed.tasks]
    listing = table(columns, cells, caption=plural(listed.total, "task"), visible=True)
    return el("div", el("div", listing, class_="card flush"), pages(following, first=first, text="Next"))


def _cells(each: KnownTask, view: View) -> list[Child]:
    total = total_of(each.hour)
    mean, p95 = total.words()
    said = each.description
    recurs = None if said is None or said.recurrence is None else schedule_words(said.recurrence)
    return [
        el(
            "div",
            el("div", task_link(each.name), state_badge("paused") if each.paused else None, class_="names"),
            el("div", said.doc, class_="remark small") if said is not None and said.doc else None,
            recurs,
        ),
        ended_spark(each.hour, f"Runs of {each.name} that ended in the last hour"),
        count(total.completed),
        failed_link(total, each.name),
        mean,
        p95,
        moment(each.last_ended, view.now),
        count(each.workers) if each.workers else state_badge("no worker"),
    ]


TASKS = Page(path="tasks", label="Tasks", key="t", read=_read)

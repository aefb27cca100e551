"""The tasks: what each did in the last hour, who knows it, whether it is paused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import attrs

from ..figures import Total, ended_spark, failed_link, total_of
from ..http import address
from ..markup import Child, Safe, el
from ..pieces import Column, empty, field, filters, pages, state_badge, table, task_link
from ..view import Content, Page, Part, Query, Show, View
from ..words import count, plural

if TYPE_CHECKING:
    from ...docket import Docket
    from ...operating import Interval

__all__ = ["TASKS"]

ROWS = 50


@attrs.frozen(kw_only=True)
class _Row:
    name: str
    workers: int
    hour: Sequence[Interval]
    total: Total
    is_paused: bool


async def _read(docket: Docket, query: Query) -> Show:
    workers = Counter(name for worker in await docket.workers() for name in worker.tasks)
    contains, after = query.get("contains", "").casefold(), query.get("after", "")
    names = sorted(name for name in workers if contains in name.casefold())
    paused = {each.task for each in await docket.pauses()}
    shown = [name for name in names if name > after][:ROWS]
    rows: list[_Row] = []
    for name in shown:
        hour = await docket.throughput(name, since=timedelta(hours=1))
        rows.append(
            _Row(
                name=name,
                workers=workers[name],
                hour=hour,
                total=total_of(hour),
                is_paused=bool({name, None} & paused),
            )
        )
    more = bool(shown) and shown[-1] != names[-1]
    return partial(_show, query, rows, len(names), more)


def _show(query: Query, rows: Sequence[_Row], total: int, more: bool, view: View) -> Content:
    del view
    blocks: list[Safe | Part] = [
        filters(
            "tasks", field("Name contains", "contains", query.get("contains", ""), hint="any part, any case")
        ),
        Part("tasks", _list(query, rows, total, more)),
    ]
    document = {"tasks": [_plain(each) for each in rows]}
    return Content(title="Tasks", blocks=blocks, document=document)


def _list(query: Query, rows: Sequence[_Row], total: int, more: bool) -> Safe:
    first = address("tasks", contains=query.get("contains")) if query.get("after") else None
    if not rows:
        if query.get("contains"):
            return el("div", empty("No task has such a name."), pages(None, first=first))
        return empty(
            "No task is known.",
            "Those are listed that a live worker knows.",
        )
    columns = (
        Column("Task", "name"),
        Column("Last hour"),
        Column("Completed", "number"),
        Column("Failed", "number"),
        Column("Mean", "number"),
        Column("95 %", "number"),
        Column("Workers", "number"),
        Column("", spoken="Remarks"),
    )
    cells: list[list[Child]] = [_cells(each) for each in rows]
    older = address("tasks", contains=query.get("contains"), after=rows[-1].name) if more else None
    listing = table(columns, cells, caption=plural(total, "task"), visible=True)
    return el("div", el("div", listing, class_="card flush"), pages(older, first=first, text="Next"))


def _cells(row: _Row) -> list[Child]:
    mean, p95 = row.total.words()
    return [
        task_link(row.name),
        ended_spark(row.hour, f"Runs of {row.name} that ended in the last hour"),
        count(row.total.completed),
        failed_link(row.total, row.name),
        mean,
        p95,
        count(row.workers) if row.workers else state_badge("no worker"),
        state_badge("paused") if row.is_paused else None,
    ]


def _plain(row: _Row) -> Mapping[str, object]:
    return {
        "name": row.name,
        "workers": row.workers,
        "paused": row.is_paused,
        "completed": row.total.completed,
        "failed": row.total.failed,
        "retried": row.total.retried,
    }


TASKS = Page(path="tasks", label="Tasks", key="t", read=_read)

"""The schedules: what repeats itself, when it runs next, and how it ended last."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..http import address
from ..markup import Child, Safe, el
from ..pieces import (
    Column,
    button,
    check,
    empty,
    field,
    filters,
    key_link,
    note,
    pages,
    rows_form,
    schedule_words,
    state_badge,
    table,
    task_link,
)
from ..view import Content, Page, Part, Query, Show, View, spelled
from ..words import count, moment

if TYPE_CHECKING:
    from ...docket import Docket
    from ...operating import SchedulePage, TaskSchedule

__all__ = ["SCHEDULES"]

ROWS = 50


async def _read(docket: Docket, query: Query) -> Show:
    asked = {name: query.get(name) or None for name in ("task", "contains", "after")}
    paused = {each.task for each in await docket.pauses()}
    return partial(_show, query, paused, await docket.schedules(**asked, limit=ROWS))


def _show(query: Query, paused: Collection[str | None], listed: SchedulePage, view: View) -> Content:
    blocks: list[Safe | Part] = [
        filters(
            "schedules",
            field("Task", "task", query.get("task", ""), hint="its whole name"),
            field("Task or key contains", "contains", query.get("contains", ""), hint="any part, any case"),
        ),
        Part("rows", _list(query, paused, listed, view)),
    ]
    document = {"schedules": listed.schedules, "looked_at": listed.looked_at, "next": listed.after}
    return Content(title="Schedules", blocks=blocks, document=document)


def _list(query: Query, paused: Collection[str | None], listed: SchedulePage, view: View) -> Safe:
    is_filtered = bool(query.get("task") or query.get("contains"))
    first = address("schedules", **{**query, "after": None}) if query.get("after") else None
    following = address("schedules", **{**query, "after": listed.after}) if listed.after is not None else None
    looked = None
    if following is not None and len(listed.schedules) < ROWS:
        text = f"Looked at {count(listed.looked_at)} waiting tasks for those that have not had a run yet."
        looked = note(text)
    more = pages(following, first=first, text="Next" if looked is None else "Go on")
    if not listed.schedules:
        nothing = "Nothing here matches the filter." if is_filtered else "Nothing repeats itself."
        about = None if is_filtered else "A task does by Perpetual or Cron in its signature."
        return el("div", looked, empty(nothing, about), more)
    columns, rows = _rows(listed.schedules, paused, view)
    listing = table(columns, rows, caption="Tasks that repeat themselves")
    tools = [button("Run now", "run-now"), button("Cancel…", "cancel", tone="danger")]
    about = "Workers begin an automatic task again after a while: pause it to have it rest."
    remark = None
    if view.may_act and any(each.recurrence.automatic for each in listed.schedules):
        remark = el("p", about, class_="remark below")
    return el("div", looked, el("div", rows_form(view, listing, *tools), class_="card flush"), remark, more)


def _rows(
    schedules: Sequence[TaskSchedule], paused: Collection[str | None], view: View
) -> tuple[list[Column], list[list[Child]]]:
    columns = [
        Column("Task", "name"),
        Column("Schedule", "when"),
        Column("Next run", "number"),
        Column("Last run", "wide"),
    ]
    rows = [_cells(each, view) for each in schedules]
    if view.may_act:
        columns = [Column("", "check", "Check"), *columns, Column("", "tools", "Actions")]
        for row, each in zip(rows, schedules, strict=True):
            row.insert(0, check(each.key))
            pause = _pause(each.task, is_paused=each.task in paused)
            row.append(el("div", button("Run now", "run-now", keys=[each.key]), pause, class_="act"))
    return columns, rows


def _cells(each: TaskSchedule, view: View) -> list[Child]:
    return [
        el("div", el("div", task_link(each.task), *_remarks(each), class_="names"), key_link(each.key)),
        schedule_words(each.recurrence),
        _next(each, view),
        _last(each, view),
    ]


def _next(each: TaskSchedule, view: View) -> Child:
    if each.started_at is not None:
        return el("div", state_badge("running"), " since ", moment(each.started_at, view.now))
    return moment(each.next_run, view.now) or "never"


def _last(each: TaskSchedule, view: View) -> Child:
    said: list[Child] = []
    if each.last_state is not None:
        said.append(el("div", state_badge(each.last_state.value), " ", moment(each.last_ended, view.now)))
    if each.last_error:
        said.append(el("span", each.last_error, class_="errortext"))
    return el("div", *said) if said else "none yet"


def _remarks(each: TaskSchedule) -> list[Safe]:
    """What an operator should know of it."""
    remarks = {
        "no worker": not each.workers,
        "broken": each.is_broken,
        "ended": not each.is_live and not each.is_broken,
        "paused": each.paused,
        "at a limit": each.waits_for is not None,
        f"attempt {each.attempt}": each.attempt > 1,
    }
    return [state_badge(words) for words, is_so in remarks.items() if is_so]


def _pause(task: str, *, is_paused: bool) -> Safe:
    action = "resume" if is_paused else "pause"
    return el(
        "button", action.capitalize(), type="submit", formaction=action, name="task", value=spelled(task)
    )


SCHEDULES = Page(path="schedules", label="Schedules", key="c", read=_read)

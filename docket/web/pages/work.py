"""What waits and what runs: one list for each state, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from ...errors import UsageError
from ...execution import Execution
from ...rules import Priority
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
    limit_link,
    note,
    pages,
    rows_form,
    state_badge,
    table,
    task_link,
    with_written,
)
from ..view import Content, Page, Part, Query, Show, View
from ..words import coming, count, moment

if TYPE_CHECKING:
    from ...docket import Docket
    from ...operating import Counts
    from ...operating import Page as Listed

__all__ = ["WORK"]

State = Literal["due", "later", "running", "limited", "paused"]

#: The states, with the title of the tab and what an empty list says.
STATES: dict[State, tuple[str, str]] = {
    "due": ("Due", "Nothing waits for a worker."),
    "running": ("Running", "Nothing runs."),
    "later": ("Later", "Nothing is scheduled for later."),
    "limited": ("At a limit", "Nothing waits for a concurrency limit."),
    "paused": ("Paused", "Nothing waits for a paused task."),
}

ROWS = 50


async def _read(docket: Docket, query: Query) -> Show:
    state = query.get("state", "due")
    if state not in STATES:
        raise UsageError(f"there is no list of {state!r}: it is one of {', '.join(STATES)}")
    counts = await docket.counts()
    listed = await docket.executions(
        state,
        task=query.get("task") or None,
        contains=query.get("contains") or None,
        limit=ROWS,
        after=query.get("after") or None,
    )
    return partial(_show, state, query, counts, listed)


def _show(state: State, query: Query, counts: Counts, listed: Listed, view: View) -> Content:
    task, contains = query.get("task", ""), query.get("contains", "")
    blocks: list[Safe | Part] = [
        Part("tabs", _tabs(state, query, counts)),
        filters(
            "work",
            field("Task", "task", task, hint="its whole name"),
            field("Key contains", "contains", contains, hint="any part, any case"),
            kept={"state": state},
        ),
        Part("rows", _list(state, query, listed, view)),
    ]
    return Content(title="Work", blocks=blocks, document=_document(state, listed))


def _tabs(state: State, query: Query, counts: Counts) -> Safe:
    numbers = {
        "due": counts.due,
        "running": counts.running,
        "later": counts.later,
        "limited": counts.limited,
        "paused": counts.paused,
    }
    links = [
        el(
            "a",
            title,
            el("span", count(numbers[each]), class_="count"),
            href=address("work", state=each, task=query.get("task"), contains=query.get("contains")),
            aria_current="page" if each == state else None,
        )
        for each, (title, _) in STATES.items()
    ]
    return el("nav", *links, class_="tabs", aria_label="States")


def _list(state: State, query: Query, listed: Listed, view: View) -> Safe:
    is_filtered = bool(query.get("task") or query.get("contains"))
    first = address("work", **{**query, "after": None}) if query.get("after") else None
    older = address("work", **{**query, "after": listed.after}) if listed.after is not None else None
    looked = None
    if is_filtered and listed.looked_at < listed.total and listed.after is not None:
        looked = note(f"Looked at {count(listed.looked_at)} of {count(listed.total)} tasks for this page.")
    more = pages(older, first=first, text="Go on" if looked is not None else "Next")
    if not listed.executions:
        text = "Nothing here matches the filter." if is_filtered else STATES[state][1]
        return el("div", looked, empty(text), more)
    columns, rows = _rows(state, listed.executions, view)
    tools = [button("Cancel…", "cancel", tone="danger")]
    if state == "later":
        tools.insert(0, button("Run now", "run-now"))
    listing = table(columns, rows, caption=f"Tasks: {STATES[state][0].lower()}")
    return el("div", looked, el("div", rows_form(view, listing, *tools), class_="card flush"), more)


def _rows(
    state: State, executions: Sequence[Execution[Any]], view: View
) -> tuple[list[Column], list[list[Child]]]:
    now = view.now
    columns = [Column("Task", "name"), Column("Key", "key"), *_columns(state)]
    rows: list[list[Child]] = []
    for each in executions:
        row: list[Child] = [task_link(each.function_name), key_link(each.key)]
        if state == "running":
            row += [each.worker, moment(each.started_at, now), _remarks(each, view)]
        else:
            when = coming(each.when, now) if state == "later" else moment(each.when, now)
            row += [when, each.attempt if each.attempt > 1 else "", _remarks(each, view)]
        rows.append(row)
    columns = with_written(columns, rows, [each.written for each in executions])
    if view.may_act:
        columns.insert(0, Column("", "check", "Check"))
        for row, each in zip(rows, executions, strict=True):
            row.insert(0, check(each.key))
    return columns, rows


def _columns(state: State) -> list[Column]:
    if state == "running":
        return [Column("Worker", "key"), Column("Since", "number"), Column("", spoken="Remarks")]
    return [
        Column("Begins" if state == "later" else "Due since", "number"),
        Column("Attempt", "number"),
        Column("", spoken="Remarks"),
    ]


def _remarks(each: Execution[Any], view: View) -> Child:
    """What to know of it beside its state, and the error of the attempt before."""
    found = {
        "asked to stop": each.cancel_requested,
        "parent": each.is_parent,
        "once more": each.has_successor,
        "no worker": each.worker_is_gone,
        "paused": each.is_paused,
        "unknown to a worker": each.is_put_back,
        f"begun {each.times_begun} times": each.times_begun > 1,
    }
    badges = [state_badge(word) for word, applies in found.items() if applies]
    waits = el("span", "for ", limit_link(each.waits_for or "", view.docket), class_="remark")
    turn = el("span", f"waits for its turn: {each.waits_for_turn}", class_="remark")
    error = el("span", each.last_error, class_="errortext remark")
    level = None if each.priority is Priority.NORMAL else el("span", each.priority.value, class_="remark")
    said = [
        level,
        *badges,
        waits if each.waits_for else None,
        turn if each.waits_for_turn else None,
        error if each.last_error else None,
    ]
    return el("div", *said, class_="names") if any(said) else None


def _document(state: State, listed: Listed) -> dict[str, object]:
    return {
        "state": state,
        "total": listed.total,
        "looked_at": listed.looked_at,
        "next": listed.after,
        "executions": listed.executions,
    }


WORK = Page(path="work", label="Work", key="w", read=_read)

"""What has failed: in groups by task and error, then one by one, with what can be done about it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..failing import FILTER, wanted_by
from ..http import address
from ..markup import Child, Safe, el, join
from ..pieces import (
    Column,
    button,
    card,
    check,
    empty,
    field,
    filters,
    form,
    hidden,
    key_link,
    pages,
    rows_form,
    state_badge,
    table,
    task_link,
    with_written,
)
from ..view import Content, Page, Part, Query, Show, View, spelled
from ..words import count, moment, plural

if TYPE_CHECKING:
    from ...docket import Docket
    from ...operating import Failure, FailureGroup

__all__ = ["FAILURES"]

ROWS, GROUPS = 50, 12

STATES = {"final": "Failed", "retrying": "Retrying"}


async def _read(docket: Docket, query: Query) -> Show:
    state = query.get("state", "final")
    if state not in STATES:
        raise UsageError(f"there is no list of {state!r}: it is one of {', '.join(STATES)}")
    wanted = wanted_by(query)
    read = docket.failures if state == "final" else docket.retrying
    rows = await read(**wanted, limit=ROWS + 1, after=query.get("after") or None)
    groups = await docket.failure_groups(**wanted, retrying=state == "retrying")
    paused = {each.task for each in await docket.pauses()}
    return partial(_show, state, query, rows, groups, paused)


def _show(
    state: str,
    query: Query,
    rows: Sequence[Failure],
    groups: Sequence[FailureGroup],
    paused: Collection[str | None],
    view: View,
) -> Content:
    total = sum(group.count for group in groups)
    blocks: list[Safe | Part] = [
        _tabs(state, query),
        filters(
            "failures",
            field("Task", "task", query.get("task", ""), hint="its whole name"),
            field("Error contains", "error", query.get("error", ""), hint="type or text"),
            field("Since", "since", query.get("since", ""), hint="like 1h, 2d", class_="small"),
            field("Until", "until", query.get("until", ""), hint="like 10m", class_="small"),
            kept={"state": state if state != "final" else ""},
        ),
        Part("groups", _groups(state, query, groups, paused, view)),
        Part("rows", _list(state, query, rows, total, view)),
    ]
    document = {
        "total": total,
        "next": rows[ROWS - 1].cursor if len(rows) > ROWS else None,
        "failures": rows[:ROWS],
    }
    return Content(title="Failures", blocks=blocks, document=document)


def _tabs(state: str, query: Query) -> Safe:
    links = [
        el(
            "a",
            title,
            href=address("failures", state=each, **_filter(query)),
            aria_current="page" if each == state else None,
        )
        for each, title in STATES.items()
    ]
    return el("nav", *links, class_="tabs", aria_label="Kinds of failures")


def _filter(query: Query) -> dict[str, str]:
    return {name: query[name] for name in FILTER if query.get(name)}


def _pause(task: str, paused: Collection[str | None], view: View) -> Safe | None:
    """Pause the task of a group, whose failures may go on otherwise; or resume it."""
    verb = "Resume" if task in paused else "Pause"
    which = hidden("task", spelled(task))
    return form(view, which, el("button", verb, type="submit"), action=verb.lower())


def _groups(
    state: str, query: Query, groups: Sequence[FailureGroup], paused: Collection[str | None], view: View
) -> Safe:
    if len(groups) < (1 if view.may_act else 2):
        return Safe("")
    rows: list[list[Child]] = []
    for each in groups[:GROUPS]:
        of_task = {**_filter(query), "state": state, "task": each.function}
        rows.append(
            [
                el("a", each.function, href=address("failures", **of_task), class_="task"),
                el(
                    "a",
                    each.type,
                    href=address("failures", **{**of_task, "error": each.type}),
                    class_="key",
                ),
                count(each.count),
                moment(each.latest, view.now),
            ]
        )
    columns = [
        Column("Task", "name"),
        Column("Error", "key"),
        Column("Failures", "number"),
        Column("Latest", "number"),
    ]
    if view.may_act:
        columns.append(Column("", "tools", "Actions"))
        for row, each in zip(rows, groups, strict=False):
            row.append(_pause(each.function, paused, view))
    more = f", the largest {GROUPS}" if len(groups) > GROUPS else ""
    caption = f"{plural(len(groups), 'group')} by task and error{more}"
    return card(None, table(columns, rows, caption=caption, visible=True), class_="flush")


def _list(state: str, query: Query, rows: Sequence[Failure], total: int, view: View) -> Safe:
    is_filtered = bool(_filter(query))
    first = address("failures", **{**query, "after": None}) if query.get("after") else None
    if not rows:
        return el("div", _nothing(state, is_filtered), pages(None, first=first))
    shown = rows[:ROWS]
    older = address("failures", **{**query, "after": shown[-1].cursor}) if len(rows) > ROWS else None
    columns = [
        Column("Task", "name"),
        Column("Key", "key"),
        Column("Error", "wide"),
        Column("Attempt", "number"),
        Column("Failed", "number") if state == "final" else Column("Next", "number"),
    ]
    cells: list[list[Child]] = [_cells(state, each, view) for each in shown]
    columns = with_written(columns, cells, [each.written for each in shown])
    if view.may_act:
        columns = [Column("", "check", "Check"), *columns, Column("", "tools", "Actions")]
        for row, each in zip(cells, shown, strict=True):
            row.insert(0, check(each.key))
            row.append(button("Retry" if state == "final" else "Run now", "retry", keys=[each.key]))
    caption = f"{plural(total, 'failure')}, the {'newest' if state == 'final' else 'soonest'} first"
    listing = table(columns, cells, caption=caption, visible=True)
    tools = [button("Retry", "retry"), button("Discard…", "discard", tone="danger")]
    whole = el("div", rows_form(view, listing, *tools), class_="card flush")
    return el(
        "div",
        _all(state, query, total, view),
        whole,
        pages(older, first=first, text="Older" if state == "final" else "Later"),
    )


def _nothing(state: str, is_filtered: bool) -> Safe:
    if is_filtered:
        return empty("No failure matches the filter.")
    if state == "retrying":
        return empty("Nothing waits for another attempt.")
    return empty("Nothing has failed.", "The last failure of each key is kept for a week.")


def _cells(state: str, each: Failure, view: View) -> list[Child]:
    often = None
    if each.count > each.attempt:
        since = join(f"{count(each.count)} times since ", moment(each.first_failed_at, view.now))
        often = el("span", since, class_="remark")
    text = el("div", el("strong", each.type, class_="kind"), el("span", each.error, class_="errortext"))
    remark = state_badge("goes on") if each.goes_on else None
    at = moment(each.failed_at if state == "final" else each.next_at, view.now)
    return [
        task_link(each.function),
        key_link(each.key),
        el("div", text, remark, often),
        each.attempt,
        at,
    ]


def _all(state: str, query: Query, total: int, view: View) -> Safe | None:
    """What acts on all that match, on this page or not; it asks first, and says how many these are."""
    if state != "final" or not view.may_act or total < 2:
        return None
    wanted = [hidden(name, value) for name, value in _filter(query).items()]
    which = f"All {count(total)} that match" if wanted else f"All {count(total)}"
    return form(
        view,
        *wanted,
        el("span", f"{which}:", class_="remark"),
        button("Retry all…", "retry-all"),
        button("Discard all…", "discard-all", tone="danger"),
        action="retry-all",
        class_="all",
    )


FAILURES = Page(path="failures", label="Failures", key="f", read=_read)

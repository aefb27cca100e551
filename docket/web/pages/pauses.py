"""What is paused: since when, by whom, why, and how much waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..http import address
from ..markup import Child, Safe, el
from ..pausing import pause_tools
from ..pieces import Column, card, empty, field, form, table, task_link
from ..view import Content, Page, Part, Query, Show, View
from ..words import count, moment, plural

if TYPE_CHECKING:
    from ...docket import Docket
    from ...operating import Pause

__all__ = ["PAUSES"]


async def _read(docket: Docket, query: Query) -> Show:
    del query
    return partial(_show, await docket.pauses())


def _show(pauses: Sequence[Pause], view: View) -> Content:
    blocks: list[Safe | Part] = [Part("pauses", _list(pauses, view))]
    if view.may_act:
        blocks.append(_new(view))
        blocks.append(Part("all", _every(pauses, view), "half"))
    return Content(title="Pauses", blocks=blocks, document={"pauses": pauses})


def _list(pauses: Sequence[Pause], view: View) -> Safe:
    if not pauses:
        remark = "Of a paused task workers begin nothing; what is due waits in its order until it is resumed."
        return empty("Nothing is paused.", remark)
    paused = {each.task: each for each in pauses}
    columns = [
        Column("Task", "name"),
        Column("Since", "number"),
        Column("Waiting", "number"),
        Column("By"),
        Column("Reason", "wide"),
    ]
    rows: list[list[Child]] = [
        [
            task_link(each.task) if each.task is not None else el("strong", "All tasks"),
            moment(each.since, view.now),
            _waiting(each),
            each.by,
            each.reason,
        ]
        for each in pauses
    ]
    if view.may_act:
        columns.append(Column("", "tools", "Actions"))
        for row, each in zip(rows, pauses, strict=True):
            row.append(pause_tools(view, each.task, paused))
    return card(
        None, table(columns, rows, caption=plural(len(pauses), "pause"), visible=True), class_="flush"
    )


def _waiting(pause: Pause) -> Child:
    if pause.task is None:
        return el("a", count(pause.waiting), href=address("work", state="due"))
    return el("a", count(pause.waiting), href=address("work", state="paused", task=pause.task))


def _new(view: View) -> Part:
    fields = [
        field("Task", "name", hint="its name", kind="text", needed=True),
        field("Why", "reason", hint="for the others", kind="text"),
        el("button", "Pause", type="submit"),
    ]
    text = "What runs goes on, and so does adding. Retries and the next runs of perpetual tasks wait, too."
    remark = el("p", text, class_="remark")
    content = card("Pause a task", remark, form(view, *fields, action="pause", class_="filters"))
    return Part("new", content, "half")


def _every(pauses: Sequence[Pause], view: View) -> Safe:
    """The whole docket: paused, or resumed."""
    paused = {each.task: each for each in pauses}
    text = (
        "Workers begin nothing more, and what is due stays in its order."
        if None not in paused
        else "All is paused."
    )
    remark = el("p", text, class_="remark")
    return card("The whole docket", remark, pause_tools(view, None, paused))


PAUSES = Page(path="pauses", label="Pauses", key="p", read=_read)

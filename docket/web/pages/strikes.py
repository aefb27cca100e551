"""The strikes: what may not run until it is restored."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...strikelist import Operator, Strike
from ...text import text_of
from ..markup import Child, Safe, el
from ..pieces import Column, card, empty, field, form, table, task_link
from ..striking import KINDS, mark_of
from ..view import Content, Page, Part, Query, Show, View
from ..words import plural

if TYPE_CHECKING:
    from ...docket import Docket

__all__ = ["STRIKES"]


async def _read(docket: Docket, query: Query) -> Show:
    del query
    return partial(_show, await docket.strikes())


def _show(strikes: Sequence[Strike], view: View) -> Content:
    blocks: list[Safe | Part] = [Part("strikes", _list(strikes, view))]
    if view.may_act:
        blocks.append(_new(view))
    return Content(
        title="Strikes", blocks=blocks, document={"strikes": [each.call_repr() for each in strikes]}
    )


def _list(strikes: Sequence[Strike], view: View) -> Safe:
    if not strikes:
        return empty(
            "Nothing is struck.",
            "A strike forbids a task, or calls with some argument, until it is restored.",
        )
    columns = [Column("Task", "name"), Column("Calls with", "wide")]
    rows: list[list[Child]] = [[_whose(each), _which(each)] for each in strikes]
    if view.may_act:
        columns.append(Column("", "tools", "Actions"))
        for row, each in zip(rows, strikes, strict=True):
            row.append(_restore(each, view))
    return card(
        None, table(columns, rows, caption=plural(len(strikes), "strike"), visible=True), class_="flush"
    )


def _whose(strike: Strike) -> Child:
    return task_link(strike.function) if strike.function is not None else el("em", "every task")


def _which(strike: Strike) -> Child:
    if strike.parameter is None:
        return el("em", "any arguments")
    return el("code", f"{strike.parameter} {Operator(strike.operator).value} {text_of(strike.value, repr)}")


def _restore(strike: Strike, view: View) -> Safe | None:
    button = el("button", "Restore", type="submit", name="strike", value=mark_of(strike))
    return form(view, button, action="restore")


def _new(view: View) -> Safe:
    operators = [el("option", sign, value=sign) for sign in ("==", "!=", ">", ">=", "<", "<=")]
    kinds = [el("option", word, value=word) for word in KINDS]
    fields = [
        field("Task", "function", hint="empty: every task", kind="text"),
        field("Argument", "parameter", hint="empty: any", kind="text"),
        el("label", el("span", "is"), el("select", *operators, name="operator"), class_="small"),
        field("Value", "value", kind="text"),
        el("label", el("span", "of type"), el("select", *kinds, name="kind"), class_="small"),
        el("button", "Strike", type="submit", class_="danger"),
    ]
    about = el(
        "p", "Struck calls are refused when they are added, and cancelled where they wait.", class_="remark"
    )
    return card("Strike", about, form(view, *fields, action="strike", class_="filters"))


STRIKES = Page(path="strikes", label="Strikes", key="s", read=_read)

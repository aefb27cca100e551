"""The pieces that pages are made of: tiles, tables, badges, facts, forms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import attrs

from .http import address
from .markup import Child, Safe, el, join
from .view import View, spelled
from .words import short

if TYPE_CHECKING:
    from ..operating import Recurrence
    from ..store import Written

__all__ = [
    "Column",
    "button",
    "card",
    "empty",
    "facts",
    "field",
    "filters",
    "form",
    "hidden",
    "key_link",
    "limit_link",
    "limit_name",
    "note",
    "pages",
    "rows_form",
    "schedule_words",
    "state_badge",
    "table",
    "task_link",
    "tile",
    "with_written",
]

#: The colour of each state; the word stands beside it.
_TONES = {
    "due": "due",
    "queued": "due",
    "later": "later",
    "scheduled": "later",
    "running": "running",
    "retrying": "retrying",
    "retried": "retrying",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "quiet",
    "limited": "limited",
    "paused": "paused",
    "at a limit": "limited",
    "draining": "limited",
    "no worker": "failed",
    "broken": "failed",
    "gone": "failed",
}


def state_badge(state: str) -> Safe:
    return el("span", state, class_=f"badge {_TONES.get(state, 'quiet')}")


def tile(label: str, number: str, remark: Child = None, *, href: str | None = None, tone: str = "") -> Safe:
    """A number, what it counts, and a remark; it leads to what it counts."""
    inner = (
        el("span", label, class_="label"),
        el("strong", number, class_="number"),
        el("span", remark, class_="remark"),
    )
    kind = f"tile {tone}".strip()
    return el("a", *inner, class_=kind, href=href) if href is not None else el("div", *inner, class_=kind)


@attrs.frozen
class Column:
    """``kind`` is a class of board.css: ``number``, ``key``, ``wide``, ``tools``.

    What only those need to be told who cannot see the column is its ``spoken`` title.
    """

    title: str
    kind: str = ""
    spoken: str = ""


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[Child]], *, caption: str, visible: bool = False
) -> Safe:
    """A table; on small screens each row becomes a card, whose lines are named by the columns."""
    head = el("tr", *map(_head, columns))
    body = [
        el(
            "tr",
            *(
                el("td", cell, class_=column.kind or None, data_label=column.title or None)
                for column, cell in zip(columns, row, strict=True)
            ),
        )
        for row in rows
    ]
    title = el("caption", caption, class_=None if visible else "hidden")
    return el("div", el("table", title, el("thead", head), el("tbody", *body)), class_="scroll")


def _head(column: Column) -> Safe:
    title = column.title or el("span", column.spoken, class_="hidden")
    if column.kind == "check":  # shown where a script runs, without which it could not work
        title = el("input", type="checkbox", data_all=True, aria_label="Check all rows")
    return el("th", title, scope="col", class_=column.kind or None)


def with_written(
    columns: Sequence[Column], rows: Sequence[list[Child]], written: Sequence[Written]
) -> list[Column]:
    """The columns of a list of calls, and one more that says how each is written where that is not by plain pickles."""
    if not any(each.words for each in written):
        return [*columns]
    for row, each in zip(rows, written, strict=True):
        row.append(each.words)
    return [*columns, Column("Written", "key")]


def facts(pairs: Iterable[tuple[str, Child]]) -> Safe:
    """Names and values, one pair a line; without those that have no value."""
    return el(
        "dl",
        *(
            el("div", el("dt", name), el("dd", value))
            for name, value in pairs
            if value is not None and value != ""
        ),
        class_="facts",
    )


def card(title: Child, *children: Child, class_: str = "", tools: Child = None) -> Safe:
    """A titled box."""
    head = el("header", el("h2", title), tools) if title else None
    return el("section", head, *children, class_=f"card {class_}".strip())


def empty(text: Child, remark: Child = None) -> Safe:
    """What stands where there is nothing to list."""
    return el("div", el("p", text), el("p", remark, class_="remark") if remark else None, class_="empty")


def note(*children: Child, tone: str = "") -> Safe:
    return el("p", *children, class_=f"note {tone}".strip())


def key_link(key: str, task: str | None = None) -> Safe:
    """A key that leads to its run; ``task`` is where to look for one that may have expired."""
    return el("a", key, href=address("run", key=key, task=task), class_="key")


def task_link(name: str) -> Safe:
    """The name of a task that leads to its page. It is broken where a word of it ends."""
    parts = re.split(r"(?<=[_.:/-])(?=[^_.:/-])", name)
    words = [each for part in parts for each in (el("wbr"), part)][1:]
    return el("a", *words, href=address("task", name=name), class_="task")


def limit_name(name: str, docket: str) -> str:
    """The name of a concurrency limit without what all of them begin with."""
    for prefix in (f"{docket}:concurrency:", f"{{{docket}}}:concurrency:"):
        name = name.removeprefix(prefix)
    return name


def limit_link(name: str, docket: str) -> Safe:
    return el("a", el("code", limit_name(name, docket)), href="limits")


def schedule_words(recurrence: Recurrence) -> Safe:
    """When something repeats itself, and whether workers begin it by themselves."""
    automatic = el("span", "automatic", class_="remark") if recurrence.automatic else None
    if recurrence.cron is not None:
        zone = el("span", recurrence.tz or "UTC", class_="remark")
        return el("div", el("code", recurrence.cron), zone, automatic, class_="names")
    again = f"every {short(recurrence.every)}" if recurrence.every else "again and again"
    return el("div", el("span", again), automatic, class_="names")


# forms ---------------------------------------------------------------------------------------------------


def hidden(name: str, value: str) -> Safe:
    return el("input", type="hidden", name=name, value=value)


def field(
    label: str,
    name: str,
    value: str = "",
    *,
    hint: str = "",
    kind: str = "search",
    needed: bool = False,
    class_: str | None = None,
) -> Safe:
    """A labelled field of a filter."""
    box = el(
        "input",
        type=kind,
        name=name,
        value=value,
        placeholder=hint or None,
        required=needed,
        autocomplete="off",
        spellcheck="false",
        autocapitalize="off",
    )
    return el("label", el("span", label), box, class_=class_)


def filters(page: str, *fields: Child, kept: Mapping[str, str] | None = None) -> Safe:
    """A form that narrows a list: what it says stands in the address, so every view has one."""
    return el(
        "form",
        *(hidden(name, value) for name, value in (kept or {}).items() if value),
        *fields,
        el("button", "Filter", type="submit"),
        action=page,
        method="get",
        class_="filters",
        role="search",
    )


def button(
    text: str, action: str, *, keys: Sequence[str] = (), tone: str = "", title: str | None = None
) -> Safe:
    """A button of a form; with ``keys`` it acts on that one alone."""
    only = spelled(keys[0]) if keys else None
    return el(
        "button",
        text,
        type="submit",
        formaction=action,
        name="only" if only is not None else None,
        value=only,
        class_=tone or None,
        title=title,
    )


def form(view: View, *children: Child, action: str, class_: str = "") -> Safe | None:
    """A form that acts, for those who may; it comes back to this page."""
    if not view.may_act:
        return None
    return el(
        "form", hidden("back", view.here), *children, action=action, method="post", class_=class_ or "act"
    )


def rows_form(view: View, listing: Child, *buttons: Child) -> Safe:
    """A list whose checked rows the buttons act on; for those who may not act, the list."""
    if not view.may_act:
        return join(listing)
    tools = el("div", el("span", "With the checked:", class_="remark"), *buttons, class_="bulk")
    return el("form", hidden("back", view.here), listing, tools, method="post", class_="rows")


def check(key: str) -> Safe:
    """The box that checks a row."""
    return el("input", type="checkbox", name="key", value=spelled(key), aria_label=f"Check {key}")


def pages(older: str | None, *, text: str = "Older", first: str | None = None) -> Safe | None:
    """Links to more of a list."""
    if older is None and first is None:
        return None
    return el(
        "nav",
        el("a", "Back to the first", href=first, class_="button") if first is not None else None,
        el("a", text, href=older, class_="button", rel="next") if older is not None else None,
        class_="pages",
        aria_label="More of the list",
    )

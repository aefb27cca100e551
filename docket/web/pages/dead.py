"""Dead letters: deliveries that could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..http import address
from ..markup import Child, Safe, el
from ..pieces import Column, card, empty, facts, key_link, pages, table, with_written
from ..view import Content, Page, Part, Query, Show, View
from ..words import count, moment

if TYPE_CHECKING:
    from ...docket import Docket
    from ...operating import DeadLetter

__all__ = ["DEAD"]

ROWS = 50


async def _read(docket: Docket, query: Query) -> Show:
    letters, total = await docket.dead_letters(limit=ROWS, before=query.get("before") or None)
    return partial(_show, letters, total, query)


def _show(letters: Sequence[DeadLetter], total: int, query: Query, view: View) -> Content:
    return Content(
        title="Dead letters",
        blocks=[Part("letters", _list(letters, total, query, view))],
        document={"total": total, "dead_letters": letters},
    )


def _list(letters: Sequence[DeadLetter], total: int, query: Query, view: View) -> Safe:
    first = "dead" if query.get("before") else None
    if not letters:
        nothing = empty(
            "No delivery was unreadable.",
            "One that cannot be decoded is set aside here for a week, and its task fails.",
        )
        return el("div", nothing, pages(None, first=first))
    rows: list[list[Child]] = [
        [
            each.function or "(unknown)",
            key_link(each.key) if each.key else None,
            moment(each.at, view.now),
            el("code", each.message_id or each.entry),
            _why(each),
        ]
        for each in letters
    ]
    columns = [
        Column("Task", "name"),
        Column("Key", "key"),
        Column("Set aside", "number"),
        Column("Entry", "key"),
        Column("Reason", "wide"),
    ]
    columns = with_written(columns, rows, [each.written for each in letters])
    older = address("dead", before=letters[-1].entry) if len(letters) == ROWS and total > ROWS else None
    title = f"{count(total)} in all; the newest about 1,000 are kept for a week"
    listing = card(None, table(columns, rows, caption=title, visible=True), class_="flush")
    return el("div", listing, pages(older, first=first))


def _why(each: DeadLetter) -> Safe:
    """The reason, and the delivery as it came."""
    if not each.fields:
        return el("div", each.reason)
    pairs: list[tuple[str, Child]] = [(name, el("code", value)) for name, value in each.fields.items()]
    return el("div", each.reason, el("details", el("summary", "Its fields"), facts(pairs)))


DEAD = Page(path="dead", label="Dead letters", key="d", read=_read)

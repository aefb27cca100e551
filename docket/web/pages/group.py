"""One task group: its children, page by page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ...errors import UsageError
from ..http import address
from ..markup import Child, Safe, el, join
from ..pieces import Column, card, empty, facts, key_link, pages, table
from ..trees import badge_of, child_name, counts_of, error_of, remarks_of
from ..view import Content, Page, Part, Query, Show, View

if TYPE_CHECKING:
    from ...docket import Docket
    from ...operating import ChildPage, TreeRun

__all__ = ["GROUP"]

ROWS = 50


async def _read(docket: Docket, query: Query) -> Show:
    group = query.get("id", "")
    if not group:
        raise UsageError("which task group? Its id is missing from the address")
    after = query.get("after") or None
    return partial(_show, group, after, await docket.children(group, limit=ROWS, after=after))


def _show(group: str, after: str | None, page: ChildPage | None, view: View) -> Content:
    if page is None:
        gone = empty(
            "Nothing is known of this task group.",
            "What is known of one is kept for a day after its block was left.",
        )
        return Content(title="No such task group", blocks=[gone], status=404)
    owner: Child = "a program" if page.parent is None else key_link(page.parent)
    pairs: list[tuple[str, Child]] = [
        ("Of", owner),
        ("State", page.group.state),
        ("Id", el("code", group)),
    ]
    return Content(
        title="Task group",
        blocks=[
            Part("group", card(None, counts_of(page.group), facts(pairs))),
            Part("children", _children(group, after, page, view)),
        ],
        document={"group": page.group, "parent": page.parent, "children": page.children, "next": page.after},
    )


def _children(group: str, after: str | None, page: ChildPage, view: View) -> Safe:
    if not page.children:
        return empty("No more children." if after else "It has no children yet.")
    columns = (Column("Child", "name"), Column("State"), Column("Where", "wide"), Column("Error", "wide"))
    rows = [_row(child, page, view) for child in page.children]
    more = pages(
        address("group", id=group, after=page.after) if page.after else None,
        text="Next",
        first=address("group", id=group) if after else None,
    )
    listing = table(
        columns, rows, caption="Its children: failed, under way, cancelled, completed", visible=True
    )
    return join(card(None, listing, class_="flush"), more)


def _row(child: TreeRun, page: ChildPage, view: View) -> list[Child]:
    return [
        child_name(child, page.group.place_of(child.key)),
        badge_of(child),
        el("span", *remarks_of(child, view)),
        error_of(child),
    ]


GROUP = Page(path="group", read=_read)

"""One task group: its children, page by page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ...errors import UsageError
from ...rules import ExecutionState
from ..http import address
from ..markup import Child, Safe, el, join
from ..pieces import Column, card, empty, facts, key_link, pages, state_badge, table
from ..trees import child_name, children_bar, children_words, remarks_of
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
    counts = el(
        "div", children_bar(page.group), el("p", children_words(page.group), class_="remark"), class_="counts"
    )
    return Content(
        title="Task group",
        blocks=[
            Part("group", card(None, counts, facts(pairs))),
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
    failed = child.error is not None and child.state is not ExecutionState.COMPLETED
    return [
        child_name(child, page.group.place_of(child.key)),
        state_badge(child.state.value if child.state is not None else "gone"),
        el("span", *remarks_of(child, view)),
        el("span", child.error, class_="errortext") if failed else None,
    ]


GROUP = Page(path="group", read=_read)

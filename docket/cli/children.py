"""The children of one task group as a list, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import clock
from ..text import printable
from .at import At
from .errors import CommandFailed
from .existing import check_docket
from .json_output import print_json
from .server import with_docket
from .tables import print_table
from .trees import counts_of, said_of

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import ChildPage

__all__ = ["list_children"]


def list_children(group: str, limit: int, after: str | None, at: At, *, as_json: bool) -> None:
    """Print a page of them. Raises: CommandFailed - nothing is known of the group."""

    async def read(opened: Docket) -> ChildPage:
        page = await opened.children(group, limit=limit, after=after)
        if page is None:
            await check_docket(opened)
            raise CommandFailed(f"nothing is known of a task group {group!r} on docket {at.docket!r}")
        return page

    page = with_docket(read, at)
    if as_json:
        print_json(at.docket, group=page.group, parent=page.parent, children=page.children, next=page.after)
        return
    now = clock.now()
    owner = "a program" if page.parent is None else printable(page.parent)
    print(f"Task group {printable(group)} of {owner}, {page.group.state}, {counts_of(page.group)}")
    rows = [(child.key, child.function or "", said_of(child, now)) for child in page.children]
    if rows:
        print_table(("Key", "Task", "State"), rows)
    if page.after is not None:
        print(f"There are more: --after {printable(page.after)!r}")

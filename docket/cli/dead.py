"""``docket dead-letters``: deliveries that were set aside, since nobody could read them."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .. import clock
from ..text import printable
from .existing import found_on
from .json_output import Json, print_json
from .loops import Backend
from .options import Limit
from .server import DEFAULT_URL, DocketName, ServerUrl, with_docket
from .tables import relative

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import DeadLetter

__all__ = ["dead_letters"]

Before = Annotated[str | None, Parameter(name="--before")]


def dead_letters(
    *,
    limit: Limit = 100,
    before: Before = None,
    docket: DocketName = "docket",
    url: ServerUrl = DEFAULT_URL,
    json: Json = False,
    backend: Backend = "asyncio",
) -> None:
    """List deliveries that could not be read and were set aside, the newest first: why, and what was in each.

    Parameters
    ----------
    limit
        How many to list at most.
    before
        Go on behind the page before, whose "next" this is.
    docket
        The name of the docket.
    url
        The server of the docket.
    json
        Print it as JSON.
    backend
        The event loop: asyncio, uvloop or trio.
    """

    def read(opened: Docket) -> Awaitable[tuple[list[DeadLetter], int]]:
        page = opened.dead_letters(limit=limit, before=before)
        return found_on(opened, page, lambda page: page[1])

    letters, total = with_docket(read, docket=docket, url=url, backend=backend)
    following = letters[-1].entry if len(letters) == limit and total > limit else None
    if json:
        print_json(docket, total=total, dead_letters=letters, next=following)
        return
    print(f"Dead letters of docket {docket!r}, newest first: {len(letters)} of {total}")
    now = clock.now()
    for each in letters:
        _print(each, now)
    if following is not None:
        print(f"\nThere may be more: --before {following}")


def _print(each: DeadLetter, now: datetime) -> None:
    when = "" if each.at is None else f"{relative(each.at, now)}, "
    print(f"\n{when}delivery {printable(each.message_id or each.entry)}")
    print(f"  {printable(each.reason)}")
    for name, value in each.fields.items():
        print(f"  {printable(name)}: {printable(value)}")

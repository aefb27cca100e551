"""``docket dead-letters``: deliveries that were set aside, since nobody could read them."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .. import clock
from ..text import printable
from .at import HERE, Here
from .existing import found_on
from .json_output import Json, print_json
from .options import Limit
from .server import with_docket
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
    at: Here = HERE,
    json: Json = False,
) -> None:
    """List deliveries that could not be read and were set aside, the newest first: why, and what was in each.

    Parameters
    ----------
    limit
        How many to list at most.
    before
        Go on behind the page before, whose "next" this is.
    json
        Print it as JSON.
    """

    def read(opened: Docket) -> Awaitable[tuple[list[DeadLetter], int]]:
        page = opened.dead_letters(limit=limit, before=before)
        return found_on(opened, page, lambda page: page[1])

    letters, total = with_docket(read, at)
    following = letters[-1].entry if len(letters) == limit and total > limit else None
    if json:
        print_json(at.docket, total=total, dead_letters=letters, next=following)
        return
    print(f"Dead letters of docket {at.docket!r}, newest first: {len(letters)} of {total}")
    now = clock.now()
    for each in letters:
        _print(each, now)
    if following is not None:
        print(f"\nThere may be more: --before {following}")


def _print(each: DeadLetter, now: datetime) -> None:
    when = "" if each.at is None else f"{relative(each.at, now)}, "
    print(f"\n{when}delivery {printable(each.message_id or each.entry)}")
    print(f"  {printable(each.reason)}")
    if each.written.words:
        print(f"  written: {printable(each.written.words)}")
    for name, value in each.fields.items():
        print(f"  {printable(name)}: {printable(value)}")

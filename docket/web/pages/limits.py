"""The concurrency limits in use: who holds their slots, and who waits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..markup import Child, Safe, el
from ..pieces import Column, card, empty, key_link, limit_name, table
from ..view import Content, Page, Part, Query, Show, View
from ..words import count, plural

if TYPE_CHECKING:
    from ...docket import Docket
    from ...store import LimitInUse

__all__ = ["LIMITS"]

SHOWN, MOST = 5, 200


async def _read(docket: Docket, query: Query) -> Show:
    del query
    return partial(_show, await docket.concurrency())


def _show(limits: Sequence[LimitInUse], view: View) -> Content:
    # Those with waiters first: these are what one looks for.
    ordered = sorted(limits, key=lambda limit: (-limit.waiting, limit.key))
    return Content(
        title="Limits", blocks=[Part("limits", _list(ordered, view))], document={"limits": ordered}
    )


def _list(limits: Sequence[LimitInUse], view: View) -> Safe:
    if not limits:
        return empty(
            "No concurrency limit is in use.", "A task has one by ConcurrencyLimit in its signature."
        )
    rows: list[list[Child]] = [
        [
            el("code", limit_name(limit.key, view.docket)),
            _used(limit),
            _keys([*limit.holders, *limit.woken], len(limit.holders) + len(limit.woken)),
            count(limit.waiting),
            _keys(limit.waiters, limit.waiting),
        ]
        for limit in limits[:MOST]
    ]
    columns = (
        Column("Limit", "key"),
        Column("In use"),
        Column("Held by", "wide"),
        Column("Waiting", "number"),
        Column("Next in the row", "wide"),
    )
    title = plural(len(limits), "limit") + " in use" + (f", the first {MOST}" if len(limits) > MOST else "")
    return card(None, table(columns, rows, caption=title, visible=True), class_="flush")


def _used(limit: LimitInUse) -> Safe:
    used = len(limit.holders) + len(limit.woken)
    words = f"{used} of {limit.limit}"
    meter = el(
        "progress", words, max=max(limit.limit, 1), value=min(used, limit.limit), aria_label="Slots in use"
    )
    return el("div", meter, el("span", words), class_="meter")


def _keys(keys: Sequence[str], total: int) -> Safe | None:
    if not keys:
        return None
    more = el("span", f"and {count(total - SHOWN)} more", class_="remark") if total > SHOWN else None
    return el("div", *map(key_link, keys[:SHOWN]), more, class_="names")


LIMITS = Page(path="limits", label="Limits", key="l", read=_read)

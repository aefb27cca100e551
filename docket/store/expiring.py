"""Ending tasks that expire as they wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from .. import clock
from ..moments import read_epoch
from ..transport import Argument, Client
from ..values import define, frozen
from . import script_calls
from .foreign import is_whole, text
from .keys import Keys
from .schedule import time_to_live

__all__ = ["Expired", "Expiring", "Look"]


@frozen
class Expired:
    """A task that has expired as it waited. ``task`` is its task, empty where that is not known."""

    key: str
    task: str
    moment: datetime
    generation: int = 0
    when: datetime | None = None


@frozen
class Look:
    """What is there: which were ended, which have expired and are to be, and when to look again (None: never)."""

    ended: Sequence[Expired]
    due: Sequence[Expired]
    again: timedelta | None


@define(eq=False)
class Expiring:
    """Ends what expires as it waits. ``ttl`` is how long a final record is kept."""

    client: Client
    keys: Keys
    ttl: timedelta | None

    async def look(self, end: Sequence[Expired], move: Sequence[Expired], limit: int) -> Look:
        """End and move what an earlier look has found, and look for what is next, at most ``limit``.

        What is moved goes to a worker at once, which ends it and knows what is to follow.
        Cancel: it may have been done all the same.
        """
        decided: list[Argument] = []
        for word, some in ("END", end), ("MOVE", move):
            for each in some:
                decided += word, each.key, each.moment.isoformat()
        call = script_calls.expire(
            self.keys,
            at=clock.now().isoformat(),
            ttl_ms=time_to_live(self.ttl),
            limit=limit,
            decided=decided,
        )
        again, *rest = cast("list[Any]", await self.client.run(*call))
        ended: list[Expired] = []
        for each in (*end, *move):
            word = rest.pop(0)
            if word == b"ENDED":
                generation, due = rest.pop(0), rest.pop(0)
                number = int(generation) if is_whole(generation) else 0
                ended.append(Expired(each.key, each.task, each.moment, number, read_epoch(due)))
        found = [
            Expired(text(key), text(task), read_epoch(moment) or clock.now())
            for key, task, moment in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
        ]
        return Look(ended, found, timedelta(milliseconds=int(again)) if again else None)

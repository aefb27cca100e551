"""Moving tasks whose time has come."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import attrs

from .. import clock
from ..transport import Client
from ..values import define, frozen
from . import script_calls
from .failures_kept import FailuresKept
from .keys import Keys
from .schedule import time_to_live

__all__ = ["DueTasks", "Moved"]


@frozen
class Moved:
    """How many tasks were moved, and when the next one is due (epoch seconds), if there is one."""

    count: int
    next_due: float | None


@define(eq=False)
class DueTasks:
    """The scheduler's only write. ``ttl`` is how long the record is kept of a task whose message is gone."""

    client: Client
    keys: Keys
    ttl: timedelta | None
    failures: FailuresKept = attrs.field(factory=FailuresKept)

    async def move(self, limit: int) -> Moved:
        """Move at most ``limit`` due tasks to the stream."""
        now = clock.now()
        call = script_calls.due(
            self.keys,
            now=f"{now.timestamp():.6f}",
            limit=limit,
            at=now.isoformat(),
            ttl_ms=time_to_live(self.ttl),
            **self.failures.bounds(now),
        )
        count, following = cast("tuple[int, bytes]", await self.client.run(*call))
        return Moved(count, float(following) if following else None)

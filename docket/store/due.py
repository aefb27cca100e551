"""Moving tasks whose time has come."""

from __future__ import annotations

from typing import cast

import attrs

from .. import clock
from ..transport import Client
from .keys import Keys
from .lua import script

__all__ = ["DueTasks", "Moved"]


@attrs.frozen
class Moved:
    """How many tasks were moved, and when the next one is due (epoch seconds), if there is one."""

    count: int
    next_due: float | None


@attrs.define(eq=False)
class DueTasks:
    """The scheduler's only write."""

    client: Client
    keys: Keys

    async def move(self, limit: int) -> Moved:
        """Move at most ``limit`` due tasks to the stream."""
        reply = await self.client.run(
            script("due"),
            [self.keys.stream, self.keys.queue, self.keys.reserved_queue],
            [self.keys.prefix, f"{clock.timestamp():.6f}", limit],
        )
        count, following = cast("tuple[int, bytes]", reply)
        return Moved(count, float(following) if following else None)

"""What running tasks report about how far they are. Each report is one script: one round trip."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import attrs

from .. import clock
from ..transport import Client
from .codec import encode_json_string
from .keys import Keys
from .lua import script
from .records import ProgressRecord, read_mapping
from .schedule import time_to_live

__all__ = ["Fence", "ProgressReports"]


@attrs.frozen(kw_only=True)
class Fence:
    """Which claim of which delivery a report is about (I2)."""

    message_id: bytes
    generation: int
    claim: int
    holder: str


@attrs.define(eq=False)
class ProgressReports:
    """Reads and writes of progress on one docket. ``ttl`` is how long reports are kept that no run owns.

    Every write returns what is known from then on; None where nothing was written: the run has ended, or the fence
    no longer owns it. Without a fence the writer speaks for whatever runs under the key.
    Raises: redis.exceptions.RedisError.
    """

    client: Client
    keys: Keys
    ttl: timedelta | None

    async def read(self, key: str) -> ProgressRecord:
        """What was last reported."""
        return ProgressRecord.of(read_mapping(await self.client.call("HGETALL", self.keys.progress(key))))

    async def increment(self, key: str, amount: int, fence: Fence | None) -> ProgressRecord | None:
        """Add to what is done."""
        return await self._write(key, "current", amount, fence)

    async def set_total(self, key: str, total: int, fence: Fence | None) -> ProgressRecord | None:
        """Say how much there is to do."""
        return await self._write(key, "total", total, fence)

    async def set_message(self, key: str, message: str | None, fence: Fence | None) -> ProgressRecord | None:
        """Say what is being done; None removes the message."""
        if message is None:
            return await self._write(key, "no message", "", fence)
        return await self._write(key, "message", message, fence)

    async def _write(
        self, key: str, field: str, value: int | str, fence: Fence | None
    ) -> ProgressRecord | None:
        now = clock.now()
        owner: tuple[Any, ...] = ("", 0, 0, "")
        if fence is not None:
            owner = (fence.message_id, fence.generation, fence.claim, fence.holder)
        reply = await self.client.run(
            script("progress"),
            [self.keys.run(key), self.keys.progress(key)],
            [*owner, encode_json_string(key), now.isoformat(), time_to_live(self.ttl), field, value],
        )
        if reply is None:
            return None
        current, total, message = cast("list[bytes | None]", reply)
        return ProgressRecord.read(current, total, message, now)

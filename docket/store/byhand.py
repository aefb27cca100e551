"""Claiming and ending runs by hand, for programs that are their own worker."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

from .. import clock
from ..numbers import LARGEST_FIELD, check_whole, spelled
from ..transport import Client
from ..values import define
from . import script_calls
from .codec import end_fields, state_event
from .fence import Fence
from .keys import Keys
from .schedule import time_to_live

__all__ = ["ByHand"]


@define(eq=False)
class ByHand:
    """Writes about runs that no worker of ours has. ``ttl`` is how long a final record is kept."""

    client: Client
    keys: Keys
    ttl: timedelta | None

    async def claim(self, key: str, generation: int, worker: str, message_id: bytes | None) -> Fence | None:
        """Claim a run for ``worker``. None: it is not to run any more."""
        _check(generation, message_id)
        call = script_calls.begin(
            self.keys,
            worker=worker,
            started_at=clock.now().isoformat(),
            key=key,
            generation=generation,
            message_id=message_id or b"",
        )
        word, claim, delivery = cast("tuple[bytes, int, bytes]", await self.client.run(*call))
        return Fence(delivery, generation, claim, worker) if word == b"OK" else None

    async def conclude(
        self,
        key: str,
        generation: int,
        message_id: bytes | None,
        *,
        state: str,
        error: str | None = None,
        result_key: str | None = None,
    ) -> bool:
        """Write the final state of a run; whether it was still to be written. The generation 0 is any."""
        _check(generation, message_id)
        at = clock.now().isoformat()
        ending = end_fields(at, error)
        record = ["state", state, *ending, *(() if result_key is None else ("result_key", result_key))]
        call = script_calls.conclude(
            self.keys,
            key=key,
            generation=generation,
            message_id=message_id or b"",
            ttl_ms=time_to_live(self.ttl),
            state_event=state_event(key, state, *ending),
            record=record,
        )
        return await self.client.run(*call) == b"OK"


def _check(generation: int, message_id: bytes | None) -> None:
    check_whole("generation", generation, 0, LARGEST_FIELD)
    if message_id is not None and not isinstance(message_id, bytes | str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"message_id takes the id of an entry, not {spelled(message_id)}")

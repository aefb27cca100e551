"""The claims that a worker holds, each with the scope of its body; and conditions that loops wait for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import attrs

from .. import clock
from ..execution import Execution
from ..rules import StopReason
from ..store import Delivery

__all__ = ["Condition", "Roster", "Running"]


class Condition:
    """Wakes everybody who waits, each time it is notified. Nothing is remembered for those who come later."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def notify(self) -> None:
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Wait for the next notification. Cancel: safe."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()


@attrs.define(eq=False)
class Running:
    """One claim: from ownership until it is settled (I3)."""

    delivery: Delivery
    execution: Execution[Any]
    broken: Exception | None
    """Why the call could not be decoded, if so."""
    trusted_until: float
    """Loop time at which the lease can no longer be trusted to be ours."""
    body: anyio.CancelScope = attrs.field(init=False, factory=anyio.CancelScope)
    reason: StopReason | None = attrs.field(init=False, default=None)
    started: float = attrs.field(init=False, factory=clock.monotonic)

    def stop(self, reason: StopReason) -> None:
        """Stop the body; the first reason is the true one."""
        self.reason = self.reason or reason
        self.body.cancel()


class Roster:
    """What runs in this worker right now, by message id."""

    def __init__(self) -> None:
        self._running: dict[bytes, Running] = {}
        self.changed = Condition()

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Running]:
        return iter(list(self._running.values()))

    def __contains__(self, message_id: bytes) -> bool:
        return message_id in self._running

    def add(self, running: Running) -> None:
        self._running[running.delivery.message_id] = running
        if len(self._running) == 1:
            self.changed.notify()

    def remove(self, running: Running) -> None:
        if self._running.get(running.delivery.message_id) is running:
            del self._running[running.delivery.message_id]
            self.changed.notify()

    def ids(self) -> list[bytes]:
        return list(self._running)

    def get(self, message_id: bytes) -> Running | None:
        return self._running.get(message_id)

    def under(self, key: str) -> list[Running]:
        """What runs under a task key: more than one where a run was replaced and goes on."""
        return [running for running in self._running.values() if running.delivery.message.key == key]

    async def wait_for_fewer_than(self, count: int) -> None:
        while len(self._running) >= count:
            await self.changed.wait()

    async def wait_nonempty(self) -> None:
        while not self._running:
            await self.changed.wait()

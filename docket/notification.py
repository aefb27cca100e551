"""Notifications that loops wait for."""

from __future__ import annotations

import anyio

__all__ = ["Notification"]


class Notification:
    """Wakes all waiters, each time it is notified.

    ``count`` is how often that was. A loop that must not miss a notification between its question and its wait takes
    the count first: ``seen = notification.count; ...; await notification.wait_past(seen)``.
    """

    __slots__ = ("_event", "count")

    def __init__(self) -> None:
        self._event: anyio.Event | None = None
        self.count = 0

    def notify(self) -> None:
        self.count += 1
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Wait for the next notification. Cancel: safe."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()

    async def wait_past(self, count: int) -> None:
        """Wait until there were more notifications than ``count``; at once if there were. Cancel: safe."""
        while self.count == count:
            await self.wait()

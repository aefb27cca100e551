"""Does what is due for tasks that run here, whatever their bodies do: looks after the children of their groups."""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio
import attrs

from ...clock import monotonic
from ...notification import Notification
from ...parenthood import Tend
from ...values import define
from ..roster import Running

__all__ = ["Tending"]


@define(eq=False)
class _Tended:
    running: Running
    tend: Tend
    due: float
    """The loop time at which it is to be called next."""


@define(eq=False)
class Tending:
    """Calls what the tasks of one worker have asked for, each at the moment that it has named.

    It waits for the first of these moments. What was due when the server was lost is called again.
    """

    _tended: dict[str, _Tended] = attrs.field(init=False, factory=dict[str, _Tended])
    _changed: Notification = attrs.field(init=False, factory=Notification)

    def begin(self, channel: str, running: Running, tend: Tend) -> None:
        """Tend to what goes on by a channel: for the first time at once, which names the next."""
        self._tended[channel] = _Tended(running, tend, -math.inf)
        self._changed.notify()

    def end(self, channel: str, running: Running) -> None:
        """Tend to it no more, unless another run has asked for that."""
        if (tended := self._tended.get(channel)) is not None and tended.running is running:
            del self._tended[channel]

    async def run(self, answered: Callable[[], None]) -> None:
        while True:
            seen = self._changed.count
            for channel, tended in list(self._tended.items()):
                if tended.running.settled:
                    self.end(channel, tended.running)  # it was detached, and has never left its block
                elif tended.due <= monotonic():
                    tended.due = monotonic() + await tended.tend()
            answered()
            first = min((tended.due for tended in self._tended.values()), default=math.inf)
            with anyio.move_on_after(None if first == math.inf else max(0, first - monotonic())):
                await self._changed.wait_past(seen)

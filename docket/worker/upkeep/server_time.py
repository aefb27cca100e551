"""The server's time, of which a worker keeps count between the answers that tell it."""

from __future__ import annotations

import attrs

from ... import clock
from ...clock import monotonic
from ...values import define

__all__ = ["ServerTime"]

#: For how many seconds after an answer its time is counted on: the server's clock may be set meanwhile.
COUNTED = 60.0

#: Answers that took more seconds than this tell the time too badly.
PROMPT = 0.25

#: By how many seconds our two clocks may differ about how long ago that was.
AGREED = 1.0


@define(eq=False)
class ServerTime:
    """The server's time in epoch seconds, never ahead of its clock by more than what the clocks drift in a minute.

    Two clocks of ours count on: one of them stands while the machine sleeps, and the other may be set.
    """

    _at: float | None = attrs.field(init=False, default=None)
    _read: float = attrs.field(init=False, default=0.0)
    _wall: float = attrs.field(init=False, default=0.0)

    def read(self, at: float, asked: float) -> None:
        """Note that the server, asked at the loop time ``asked``, has just answered that it is ``at``."""
        self._read, self._wall = monotonic(), clock.timestamp()
        self._at = at if self._read - asked <= PROMPT else None

    def now(self) -> float | None:
        """The server's time; None: it has to be asked."""
        passed = monotonic() - self._read
        if self._at is None or passed >= COUNTED or abs(clock.timestamp() - self._wall - passed) > AGREED:
            return None
        return self._at + passed

"""Whether a worker lives and is ready for tasks, for whoever asks from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import attrs

from ...clock import perf_counter
from ...transport import Backend, current_backend
from ...values import define
from .leases import Leases
from .outages import Outages

__all__ = ["ANSWER_SECONDS", "LIVE_SECONDS", "Health"]

#: How many seconds the event loop gets for an answer before one goes out without it.
ANSWER_SECONDS = 0.5

#: How many seconds the loop may owe an answer and still count as alive: a task that blocks it for a while is no reason
#: to kill its worker.
LIVE_SECONDS = 30.0


@define(eq=False)
class Health:
    """Asks the event loop of a worker, when somebody asks for its health: nothing ticks otherwise (I10).

    ``silence`` is how long the server may say nothing to any loop of the worker. What is wrong is a list of reasons.
    """

    outages: Outages
    leases: Leases
    stopping: Callable[[], bool]
    silence: timedelta
    _backend: Backend | None = attrs.field(init=False, default=None)
    _lock: threading.Lock = attrs.field(init=False, factory=threading.Lock)
    _asked: float | None = attrs.field(init=False, default=None)
    """When the loop was asked for the answer that it owes, in seconds of perf_counter."""
    _answered: threading.Event = attrs.field(init=False, factory=threading.Event)
    _reasons: list[str] = attrs.field(init=False, factory=list[str])
    """Why the worker is not ready, by the loop's last answer."""

    def begin(self) -> None:
        """Call this in the loop, before somebody asks."""
        self._backend = current_backend()

    def liveness(self) -> list[str]:
        """Why the worker should be restarted. Waits for `ANSWER_SECONDS` at most."""
        owed = self._ask()
        return [_owes(owed)] if owed > LIVE_SECONDS else []

    def readiness(self) -> list[str]:
        """Why the worker takes or finishes no tasks now. Waits for `ANSWER_SECONDS` at most."""
        owed = self._ask()
        return [_owes(owed)] if owed else self._reasons

    def _ask(self) -> float:
        """Have the loop look; return for how many seconds it has owed the answer, 0 once it has answered."""
        if self._backend is None or self._backend.is_current():
            self._look()
            return 0.0
        with self._lock:
            if self._asked is None:
                self._asked, self._answered = perf_counter(), threading.Event()
                if not self._backend.soon(self._look):  # the loop is over
                    self._asked = None
                    return 0.0
            asked, answered = self._asked, self._answered
        return 0.0 if answered.wait(ANSWER_SECONDS) else perf_counter() - asked

    def _look(self) -> None:
        """Find the reasons; in the loop."""
        self._reasons = (
            ["the worker has not begun"] if self._backend is None else self._unready(self._backend.time())
        )
        with self._lock:
            self._asked = None
            self._answered.set()

    def _unready(self, now: float) -> list[str]:
        reasons = list[str]()
        if self.stopping():
            reasons.append("the worker is stopping")
        if (began := self.outages.began) is not None:
            reasons.append(f"Redis has been unavailable for {now - began:.1f} s")
        elif not self.leases.claims.client.is_memory:
            answered = self.outages.last_answer
            if answered is None:
                reasons.append("Redis has not answered yet")
            elif now - answered > self.silence.total_seconds():
                reasons.append(f"Redis has not answered for {now - answered:.1f} s")
        if late := self.leases.overdue(now):
            reasons.append(f"the leases of {late} tasks have not been renewed in time")
        return reasons


def _owes(seconds: float) -> str:
    return f"the event loop has not answered for {seconds:.1f} s"

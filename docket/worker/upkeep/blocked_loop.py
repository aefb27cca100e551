"""A thread that renews the leases while a body blocks the event loop.

A body that blocks (a long computation, ``time.sleep``, a driver that is not async) keeps the loop from renewing. The
thread then renews instead, on a connection of its own. It needs the interpreter for that. While a body holds the GIL,
or the process is stopped, nothing renews, and the bodies stop as LOST afterwards.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from contextvars import Context, copy_context
from traceback import FrameSummary

import anyio
import attrs
from anyio import from_thread
from anyio.lowlevel import current_token

from ... import clock
from ...clock import monotonic, perf_counter
from ...rules import LEASE_RENEWAL_FACTOR
from ...standins import redis_errors
from ...values import define
from .leases import Leases
from .outages import is_disruption

__all__ = ["MOST_TIMEOUTS", "BlockedLoopRenewal"]

logger = logging.getLogger("docket.worker")

#: Parts of the timeout. The loop reports that it is alive every `ALIVE`. Without a report for `BLOCKED` the thread
#: renews, every `RENEW`, and `RETRY` after a renewal that failed. The last renewal by the loop is 3/8 to 1/2 old when
#: the thread begins, so several attempts fit in before the leases are no longer trusted.
ALIVE, BLOCKED, RENEW, RETRY = 1 / 8, 1 / 4, 1 / LEASE_RENEWAL_FACTOR, 1 / 16

#: Seconds. Without a report for `LOGGED` it is logged that the loop is blocked; after half of a timeout that is
#: shorter. So the loop reports every `ALIVE_SECONDS`, unless `ALIVE` is sooner.
LOGGED, ALIVE_SECONDS = 1.0, 0.25

#: For so many timeouts the thread renews. Then another worker gets the tasks, since the loop may hang for ever.
MOST_TIMEOUTS = 10

#: How many seconds one renewal by the thread may take, and the longest pause after one that failed. If the worker ends
#: during a renewal, it waits that long.
RENEWAL_SECONDS = 5.0

#: How many frames of the blocked loop are logged, the innermost ones.
FRAMES_LOGGED = 8

WORKER_FILES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")


@define(eq=False)
class BlockedLoopRenewal:
    """Renews the leases of one worker from a thread while its event loop is blocked.

    The thread lives as long as `run`, which waits for its end. While the loop is not blocked, all this costs it is a
    lock, taken eight times per timeout.
    """

    leases: Leases
    worker: str
    is_resting: bool = attrs.field(init=False, default=False)
    """Whether the thread sleeps until `note_alive`: there is nothing to renew, or it has stopped renewing."""
    _changed: threading.Condition = attrs.field(init=False, factory=threading.Condition)
    _ended: bool = attrs.field(init=False, default=False)
    #: When the loop last reported that it is alive, in seconds of perf_counter.
    _last_alive: float = attrs.field(init=False, default=0.0)
    #: How far the loop's clock is ahead of perf_counter. uvloop's clock stands while a callback runs, so the largest
    #: difference seen is the true one.
    _clock_offset: float = attrs.field(init=False, default=-math.inf)
    _next_renewal: float = attrs.field(init=False, default=-math.inf)
    #: For which ``_last_alive`` it was logged that the loop is blocked, and that the thread stops renewing.
    _logged_blocked: float | None = attrs.field(init=False, default=None)
    _no_log_before: float = attrs.field(init=False, default=-math.inf)
    _logged_stop: float | None = attrs.field(init=False, default=None)
    _backend: str = attrs.field(init=False, default="")
    _loop_thread: int = attrs.field(init=False, default=0)

    # in the loop -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the thread until cancelled, and report to it that the loop is alive.

        In virtual time there is no thread: that time stands while the loop is blocked.
        """
        if clock.is_virtual():
            return
        self._backend = "trio" if anyio.get_cancelled_exc_class().__module__.startswith("trio") else "asyncio"
        self._loop_thread = threading.get_ident()
        self.note_alive()
        async with anyio.create_task_group() as group:
            group.start_soon(self._host_thread)
            try:
                while True:
                    await self.leases.roster.wait_nonempty()
                    self.note_alive()
                    await anyio.sleep(min(self._timeout * ALIVE, ALIVE_SECONDS))
                    if self._logged_blocked == self._last_alive:
                        self.note_alive()  # even if nothing runs any more
            finally:
                with self._changed:
                    self._ended = True
                    self._changed.notify()

    def note_alive(self) -> None:
        """Report that the loop is alive; wakes the thread if it rests."""
        with self._changed:
            before, self._last_alive = self._last_alive, perf_counter()
            blocked = self._last_alive - before if self._logged_blocked == before else None
            self._clock_offset = max(self._clock_offset, monotonic() - self._last_alive)
            if self.is_resting:
                self.is_resting = False
                self._changed.notify()
        if blocked is not None:
            logger.warning("The event loop of worker %r goes on after %.3g s", self.worker, blocked)

    async def _host_thread(self) -> None:
        """Start the thread and wait for its end, even when cancelled.

        It is not one of anyio's threads: on asyncio the interpreter waits for those as it exits. That would be for ever
        where Ctrl-C has made ``loop.run_until_complete`` leave the loop in the middle of its work.
        """
        ended, token = anyio.Event(), current_token()
        failures: list[BaseException] = []

        def renew() -> None:
            try:
                self._renew_while_blocked()
            except BaseException as error:  # noqa: BLE001 - the loop raises it, below
                failures.append(error)
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
                from_thread.run_sync(ended.set, token=token)

        threading.Thread(target=copy_context().run, args=[renew], name="docket leases", daemon=True).start()
        with anyio.CancelScope(shield=True):
            await ended.wait()
        for failure in failures:
            raise failure

    # in the thread ---------------------------------------------------------------------------------------

    @property
    def _timeout(self) -> float:
        return self.leases.timeout.total_seconds()

    def _now(self) -> float:
        """The time of the loop's clock, which other threads cannot read."""
        return perf_counter() + self._clock_offset

    def _renew_while_blocked(self) -> None:
        logs: threading.Thread | None = None
        while self._wait_until_blocked():
            if self._is_to_log():
                logs = self._log_blocked()
            if perf_counter() >= self._renewal_due():
                renewed = self._renew()
                pause = RENEW * self._timeout if renewed else min(RETRY * self._timeout, RENEWAL_SECONDS)
                self._next_renewal = perf_counter() + pause
        if logs is not None:
            logs.join(LOGGED)

    def _wait_until_blocked(self) -> bool:
        """Sleep until there is something to log or to renew; return False once the worker ends."""
        with self._changed:
            while not self._ended:
                # Set before the look at the roster: the loop adds to the roster first, and then looks at this.
                self.is_resting = True
                due = self._due()
                self.is_resting = due is None
                remaining = None if due is None else due - perf_counter()
                if remaining is not None and remaining <= 0:
                    return True
                self._changed.wait(remaining)
                if due is not None and perf_counter() - due > ALIVE_SECONDS:
                    # All of the process stood still, not only the loop, which gets the time to report.
                    self._no_log_before = perf_counter() + ALIVE_SECONDS / 2
        return False

    def _due(self) -> float | None:
        """When to log or to renew unless the loop reports before that; None: not until it does."""
        now = self._now()
        if not any(running.trusted_until > now for running in self.leases.roster):
            return None
        if perf_counter() - self._last_alive > MOST_TIMEOUTS * self._timeout:
            self._log_stop()
            return None
        renewal = self._renewal_due()
        return renewal if self._logged_blocked == self._last_alive else min(renewal, self._log_due())

    def _renewal_due(self) -> float:
        return max(self._last_alive + BLOCKED * self._timeout, self._next_renewal)

    def _log_due(self) -> float:
        return max(self._last_alive + min(LOGGED, 2 * BLOCKED * self._timeout), self._no_log_before)

    def _is_to_log(self) -> bool:
        return self._logged_blocked != self._last_alive and perf_counter() >= self._log_due()

    def _renew(self) -> bool:
        """Renew in an event loop of this thread; return whether that succeeded."""
        try:
            # In an empty context: the thread's own says that a loop runs, which is true of another thread.
            return Context().run(anyio.run, self._renew_on_a_new_connection, backend=self._backend)
        except redis_errors.RedisError as error:
            if not is_disruption(error):
                raise  # I7
            logger.warning(
                "The event loop of worker %r is blocked, and its leases cannot be renewed: %s",
                self.worker,
                error,
            )
            return False

    async def _renew_on_a_new_connection(self) -> bool:
        with anyio.move_on_after(RENEWAL_SECONDS):
            async with self.leases.claims.client.another() as client:
                await self.leases.renew(attrs.evolve(self.leases.claims, client=client), self._now)
                return True
        return False

    def _log_blocked(self) -> threading.Thread:
        """Log that the loop is blocked, and where; in a thread: what blocks may hold the lock of a handler."""
        self._logged_blocked = self._last_alive
        blocked = perf_counter() - self._last_alive
        frame = sys._current_frames().get(self._loop_thread)  # pyright: ignore[reportPrivateUsage]
        frames = _frames_of_the_body(traceback.extract_stack(frame))

        def log() -> None:
            logger.warning(
                "The event loop of worker %r has been blocked for %.3g s; a thread renews its leases. A function that "
                "blocks for long belongs into a plain function (def), which runs in a thread\n%s",
                self.worker,
                blocked,
                "".join(traceback.format_list(frames)).rstrip(),
            )

        thread = threading.Thread(target=log, name="docket log", daemon=True)
        thread.start()
        return thread

    def _log_stop(self) -> None:
        """Log once that the thread stops renewing."""
        if self._logged_stop != self._last_alive:
            self._logged_stop = self._last_alive
            logger.error(
                "The event loop of worker %r has been blocked for %.6g s: its leases are not renewed any more, and its "
                "tasks will be redelivered",
                self.worker,
                MOST_TIMEOUTS * self._timeout,
            )


def _frames_of_the_body(frames: Sequence[FrameSummary]) -> list[FrameSummary]:
    """The innermost frames of the body, without those of the worker and the event loop below them."""
    of_the_worker = [at for at, frame in enumerate(frames) if frame.filename.startswith(WORKER_FILES)]
    return list(frames[max(of_the_worker, default=-1) + 1 :][-FRAMES_LOGGED:])

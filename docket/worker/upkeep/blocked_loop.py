"""Keeps the leases while the event loop is blocked: a thread that sleeps for as long as the loop is in time.

A body that blocks (a long computation, ``time.sleep``, a driver that is not async) keeps the loop from renewing. The
thread then renews in its place, on a connection of its own. It needs the interpreter for that: who keeps the GIL to
himself, or stops the process, is not helped, and what ran there is stopped as LOST.
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
from redis.exceptions import RedisError

from ... import clock
from ...clock import monotonic, perf_counter
from .leases import Leases
from .outages import is_disruption

__all__ = ["LIMIT", "BlockedLoopRenewal"]

logger = logging.getLogger("docket.worker")

#: Parts of the timeout: how often the loop says that it goes on, after what silence it is late, how long the thread
#: then waits from one renewal to the next, and after a failed one. A lease was renewed 3/8 to 1/2 ago when the
#: thread begins, which leaves it as much time for several tries before that is not trusted any more.
SIGN, LATE, AGAIN, RETRY = 1 / 8, 1 / 4, 1 / 4, 1 / 16

#: For so many timeouts a blocked loop keeps its leases. One that hangs for ever lets its tasks go elsewhere.
LIMIT = 10

#: Seconds that one renewal by the thread takes at most, and that it waits after one that failed. The end of the worker
#: waits as long if it comes while the thread is at it.
PATIENCE = 5.0

#: Frames of the blocked loop that are shown, the last ones.
SHOWN = 8

WORKER_FILES = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")


@attrs.define(eq=False)
class BlockedLoopRenewal:
    """Renews the leases of one worker from a thread while the loop does not. The nest waits for the thread's end.

    All that the loop does for it is to take a lock eight times per timeout.
    """

    leases: Leases
    worker: str
    is_resting: bool = attrs.field(init=False, default=False)
    """Whether the thread sleeps until it is roused: there is nothing to renew, or no sense in it any more."""
    _changed: threading.Condition = attrs.field(init=False, factory=threading.Condition)
    _over: bool = attrs.field(init=False, default=False)
    #: When the loop gave its last sign, in seconds of perf_counter, and what its own clock is ahead of that. uvloop's
    #: stands while a callback runs, so the most that was seen is true.
    _seen: float = attrs.field(init=False, default=0.0)
    _ahead: float = attrs.field(init=False, default=-math.inf)
    _next: float = attrs.field(init=False, default=-math.inf)
    #: The signs after which was said that the loop is blocked, and that the leases are let go.
    _told: float | None = attrs.field(init=False, default=None)
    _let_go: float | None = attrs.field(init=False, default=None)
    _backend: str = attrs.field(init=False, default="")
    _loop_thread: int = attrs.field(init=False, default=0)

    # in the loop -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the thread until cancelled, and tell it that the loop goes on. In virtual time, which stands while
        the loop is blocked, there is nothing to do."""
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
                    await anyio.sleep(self._timeout * SIGN)
            finally:
                with self._changed:
                    self._over = True
                    self._changed.notify()

    def note_alive(self) -> None:
        """Tell the thread that the loop goes on."""
        with self._changed:
            self._seen = perf_counter()
            self._ahead = max(self._ahead, monotonic() - self._seen)
            if self.is_resting:
                self.is_resting = False
                self._changed.notify()

    async def _host_thread(self) -> None:
        """Have the thread, and wait for its end, whatever is cancelled.

        Not one of anyio's: on asyncio the interpreter waits for these as it exits, which would be for ever where the
        loop was left in the midst of its work, as ``loop.run_until_complete`` is by Ctrl-C.
        """
        ended, token = anyio.Event(), current_token()
        failures: list[BaseException] = []

        def stand_by() -> None:
            try:
                self._stand_by()
            except BaseException as error:  # noqa: BLE001 - it is for the nest, below
                failures.append(error)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                from_thread.run_sync(ended.set, token=token)

        threading.Thread(
            target=copy_context().run, args=[stand_by], name="docket leases", daemon=True
        ).start()
        with anyio.CancelScope(shield=True):
            await ended.wait()
        for failure in failures:
            raise failure

    # in the thread ---------------------------------------------------------------------------------------

    @property
    def _timeout(self) -> float:
        return self.leases.timeout.total_seconds()

    def _now(self) -> float:
        """The time of the loop's clock, which no other thread can read."""
        return perf_counter() + self._ahead

    def _stand_by(self) -> None:
        while self._wait_until_late():
            renewed = self._renew()
            # Not before, since whoever blocks the loop may hold the lock of a log handler, too.
            self._tell()
            self._next = perf_counter() + (
                AGAIN * self._timeout if renewed else min(RETRY * self._timeout, PATIENCE)
            )

    def _wait_until_late(self) -> bool:
        """Sleep while the loop is in time; whether there is still something to stand by for."""
        with self._changed:
            while not self._over:
                self.is_resting = (
                    True  # before the roster is looked at: who adds to it looks at this afterwards
                )
                due = self._due()
                self.is_resting = due is None
                remaining = None if due is None else due - perf_counter()
                if remaining is not None and remaining <= 0:
                    return True
                self._changed.wait(remaining)
        return False

    def _due(self) -> float | None:
        """When the thread has to renew unless the loop gives a sign; None: not before it does."""
        now = self._now()
        if not any(running.trusted_until > now for running in self.leases.roster):
            return None
        if perf_counter() - self._seen > LIMIT * self._timeout:
            if self._let_go != self._seen:
                self._let_go = self._seen
                logger.error(
                    "The event loop of worker %r has been blocked for %.6g s: its leases are let go, its tasks will "
                    "be redelivered",
                    self.worker,
                    LIMIT * self._timeout,
                )
            return None
        return max(self._seen + LATE * self._timeout, self._next)

    def _renew(self) -> bool:
        try:
            # In a context of its own: the one we have says that a loop runs, which is true of another thread.
            return Context().run(anyio.run, self._renew_alone, backend=self._backend)
        except RedisError as error:
            if not is_disruption(error):
                raise  # I7
            logger.warning(
                "The event loop of worker %r is blocked, and its leases cannot be renewed: %s",
                self.worker,
                error,
            )
            return False

    async def _renew_alone(self) -> bool:
        with anyio.move_on_after(PATIENCE):
            async with self.leases.claims.client.another() as client:
                await self.leases.renew(attrs.evolve(self.leases.claims, client=client), self._now)
                return True
        return False

    def _tell(self) -> None:
        """Say that the loop is blocked, and where: once, and not of what the leases could have lived with."""
        blocked = perf_counter() - self._seen
        if blocked <= 2 * LATE * self._timeout or self._told == self._seen:
            return
        self._told = self._seen
        frame = sys._current_frames().get(self._loop_thread)  # pyright: ignore[reportPrivateUsage]
        shown = "".join(traceback.format_list(_of_the_body(traceback.extract_stack(frame))))
        logger.warning(
            "The event loop of worker %r has been blocked for %.3g s; a thread keeps its leases. What blocks for long "
            "belongs into a plain function (def), which runs in a thread\n%s",
            self.worker,
            blocked,
            shown.rstrip(),
        )


def _of_the_body(frames: Sequence[FrameSummary]) -> list[FrameSummary]:
    """The last frames of the body, without those of the worker and the event loop below them."""
    worker_frames = [at for at, frame in enumerate(frames) if frame.filename.startswith(WORKER_FILES)]
    return list(frames[max(worker_frames, default=-1) + 1 :][-SHOWN:])

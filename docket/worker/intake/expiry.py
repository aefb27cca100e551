"""Ends tasks that expire as they wait, on time."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import anyio
import attrs

from ...clock import monotonic
from ...dependencies import Perpetual, dependencies_of_call
from ...notification import Notification
from ...signals import signals, suppress_errors
from ...store import Expired, Expiring, is_whole
from ...values import define

if TYPE_CHECKING:
    from ...client import TaskFunction

__all__ = ["Expiry"]

logger = logging.getLogger("docket.worker")

#: Tasks per script: each keeps the server for a millisecond or so (tests/store/test_bounds.py).
BATCH = 40


@define(eq=False)
class Expiry:
    """Sleeps until the next task that waits expires, and ends it; an earlier one that is announced wakes it.

    What this worker knows to be no chain is ended at once, so whoever waits for its result learns of it. Of what may be
    one, a worker has to say what follows: it goes to the stream, and is ended as it is taken.
    """

    expiring: Expiring
    names: tuple[str, str]
    """Of the docket and of the worker."""
    tasks: Callable[[], Mapping[str, TaskFunction]]
    note: Callable[[Expired], None]
    """Keeps that one has ended."""
    _next: float = attrs.field(init=False, default=math.inf)
    """The loop time at which to look. The first time is when the worker begins to hear what is announced."""
    _woken: Notification = attrs.field(init=False, factory=Notification)

    async def run(self, answered: Callable[[], None]) -> None:
        """End what expires, until cancelled or until Redis is lost."""
        while True:
            while (seconds := self._next - monotonic()) > 0:
                seen = self._woken.count
                with anyio.move_on_after(None if seconds == math.inf else seconds):
                    await self._woken.wait_past(seen)
            self._next = math.inf
            try:
                await self._look(answered)
            except BaseException:
                self._next = -math.inf  # `run` begins anew once the server is back
                raise

    async def _look(self, answered: Callable[[], None]) -> None:
        end: Sequence[Expired] = ()
        move: Sequence[Expired] = ()
        while True:
            look = await self.expiring.look(end, move, BATCH)
            answered()
            self._tell(look.ended)
            if not look.due:
                break
            end = [each for each in look.due if self._is_no_chain(each.task)]
            move = [each for each in look.due if each not in end]
        if look.again is not None:
            self._wake_in(look.again.total_seconds())

    def _is_no_chain(self, name: str) -> bool:
        function = self.tasks().get(name)
        return function is not None and not any(
            isinstance(each, Perpetual) for each in dependencies_of_call(function, (), {})
        )

    def _tell(self, ended: Sequence[Expired]) -> None:
        for each in ended:
            logger.info(
                "⌛ Task %r, key %r, had not begun by %s: it is cancelled", each.task, each.key, each.moment
            )
            for subscriber in signals.subscribers:
                with suppress_errors:
                    subscriber.expired(*self.names, each.task)
            self.note(each)

    def announce(self, ms: str) -> None:
        """A task waits that expires in so many milliseconds, as text: anybody who may publish says so (I9)."""
        if is_whole(ms.encode()):
            self._wake_in(int(ms) / 1000)

    def look_again(self) -> None:
        """Announcements may have been lost."""
        self._wake_in(0.0)

    def _wake_in(self, seconds: float) -> None:
        at = monotonic() + seconds
        if at < self._next:
            self._next = at
            self._woken.notify()

"""The claims that a worker holds, each with the scopes of its body; and conditions that loops wait for."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import anyio
import attrs

from ..errors import ScopeLeftOpen
from ..execution import Execution
from ..rules import Complete, Fail, Outcome, Raised, Returned, StopReason, Verdict
from ..store import Delivery, Holding, Settled

__all__ = ["Detached", "End", "Notification", "Roster", "Running"]


class Notification:
    """Wakes everybody who waits, each time it is notified.

    ``count`` is how often that was. Who must not miss a notification between a question and its wait takes the
    count before it asks: ``seen = condition.count; ...; await condition.wait_past(seen)``.
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


_NOTHING, _NOT_DECIDED = Returned(None), Complete(None)


async def _written() -> Settled:
    return Settled.LOST


@attrs.define(eq=False)  # frozen costs half a microsecond per task
class End:
    """How a claim ended, what follows, and what writes that."""

    outcome: Outcome
    verdict: Verdict
    write: Callable[[], Awaitable[Settled]]
    seconds: float | None = None
    """How long it ran; None where it did not."""

    def forget(self) -> None:
        """Lead nowhere, once it is settled: from Python 3.12 on, errors keep the frames whose variables lead here."""
        self.outcome, self.verdict, self.write = _NOTHING, _NOT_DECIDED, _written


class Detached(BaseException):
    """The body of a claim has ended that was let go: what becomes of the claim is somebody else's business."""


class Running:
    """One claim: from ownership until it is settled (I3).

    ``broken`` says why the call could not be decoded, if so. ``began`` and ``trusted_until`` are loop times: when
    the worker asked for the delivery, and until when its lease can be taken for ours. ``last`` is set where the
    key may not run again (`Worker.run_at_most`), ``settling`` once how it ended is being written, ``uninterruptible``
    while its body is a thread's, ``unknown`` where this worker has nothing to run for it. ``rules`` are the rules of
    admission that its task declares, ``begins_in`` the task that is to run it and has not begun. ``end`` is known
    once it is decided, ``decided`` what is known of it before it is prepared; ``reported`` says whether telemetry has
    heard of the run, ``left_open`` that its body left a scope open in the task that it ran in, ``detached`` that nobody
    waits for its body any more. ``mishaps`` is how often something else than the body went wrong, ``interruptions`` how
    often it was cut short by that, or as its task was cancelled.
    """

    __slots__ = (
        "_scope",
        "began",
        "begins_in",
        "broken",
        "decided",
        "delivery",
        "detached",
        "end",
        "execution",
        "interruptions",
        "last",
        "left_open",
        "mishaps",
        "reason",
        "reported",
        "rules",
        "settling",
        "trusted_until",
        "uninterruptible",
        "unknown",
    )  # fmt: skip

    def __init__(
        self,
        delivery: Delivery,
        execution: Execution[Any],
        broken: Exception | None,
        *,
        began: float,
        trusted_until: float,
    ) -> None:
        self.delivery, self.execution, self.broken = delivery, execution, broken
        self.began, self.trusted_until = began, trusted_until
        self.last = self.reported = self.settling = False
        self.uninterruptible = self.unknown = self.detached = False
        self.end: End | None = None
        self.left_open: ScopeLeftOpen | None = None
        self.decided: tuple[Outcome, Verdict] | None = None
        self.mishaps = self.interruptions = 0
        self.begins_in: object = None
        self.rules: Sequence[tuple[str | None, Any]] = ()
        self.reason: StopReason | None = None
        self._scope: anyio.CancelScope | None = None

    def scope(self, kind: type[anyio.CancelScope]) -> anyio.CancelScope:
        """A new scope of the running loop's ``kind``, the one that `stop` cancels from now on."""
        self._scope = kind()
        return self._scope

    @property
    def stopped_by(self) -> anyio.CancelScope | None:
        """The scope that `stop` cancels; None before and after the body."""
        return self._scope

    @property
    def is_active(self) -> bool:
        """Whether its body runs, or is to begin, and nobody has stopped it."""
        return self.reason is None and not self.settling

    def claimed_again(self, delivery: Delivery, trusted_until: float) -> None:
        """Go on with what a server has given out once more, and to us: it lost the claim, as in a failover."""
        self.delivery = attrs.evolve(self.delivery, fence=delivery.fence)
        self.execution.claimed(delivery.fence)
        self.trusted_until = max(self.trusted_until, trusted_until)

    def detach_scope(self) -> None:
        """The body has ended: what follows (dependencies that close, the report) is not stopped any more."""
        self._scope = None

    def errors(self) -> list[BaseException]:
        """What is known of it that went wrong."""
        known: list[object] = [*(self.decided or ())]
        if self.end is not None:
            known += self.end.outcome, self.end.verdict
        return [one.error for one in known if isinstance(one, Raised | Fail)]

    def forget(self) -> None:
        """Let go of how it ended: of what the body raised, and by its traceback of all frames down to ours."""
        if self.end is not None:
            self.end.forget()
        self.end = self.decided = None

    def stop(self, reason: StopReason) -> None:
        """Stop the body. The first reason is the true one, but a user's request outdoes a shutdown."""
        if self.reason is None or (self.reason is StopReason.DRAIN and reason is StopReason.ASKED):
            self.reason = reason
        if self._scope is not None:
            self._scope.cancel()


class Roster:
    """What runs in this worker right now, by message id. Other threads than the loop's may look, too."""

    def __init__(self) -> None:
        self._running: dict[bytes, Running] = {}
        self._filled, self._freed, self._emptied = Notification(), Notification(), Notification()

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Running]:
        return iter(self._running.copy().values())  # one step, which no other thread comes in between

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._running

    def add(self, running: Running) -> None:
        self._running[running.delivery.message_id] = running
        if len(self._running) == 1:
            self._filled.notify()

    def remove(self, running: Running) -> None:
        if self._running.get(running.delivery.message_id) is running:
            del self._running[running.delivery.message_id]
            self._freed.notify()
            if not self._running:
                self._emptied.notify()

    def ids(self) -> list[bytes]:
        return list(self._running)

    def holdings(self) -> list[Holding]:
        """The slots that are held by what runs; those of what was lost are another worker's business."""
        return [
            Holding(message_id, running.delivery.message.key, running.delivery.slots)
            for message_id, running in self._running.copy().items()
            if running.delivery.slots and running.reason is not StopReason.LOST
        ]

    def get(self, message_id: bytes) -> Running | None:
        return self._running.get(message_id)

    def under(self, key: str) -> list[Running]:
        """What runs under a task key: more than one where a run was replaced and goes on."""
        return [running for running in self._running.values() if running.delivery.message.key == key]

    def first_to_distrust(self) -> float:
        """The loop time at which the first lease of a body that goes on can no longer be trusted."""
        return min((one.trusted_until for one in self._running.values() if one.is_active), default=math.inf)

    async def wait_for_fewer_than(self, count: int) -> None:
        while len(self._running) >= count:
            await self._freed.wait()

    async def wait_nonempty(self) -> None:
        while not self._running:
            await self._filled.wait()

    async def wait_until_interruptible(self) -> None:
        """Wait until no body runs in a thread."""
        while any(running.uninterruptible for running in self._running.values()):
            await self._freed.wait()

    async def wait_empty(self) -> None:
        while self._running:
            await self._emptied.wait()

"""The claims that a worker holds, each with the scope of its body."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol

import anyio
import attrs

from ..errors import ScopeLeftOpen
from ..execution import Execution
from ..notification import Notification
from ..rules import Complete, Fail, Outcome, Raised, Reschedule, Returned, StopReason, Verdict
from ..signals import Subscriber
from ..store import Again, Delivery, Ended, Holding, Settled
from ..values import define
from .opened import Opened
from .places import Place, Places

if TYPE_CHECKING:
    from .reports.reporting import Report

__all__ = ["BodyScope", "Detached", "End", "Roster", "Running", "write_nothing"]


_NOTHING, _NOT_DECIDED = Returned(None), Complete(None)
_WITH_ERROR = Raised, Fail

_NO_TASK = object()


async def write_nothing() -> Settled:
    """What writes the end of a claim that is another worker's, or is written already."""
    return Settled.LOST


@define(eq=False)  # frozen costs half a microsecond per task
class End:
    """How a claim ended, what follows, and what writes that."""

    outcome: Outcome
    verdict: Verdict
    write: Callable[[], Awaitable[Settled]]
    seconds: float | None = None
    """How long it ran; None where it did not."""
    ended: Ended | Again | None = None
    """What ``write`` writes; None where that is something else."""

    def then(self, attempt: int) -> Literal["", "retried", "perpetuated"]:
        """What is to follow the run, which was this ``attempt``, under its key."""
        if not isinstance(self.verdict, Reschedule):
            return ""
        return "retried" if self.verdict.retries(attempt) else "perpetuated"

    def forget(self) -> None:
        """Refer to nothing any more: from Python 3.12 on, errors keep the frames whose variables lead here."""
        self.outcome, self.verdict, self.write, self.ended = _NOTHING, _NOT_DECIDED, write_nothing, None


class BodyScope(Protocol):
    """A cancel scope of the running loop, be it anyio's or its own."""

    def cancel(self) -> None: ...

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None: ...


class Detached(BaseException):
    """The body of a claim that was detached has ended: the claim was settled without it."""


@define(eq=False, init=False, repr=False)
class Running:
    """One claim: from ownership until it is settled (I3). Moments are loop times."""

    # what is run
    delivery: Delivery
    execution: Execution[Any]
    broken: Exception | None
    """Why it cannot be called: its arguments cannot be unpickled, or it was delivered too often."""
    unknown: bool
    """Whether this worker has neither the task nor a fallback for it."""
    rules: Sequence[tuple[str | None, Any]]
    """The rules of admission that the task declares, each with the parameter that it is declared for."""
    takes_turns: bool
    """Whether calls of the task wait for turns."""
    last: bool
    """Whether the key may not run again after this run (`Worker.run_at_most`)."""

    # its lease
    began: float
    """When the worker asked for the delivery."""
    trusted_until: float
    """Until when the lease can be taken for ours; also written by the thread that renews for a blocked loop."""

    # its place among those that the worker runs
    place: Place | None
    """None as long as it has not waited for other tasks."""
    waits: tuple[Callable[[], bool], ...]
    """Of each wait for other tasks that its body is in, whether it would find these if it began anew."""
    groups: Opened | None
    """Its task groups; None as long as it has opened none."""

    # its body
    begins_in: object
    """Stands for the task of the event loop that is to run it and has not begun, or is not made; None once one has."""
    has_begun: bool
    """Whether its dependencies or its body have been called."""
    reason: StopReason | None
    """Why the body was stopped, or is not to begin."""
    uninterruptible: bool
    """Whether the body runs in a thread right now."""
    left_open: ScopeLeftOpen | None
    """What says that the body left a scope open in the task that it ran in; None once another task has taken over."""
    detached: bool
    """Whether nobody waits for the body any more."""
    _scope: BodyScope | None
    patient: tuple[anyio.CancelScope, ...]
    """Those of shielded waits, for children that are to end: `stop` ends them where the worker cannot wait."""

    # its end, step by step
    decided: tuple[Outcome, Reschedule | None] | None
    """How it ended and which run follows, once that is known of a run that began or went wrong."""
    end: End | None
    """The same once it is prepared, with what writes it."""
    settling: bool
    """Whether the end is being prepared or written: a delivery that is acknowledged meanwhile is not lost."""
    subscribers: Sequence[Subscriber]
    """Those to whom its beginning and end are published."""
    is_traced: bool
    """Whether it may have a span."""
    settled: bool
    """Whether the end is written, and the worker's hooks are told of it."""
    report: Report | None
    """What telemetry was told of the run, from its beginning on."""

    # what goes wrong outside of its body
    mishaps: int
    """How often something else than the body went wrong."""
    interruptions: int
    """How often it was cut short by a mishap, or by a cancellation of its task."""

    def __init__(
        self,
        delivery: Delivery,
        execution: Execution[Any],
        broken: Exception | None,
        began: float,
        trusted_until: float,
    ) -> None:
        self.delivery, self.execution, self.broken = delivery, execution, broken
        self.began, self.trusted_until = began, trusted_until
        self.unknown = self.last = self.uninterruptible = self.detached = self.settling = self.settled = False
        self.is_traced = self.has_begun = self.takes_turns = False
        self.rules = self.subscribers = self.patient = self.waits = ()
        self.mishaps = self.interruptions = 0
        self.groups = self.place = self.reason = self.left_open = self._scope = None
        self.decided = self.end = self.report = None

    def scope(self, kind: Callable[[], BodyScope]) -> BodyScope:
        """A new scope of the running loop's ``kind``, which `stop` cancels from now on."""
        self._scope = scope = kind()
        return scope

    @property
    def stopped_by(self) -> BodyScope | None:
        """The scope that `stop` cancels; None before and after the body."""
        return self._scope

    @property
    def is_new(self) -> bool:
        """Whether nothing has become of it yet: no task of the event loop has had it before."""
        return self.decided is None and self.end is None

    @property
    def is_active(self) -> bool:
        """Whether its body runs, or is to begin, and nobody has stopped it."""
        return self.reason is None and not self.settling

    def claimed_again(self, delivery: Delivery, trusted_until: float) -> None:
        """Take over a second claim of the same delivery: the server lost the first one, as in a failover."""
        self.delivery = attrs.evolve(self.delivery, fence=delivery.fence)
        self.execution.claimed(delivery.fence)
        self.trusted_until = max(self.trusted_until, trusted_until)

    def detach_scope(self) -> None:
        """The body has ended: `stop` does not reach what follows, dependencies that close and the report."""
        self._scope = None

    @property
    def only_waits(self) -> bool:
        """Whether its body waits for other tasks, and not for a place to go on in or a thread."""
        place = self.place
        return (
            place is not None and place.is_given_up and place.returning is None and not self.uninterruptible
        )

    @property
    def would_find(self) -> bool:
        """Whether it would find all that it waits for, if it began anew."""
        return bool(self.waits) and all(finds() for finds in self.waits)

    @property
    def has_succeeded(self) -> bool:
        """Whether it has ended well, so far as that is known."""
        return self.end is not None and type(self.end.verdict) is Complete

    def errors(self) -> list[BaseException]:
        """The errors that it has ended with, as far as that is known."""
        known: list[object] = [] if self.decided is None else [self.decided[0]]
        if self.end is not None:
            known += self.end.outcome, self.end.verdict
        errors: list[BaseException] = []
        for one in known:
            if isinstance(one, _WITH_ERROR) and not (errors and errors[-1] is one.error):
                errors.append(one.error)
        return errors

    def forget(self) -> None:
        """Drop how it ended: what the body raised refers by its traceback to all frames down to ours."""
        if self.end is not None:
            self.end.forget()
        self.end = self.decided = None

    def stop(self, reason: StopReason) -> None:
        """Stop the body. The first reason counts, except that a user's request overrides a shutdown and a put-off."""
        if self.reason is None or (reason is StopReason.ASKED and self.reason is not StopReason.LOST):
            self.reason = reason
        if self._scope is not None:
            self._scope.cancel()
        if reason is not StopReason.ASKED:
            for scope in self.patient:
                scope.cancel()


class Roster:
    """The claims that run in this worker right now, by message id. Other threads than the loop's may read it."""

    def __init__(self, concurrency: Callable[[], int]) -> None:
        self._running: dict[bytes, Running] = {}
        self.places = Places(self._running, concurrency)
        self.freed = Notification()
        """Notified as a claim ends, or steps aside."""
        self.left: Callable[[Running], None] = lambda _: None
        """Called with each that has opened task groups, as it is removed."""
        self._filled, self._emptied = Notification(), Notification()

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[Running]:
        return iter(self._running.copy().values())  # one step, which no other thread interrupts

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._running

    def add(self, running: Running) -> None:
        self._running[running.delivery.fence.message_id] = running
        if len(self._running) == 1:
            self._filled.notify()

    def remove(self, running: Running) -> None:
        message_id = running.delivery.fence.message_id
        if self._running.get(message_id) is running:
            del self._running[message_id]
            if self.places.aside:
                self.places.left(running.place)
            if running.groups is not None:
                self.left(running)
            self.freed.notify()
            if not self._running:
                self._emptied.notify()

    def ids(self) -> list[bytes]:
        return list(self._running)

    def holdings(self) -> list[Holding]:
        """The slots that the claims hold, without those of lost claims, which are another worker's."""
        return [
            Holding(message_id, running.delivery.message.key, running.delivery.slots)
            for message_id, running in self._running.copy().items()
            if running.delivery.slots and running.reason is not StopReason.LOST
        ]

    def get(self, message_id: bytes) -> Running | None:
        return self._running.get(message_id)

    def under(self, key: str) -> list[Running]:
        """The claims of a task key: more than one where a run was replaced and continues."""
        return [running for running in self._running.values() if running.delivery.message.key == key]

    def first_to_distrust(self) -> float:
        """The loop time at which the first lease of an active body can no longer be trusted."""
        return min((one.trusted_until for one in self._running.values() if one.is_active), default=math.inf)

    async def wait_for_place(self) -> None:
        """Wait until another task may be taken."""
        while self.places.free < 1:
            await self.freed.wait()

    async def wait_nonempty(self) -> None:
        while not self._running:
            await self._filled.wait()

    async def wait_until_interruptible(self) -> None:
        """Wait until no body runs in a thread."""
        while any(running.uninterruptible for running in self._running.values()):
            await self.freed.wait()

    async def wait_empty(self) -> None:
        while self._running:
            await self._emptied.wait()

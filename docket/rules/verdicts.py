"""From how a run ended to what is written about it. Pure: `decide` is the table of docs/design.md.

An outcome says what happened; a verdict says what to write. The first line of a verdict's docstring is its cell in
that table.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import attrs

from ..moments import check_moment
from ..values import frozen, hot_value

__all__ = [
    "PUT_OFF",
    "Abandon",
    "AwaitSlot",
    "AwaitTurn",
    "Blocked",
    "Cancel",
    "Complete",
    "Defer",
    "Drop",
    "Expired",
    "Fail",
    "HandBack",
    "Outcome",
    "PassOn",
    "Raised",
    "Reschedule",
    "Returned",
    "Spent",
    "StopReason",
    "Stopped",
    "Struck",
    "Verdict",
    "decide",
    "decide_last",
]


class StopReason(enum.Enum):
    """Why a body was stopped before it ended on its own."""

    ASKED = "asked"
    """``docket.cancel(key)``; or the body cancelled its own task."""
    DRAIN = "drain"
    """The worker shuts down, and the deadline of its drain has passed; or the body only waits for other tasks."""
    PUT_OFF = "put off"
    """It was to wait for other tasks, and as many do so here as may: it begins anew later."""
    LOST = "lost"
    """The lease ran out, or another worker holds the delivery now."""


# Outcomes -------------------------------------------------------------------------------------------------


@hot_value
class Returned:
    """The body returned."""

    value: Any


@hot_value
class Raised:
    """The body raised, or something around it: a dependency, a handler, the pickling of its result."""

    error: BaseException


#: For how long at least a run is put off that may not wait here.
PUT_OFF = timedelta(seconds=5)


@frozen
class Stopped:
    """The body was stopped from outside, or before it began, for this reason; to be put off for ``wait``, if so."""

    reason: StopReason
    wait: timedelta = PUT_OFF


@frozen
class Struck:
    """A strike forbids the run."""


@frozen
class Spent:
    """`Worker.run_at_most` has counted as many runs of the key as it allows."""


@frozen
class Expired:
    """It had not begun by the moment that its caller gave."""

    moment: datetime


@frozen
class Blocked:
    """The run was not admitted, or this worker does not know its task; whoever found that says what to do."""

    verdict: Verdict


Outcome: TypeAlias = Returned | Raised | Stopped | Struck | Spent | Expired | Blocked


# Verdicts -------------------------------------------------------------------------------------------------


@hot_value
class Complete:
    """completed, with its result"""

    value: Any


@hot_value
class Fail:
    """failed, with its exception"""

    error: BaseException


@frozen
class Cancel:
    """cancelled"""


@frozen
class HandBack:
    """queued again at once, as the same attempt"""


@frozen
class Abandon:
    """nothing: the new holder writes"""


def _moment(when: datetime) -> datetime:
    return check_moment("when", when)


@hot_value
class Reschedule:
    """the next run of the key

    ``call`` is None where the arguments stay as they are, else the new (args, kwargs). ``first`` is when the first
    attempt was due, where the next one needs to know.
    """

    when: datetime = attrs.field(converter=_moment)
    attempt: int
    call: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    first: datetime | None = None

    def retries(self, attempt: int) -> bool:
        """Whether it is a further attempt of the call that this one, number ``attempt``, belongs to."""
        return self.attempt > attempt


@frozen
class AwaitSlot:
    """scheduled, behind the other runs that wait for the limit (admit.lua has written that)"""

    limit: str


@frozen
class AwaitTurn:
    """scheduled, in the row of those that wait for the same turn (take_turn.lua has written that)"""

    value: str


@frozen
class Defer:
    """scheduled for later, as the same attempt"""

    wait: timedelta


@frozen
class PassOn:
    """scheduled for later, as the same attempt, for a worker that knows the task

    ``times`` is how often it was put back, ``waited`` for how long in all while no live worker knew it, both this time
    included; ``deliveries`` is how many of them did not come to an end.
    """

    wait: timedelta
    times: int
    waited: timedelta
    deliveries: int


@frozen
class Drop:
    """cancelled

    ``rule`` names what does not admit it, now or later.
    """

    rule: str


Verdict: TypeAlias = (
    Complete | Fail | Cancel | HandBack | Abandon | Reschedule | AwaitSlot | AwaitTurn | Defer | PassOn | Drop
)


_COMPLETED = Complete(None)

_STOPPED: dict[StopReason, Verdict] = {
    StopReason.ASKED: Cancel(),
    StopReason.DRAIN: HandBack(),
    StopReason.LOST: Abandon(),
}


# fmt: off
def decide(outcome: Outcome, following: Reschedule | None = None) -> Verdict:
    """Decide what to write about a claim; ``following`` is the next run that the task's dependencies ask for."""
    if isinstance(outcome, Returned):  # as most have: a match costs more than all else here
        return following or (_COMPLETED if outcome.value is None else Complete(outcome.value))
    match outcome:
        case Raised(error):              return following or Fail(error)
        case Stopped(StopReason.PUT_OFF, wait): return Defer(wait)
        case Stopped(reason):            return _STOPPED[reason]
        case Struck() | Spent():         return Cancel()
        case Expired():                  return following or Cancel()
        case Blocked(Drop() as verdict): return following or verdict
        case Blocked(verdict):           return verdict
# fmt: on


def decide_last(outcome: Outcome, following: Reschedule | None, attempt: int) -> Verdict:
    """The same where nothing may follow (`Worker.run_at_most`).

    A call that was to be tried again after this ``attempt`` has not failed for good: it is cancelled.
    """
    if isinstance(outcome, Raised) and following is not None and following.retries(attempt):
        return Cancel()
    return decide(outcome)

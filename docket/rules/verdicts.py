"""From what happened to a claim to what is written about it. Pure; the table of DESIGN is `decide`."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import attrs

from ..moments import check_moment

__all__ = [
    "Abandon",
    "AwaitSlot",
    "Blocked",
    "Cancel",
    "Complete",
    "Defer",
    "Drop",
    "Fail",
    "HandBack",
    "Outcome",
    "PassOn",
    "Raised",
    "Reschedule",
    "Returned",
    "StopReason",
    "Stopped",
    "Verdict",
    "decide",
]


class StopReason(enum.Enum):
    """Why a body was stopped before it ended on its own."""

    ASKED = "asked"
    """``docket.cancel(key)``."""
    DRAIN = "drain"
    """The worker shuts down and the drain's deadline has passed."""
    LOST = "lost"
    """The lease ran out or another worker holds the delivery now."""


# Outcomes -------------------------------------------------------------------------------------------------


@attrs.frozen
class Returned:
    """The body returned."""

    value: Any


@attrs.frozen
class Raised:
    """The body raised; also a timeout, or a dependency that could not be resolved."""

    error: BaseException


@attrs.frozen
class Stopped:
    """The body was stopped from outside, for the given reason."""

    reason: StopReason


@attrs.frozen
class Blocked:
    """A dependency of the task did not admit it (`AdmissionBlocked`), and said what is to be done."""

    verdict: Verdict


Outcome: TypeAlias = Returned | Raised | Stopped | Blocked


# Verdicts -------------------------------------------------------------------------------------------------


@attrs.frozen
class Complete:
    value: Any


@attrs.frozen
class Fail:
    error: BaseException


@attrs.frozen
class Cancel:
    """Final, by request."""


@attrs.frozen
class HandBack:
    """Queued again at once; the attempt does not count."""


@attrs.frozen
class Abandon:
    """Write nothing: the new holder of the delivery does."""


def _moment(when: datetime) -> datetime:
    return check_moment("when", when)


@attrs.frozen
class Reschedule:
    """Another run of the same key.

    ``call`` is None where the arguments stay as they are, else the new (args, kwargs). ``first`` is when the first
    attempt was due, where the next one is to know.
    """

    when: datetime = attrs.field(converter=_moment)
    attempt: int
    call: tuple[tuple[Any, ...], dict[str, Any]] | None = None
    first: datetime | None = None


@attrs.frozen
class AwaitSlot:
    """Admission has put the message behind those who wait for ``limit``; all of it is written."""

    limit: str


@attrs.frozen
class Defer:
    """Not now: again after ``wait``, as the same attempt."""

    wait: timedelta


@attrs.frozen
class PassOn:
    """This worker does not know the task: again after ``wait``, as the same attempt, for one that does.

    ``times`` is how often it was put back, ``waited`` for how long in all while nobody alive knew it, both this time
    included; ``deliveries`` is how many of them were not ended.
    """

    wait: timedelta
    times: int
    waited: timedelta
    deliveries: int


@attrs.frozen
class Drop:
    """Never: the rule or dependency ``rule`` does not admit it. Final, as a cancellation is."""

    rule: str


Verdict: TypeAlias = (
    Complete | Fail | Cancel | HandBack | Abandon | Reschedule | AwaitSlot | Defer | PassOn | Drop
)


_STOPPED: dict[StopReason, Verdict] = {
    StopReason.ASKED: Cancel(),
    StopReason.DRAIN: HandBack(),
    StopReason.LOST: Abandon(),
}


def decide(outcome: Outcome) -> Verdict:
    """Decide what to write about a claim that ended with ``outcome`` and that nothing follows."""
    match outcome:
        case Returned(value):
            return Complete(value)
        case Stopped(reason):
            return _STOPPED[reason]
        case Raised(error):
            return Fail(error)
        case Blocked(verdict):
            return verdict

"""From what happened to a claim to what is written about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from docket.rules import (
    FINAL,
    Abandon,
    Cancel,
    Complete,
    ExecutionState,
    Fail,
    HandBack,
    Outcome,
    Raised,
    Reschedule,
    RetryPolicy,
    Returned,
    Stopped,
    StopReason,
    Verdict,
    decide,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ERROR = ValueError("no")
ONCE = RetryPolicy()
THRICE = RetryPolicy(attempts=3, delay=MINUTE)
FOR_EVER = RetryPolicy(attempts=None, delay=MINUTE)

TABLE: list[tuple[Outcome, int, RetryPolicy, Verdict]] = [
    (Returned(7), 1, ONCE, Complete(7)),
    (Returned(None), 1, THRICE, Complete(None)),
    (Raised(ERROR), 1, ONCE, Fail(ERROR)),
    (Raised(ERROR), 1, THRICE, Reschedule(NOW + MINUTE, 2)),
    (Raised(ERROR), 2, THRICE, Reschedule(NOW + MINUTE, 3)),
    (Raised(ERROR), 3, THRICE, Fail(ERROR)),
    (Raised(ERROR), 4, THRICE, Fail(ERROR)),
    (Raised(ERROR), 10**6, FOR_EVER, Reschedule(NOW + MINUTE, 10**6 + 1)),
    (Stopped(StopReason.ASKED), 1, ONCE, Cancel()),
    (Stopped(StopReason.ASKED), 1, FOR_EVER, Cancel()),
    (Stopped(StopReason.DRAIN), 1, ONCE, HandBack()),
    (Stopped(StopReason.DRAIN), 1, THRICE, HandBack()),
    (Stopped(StopReason.LOST), 1, ONCE, Abandon()),
    (Stopped(StopReason.LOST), 1, THRICE, Abandon()),
]


@pytest.mark.parametrize(("outcome", "attempt", "retry", "verdict"), TABLE, ids=repr)
def test_the_table_of_outcomes(outcome: Outcome, attempt: int, retry: RetryPolicy, verdict: Verdict) -> None:
    assert decide(outcome, attempt=attempt, retry=retry, now=NOW) == verdict


def test_every_reason_to_stop_has_a_row() -> None:
    assert {outcome.reason for outcome, *_ in TABLE if isinstance(outcome, Stopped)} == set(StopReason)


def test_the_final_states_are_those_that_nothing_follows() -> None:
    assert set(ExecutionState) - FINAL == {
        ExecutionState.SCHEDULED,
        ExecutionState.QUEUED,
        ExecutionState.RUNNING,
    }

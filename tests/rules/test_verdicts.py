"""From what happened to a claim to what is written about it."""

from __future__ import annotations

import pytest

from docket.rules import (
    FINAL,
    Abandon,
    Blocked,
    Cancel,
    Complete,
    Drop,
    ExecutionState,
    Fail,
    HandBack,
    Outcome,
    Raised,
    Returned,
    Stopped,
    StopReason,
    Verdict,
    decide,
)

ERROR = ValueError("no")

TABLE: list[tuple[Outcome, Verdict]] = [
    (Returned(7), Complete(7)),
    (Returned(None), Complete(None)),
    (Raised(ERROR), Fail(ERROR)),
    (Stopped(StopReason.ASKED), Cancel()),
    (Stopped(StopReason.DRAIN), HandBack()),
    (Stopped(StopReason.LOST), Abandon()),
    (Blocked(Drop("cooldown")), Drop("cooldown")),
]


@pytest.mark.parametrize(("outcome", "verdict"), TABLE, ids=repr)
def test_the_table_of_outcomes(outcome: Outcome, verdict: Verdict) -> None:
    assert decide(outcome) == verdict


def test_every_reason_to_stop_has_a_row() -> None:
    assert {outcome.reason for outcome, *_ in TABLE if isinstance(outcome, Stopped)} == set(StopReason)


def test_the_final_states_are_those_that_nothing_follows() -> None:
    assert set(ExecutionState) - FINAL == {
        ExecutionState.SCHEDULED,
        ExecutionState.QUEUED,
        ExecutionState.RUNNING,
    }

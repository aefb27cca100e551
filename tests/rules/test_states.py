"""The words for states: of runs on the wire, of placing in the public API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from docket.rules import Disposition, ExecutionState, waiting_state


def test_a_state_is_its_word_on_the_wire() -> None:
    words = ["scheduled", "queued", "running", "completed", "failed", "cancelled"]
    assert list(ExecutionState) == words
    assert [str(state) for state in ExecutionState] == [f"ExecutionState.{word.upper()}" for word in words]


def test_a_disposition_keeps_its_word() -> None:
    words = {
        "loaded",
        "scheduled",
        "already_scheduled",
        "once_more",
        "struck",
        "superseded",
        "expired",
        "failed",
    }
    assert {disposition.value for disposition in Disposition} == words


def test_a_task_that_waits_is_queued_from_the_moment_at_which_it_is_due() -> None:
    now, moment = datetime(2030, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
    assert waiting_state(now, now) is waiting_state(now - moment, now) is ExecutionState.QUEUED
    assert waiting_state(now + moment, now) is ExecutionState.SCHEDULED

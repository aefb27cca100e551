"""The words for states: of runs on the wire, of placing in the public API."""

from __future__ import annotations

from docket.rules import Disposition, ExecutionState


def test_a_state_is_its_word_on_the_wire() -> None:
    words = ["scheduled", "queued", "running", "completed", "failed", "cancelled"]
    assert list(ExecutionState) == words
    assert [str(state) for state in ExecutionState] == [f"ExecutionState.{word.upper()}" for word in words]


def test_a_disposition_keeps_its_word() -> None:
    words = {"loaded", "scheduled", "already_scheduled", "struck", "superseded", "failed"}
    assert {disposition.value for disposition in Disposition} == words

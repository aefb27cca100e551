"""Published events as they are read: with all their fields, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from docket.rules import ExecutionState
from docket.store.events import read_event

STATE = {"type": "state", "key": "k", "state": "running"}
PROGRESS = {"type": "progress", "key": "k", "current": 3}
WHEN = "2026-01-01T00:00:00+00:00"


def read(event: Any) -> Any:
    return read_event(json.dumps(event).encode())


def test_what_a_state_event_leaves_out_is_none() -> None:
    left_out = dict.fromkeys(["when", "worker", "started_at", "completed_at", "error"])
    assert read(STATE) == {**left_out, **STATE}
    assert read(STATE)["state"] is ExecutionState.RUNNING
    given = {"when": WHEN, "worker": "w", "started_at": WHEN, "completed_at": WHEN, "error": "no"}
    assert read({**STATE, **given}) == {**STATE, **given}


def test_what_a_progress_event_leaves_out_is_none_and_its_total_a_hundred() -> None:
    assert read(PROGRESS) == {**PROGRESS, "total": 100, "message": None, "updated_at": None}
    given = {"current": None, "total": 7, "message": "half", "updated_at": WHEN}
    assert read({**PROGRESS, **given}) == {**PROGRESS, **given}


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("total", -(2**63), True),
        ("total", 2**63 - 1, True),
        ("total", 2**63, False),
        ("total", -(2**63) - 1, False),
        ("total", True, False),
        ("total", "7", False),
        ("message", 7, False),
        ("updated_at", "soon", False),
        ("updated_at", 7, False),
    ],
)
def test_a_field_that_cannot_be_read_counts_as_left_out(field: str, value: object, kept: bool) -> None:
    expected = value if kept else read(PROGRESS)[field]
    assert read({**PROGRESS, field: value})[field] == expected


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"{", b"\xff", b"[]", b"7", b"[" * 100_000,
        json.dumps({**STATE, "state": "gone"}).encode(),
        json.dumps({**STATE, "key": 7}).encode(),
        json.dumps({**STATE, "type": "other"}).encode(),
        json.dumps({**PROGRESS, "current": "3"}).encode(),
        json.dumps({**PROGRESS, "current": 2**63}).encode(),
        json.dumps({"type": "progress", "key": "k"}).encode(),
    ],
    ids=lambda payload: repr(payload[:60]),
)  # fmt: skip
def test_what_is_no_event_is_left_out(payload: bytes) -> None:
    assert read_event(payload) is None


def test_a_key_may_hold_control_characters() -> None:
    """pydocket's scheduler leaves them as they are."""
    event = read_event(b'{"type": "state", "key": "a\nb", "state": "queued"}')
    assert event is not None
    assert event["key"] == "a\nb"

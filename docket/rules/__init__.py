"""Facts and pure decisions. No await, no I/O, no clock."""

from .backoff import RetryPolicy, leaves
from .states import FINAL, Disposition, ExecutionState
from .verdicts import (
    Abandon,
    Cancel,
    Complete,
    Fail,
    HandBack,
    Outcome,
    Raised,
    Reschedule,
    Returned,
    Stopped,
    StopReason,
    Verdict,
    decide,
)

__all__ = [
    "FINAL",
    "Abandon",
    "Cancel",
    "Complete",
    "Disposition",
    "ExecutionState",
    "Fail",
    "HandBack",
    "Outcome",
    "Raised",
    "Reschedule",
    "RetryPolicy",
    "Returned",
    "StopReason",
    "Stopped",
    "Verdict",
    "decide",
    "leaves",
]

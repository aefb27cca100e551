"""Facts and pure decisions. No await, no I/O, no clock."""

from .backoff import RetryPolicy, leaves
from .cron import VIXIE_KEYWORDS, BadCronLine, CronLine
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
    "VIXIE_KEYWORDS",
    "Abandon",
    "BadCronLine",
    "Cancel",
    "Complete",
    "CronLine",
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

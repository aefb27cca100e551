"""Facts and pure decisions. No await, no I/O, no clock."""

from .backoff import RetryPolicy, leaves
from .cron import VIXIE_KEYWORDS, BadCronLine, CronLine
from .states import FINAL, Disposition, ExecutionState
from .strikes import (
    Condition,
    LiteralOperator,
    MinimalStrike,
    Operator,
    ParameterStrikes,
    StrikesInEffect,
    TaskStrikes,
    checked_condition,
)
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
    "Condition",
    "CronLine",
    "Disposition",
    "ExecutionState",
    "Fail",
    "HandBack",
    "LiteralOperator",
    "MinimalStrike",
    "Operator",
    "Outcome",
    "ParameterStrikes",
    "Raised",
    "Reschedule",
    "RetryPolicy",
    "Returned",
    "StopReason",
    "Stopped",
    "StrikesInEffect",
    "TaskStrikes",
    "Verdict",
    "checked_condition",
    "decide",
    "leaves",
]

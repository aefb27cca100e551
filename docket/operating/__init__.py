"""What those who operate a docket ask of it: mixins of `Docket`, one for each subject, and what they return."""

from .failures import BulkResult, DocketFailures, Failure, FailureGroup
from .history import HISTORY_KEPT, HISTORY_TTL, Depth, DocketHistory, Ended, Interval
from .lists import Counts, DeadLetter, DocketLists, Page, WaitingState
from .pauses import DocketPauses, Pause

__all__ = [
    "HISTORY_KEPT",
    "HISTORY_TTL",
    "BulkResult",
    "Counts",
    "DeadLetter",
    "Depth",
    "DocketFailures",
    "DocketHistory",
    "DocketLists",
    "DocketPauses",
    "Ended",
    "Failure",
    "FailureGroup",
    "Interval",
    "Page",
    "Pause",
    "WaitingState",
]

"""What those who operate a docket ask of it: mixins of `Docket`, one for each subject, and what they return."""

from .failures import BulkResult, DocketFailures, Failure, FailureGroup
from .lists import Counts, DeadLetter, DocketLists, Page, WaitingState
from .pauses import DocketPauses, Pause

__all__ = [
    "BulkResult",
    "Counts",
    "DeadLetter",
    "DocketFailures",
    "DocketLists",
    "DocketPauses",
    "Failure",
    "FailureGroup",
    "Page",
    "Pause",
    "WaitingState",
]

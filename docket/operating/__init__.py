"""What those who operate a docket ask of it: mixins of `Docket`, one for each subject, and what they return."""

from .catalogue import (
    DocketCatalogue,
    KnownTask,
    Recurrence,
    SchedulePage,
    TaskDescription,
    TaskPage,
    TaskSchedule,
)
from .failures import BulkResult, DocketFailures, Failure, FailureGroup
from .history import HISTORY_KEPT, HISTORY_TTL, Depth, DocketHistory, Ended, Interval, latest_first
from .lists import Counts, DeadLetter, DocketLists, Page, WaitingState
from .pauses import DocketPauses, Pause
from .trees import ChildPage, DocketTrees, GroupState, Tree, TreeGroup, TreeRun

__all__ = [
    "HISTORY_KEPT",
    "HISTORY_TTL",
    "BulkResult",
    "ChildPage",
    "Counts",
    "DeadLetter",
    "Depth",
    "DocketCatalogue",
    "DocketFailures",
    "DocketHistory",
    "DocketLists",
    "DocketPauses",
    "DocketTrees",
    "Ended",
    "Failure",
    "FailureGroup",
    "GroupState",
    "Interval",
    "KnownTask",
    "Page",
    "Pause",
    "Recurrence",
    "SchedulePage",
    "TaskDescription",
    "TaskPage",
    "TaskSchedule",
    "Tree",
    "TreeGroup",
    "TreeRun",
    "WaitingState",
    "latest_first",
]

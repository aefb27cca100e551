"""What those who operate a docket ask of it: mixins of `Docket`, one for each subject, and what they return."""

from .lists import Counts, DeadLetter, DocketLists, Page, WaitingState
from .pauses import DocketPauses, Pause

__all__ = ["Counts", "DeadLetter", "DocketLists", "DocketPauses", "Page", "Pause", "WaitingState"]

"""What those who operate a docket ask of it: mixins of `Docket`, one for each subject, and what they return."""

from .lists import Counts, DeadLetter, DocketLists, Page, WaitingState

__all__ = ["Counts", "DeadLetter", "DocketLists", "Page", "WaitingState"]

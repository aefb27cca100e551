"""One run for a burst of calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..moments import check_duration
from ..rules import DebounceRule
from .admission import Admission
from .checks import check_scope

__all__ = ["Debounce"]


class Debounce(Admission["Debounce"]):
    """Of a burst of calls run the first, when none has come for ``settle``; the others are dropped: cancelled.

    Counted per task, or per value of the argument in whose annotation it stands. The attempts that follow the
    failure of an admitted run are admitted too. A task has at most one.

    Raises: UsageError (a ValueError) - ``settle`` is not above zero; TypeError.
    """

    __module__ = "docket.dependencies"  # an argument of this class travels under the name that pydocket has for it, too

    single = True

    def __init__(self, settle: timedelta, *, scope: str | None = None) -> None:
        self.settle, self.scope = check_duration("settle", settle, positive=True), check_scope(scope)

    def rule(self, execution: Any) -> DebounceRule:
        winner, last_seen = execution.docket.keys.debounce(*self._counted_by(execution), self.scope)
        return DebounceRule(winner, last_seen, self.settle)

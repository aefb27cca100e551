"""A limit of the runs that begin in a period."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..moments import check_duration
from ..rules import RateRule
from .admission import Admission
from .checks import check_count, check_scope

__all__ = ["RateLimit"]


class RateLimit(Admission["RateLimit"]):
    """At most ``limit`` runs begin in any stretch of time ``per``, on all workers together.

    A run beyond the limit is scheduled for the moment when it may begin, in the order of arrival, as the same attempt;
    with ``drop`` it is cancelled instead. Runs are counted per task, or per value of the argument in whose annotation
    it stands. Every attempt of a task that is retried counts.

    Raises: UsageError (a ValueError) - ``limit`` below 1, or ``per`` not above zero; TypeError.
    """

    __module__ = "docket.dependencies"  # an argument of this class travels under the name that pydocket has for it, too

    def __init__(self, limit: int, *, per: timedelta, drop: bool = False, scope: str | None = None) -> None:
        self.limit = check_count("limit", limit)
        self.per = check_duration("per", per, positive=True)
        self.drop, self.scope = drop, check_scope(scope)

    def rule(self, execution: Any) -> RateRule:
        name = execution.docket.keys.rate(*self._counted_by(execution), self.scope)
        return RateRule(name, self.limit, self.per, self.drop)

"""A pause after each run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..moments import check_duration
from ..rules import CooldownRule
from .admission import Admission
from .checks import check_scope

__all__ = ["Cooldown"]


class Cooldown(Admission["Cooldown"]):
    """After a run has begun, drop all others that come within ``window``: they are cancelled.

    Counted per task, or per value of the argument in whose annotation it stands. The attempts that follow the
    failure of an admitted run are admitted too.

    Raises: UsageError (a ValueError) - ``window`` is not above zero; TypeError.
    """

    __module__ = "docket.dependencies"  # an argument of this class travels under the name that pydocket has for it, too

    def __init__(self, window: timedelta, *, scope: str | None = None) -> None:
        self.window, self.scope = check_duration("window", window, positive=True), check_scope(scope)

    def rule(self, execution: Any) -> CooldownRule:
        return CooldownRule(
            execution.docket.keys.cooldown(*self._counted_by(execution), self.scope), self.window
        )

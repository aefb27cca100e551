"""The pages, in the order of the navigation."""

from __future__ import annotations

from collections.abc import Sequence

from ..view import Page
from .dead import DEAD
from .failures import FAILURES
from .group import GROUP
from .limits import LIMITS
from .overview import OVERVIEW
from .pauses import PAUSES
from .run import RUN
from .schedules import SCHEDULES
from .strikes import STRIKES
from .task import TASK
from .tasks import TASKS
from .work import WORK
from .workers import WORKERS

__all__ = ["PAGES"]

PAGES: Sequence[Page] = (
    OVERVIEW, WORK, FAILURES, TASKS, SCHEDULES, WORKERS, LIMITS, PAUSES, STRIKES, DEAD, RUN, TASK, GROUP,
)  # fmt: skip

"""What the log says of runs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ..errors import UnknownTask
from ..rules import Outcome, Raised, Reschedule, Returned, Stopped, Verdict
from .fallback import default_fallback_task

if TYPE_CHECKING:
    from .roster import Running

__all__ = ["log_end", "log_start"]

logger = logging.getLogger("docket.worker")


def log_start(running: Running) -> None:
    """Say that a run begins."""
    if logger.isEnabledFor(logging.INFO):
        logger.info("Starting %r, attempt %d", running.execution, running.execution.attempt)


def log_end(running: Running, outcome: Outcome, verdict: Verdict, seconds: float) -> None:
    """Say how a run of ``seconds`` ended, and what follows."""
    execution = running.execution
    if isinstance(outcome, Raised):
        if isinstance(outcome.error, UnknownTask) and execution.function is default_fallback_task:
            return  # was said there
        if isinstance(verdict, Reschedule):
            logger.warning("%r failed; it runs again at %s", execution, verdict.when, exc_info=outcome.error)
        else:
            logger.error("%r failed", execution, exc_info=outcome.error)
    elif logger.isEnabledFor(logging.INFO):
        match outcome:
            case Returned():
                logger.info("%r has returned", execution)
            case Stopped(reason):
                logger.info("%r was stopped (%s)", execution, reason.value)

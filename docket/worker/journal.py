"""What the log says of runs, in the words that people grep for.

::

    ↪ [   25ms] name('shown', b=...){key}     begins, so long after it was due; ↬ where it is a repeated attempt
    ↩ [  111ms] ...                           has ended after so long; at ERROR with the traceback where it failed
    ↫ [  111ms] ...                           has ended, and the key runs again
    ↬ [  111ms] ... (superseded)              has ended, but the key was given to another run meanwhile
    ✗ [  111ms] ... (cancelled)               was cancelled
    🗙 ...                                     is struck and does not run

Every record carries ``docket.*`` attributes, ``punctuality`` and ``duration`` in seconds. A line whose level is off
costs the question whether it is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..calls import TaskFunction, get_signature
from ..dependencies import format_duration
from ..errors import UnknownTask
from ..execution import Execution, compact_signature
from ..rules import Blocked, Defer, Drop, Outcome, Parked, Raised, Reschedule, Returned, StopReason, Verdict
from ..store import Refused, Settled
from ..text import printable
from .fallback import default_fallback_task

if TYPE_CHECKING:
    from ..docket import Docket
    from .roster import Running

__all__ = [
    "log_blocked",
    "log_end",
    "log_refused",
    "log_settled",
    "log_start",
    "log_struck",
    "log_tasks",
]

logger = logging.getLogger("docket.worker")

#: pydocket's retries and perpetual tasks log what follows a run, which is why it is said here.
following_logger = logging.getLogger("docket.dependencies")

_STOPPED = {
    StopReason.ASKED: (logging.INFO, "✗ [%s] %s (cancelled)"),
    StopReason.DRAIN: (logging.INFO, "↫ [%s] %s (handed back)"),
    StopReason.LOST: (logging.WARNING, "✗ [%s] %s (lost)"),
}


def log_tasks(worker: str, tasks: Mapping[str, TaskFunction]) -> None:
    """Say that a worker begins, and which tasks it can run."""
    if logger.isEnabledFor(logging.INFO):
        logger.info("Starting worker %r with the following tasks:", worker)
        for name, function in tasks.items():
            logger.info("* %s(%s)", name, compact_signature(get_signature(function)))


def log_start(running: Running) -> None:
    """Say that a run begins, and how late."""
    if logger.isEnabledFor(logging.INFO):
        execution = running.execution
        extra = _extra(execution)
        arrow = "↬" if execution.attempt > 1 else "↪"
        late = format_duration(extra.get("punctuality", 0.0))
        logger.info("%s [%s] %s", arrow, late, execution.call_repr(), extra=extra)


def log_end(running: Running, outcome: Outcome, verdict: Verdict, seconds: float) -> None:
    """Say how a run of ``seconds`` ended. What follows it is for `log_settled` to say."""
    execution = running.execution
    teller = following_logger if isinstance(verdict, Reschedule) else logger
    level, text, error = logging.INFO, "↩ [%s] %s", None
    match outcome:
        case Returned():
            if isinstance(verdict, Reschedule):
                return
        case Blocked():
            log_blocked(running, verdict)
            return
        case Raised(UnknownTask()) if execution.function is default_fallback_task:
            pass  # was said there
        case Raised(raised):
            level, error = logging.ERROR, raised
        case _:
            level, text = _STOPPED[outcome.reason]
    if teller.isEnabledFor(level):
        shown = (format_duration(seconds), execution.call_repr())
        teller.log(level, text, *shown, exc_info=error, extra=_extra(execution, seconds))


def log_blocked(running: Running, verdict: Verdict) -> None:
    """Say that it may not run now, and what is done about it."""
    key = printable(running.execution.key)
    match verdict:
        case Parked(limit):
            following_logger.debug("⏳ Task %s parked on waiter stream %s:waiters", key, printable(limit))
        case Defer():
            logger.debug("⏳ Task %s blocked by admission control, rescheduling", key)
        case Drop() | Reschedule():
            logger.debug("⏭ Task %s blocked by admission control, dropping", key)
        case _:
            pass


def log_settled(running: Running, verdict: Verdict, settled: Settled, seconds: float | None) -> None:
    """Say whether the key runs again, and if another run has it. ``seconds`` is None where it did not run."""
    execution, follows = running.execution, isinstance(verdict, Reschedule)
    if settled is Settled.SUPERSEDED:
        _log_superseded(following_logger if follows else logger, execution, seconds)
    elif seconds is None or not follows or settled is not Settled.OK:
        return
    elif following_logger.isEnabledFor(logging.INFO):
        shown = (format_duration(seconds), execution.call_repr())
        following_logger.info("↫ [%s] %s", *shown, extra=_extra(execution, seconds))


def log_refused(docket: Docket, worker: str, refused: Refused) -> None:
    """Say that it does not run: the key was given to another run, or cancelled, before it began."""
    if logger.isEnabledFor(logging.INFO):
        execution = Execution.to_show(docket, refused.message)
        execution.worker = worker
        if refused.superseded:
            _log_superseded(logger, execution, None)
        else:
            logger.info("✗ %s (cancelled)", execution.call_repr(), extra=_extra(execution))


def _log_superseded(teller: logging.Logger, execution: Execution[Any], seconds: float | None) -> None:
    if teller.isEnabledFor(logging.INFO):
        ran = "" if seconds is None else f"[{format_duration(seconds)}] "
        teller.info("↬ %s%s (superseded)", ran, execution.call_repr(), extra=_extra(execution, seconds))


def log_struck(execution: Execution[Any]) -> None:
    """Say that it does not run because it is struck."""
    if logger.isEnabledFor(logging.WARNING):
        logger.warning("🗙 %s", execution.call_repr(), extra=_extra(execution))


def _extra(execution: Execution[Any], seconds: float | None = None) -> dict[str, Any]:
    docket = execution.docket
    extra: dict[str, Any] = {
        **docket.labels(),
        "docket.worker": execution.worker,
        "docket.queue_key": docket.queue_key,
        "docket.stream_key": docket.stream_key,
        **execution.specific_labels(),
    }
    if execution.started_at is not None:
        extra["punctuality"] = (execution.started_at - execution.when).total_seconds()
    if seconds is not None:
        extra["duration"] = seconds
    return extra

"""The log lines about runs, in the words that people grep for.

::

    ↪ [   25ms] name('shown', b=...){key}     began, so long after it was due; ↬ where it is a repeated attempt
    ↩ [  111ms] ...                           ended after so long; with the traceback where it failed: at WARNING if
                                              another attempt follows, else at ERROR
    ↫ [  111ms] ...                           ended, and the key runs again
    ↫ [  111ms] ... (put off: ...)            was to wait for other tasks, and too many do; it begins anew later
    ↬ [  111ms] ... (superseded)              ended, but a newer run has the key
    ✗ [  111ms] ... (cancelled)               was cancelled
    🗙 ...                                     is struck and does not run

Every record carries ``docket.*`` attributes, ``punctuality`` and ``duration`` in seconds. A line whose level is off
costs the check that it is.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from ...client import TaskFunction, get_signature
from ...dependencies import format_duration, shown_name
from ...errors import UnknownTask
from ...execution import Execution, compact_signature
from ...rules import (
    AwaitSlot,
    AwaitTurn,
    Blocked,
    Defer,
    Drop,
    Expired,
    Raised,
    Reschedule,
    Returned,
    Spent,
    Stopped,
    StopReason,
    Struck,
    Verdict,
    unfolds,
)
from ...signals import SuppressErrors
from ...store import Refused, Settled, Unreadable
from ...text import class_name, error_text, printable, readable
from ..fallback import default_fallback_task

if TYPE_CHECKING:
    from ...docket import Docket
    from ..roster import End, Running

__all__ = [
    "log_detached",
    "log_end",
    "log_hook",
    "log_lease_over",
    "log_not_set_aside",
    "log_raised_while_stopped",
    "log_refused",
    "log_settled",
    "log_start",
    "log_tasks",
    "log_unreadable",
    "log_unwritten",
]

logger = logging.getLogger("docket.worker")

#: As in pydocket, whose retries and perpetual tasks log what follows a run.
following_logger = logging.getLogger("docket.dependencies")

#: With more errors in its groups and causes than this, a traceback is tried before it is handed to a handler.
MOST_ERRORS = 60

_OK = Settled.OK
_STOPPED = {
    StopReason.ASKED: (logging.INFO, "✗ [%s] %s (cancelled)"),
    StopReason.DRAIN: (logging.INFO, "↫ [%s] %s (handed back)"),
    StopReason.PUT_OFF: (logging.INFO, "↫ [%s] %s (put off: as many tasks wait for others here as may)"),
    StopReason.LOST: (logging.WARNING, "✗ [%s] %s (lost)"),
}


#: Handlers, filters and the texts of others: what they raise is no failure of the task (I9).
_suppress_errors = SuppressErrors("A line of the log could not be written")


def _log(
    log: logging.Logger,
    level: int,
    text: str,
    *shown: object,
    error: BaseException | None,
    extra: Mapping[str, Any] | None,
) -> None:
    """Log ``error`` with its traceback, as far as that can be formatted and written."""
    if error is not None and not _can_be_written(error):
        try:
            if not unfolds(error):
                raise RecursionError
            traced = "".join(traceback.format_exception(error)).rstrip()
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # noqa: BLE001 - groups too deep to be followed, hostile classes
            traced = f"{error_text(error)} (its traceback cannot be shown: {class_name(problem)})"
            text, shown, error = text + "\n%s", (*shown, traced), None
        else:
            if traced != readable(traced):
                text, shown, error = text + "\n%s", (*shown, readable(traced)), None
    log.log(level, text, *shown, exc_info=error, extra=extra)


def _can_be_written(error: BaseException) -> bool:
    """Whether any handler can show and write the traceback. A cheap check: False for anything unusual."""
    waiting: list[BaseException | None] = [error]
    for _ in range(MOST_ERRORS):
        if not waiting:
            return True
        if (each := waiting.pop()) is None:
            continue
        try:
            text = "".join((type(each).__name__, str(each), *getattr(each, "__notes__", ())))
            text.encode()
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - the error's own code; lone surrogates
            return False
        waiting += (each.__cause__, each.__context__)
        if isinstance(each, BaseExceptionGroup):
            waiting += cast("BaseExceptionGroup[BaseException]", each).exceptions
    return False


def log_tasks(worker: str, tasks: Mapping[str, TaskFunction]) -> None:
    """Log that a worker begins, and which tasks it can run."""
    if logger.isEnabledFor(logging.INFO):
        logger.info("Starting worker %r with the following tasks:", worker)
        for name, function in tasks.items():
            logger.info("* %s(%s)", name, compact_signature(get_signature(function)))


def log_start(running: Running) -> None:
    """Log that a run begins, and how late."""
    if logger.isEnabledFor(logging.INFO):
        _log_start(running)


@_suppress_errors
def _log_start(running: Running) -> None:
    execution = running.execution
    extra = _extra(execution)
    arrow = "↬" if execution.attempt > 1 else "↪"
    late = format_duration(extra.get("punctuality", 0.0))
    logger.info("%s [%s] %s", arrow, late, execution.call_repr(), extra=extra)


def log_end(running: Running, end: End) -> None:
    """Log how a run ended. What follows it is for `log_settled` to log."""
    level = logging.INFO if isinstance(end.outcome, Returned) else logging.ERROR  # the highest that is used
    if logger.isEnabledFor(level) or following_logger.isEnabledFor(level):
        _log_end(running, end)


@_suppress_errors
def _log_end(running: Running, end: End) -> None:
    execution, outcome = running.execution, end.outcome
    log = following_logger if isinstance(end.verdict, Reschedule) else logger
    level, text, error = logging.INFO, "↩ [%s] %s", None
    match outcome:
        case Returned():
            if isinstance(end.verdict, Reschedule):
                return
        case Struck():
            if logger.isEnabledFor(logging.WARNING):
                logger.warning("🗙 %s", execution.call_repr(), extra=_extra(execution))
            return
        case Expired(moment):
            logger.info("⌛ %s had not begun by %s", execution.call_repr(), moment, extra=_extra(execution))
            return
        case Blocked():
            _log_blocked(execution, end.verdict)
            return
        case Spent():
            return
        case Raised(UnknownTask()) if execution.function is default_fallback_task:
            pass  # it has logged that itself
        case Raised(raised):
            is_retried = end.then(execution.attempt) == "retried"
            level, error = logging.WARNING if is_retried else logging.ERROR, raised
        case Stopped(reason):
            level, text = _STOPPED[reason]
    if log.isEnabledFor(level):
        seconds = end.seconds or 0.0
        shown = (format_duration(seconds), execution.call_repr())
        _log(log, level, text, *shown, error=error, extra=_extra(execution, seconds))


def _log_blocked(execution: Execution[Any], verdict: Verdict) -> None:
    key = printable(execution.key)
    match verdict:
        case AwaitSlot(limit):
            following_logger.debug("⏳ Task %s parked on waiter stream %s:waiters", key, printable(limit))
        case AwaitTurn(value):
            following_logger.debug("⏳ Task %s waits for its turn: %s", key, printable(value))
        case Defer():
            logger.debug("⏳ Task %s blocked by admission control, rescheduling", key)
        case Drop() | Reschedule():
            logger.debug("⏭ Task %s blocked by admission control, dropping", key)
        case _:
            pass


def log_settled(running: Running, end: End, settled: Settled) -> None:
    """Log whether the key runs again, or a newer run has it."""
    if (settled is not _OK or isinstance(end.verdict, Reschedule)) and (
        logger.isEnabledFor(logging.INFO) or following_logger.isEnabledFor(logging.INFO)
    ):
        _log_settled(running, end, settled)


@_suppress_errors
def _log_settled(running: Running, end: End, settled: Settled) -> None:
    execution, seconds, follows = running.execution, end.seconds, isinstance(end.verdict, Reschedule)
    if settled is Settled.SUPERSEDED:
        _log_superseded(following_logger if follows else logger, execution, seconds)
    elif settled is Settled.ASKED and logger.isEnabledFor(logging.INFO):
        ran = "" if seconds is None else f"[{format_duration(seconds)}] "
        logger.info("✗ %s%s (cancelled)", ran, execution.call_repr(), extra=_extra(execution, seconds))
    elif seconds is None or not follows or settled is not Settled.OK:
        return
    elif following_logger.isEnabledFor(logging.INFO):
        shown = (format_duration(seconds), execution.call_repr())
        following_logger.info("↫ [%s] %s", *shown, extra=_extra(execution, seconds))


@_suppress_errors
def log_unreadable(unreadable: Unreadable) -> None:
    """Log that a delivery is set aside, and why."""
    _log(
        logger, logging.ERROR, "Message %s of task %r, key %r, is set aside: %s", unreadable.message_id.decode(),
        unreadable.task, unreadable.key, unreadable.reason, error=unreadable.reason.__cause__, extra=None,
    )  # fmt: skip


@_suppress_errors
def log_not_set_aside(unreadable: Unreadable, error: Exception) -> None:
    """Log that a delivery could not even be set aside."""
    _log(
        logger, logging.ERROR, "Could not set message %s aside; it will be redelivered",
        unreadable.message_id.decode(), error=error, extra=None,
    )  # fmt: skip


@_suppress_errors
def log_lease_over(running: Running) -> None:
    """Log that nothing is written about a run, because its lease is over."""
    logger.warning("%r ended, but Redis stayed away; it will be redelivered", running.execution)


@_suppress_errors
def log_hook(running: Running, hook: object, error: BaseException | None, seconds: float) -> None:
    """Log that a hook of the worker raised, or that it was cancelled after so many ``seconds``."""
    execution = running.execution
    name = shown_name(hook)
    text = "The hook %s raised after the end of %s, which is not affected"
    shown: tuple[object, ...] = (name, execution.call_repr())
    if error is None:
        text = "The hook %s had not ended %.3g s after the end of %s, and was cancelled"
        shown = (name, seconds, execution.call_repr())
    _log(logger, logging.ERROR, text, *shown, error=error, extra=_extra(execution))


@_suppress_errors
def log_detached(running: Running, seconds: float) -> None:
    """Log that a body does not end although it was cancelled, and that nothing waits for it any more."""
    execution = running.execution
    text = (
        "%s has not ended, %s after it began, though it was cancelled again and again: it swallows that, or shields "
        "itself. It is handed back while it may still run, and the worker ends without it"
    )
    _log(logger, logging.ERROR, text, execution.call_repr(), format_duration(seconds), error=None,
         extra=_extra(execution))  # fmt: skip


@_suppress_errors
def log_unwritten(running: Running, error: BaseException, then: str) -> None:
    """Log why the end of a run could not be written, and what happens to it ``then``."""
    execution = running.execution
    _log(logger, logging.ERROR, "Could not write how %s ended; %s", execution.call_repr(), then, error=error,
         extra=_extra(execution))  # fmt: skip


@_suppress_errors
def log_raised_while_stopped(running: Running, error: BaseException) -> None:
    """Log what a body raised instead of its cancellation; it is stopped all the same."""
    _log(
        logger, logging.WARNING, "%r raised while it was stopped", running.execution, error=error, extra=None
    )


@_suppress_errors
def log_refused(docket: Docket, worker: str, refused: Refused) -> None:
    """Log that a delivery does not run: before it began, a newer run got its key, or it was cancelled."""
    if logger.isEnabledFor(logging.INFO):
        execution = Execution.to_show(docket, refused.message)
        execution.worker = worker
        if refused.superseded:
            _log_superseded(logger, execution, None)
        else:
            logger.info("✗ %s (cancelled)", execution.call_repr(), extra=_extra(execution))


def _log_superseded(log: logging.Logger, execution: Execution[Any], seconds: float | None) -> None:
    if log.isEnabledFor(logging.INFO):
        ran = "" if seconds is None else f"[{format_duration(seconds)}] "
        log.info("↬ %s%s (superseded)", ran, execution.call_repr(), extra=_extra(execution, seconds))


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
        extra["duration"] = round(seconds, 6)
    return extra

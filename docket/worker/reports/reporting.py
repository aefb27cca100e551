"""Tells the signals of runs, and how full the docket is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any

import anyio
import attrs
from anyio import get_cancelled_exc_class

from ... import clock
from ...client.signatures import signature_cache
from ...clock import monotonic
from ...execution import Execution
from ...rules import Raised, Reschedule, Returned
from ...signals import NOT_TRACED, Labels, Operation, Subscriber, signals, suppress_errors
from ...store import Records, Refused, Unreadable
from ..roster import End, Running

__all__ = ["Depths", "Report", "reported", "tell_refused", "tell_unreadable"]


class Report:
    """A run that nobody wants to hear of. Entered when it begins, left when it is decided what follows."""

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def ended(self, end: End) -> None:
        """Note how the run has ended, what follows, and how long it took."""


_NOT_REPORTED = Report()


def reported(running: Running) -> Report:
    """The report of a run that is about to begin; of one that was reported before, one that nobody hears of."""
    if running.reported:
        return _NOT_REPORTED
    running.reported = True
    listeners: Sequence[Subscriber] = ()
    span = NOT_TRACED
    with suppress_errors:
        listeners = signals.run_subscribers()
    if signals.tracer is not None:
        execution = running.execution
        with suppress_errors:
            span = signals.tracer.run(
                execution.function_name, lambda: _labels(execution), execution.extra_fields
            )
    if not listeners and span is NOT_TRACED:
        return _NOT_REPORTED
    return _Heard(running.execution, listeners, span)


def _labels(execution: Execution[Any]) -> Labels:
    return {**execution.labels(), "docket.worker": execution.worker or ""}


class _Heard(Report):
    """A run that subscribers and the tracer hear of; those who heard of its beginning hear of its end."""

    def __init__(self, execution: Execution[Any], listeners: Sequence[Subscriber], span: Operation) -> None:
        self._execution, self._listeners, self._span = execution, listeners, span
        self._names = (execution.docket.name, execution.worker or "", execution.function_name)
        self._began, self._seconds = monotonic(), -1.0
        self._ended, self._then = "stopped", ""

    def __enter__(self) -> Report:
        if self._listeners:
            late = clock.timestamp() - self._execution.when.timestamp()
            for each in self._listeners:
                with suppress_errors:
                    each.run_started(*self._names, late=late, redelivered=self._execution.redelivered)
        with suppress_errors:
            self._span.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, get_cancelled_exc_class()):
            self._ended = "failed"
            if not isinstance(error, Exception):
                with suppress_errors:
                    self._span.failed(error)
        with suppress_errors:
            self._span.__exit__(kind, error, trace)
        seconds = self._seconds if self._seconds >= 0 else monotonic() - self._began
        for each in self._listeners:
            with suppress_errors:
                each.run_ended(*self._names, seconds=seconds, ended=self._ended, then=self._then)

    def ended(self, end: End) -> None:
        self._seconds = end.seconds or 0.0
        if isinstance(end.outcome, Returned):
            self._ended = "succeeded"
        elif isinstance(end.outcome, Raised):
            self._ended = "failed"
            with suppress_errors:
                self._span.failed(end.outcome.error)
        if isinstance(end.verdict, Reschedule):
            self._then = "retried" if end.verdict.attempt > self._execution.attempt else "perpetuated"


def tell_refused(docket: str, worker: str, refused: Refused) -> None:
    """Tell of a delivery that was taken and is not to be run; the cancelled ones were told of by who cancelled."""
    if refused.superseded:
        for each in signals.subscribers:
            with suppress_errors:
                each.superseded(docket, worker, refused.message.function)


def tell_unreadable(docket: str, worker: str, unreadable: Unreadable) -> None:
    """Tell of a delivery that failed because it cannot be read."""
    names, span = (docket, worker, unreadable.task), NOT_TRACED
    if signals.tracer is not None:
        key = unreadable.key or ""
        shown = key.decode(errors="backslashreplace") if isinstance(key, bytes) else key
        labels = {"docket.name": docket, "docket.worker": worker, "docket.key": shown}
        with suppress_errors:
            span = signals.tracer.run(unreadable.task, lambda: labels, {})
    for each in signals.subscribers:
        with suppress_errors:
            if not each.wants_runs():
                continue
            each.run_started(*names, late=0.0, redelivered=False)
            each.run_ended(*names, seconds=0.0, ended="failed", then="")
    with suppress_errors, span:
        span.failed(unreadable.reason)


@attrs.define(eq=False)
class Depths:
    """Tells every ``interval`` how many tasks are due, how many are scheduled for later, and how caches have grown."""

    docket: str
    records: Records
    interval: timedelta

    async def run(self, answered: Callable[[], None]) -> None:
        while True:
            due, later = await self.records.depths()
            answered()
            for each in signals.subscribers:
                with suppress_errors:
                    each.depths(self.docket, due, later)
                    each.cached("signature", len(signature_cache))
            await anyio.sleep(self.interval.total_seconds())

"""Publishes runs to the signals: their beginning and end to subscribers, each as a span to the tracer; and depths."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import anyio
from anyio import get_cancelled_exc_class

from ... import clock
from ...client import signature_cache
from ...clock import monotonic
from ...dependencies import current_worker
from ...rules import Expired, Priority, Raised, Returned, Struck
from ...signals import NOT_TRACED, Labels, Operation, Subscriber, signals, suppress_errors
from ...store import Liveness, Records, Refused, Unreadable
from ...values import define
from ..roster import Detached, End, Running

__all__ = [
    "Depths", "Report", "emit_began", "emit_end", "emit_refused", "emit_unreadable", "emit_waits", "report_of",
    "run_listeners",
]  # fmt: skip


class Report:
    """A run that no telemetry follows. Entered as it begins, ended once its end is known, left in any case."""

    def __enter__(self) -> Report:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def ended(
        self, *, seconds: float, error: BaseException | None = None, ended: str, then: str = ""
    ) -> None:
        """Publish the end of the run; the words are those of `Subscriber.run_ended`."""


_NOT_REPORTED = Report()


class _Published(Report):
    """A run that these subscribers and a span follow. Where it is left before its end is known, it was stopped."""

    def __init__(
        self,
        names: tuple[str, str, str],
        subscribers: Sequence[Subscriber],
        span: Operation,
        *,
        late: float,
        redelivered: bool,
    ) -> None:
        self._names, self._subscribers, self._span = names, subscribers, span
        self._late, self._redelivered = late, redelivered
        self._began, self._is_open = monotonic(), False

    def __enter__(self) -> Report:
        for each in self._subscribers:
            with suppress_errors:
                each.run_started(*self._names, late=self._late, redelivered=self._redelivered)
        with suppress_errors:
            self._span.__enter__()
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ended = "stopped"
        if error is not None and not isinstance(error, (get_cancelled_exc_class(), Detached)):
            ended = "failed"
            if self._is_open and not isinstance(error, Exception):  # the span records only those itself
                with suppress_errors:
                    self._span.failed(error)
        self._close(ended, "", monotonic() - self._began, (kind, error, trace))

    def ended(
        self, *, seconds: float, error: BaseException | None = None, ended: str, then: str = ""
    ) -> None:
        if self._is_open and error is not None:
            with suppress_errors:
                self._span.failed(error)
        self._close(ended, then, seconds, (None, None, None))

    def _close(self, ended: str, then: str, seconds: float, left: tuple[Any, Any, Any]) -> None:
        if not self._is_open:
            return
        self._is_open = False
        with suppress_errors:
            self._span.__exit__(*left)
        for each in self._subscribers:
            with suppress_errors:
                each.run_ended(*self._names, seconds=seconds, ended=ended, then=then)


def _report(
    names: tuple[str, str, str],
    subscribers: Sequence[Subscriber],
    labels: Callable[[], Labels],
    fields: Mapping[bytes, bytes],
    *,
    when: datetime | None = None,
    redelivered: bool = False,
    as_child: bool = False,
) -> Report:
    """A report of the run of a task: ``names`` are the docket's, the worker's and its own."""
    span = NOT_TRACED
    if signals.tracer is not None:
        with suppress_errors:
            span = signals.tracer.run(names[-1], labels, fields, as_child=as_child)
    if not subscribers and span is NOT_TRACED:
        return _NOT_REPORTED
    late = 0.0 if when is None else clock.timestamp() - when.timestamp()
    return _Published(names, subscribers, span, late=late, redelivered=redelivered)


def run_listeners() -> tuple[Sequence[Subscriber], bool]:
    """Who has a use for runs now, and whether the tracer has. It is dear to ask: runs taken together ask once."""
    subscribers: Sequence[Subscriber] = ()
    with suppress_errors:
        subscribers = signals.run_subscribers()
    with suppress_errors:
        return subscribers, signals.tracer is not None and signals.tracer.is_heard()
    return subscribers, False


def report_of(running: Running) -> Report:
    """The report of a run that is about to begin, to be entered at once."""
    if not running.subscribers and not running.is_traced:
        running.report = _NOT_REPORTED
        return _NOT_REPORTED
    execution = running.execution
    worker = execution.worker or ""
    running.report = report = _report(
        (execution.docket.name, worker, execution.function_name),
        running.subscribers,
        lambda: {**execution.labels(), "docket.worker": worker},
        execution.extra_fields,
        when=execution.when,
        redelivered=execution.redelivered,
        as_child=current_worker.get().parent_task_spans,
    )
    return report


def emit_end(running: Running, end: End) -> None:
    """Publish how a run ended. Of those that did not begin, only failures, strikes and what has expired."""
    outcome, execution = end.outcome, running.execution
    if running.detached:  # its own task ends its span
        return
    if isinstance(outcome, Struck):
        for each in signals.subscribers:
            with suppress_errors:
                each.stricken(execution.docket.name, execution.worker or "", execution.function_name)
    elif isinstance(outcome, Expired):
        for each in signals.subscribers:
            with suppress_errors:
                each.expired(execution.docket.name, execution.worker or "", execution.function_name)
    report = running.report
    if report is None and isinstance(outcome, Raised):
        with report_of(running):
            emit_end(running, end)
    if report is None or report is _NOT_REPORTED:
        return
    seconds, then = end.seconds or 0.0, end.then(execution.attempt)
    match outcome:
        case Returned():
            report.ended(seconds=seconds, ended="succeeded", then=then)
        case Raised(error):
            report.ended(seconds=seconds, ended="failed", then=then, error=error)
        case _:
            report.ended(seconds=seconds, ended="stopped", then=then)


def emit_waits(running: Running, change: int) -> None:
    """Publish that a run begins to wait for other tasks (1), or waits for none any more (-1)."""
    execution = running.execution
    for each in running.subscribers:
        with suppress_errors:
            each.run_waits(execution.docket.name, execution.worker or "", execution.function_name, change)


def emit_began(docket: str, worker: str, tasks: Collection[str]) -> None:
    """Tell subscribers that a worker begins."""
    for each in signals.subscribers:
        with suppress_errors:
            each.worker_began(docket, worker, tasks)


def emit_refused(docket: str, worker: str, refused: Refused) -> None:
    """Publish a delivery that was superseded; whoever cancelled a task has published that."""
    if refused.superseded:
        for each in signals.subscribers:
            with suppress_errors:
                each.superseded(docket, worker, refused.message.function)


def emit_unreadable(docket: str, worker: str, unreadable: Unreadable) -> None:
    """Publish a delivery that cannot be read as a run that failed."""
    key = unreadable.key or ""
    key = key.decode(errors="backslashreplace") if isinstance(key, bytes) else key
    labels = {"docket.name": docket, "docket.worker": worker, "docket.key": key}
    with _report((docket, worker, unreadable.task), run_listeners()[0], lambda: labels, {}) as report:
        report.ended(seconds=0.0, ended="failed", error=unreadable.reason)


@define(eq=False)
class Depths:
    """Publishes every ``interval`` how many tasks are due, how many are scheduled for later, and the size of caches."""

    docket: str
    records: Records
    liveness: Liveness
    interval: timedelta

    async def run(self, answered: Callable[[], None]) -> None:
        try:
            while True:
                depths = await self.records.depths()
                due = {level.value: count for level, count in depths.levels.items()}
                served = await self.liveness.served() if due else frozenset[Priority]()
                unserved = {
                    level.value: count
                    for level, count in depths.levels.items()
                    if count and level not in served
                }
                answered()
                for each in signals.subscribers:
                    with suppress_errors:
                        each.depths(self.docket, depths.due, depths.later)
                        each.levels(self.docket, due, unserved)
                        each.waiting(self.docket, depths.waiting)
                        each.kept(self.docket, depths.failed, depths.paused)
                        each.cached("signature", len(signature_cache))
                await anyio.sleep(self.interval.total_seconds())
        finally:
            for each in signals.subscribers:
                with suppress_errors:
                    each.waiting(self.docket, {})
                    each.unmeasured(self.docket)

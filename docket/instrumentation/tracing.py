"""Spans: one for each operation on a docket; one for each run, linked to that in which it was added, or its child."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from contextvars import Token
from types import TracebackType

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind, Status, StatusCode, set_span_in_context

from ..signals import NOT_TRACED, Labels, Operation, Tracer
from ..text import class_name, class_path, readable, text_of
from . import propagation

__all__ = ["Spans"]


class Spans(Tracer):
    """Makes spans with the program's tracer provider; without one, it only passes on what messages carry."""

    def __init__(self) -> None:
        self._asked = trace.get_tracer("docket.docket")
        self._runs = trace.get_tracer("docket.worker")
        #: Of one that an environment variable names, this makes it the program's.
        self._provided = type(trace.get_tracer_provider()) is not trace.ProxyTracerProvider
        self._stand_in = trace.ProxyTracerProvider()

    def is_heard(self) -> bool:
        # Whether the program has set a tracer provider, which it can do once. Libraries load the API in vain.
        if not self._provided:
            # It has tracers of the program's provider as soon as there is one, and reads no environment each time.
            self._provided = type(self._stand_in.get_tracer("docket")) is not trace.ProxyTracer
        return self._provided

    def operation(self, name: str, labels: Callable[[], Labels]) -> Operation:
        return _Span(self._asked, name, labels()) if self.is_heard() else NOT_TRACED

    def run(
        self,
        task: str,
        labels: Callable[[], Labels],
        fields: Mapping[bytes, bytes],
        *,
        as_child: bool = False,
    ) -> Operation:
        if not fields and not self.is_heard():
            return NOT_TRACED
        context = propagation.context_of(fields) if fields else Context()
        links = propagation.links_to(context) if fields else ()
        if not as_child:
            # A trace of its own: the run may come long after the one that asked for it has ended. What was put in
            # the baggage there is there for the task, and for what the task adds.
            context = set_span_in_context(INVALID_SPAN, context)
        return _Run(self._runs, task, labels(), context, links)

    def fields(self) -> Mapping[bytes, bytes]:
        return propagation.present_fields()


class _Span(Operation):
    """An operation in a span that is the current one meanwhile."""

    kind = SpanKind.INTERNAL

    def __init__(
        self,
        tracer: trace.Tracer,
        name: str,
        labels: Labels,
        context: Context | None = None,
        links: Sequence[Link] = (),
    ) -> None:
        self._context = context
        self._span: Span = tracer.start_span(name, context, self.kind, attributes=labels, links=links)
        self._token: Token[Context] | None = None

    def __enter__(self) -> Operation:
        self._token = attach(set_span_in_context(self._span, self._context))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            detach(self._token)
        if isinstance(error, Exception):  # no cancellation
            self.failed(error)
        self._span.end()

    def note(self, name: str, value: str | int) -> None:
        self._span.set_attribute(name, value)

    def failed(self, error: BaseException) -> None:
        if not self._span.is_recording():
            return
        text = text_of(error)
        try:
            traced = "".join(traceback.format_exception(error))
        except KeyboardInterrupt:
            raise
        except BaseException as problem:  # noqa: BLE001 - groups too deep to be followed, hostile classes
            traced = f"(it cannot be shown: {class_name(problem)})"
        # Not `Span.record_exception`: the error's own code can make it raise, or give text that no exporter can write.
        self._span.add_event(
            "exception",
            {
                "exception.type": class_path(error),
                "exception.message": text,
                "exception.stacktrace": readable(traced),
            },
        )
        self._span.set_status(Status(StatusCode.ERROR, text))


class _Run(_Span):
    """A run of a task: one that did not fail went well, cancelled or not."""

    kind = SpanKind.CONSUMER

    def __init__(
        self, tracer: trace.Tracer, name: str, labels: Labels, context: Context, links: Sequence[Link]
    ) -> None:
        super().__init__(tracer, name, labels, context, links)
        self._failed = False

    def failed(self, error: BaseException) -> None:
        self._failed = True
        super().failed(error)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None and not self._failed:
            self._span.set_status(Status(StatusCode.OK))
        super().__exit__(kind, error, trace)

"""Spans as a program's exporter gets them, for as long as a test listens."""

from __future__ import annotations

import functools
from collections.abc import Generator
from contextlib import contextmanager

import attrs
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from docket.instrumentation.tracing import Spans
from docket.signals import signals

__all__ = ["Heard", "listening"]


@attrs.define(eq=False)
class Heard(SpanProcessor):
    """The spans that have ended."""

    spans: list[ReadableSpan] | None = None

    def on_end(self, span: ReadableSpan) -> None:
        if self.spans is not None:
            self.spans.append(span)

    def of(self, docket: str) -> list[ReadableSpan]:
        """Those of one docket, in the order in which they ended."""
        return [span for span in self.spans or [] if (span.attributes or {}).get("docket.name") == docket]

    def only(self, docket: str, name: str) -> ReadableSpan:
        [found] = [span for span in self.of(docket) if span.name == name]
        return found


@functools.cache  # a process has one tracer provider
def _processor() -> Heard:
    heard = Heard()
    provider = TracerProvider()
    provider.add_span_processor(heard)
    trace.set_tracer_provider(provider)
    return heard


@contextmanager
def listening() -> Generator[Heard]:
    """The spans of a block. Nobody hears of spans afterwards, so that messages of other tests carry none."""
    heard = _processor()
    heard.spans, signals.tracer = [], Spans()
    try:
        yield heard
    finally:
        heard.spans, signals.tracer = None, None

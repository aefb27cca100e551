"""Subscribes OpenTelemetry to what dockets and workers do, once, as it is imported. Needs OpenTelemetry's API."""

from __future__ import annotations

from ..signals import signals
from .metrics import Metrics
from .tracing import Spans

__all__: list[str] = []

signals.subscribers.append(Metrics())
signals.tracer = Spans()

"""Telemetry: spans, metrics and trace context for OpenTelemetry, and what a worker serves over HTTP.

Importing this has OpenTelemetry hear what dockets and workers do. A program that has OpenTelemetry loaded when it
opens a docket or runs a worker need not: it is imported then.
"""

from __future__ import annotations

from ..signals import signals

try:
    from ..propagation import Message, MessageGetter, MessageSetter, message_getter, message_setter
except ImportError as error:
    raise ImportError(
        f"docket.instrumentation needs OpenTelemetry ({error}): pip install 'anydocket[otel]', "
        "or 'anydocket[metrics]' to serve metrics to Prometheus"
    ) from error

from ..serving import healthcheck_server, metrics_server
from .metrics import (
    CACHE_SIZE,
    QUEUE_DEPTH,
    REDIS_DISRUPTIONS,
    SCHEDULE_DEPTH,
    STRIKES_IN_EFFECT,
    TASK_DURATION,
    TASK_PUNCTUALITY,
    TASKS_ADDED,
    TASKS_CANCELLED,
    TASKS_COMPLETED,
    TASKS_FAILED,
    TASKS_PERPETUATED,
    TASKS_REDELIVERED,
    TASKS_REPLACED,
    TASKS_RETRIED,
    TASKS_RUNNING,
    TASKS_SCHEDULED,
    TASKS_STARTED,
    TASKS_STRICKEN,
    TASKS_SUCCEEDED,
    TASKS_SUPERSEDED,
    Metrics,
    meter,
)
from .tracing import Spans

__all__ = [
    "CACHE_SIZE",
    "QUEUE_DEPTH",
    "REDIS_DISRUPTIONS",
    "SCHEDULE_DEPTH",
    "STRIKES_IN_EFFECT",
    "TASKS_ADDED",
    "TASKS_CANCELLED",
    "TASKS_COMPLETED",
    "TASKS_FAILED",
    "TASKS_PERPETUATED",
    "TASKS_REDELIVERED",
    "TASKS_REPLACED",
    "TASKS_RETRIED",
    "TASKS_RUNNING",
    "TASKS_SCHEDULED",
    "TASKS_STARTED",
    "TASKS_STRICKEN",
    "TASKS_SUCCEEDED",
    "TASKS_SUPERSEDED",
    "TASK_DURATION",
    "TASK_PUNCTUALITY",
    "Message",
    "MessageGetter",
    "MessageSetter",
    "healthcheck_server",
    "message_getter",
    "message_setter",
    "meter",
    "metrics_server",
]

signals.subscribers.append(Metrics())
signals.tracer = Spans()

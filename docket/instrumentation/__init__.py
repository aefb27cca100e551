"""Telemetry: spans, metrics and trace context for OpenTelemetry; health checks and metrics that a worker serves.

Importing this subscribes OpenTelemetry if the program has loaded it; importing one of the metrics, in any case. A
program that has it loaded when it opens a docket or runs a worker need not import this.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ..signals import signals

if TYPE_CHECKING:
    from .metrics import CACHE_SIZE as CACHE_SIZE
    from .metrics import QUEUE_DEPTH as QUEUE_DEPTH
    from .metrics import REDIS_DISRUPTIONS as REDIS_DISRUPTIONS
    from .metrics import SCHEDULE_DEPTH as SCHEDULE_DEPTH
    from .metrics import STRIKES_IN_EFFECT as STRIKES_IN_EFFECT
    from .metrics import TASK_DURATION as TASK_DURATION
    from .metrics import TASK_PUNCTUALITY as TASK_PUNCTUALITY
    from .metrics import TASKS_ADDED as TASKS_ADDED
    from .metrics import TASKS_CANCELLED as TASKS_CANCELLED
    from .metrics import TASKS_COMPLETED as TASKS_COMPLETED
    from .metrics import TASKS_FAILED as TASKS_FAILED
    from .metrics import TASKS_PERPETUATED as TASKS_PERPETUATED
    from .metrics import TASKS_REDELIVERED as TASKS_REDELIVERED
    from .metrics import TASKS_REPLACED as TASKS_REPLACED
    from .metrics import TASKS_RETRIED as TASKS_RETRIED
    from .metrics import TASKS_RUNNING as TASKS_RUNNING
    from .metrics import TASKS_SCHEDULED as TASKS_SCHEDULED
    from .metrics import TASKS_STARTED as TASKS_STARTED
    from .metrics import TASKS_STRICKEN as TASKS_STRICKEN
    from .metrics import TASKS_SUCCEEDED as TASKS_SUCCEEDED
    from .metrics import TASKS_SUPERSEDED as TASKS_SUPERSEDED
    from .metrics import meter as meter
    from .propagation import Message as Message
    from .propagation import MessageGetter as MessageGetter
    from .propagation import MessageSetter as MessageSetter
    from .propagation import context_of as context_of
    from .propagation import links_to as links_to
    from .propagation import message_getter as message_getter
    from .propagation import message_setter as message_setter
    from .serving import healthcheck_server as healthcheck_server
    from .serving import metrics_server as metrics_server

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

#: Where the names are that are not metrics.
_HOMES = {
    **dict.fromkeys(("healthcheck_server", "metrics_server"), "serving"),
    **dict.fromkeys(
        (
            "Message",
            "MessageGetter",
            "MessageSetter",
            "context_of",
            "links_to",
            "message_getter",
            "message_setter",
        ),
        "propagation",
    ),
}


def __getattr__(name: str) -> Any:
    if name not in __all__ and name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "metrics")
    try:
        if home == "metrics":  # a program that reads them wants them counted
            importlib.import_module(".subscribe", __name__)
        value = getattr(importlib.import_module(f".{home}", __name__), name)
    except ImportError as error:
        raise ImportError(
            f"{__name__}.{name} needs OpenTelemetry ({error}): pip install 'anydocket[otel]', "
            "or 'anydocket[metrics]' to serve metrics to Prometheus"
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


signals.connect_opentelemetry()

"""Who asked for an execution, as OpenTelemetry has it. Nobody is known where that is not installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .signals import signals

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Link

__all__ = ["carrying", "context_in", "links_to"]


def carrying(fields: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """The further fields of a message that is placed now: as they are, and by what it can be linked to this."""
    if signals.tracer is None or not (present := signals.tracer.fields()):
        return fields
    return {**fields, **present}


def context_in(fields: Mapping[bytes, bytes]) -> Context | None:
    """The context that the further fields of a message carry."""
    if not fields:
        return None
    try:
        from . import propagation
    except ImportError:
        return None
    return propagation.context_of(fields)


def links_to(context: Context | None) -> list[Link]:
    """A link to the span of a context, if it has one."""
    if context is None:
        return []
    from . import propagation

    return propagation.links_to(context)

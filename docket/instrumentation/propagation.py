"""Trace context in the fields of a message: ``traceparent``, ``tracestate``, ``baggage``, or what else is configured.

Needs OpenTelemetry's API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from opentelemetry import propagate, trace
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.textmap import Getter, Setter

__all__ = [
    "Message",
    "MessageGetter",
    "MessageSetter",
    "context_of",
    "links_to",
    "message_getter",
    "message_setter",
    "present_fields",
]

Message: TypeAlias = dict[bytes, bytes]
"""The fields of a message, as they are on the stream."""


class MessageGetter(Getter[Message]):
    """Reads the fields of a message for a propagator."""

    def get(self, carrier: Message, key: str) -> list[str] | None:
        value = carrier.get(key.encode())
        return None if value is None else [value.decode(errors="replace")]

    def keys(self, carrier: Message) -> list[str]:
        return [name.decode(errors="replace") for name in carrier]


class MessageSetter(Setter[Message]):
    """Writes the fields of a message for a propagator."""

    def set(self, carrier: Message, key: str, value: str) -> None:
        carrier[key.encode()] = value.encode()


message_getter: MessageGetter = MessageGetter()
message_setter: MessageSetter = MessageSetter()


def present_fields() -> Message:
    """The fields by which a message that is made now carries the present context."""
    fields: Message = {}
    if get_current():
        propagate.inject(fields, setter=message_setter)
    return fields


def context_of(fields: Mapping[bytes, bytes]) -> Context:
    """The context that the fields of a message carry; empty where they carry none, or rubbish."""
    return propagate.extract(dict(fields), context=Context(), getter=message_getter)


def links_to(context: Context) -> list[trace.Link]:
    """A link to the span of a context, if it has one."""
    linked = trace.get_current_span(context).get_span_context()
    return [trace.Link(linked)] if linked.is_valid else []

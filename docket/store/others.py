"""What people see of payloads that are no pickles, where the serializer that wrote them need not be at hand."""

from __future__ import annotations

import json
from typing import Any

from .plain import MOST_BYTES, NotPlain, fits

__all__ = ["JSON", "SEALED", "key_id_of", "read_json", "sealed_head"]

JSON = "json"
"""The name of the serializer that writes JSON."""
SEALED = "sealed:"
"""What the names of those begin with that encrypt what another one writes."""

_VERSION, _ID = b"\x01", 4


def read_json(payload: bytes) -> Any:
    """What JSON has, for people. Raises: NotPlain - it is none, or too much."""
    if len(payload) > MOST_BYTES:
        raise NotPlain(f"{len(payload)} bytes")
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise NotPlain(f"no JSON: {type(error).__name__}") from None
    if not fits(value):
        raise NotPlain("too long")
    return value


def sealed_head(key_id: bytes) -> bytes:
    """What a sealed payload begins with."""
    return _VERSION + key_id


def key_id_of(payload: bytes) -> bytes:
    """The id of the key that a payload is sealed with; empty where it is none that is sealed."""
    return payload[len(_VERSION) : len(_VERSION) + _ID] if payload.startswith(_VERSION) else b""

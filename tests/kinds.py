"""The kinds of dockets by how they write: in JSON, signed, sealed, and what people are told of each."""

from __future__ import annotations

from typing import Any

from docket import Docket
from docket.serializers import Sealed
from tests.trust.traps import KEY

__all__ = ["KINDS", "parts_of"]

SEAL = Sealed("json", keys=[b"s" * 32])
SIGNED_BY = Docket("kinds", "memory://kinds", signing_keys=[KEY]).payloads.writes.signed_by
SEALED_BY = SEAL.key_ids[0]

#: The settings of a docket, and the words for what it has written.
KINDS: dict[str, tuple[dict[str, Any], str]] = {
    "json": ({"serializer": "json", "accept": {"json"}}, "json"),
    "signed": ({"signing_keys": [KEY]}, f"pickle, signed by {SIGNED_BY}"),
    "sealed": ({"serializer": SEAL, "accept": {SEAL}}, f"sealed:json with {SEALED_BY}"),
    "both": (
        {"serializer": SEAL, "accept": {SEAL}, "signing_keys": [KEY]},
        f"sealed:json with {SEALED_BY}, signed by {SIGNED_BY}",
    ),
}


def parts_of(words: str) -> dict[str, Any]:
    """The same as a document has it."""
    return {
        "serializer": words.split()[0].rstrip(","),
        "signed_by": SIGNED_BY if "signed" in words else None,
        "sealed_by": SEALED_BY if "sealed" in words else None,
    }

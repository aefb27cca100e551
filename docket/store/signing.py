"""Signatures of payloads: who may write to the server need not be trusted by those that open what is there.

Each is an HMAC-SHA256 over what the payload is of, each part with its length before it, so that nothing can be moved
from one place to another: neither arguments under another task, key or docket, nor a result under another run.
"""

from __future__ import annotations

import hashlib
import logging
from binascii import b2a_base64
from collections.abc import Sequence
from datetime import timedelta
from hmac import compare_digest
from typing import Protocol

import attrs

from .. import clock
from ..signals import signals, suppress_errors
from ..text import readable
from ..values import define
from .foreign import text
from .tags import BEGIN, Tag, beginning

__all__ = ["Signatures", "key_id_of"]

logger = logging.getLogger("docket.signatures")

#: How often what came unsigned is logged, of one task (seconds), and of how many tasks that is remembered.
LOGGED_EVERY, MOST_NAMES = 60.0, 1000

_BLOCK = 64
#: Where a payload's signature begins: it is the base64 of 32 bytes, and a line break.
_AT = -45
_INNER, _OUTER = bytes(byte ^ 0x36 for byte in range(256)), bytes(byte ^ 0x5C for byte in range(256))


def key_id_of(key: bytes) -> str:
    """The name of a key, which tells nothing about it: eight hexadecimal digits."""
    return hashlib.sha256(b"docket signing key\n" + key).hexdigest()[:8]


_NOT_SIGNED = "is not signed, and signatures are required (signatures='require')"


class _Hash(Protocol):
    def copy(self) -> _Hash: ...
    def update(self, data: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


def _halves(key: bytes) -> tuple[_Hash, _Hash]:
    """The two hashes of HMAC (RFC 2104), which have read their key already."""
    padded = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    return hashlib.sha256(padded.translate(_INNER)), hashlib.sha256(padded.translate(_OUTER))


def _signature(key: tuple[_Hash, _Hash], head: str, text: bytes, rest: bytes) -> bytes:
    """The base64 of `hmac.digest`, which takes twice as long, since it reads the key each time; with a line break."""
    inner, outer = key[0].copy(), key[1].copy()
    inner.update(f"{head}{len(text)}:".encode("utf-8", "surrogatepass"))
    inner.update(text)
    if rest:
        inner.update(rest)
    outer.update(inner.digest())
    return b2a_base64(outer.digest())


@define(eq=False)
class Signatures:
    """Signs with the newest of some keys, and checks with any of them.

    With ``required`` nothing unsigned passes. ``max_age`` is how long after its moment a call may begin.
    """

    docket: str
    keys: Sequence[bytes] = attrs.field(repr=False)
    required: bool = True
    max_age: timedelta | None = None
    newest: str = attrs.field(init=False)
    """The id of the key that signs."""
    _signs: tuple[_Hash, _Hash] = attrs.field(init=False, repr=False)
    _known: dict[bytes, tuple[_Hash, _Hash]] = attrs.field(
        init=False, repr=False, factory=dict[bytes, "tuple[_Hash, _Hash]"]
    )
    _beginnings: dict[str, bytes] = attrs.field(init=False, repr=False, factory=dict[str, bytes])
    """Of the tags of what is signed, by serializer."""
    _logged: dict[str, float] = attrs.field(init=False, repr=False, factory=dict[str, float])

    def __attrs_post_init__(self) -> None:
        self.newest = key_id_of(self.keys[0])
        for key in self.keys:
            self._known[key_id_of(key).encode()] = _halves(key)
        self._signs = self._known[self.newest.encode()]

    @property
    def key_ids(self) -> list[str]:
        """The ids of all keys, the newest first."""
        return [each.decode() for each in self._known]

    def signed(
        self, head: str, body: bytes, rest: bytes, serializer: str, moment: float, generation: int = 0
    ) -> bytes:
        """A payload with its tag. ``head`` is what it is of, ``rest`` what belongs to it and has a place of its own.

        ``moment``: seconds since the epoch.
        """
        begun = self._beginnings.get(serializer)
        if begun is None:
            begun = self._beginnings[serializer] = beginning(serializer, self.newest)
        tagged = b"%b%b%d %d " % (body, begun, 1000 * moment, generation)
        return tagged + _signature(self._signs, head, tagged, rest)

    def opened(self, head: str, payload: bytes, rest: bytes = b"") -> list[bytes] | None:
        """What a payload is made of, if its signature holds; else None, and `objection` says why.

        That is its body, and of its tag the serializer, key id, moment, generation and signature.
        """
        parts = payload.rsplit(b" ", 5)
        key = self._known.get(parts[2]) if len(parts) == 6 else None
        if key is None or not compare_digest(_signature(key, head, payload[:_AT], rest), payload[_AT:]):
            return None
        parts[0] = parts[0].removesuffix(BEGIN[:-1])  # nothing is ever signed that lacks it
        return parts

    def objection(self, tag: Tag, head: str, payload: bytes, rest: bytes = b"") -> str:
        """Why a payload may not be opened, to follow what it is; empty where it may.

        One without a signature may where none is required; one with a wrong signature never.
        """
        signature = tag.signature
        if not signature:
            return _NOT_SIGNED if self.required else ""
        key = self._known.get(tag.key_id)
        if key is None:
            known = ", ".join(self.key_ids)
            return (
                f"is signed by the key {text(tag.key_id)}, which is none of the signing_keys here ({known})"
            )
        made = _signature(key, head, payload[: -1 - len(signature)], rest)
        if compare_digest(made[:-1], signature):
            return ""
        by = text(tag.key_id)
        return f"has a signature by the key {by} that does not hold: it was changed, or is of something else"

    def objection_to_age(self, moment: bytes) -> str:
        """As `objection`, about a call that was signed for this moment, longer ago than ``max_age``."""
        if self.max_age is None:
            return ""
        age = timedelta(seconds=round(clock.timestamp() - int(moment) / 1000))
        if age <= self.max_age:
            return ""
        return (
            f"was signed to begin {age} ago, and signature_max_age is {self.max_age}: it may be a repetition (a retry "
            "by a docket with signing_keys signs it anew)"
        )

    def note_unsigned(self, what: str) -> None:
        """Count, and log now and then, what is opened without a signature."""
        for each in signals.subscribers:
            with suppress_errors:
                each.unsigned(self.docket)
        now = clock.timestamp()
        about = what.partition(" under the key ")[0]
        if now - self._logged.get(about, 0.0) < LOGGED_EVERY:
            return
        if len(self._logged) >= MOST_NAMES:
            self._logged.clear()
        self._logged[about] = now
        logger.warning(
            "On docket %r %s is not signed, and is accepted (signatures='accept')",
            self.docket,
            readable(what),
        )

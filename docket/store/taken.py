"""What a script that takes deliveries replies of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs

from ..errors import DeliveryUnreadable
from ..text import error_text
from ..values import frozen
from .codec import Delivery, Message, decode_flat, decode_usual, fields_of, read_ttl, with_names
from .fence import Fence
from .foreign import text

__all__ = [
    "PAUSED",
    "SIZE_OF_USUAL",
    "USUAL",
    "Refused",
    "Taken",
    "Unreadable",
    "decoded",
    "reply_of",
    "usual",
]

PAUSED = b"PAUSED"
"""What scripts say of a delivery whose task is paused; and in the place of the last strike where all tasks are."""


#: What scripts say of the time to live of a run whose record has none.
NOT_GIVEN = b"-"

#: The word for a delivery that is as most are (take.lua), and how many values are replied of one.
USUAL = b"USUAL"
SIZE_OF_USUAL = 10


@frozen(kw_only=True)
class Unreadable:
    """A delivery that is ours and cannot be decoded; or how it ended cannot be written, then with what it holds."""

    message_id: bytes
    key: str | bytes | None
    reason: DeliveryUnreadable
    generation: int = 0
    slots: str = ""
    task: str = ""
    """Its task's name, as far as that can be read."""

    @classmethod
    def of(cls, delivery: Delivery, reason: DeliveryUnreadable) -> Unreadable:
        """A delivery that can be decoded, and is set aside with all that it holds for another ``reason``."""
        return cls(
            message_id=delivery.message_id,
            key=delivery.message.key,
            reason=reason,
            generation=delivery.message.generation,
            slots=delivery.slots,
            task=delivery.message.function,
        )


@frozen(kw_only=True)
class Refused:
    """A delivery that is gone: its key was given to a newer generation, or cancelled."""

    message: Message
    superseded: bool


Taken: TypeAlias = Delivery | Unreadable | Refused


def _key(fields: Mapping[bytes, bytes]) -> str | bytes | None:
    key = fields.get(b"key")
    try:
        return None if key is None else key.decode()
    except UnicodeDecodeError:
        return key


def _unreadable(message_id: bytes, flat: Sequence[bytes], reason: str) -> Unreadable:
    fields = fields_of(flat)
    task = text(fields.get(b"function", b""))
    return Unreadable(message_id=message_id, key=_key(fields), reason=DeliveryUnreadable(reason), task=task)


def _refused(reply: bytes, flat: Sequence[bytes]) -> Refused | None:
    """What can be logged of it; None where it cannot be read."""
    if reply not in (b"SUPERSEDED", b"CANCELLED"):
        return None
    try:
        return Refused(message=decode_flat(flat), superseded=reply == b"SUPERSEDED")
    except DeliveryUnreadable:
        return None


def decoded(
    message_id: bytes,
    flat: Sequence[bytes],
    claim: int,
    holder: str,
    redelivered: bool,
    times: int = 1,
    ttl: bytes = NOT_GIVEN,
    expired: bool = False,
) -> Delivery | Unreadable:
    """A delivery that ``holder`` has claimed.

    ``times`` is how often it was delivered, ``ttl`` the time to live that its record has; ``expired`` as in `Delivery`.
    """
    try:
        message = decode_flat(flat)
    except DeliveryUnreadable as reason:
        return _unreadable(message_id, flat, str(reason))
    except Exception as error:  # noqa: BLE001 - whatever else is wrong with it, it is wrong with this one (I9)
        return _unreadable(message_id, flat, f"the message cannot be read: {error_text(error)}")
    if ttl != NOT_GIVEN:
        message = attrs.evolve(message, ttl=read_ttl(ttl))
    if message.passed_on is not None:
        times += message.passed_on.deliveries
    fence = Fence(message_id, message.generation, claim, holder)
    return Delivery(message, fence, redelivered, "", times, expired)


def usual(one: Sequence[bytes], holder: str, redelivered: bool) -> Delivery | Unreadable:
    """A delivery that is as most are, by the `SIZE_OF_USUAL` values that a script replied of it."""
    message_id, _, ttl, *values = one
    try:
        message = decode_usual(values, ... if ttl == NOT_GIVEN else read_ttl(ttl))
    except Exception:  # noqa: BLE001 - the long way says of each problem what it means
        return decoded(message_id, with_names(values), 1, holder, redelivered, 1, ttl)
    return Delivery(message, Fence(message_id, message.generation, 1, holder), redelivered, "", 1)


def reply_of(
    message_id: bytes,
    word: bytes,
    claim: Any,
    flat: Sequence[bytes],
    times: int,
    ttl: bytes,
    holder: str,
    redelivered: bool,
) -> Taken | None:
    """One delivery, by the word that a script replied for it; None where there is nothing to report."""
    if word == b"OK" or word == b"UNREADABLE":
        return decoded(message_id, flat, claim, holder, redelivered, times, ttl)
    if word == b"EXPIRED":
        return decoded(message_id, flat, claim, holder, redelivered, times, ttl, expired=True)
    if word == b"BROKEN":
        return _unreadable(message_id, flat, f"its run cannot be claimed: {text(claim)}")
    return _refused(word, flat)

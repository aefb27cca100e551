"""What messages say of whose turn they wait for (lib/turns.lua)."""

from __future__ import annotations

from collections.abc import Mapping

from .codec import SHARE
from .keys import Keys

__all__ = ["having_had_its_turn", "share_field", "waiting_anew", "with_share"]

_HAD = b"+"


def share_field(argument: str, value: str, weight: str) -> bytes:
    """What a message says of whose turn it waits for: that of a value of an argument, and its weight."""
    return f"{weight} {Keys.value_named(argument, value)}".encode()


def with_share(extra: Mapping[bytes, bytes], share: bytes | None) -> Mapping[bytes, bytes]:
    """The further fields of a message that waits for this turn, or for none."""
    others = {name: each for name, each in extra.items() if name != SHARE} if SHARE in extra else extra
    return others if share is None else {**others, SHARE: share}


def having_had_its_turn(extra: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """The same of one that has been drawn, and is put off: it waits for no turn as it comes back."""
    share = extra.get(SHARE)
    return extra if share is None or share.startswith(_HAD) else {**extra, SHARE: _HAD + share}


def waiting_anew(extra: Mapping[bytes, bytes]) -> bytes | None:
    """Whose turn a run waits for that comes after one with these fields; None for nobody's."""
    share = extra.get(SHARE)
    return None if share is None else share.removeprefix(_HAD)

"""What messages say of whose turn they wait for (lib/turns.lua)."""

from __future__ import annotations

from collections.abc import Mapping

from ..rules import Priority
from .codec import SHARE
from .keys import Keys
from .levels import level_of

__all__ = ["having_had_its_turn", "share_field", "waited_as", "waiting_anew", "with_share"]

_HAD = b"+"


def share_field(argument: str, value: str, weight: str) -> bytes:
    """What a message says of whose turn it waits for: that of a value of an argument, and its weight."""
    return f"{weight} {Keys.value_named(argument, value)}".encode()


def with_share(extra: Mapping[bytes, bytes], share: bytes | None) -> Mapping[bytes, bytes]:
    """The further fields of a message that waits for this turn, or for none."""
    others = {name: each for name, each in extra.items() if name != SHARE} if SHARE in extra else extra
    return others if share is None else {**others, SHARE: share}


def waited_as(extra: Mapping[bytes, bytes]) -> str:
    """Where a message with these fields has waited: its level, a space, and the row of those with which it took turns.

    Of the level normal there is none before the space, of one that takes no turns none behind it; nothing of most.
    """
    level = "" if (found := level_of(extra)) is Priority.NORMAL else found.value
    row = extra.get(SHARE, b"").partition(b" ")[2].decode(errors="replace")
    return f"{level} {row}" if level or row else ""


def having_had_its_turn(extra: Mapping[bytes, bytes]) -> Mapping[bytes, bytes]:
    """The same of one that has been drawn, and is put off: it waits for no turn as it comes back."""
    share = extra.get(SHARE)
    return extra if share is None or share.startswith(_HAD) else {**extra, SHARE: _HAD + share}


def waiting_anew(extra: Mapping[bytes, bytes]) -> bytes | None:
    """Whose turn a run waits for that comes after one with these fields; None for nobody's."""
    share = extra.get(SHARE)
    return None if share is None else share.removeprefix(_HAD)

"""The rules that decide whether a run may begin now, as values. admit.lua checks them."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import timedelta
from typing import TypeAlias

from ..numbers import LARGEST_FIELD
from ..values import frozen

__all__ = ["AdmissionRule", "CooldownRule", "DebounceRule", "RateRule", "SlotRule", "names_in", "pack"]


@frozen
class SlotRule:
    """At most ``most`` runs at a time hold a slot of the limit ``name``."""

    name: str
    most: int


@frozen
class RateRule:
    """At most ``most`` runs begin in any ``window``; the others wait for their moment, or are dropped."""

    name: str
    most: int
    window: timedelta
    drop: bool = False


@frozen
class CooldownRule:
    """For a ``window`` after a run has begun, others are dropped."""

    name: str
    window: timedelta


@frozen
class DebounceRule:
    """The first of a burst runs, ``settle`` after its last; the others are dropped."""

    winner: str
    last_seen: str
    settle: timedelta


AdmissionRule: TypeAlias = SlotRule | RateRule | CooldownRule | DebounceRule


def pack(limits: Iterable[SlotRule], lease: timedelta) -> str:
    """Limits as one text for the scripts: each name with its length before it, since names are any text.

    A slot that is not renewed for a ``lease`` counts as free. No limits: an empty text. A limit that is higher than
    scripts can count is lowered to that.
    """
    return _packed(tuple(limits), lease)


@functools.lru_cache(maxsize=256)
def _packed(limits: tuple[SlotRule, ...], lease: timedelta) -> str:
    each = "".join(
        f"{min(limit.most, LARGEST_FIELD)}:{len(limit.name.encode())}:{limit.name}" for limit in limits
    )
    return f"{max(1, round(lease / timedelta(milliseconds=1)))} {each}" if each else ""


def names_in(packed: str) -> frozenset[str]:
    """The names of the limits in what `pack` has made."""
    _, _, rest = packed.encode().partition(b" ")
    names: set[str] = set()
    while rest.count(b":") >= 2:
        _, length, after = rest.split(b":", 2)
        names.add(after[: int(length)].decode())
        rest = after[int(length) :]
    return frozenset(names)

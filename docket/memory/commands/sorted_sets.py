"""Sorted set commands that change members or look at one; ranges are in ``sorted_set_ranges``."""

from __future__ import annotations

import math

from ...values import frozen
from ..arguments import SYNTAX, integer, print_score, score
from ..core import Core
from ..registry import Commands
from ..replies import ErrorReply, Reply
from ..scanning import scan_options, scan_order, scan_page
from ..values import SortedSet

__all__ = ["commands"]

commands = Commands()

NAN = b"ERR resulting score is not a number (NaN)"
FLAGS = frozenset((b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"))


@frozen
class _Addition:
    """How ZADD treats members that are there, or are not."""

    flags: frozenset[bytes]
    pairs: list[bytes]

    @classmethod
    def of(cls, words: list[bytes]) -> _Addition:
        count = 0
        while count < len(words) and words[count].upper() in FLAGS:
            count += 1
        flags, pairs = frozenset(word.upper() for word in words[:count]), words[count:]
        if not pairs or len(pairs) % 2:
            raise ErrorReply(SYNTAX)
        if b"NX" in flags and b"XX" in flags:
            raise ErrorReply(b"ERR XX and NX options at the same time are not compatible")
        if len(flags & {b"NX", b"GT", b"LT"}) > 1:
            raise ErrorReply(b"ERR GT, LT, and/or NX options at the same time are not compatible")
        if b"INCR" in flags and len(pairs) > 2:
            raise ErrorReply(b"ERR INCR option supports a single increment-element pair")
        return cls(flags, pairs)

    def new_score(self, old: float | None, given: float) -> float | None:
        """The score that the member gets; None where it is left alone."""
        flags = self.flags
        if not flags:
            return given
        if old is None:
            return None if b"XX" in flags else given
        if b"NX" in flags:
            return None
        new = old + given if b"INCR" in flags else given
        if math.isnan(new):
            raise ErrorReply(NAN)
        if (b"GT" in flags and new <= old) or (b"LT" in flags and new >= old):
            return None
        return new


def _zadd(core: Core, key: bytes, addition: _Addition) -> Reply:
    scores = [score(text) for text in addition.pairs[::2]]
    members = core.keys.get(key, SortedSet)
    if members is None:
        if b"XX" in addition.flags:
            return None if b"INCR" in addition.flags else 0
        members = core.keys.ensure(key, SortedSet)
    added = updated = 0
    last: float | None = None
    for given, member in zip(scores, addition.pairs[1::2], strict=True):
        old = members.scores.get(member)
        new = addition.new_score(old, given)
        if new is None:
            continue
        last = new
        if old is None:
            added += 1
        elif new != old:
            updated += 1
        else:
            continue
        members.put(member, new)
    if added or updated:
        core.keys.changed(key)
    if b"INCR" in addition.flags:
        return None if last is None else print_score(last)
    return added + updated if b"CH" in addition.flags else added


@commands("ZADD", -4, "writes")
def zadd(core: Core, argv: list[bytes]) -> Reply:
    return _zadd(core, argv[1], _Addition.of(argv[2:]))


@commands("ZINCRBY", 4, "writes")
def zincrby(core: Core, argv: list[bytes]) -> Reply:
    return _zadd(core, argv[1], _Addition(frozenset((b"INCR",)), argv[2:]))


@commands("ZREM", -3, "writes")
def zrem(core: Core, argv: list[bytes]) -> Reply:
    members = core.keys.get(argv[1], SortedSet)
    if members is None:
        return 0
    gone = sum(members.drop(member) for member in argv[2:])
    if gone:
        core.keys.shrunk(argv[1], members)
    return gone


@commands("ZSCORE", 3)
def zscore(core: Core, argv: list[bytes]) -> Reply:
    members = core.keys.get(argv[1], SortedSet)
    found = members.scores.get(argv[2]) if members is not None else None
    return None if found is None else print_score(found)


@commands("ZMSCORE", -3)
def zmscore(core: Core, argv: list[bytes]) -> Reply:
    members = core.keys.get(argv[1], SortedSet)
    scores = members.scores if members is not None else {}
    return [None if (found := scores.get(member)) is None else print_score(found) for member in argv[2:]]


@commands("ZCARD", 2)
def zcard(core: Core, argv: list[bytes]) -> Reply:
    members = core.keys.get(argv[1], SortedSet)
    return len(members) if members is not None else 0


@commands("ZRANK ZREVRANK", 3)
def zrank(core: Core, argv: list[bytes]) -> Reply:
    members = core.keys.get(argv[1], SortedSet)
    found = members.scores.get(argv[2]) if members is not None else None
    if members is None or found is None:
        return None
    rank = members.order.rank((found, argv[2]))
    return rank if argv[0].upper() == b"ZRANK" else len(members) - 1 - rank


def _pop(core: Core, argv: list[bytes], *, highest: bool) -> Reply:
    if len(argv) > 3:
        raise ErrorReply(SYNTAX)
    too_low = b"ERR value is out of range, must be positive"
    count = integer(argv[2], too_low) if len(argv) > 2 else 1
    if count < 0:
        raise ErrorReply(too_low)
    members = core.keys.get(argv[1], SortedSet)
    if members is None or not count:
        return []
    size = len(members)
    order = members.order
    popped = order.between(max(size - count, 0), size)[::-1] if highest else order.between(0, count)
    for _, member in popped:
        members.drop(member)
    core.keys.shrunk(argv[1], members)
    return [part for found, member in popped for part in (member, print_score(found))]


@commands("ZPOPMIN", -2, "writes")
def zpopmin(core: Core, argv: list[bytes]) -> Reply:
    return _pop(core, argv, highest=False)


@commands("ZPOPMAX", -2, "writes")
def zpopmax(core: Core, argv: list[bytes]) -> Reply:
    return _pop(core, argv, highest=True)


@commands("ZSCAN", -3)
def zscan(core: Core, argv: list[bytes]) -> Reply:
    options = scan_options(argv[2], argv[3:])
    members = core.keys.get(argv[1], SortedSet)
    if members is None:
        return [b"0", []]
    cursor, page = scan_page(scan_order(members.scores), options)
    return [cursor, [part for member in page for part in (member, print_score(members.scores[member]))]]

"""Sorted set commands over ranges, by rank and by score."""

from __future__ import annotations

from ...values import frozen
from ..arguments import SYNTAX, integer, print_score, rank_span, score_bound
from ..core import Core
from ..registry import Commands
from ..replies import ErrorReply, Reply
from ..values import SortedSet

__all__ = ["commands"]

commands = Commands()


@frozen
class _Range:
    """What is asked for: bounds, direction, LIMIT, WITHSCORES."""

    low: bytes
    high: bytes
    by_score: bool
    reverse: bool
    with_scores: bool = False
    offset: int = 0
    count: int = -1

    @classmethod
    def of(cls, argv: list[bytes], *, by_score: bool, reverse: bool) -> _Range:
        """Read ``KEY START STOP [BYSCORE] [REV] [LIMIT o n] [WITHSCORES]``; the first two with ZRANGE."""
        general = argv[0].upper() == b"ZRANGE"
        with_scores, offset, count, limited = False, 0, -1, False
        words = iter(argv[4:])
        for word in words:
            option = word.upper()
            if option == b"WITHSCORES":
                with_scores = True
            elif option == b"LIMIT":
                numbers = [number for number in (next(words, None), next(words, None)) if number is not None]
                if len(numbers) < 2:
                    raise ErrorReply(SYNTAX)
                offset, count, limited = integer(numbers[0]), integer(numbers[1]), True
            elif option == b"REV" and general:
                reverse = True
            elif option == b"BYSCORE" and general:
                by_score = True
            else:
                raise ErrorReply(SYNTAX)
        if limited and not by_score:
            raise ErrorReply(
                b"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
            )
        low, high = (argv[3], argv[2]) if reverse and by_score else (argv[2], argv[3])
        return cls(low, high, by_score, reverse, with_scores, offset, count)


def _select(core: Core, key: bytes, wanted: _Range) -> Reply:
    if wanted.by_score:
        lowest, highest = score_bound(wanted.low), score_bound(wanted.high)
        members = core.keys.get(key, SortedSet)
        if members is None or wanted.offset < 0:
            return []
        start, stop = members.span(lowest, highest)
    else:
        first, last = integer(wanted.low), integer(wanted.high)
        members = core.keys.get(key, SortedSet)
        if members is None:
            return []
        size = len(members)
        start, stop = rank_span(first, last, size)
        if wanted.reverse:
            start, stop = size - stop, size - start
    if wanted.reverse:
        stop -= wanted.offset
        start = max(start, stop - wanted.count) if wanted.count >= 0 else start
        found = members.order.between(start, stop)[::-1] if stop > start else []
    else:
        start += wanted.offset
        stop = min(stop, start + wanted.count) if wanted.count >= 0 else stop
        found = members.order.between(start, stop) if stop > start else []
    if wanted.with_scores:
        return [part for score, member in found for part in (member, print_score(score))]
    return [member for _, member in found]


@commands("ZRANGE", -4)
def zrange(core: Core, argv: list[bytes]) -> Reply:
    return _select(core, argv[1], _Range.of(argv, by_score=False, reverse=False))


@commands("ZREVRANGE", -4)
def zrevrange(core: Core, argv: list[bytes]) -> Reply:
    return _select(core, argv[1], _Range.of(argv, by_score=False, reverse=True))


@commands("ZRANGEBYSCORE", -4)
def zrangebyscore(core: Core, argv: list[bytes]) -> Reply:
    return _select(core, argv[1], _Range.of(argv, by_score=True, reverse=False))


@commands("ZREVRANGEBYSCORE", -4)
def zrevrangebyscore(core: Core, argv: list[bytes]) -> Reply:
    return _select(core, argv[1], _Range.of(argv, by_score=True, reverse=True))


@commands("ZCOUNT", 4)
def zcount(core: Core, argv: list[bytes]) -> Reply:
    low, high = score_bound(argv[2]), score_bound(argv[3])
    members = core.keys.get(argv[1], SortedSet)
    if members is None:
        return 0
    start, stop = members.span(low, high)
    return stop - start


def _cut(core: Core, key: bytes, members: SortedSet, start: int, stop: int) -> int:
    gone = members.order.between(start, stop) if stop > start else []
    for _, member in gone:
        members.drop(member)
    if gone:
        core.keys.shrunk(key, members)
    return len(gone)


@commands("ZREMRANGEBYSCORE", 4, "writes")
def zremrangebyscore(core: Core, argv: list[bytes]) -> Reply:
    low, high = score_bound(argv[2]), score_bound(argv[3])
    members = core.keys.get(argv[1], SortedSet)
    return 0 if members is None else _cut(core, argv[1], members, *members.span(low, high))


@commands("ZREMRANGEBYRANK", 4, "writes")
def zremrangebyrank(core: Core, argv: list[bytes]) -> Reply:
    first, last = integer(argv[2]), integer(argv[3])
    members = core.keys.get(argv[1], SortedSet)
    return 0 if members is None else _cut(core, argv[1], members, *rank_span(first, last, len(members)))

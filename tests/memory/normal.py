"""What may differ between two servers that answer alike: order, time, and, between releases, some words.

``normalise(arguments, reply)`` maps a reply to what both must agree on. ``lenient`` compares with a server of
another release than 7.0: ``OTHER_RELEASES`` says what that leaves out and why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.memory.resp import Failure

__all__ = ["OTHER_RELEASES", "normalise", "words"]

OTHER_RELEASES = {
    "error texts": "reworded from release to release; the code (first word) is compared",
    "scores": "7.0 prints 17 digits, later releases the shortest form; compared as numbers",
    "XINFO": "fields were added; entries-read and lag are counted in another way since 7.2",
    "consumers": "XREADGROUP creates its consumer since 7.2 even when it serves nothing: whether one without "
    "pending entries exists, and whether CREATECONSUMER made it, is not compared",
}

OLD = 900_000
"""Ages (ms) are either moments or, where a test sets them, more than this."""


def words(arguments: tuple[Any, ...]) -> list[str]:
    return [a.decode("latin1") if isinstance(a, bytes) else str(a) for a in arguments]


def _pairs(reply: list[Any]) -> Any:
    return sorted(zip(reply[::2], reply[1::2], strict=True))


def _fields(reply: list[Any]) -> dict[bytes, Any]:
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _ttl(reply: Any) -> Any:
    return reply if not isinstance(reply, int) or reply < 0 else f"about {round(reply / 100)} hundred"


def _age(milliseconds: int) -> str:
    return "old" if milliseconds > OLD else "new"


def _pending(reply: list[Any]) -> Any:
    if len(reply) == 4 and isinstance(reply[0], int):
        return reply
    return [[number, consumer, _age(idle), count] for number, consumer, idle, count in reply]


def _stream(reply: list[Any]) -> Any:
    fields = _fields(reply)
    return {
        name: fields.get(name)
        for name in (
            b"length", b"last-generated-id", b"max-deleted-entry-id", b"entries-added",
            b"recorded-first-entry-id", b"groups", b"first-entry", b"last-entry",
        )
    }  # fmt: skip


def _groups(reply: list[Any], *, lenient: bool) -> Any:
    names = [b"name", b"pending", b"last-delivered-id"]
    if not lenient:
        names += [b"consumers", b"entries-read", b"lag"]
    return [[(name, _fields(group).get(name)) for name in names] for group in reply]


def _consumers(reply: list[Any], *, lenient: bool) -> Any:
    found = [(fields[b"name"], fields[b"pending"], _age(fields[b"idle"])) for fields in map(_fields, reply)]
    return sorted(row for row in found if row[1] or not lenient)


def _scan(reply: list[Any], then: Callable[[list[Any]], Any]) -> Any:
    return [reply[0], then(reply[1])]


UNORDERED: dict[str, Callable[[list[Any]], Any]] = {
    "SMEMBERS": sorted, "SINTER": sorted, "SUNION": sorted, "SDIFF": sorted, "KEYS": sorted, "HKEYS": sorted,
    "HVALS": sorted, "HGETALL": _pairs, "SPOP": sorted, "SRANDMEMBER": sorted, "HRANDFIELD": sorted,
    "SCAN": lambda reply: _scan(reply, sorted), "SSCAN": lambda reply: _scan(reply, sorted),
    "HSCAN": lambda reply: _scan(reply, _pairs), "ZSCAN": lambda reply: _scan(reply, _pairs),
    "XPENDING": _pending,
}  # fmt: skip


def _numbers(reply: Any) -> Any:
    """Compare what reads like a number with a point or an exponent by its value."""
    if isinstance(reply, list):
        return [_numbers(part) for part in reply]
    if type(reply) is bytes and (b"." in reply or b"e+" in reply) and not reply.startswith(b"\x80"):
        try:
            return format(float(reply), ".15g").encode()
        except ValueError:
            return reply
    return reply


def _codes(reply: Any) -> Any:
    if isinstance(reply, list):
        return [_codes(part) for part in reply]
    return Failure(reply.split(" ", 1)[0]) if isinstance(reply, Failure) else reply


def normalise(arguments: tuple[Any, ...], reply: Any, *, lenient: bool = False) -> Any:
    command = [word.upper() for word in words(arguments)]
    name, sub = command[0], command[1] if len(command) > 1 else ""
    if lenient:
        reply = _codes(_numbers(reply))
        if (name, sub) == ("XGROUP", "CREATECONSUMER"):
            return isinstance(reply, Failure)
    result = reply
    if name in ("TTL", "EXPIRETIME"):
        result = _ttl(reply)
    elif name in ("PTTL", "PEXPIRETIME"):
        result = reply if not isinstance(reply, int) or reply < 0 else _ttl(reply // 1000)
    elif isinstance(reply, list):
        if name == "XINFO" and sub == "STREAM":
            result = _stream(reply)
        elif name == "XINFO" and sub == "GROUPS":
            result = _groups(reply, lenient=lenient)
        elif name == "XINFO" and sub == "CONSUMERS":
            result = _consumers(reply, lenient=lenient)
        elif name in UNORDERED:
            result = UNORDERED[name](reply)
    return result

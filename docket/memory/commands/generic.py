"""Commands on keys of any type, and their time to live."""

from __future__ import annotations

import copy
import random

from ..arguments import NO_SUCH_KEY, SYNTAX, glob, integer
from ..core import Core
from ..registry import Commands
from ..replies import OK, ErrorReply, Reply, Status
from ..scanning import scan_options, scan_order, scan_page
from ..values import type_name

__all__ = ["commands"]

commands = Commands()

LATEST = 2**63 - 1


@commands("DEL UNLINK", -2, "writes")
def delete(core: Core, argv: list[bytes]) -> Reply:
    return sum(core.keys.remove(key) for key in argv[1:])


@commands("EXISTS TOUCH", -2)
def exists(core: Core, argv: list[bytes]) -> Reply:
    return sum(key in core.keys.values for key in argv[1:])


@commands("TYPE", 2)
def type_(core: Core, argv: list[bytes]) -> Reply:
    return Status(type_name(core.keys.values.get(argv[1])))


@commands("KEYS", 2)
def keys(core: Core, argv: list[bytes]) -> Reply:
    matches = glob(argv[1]).fullmatch
    return [key for key in core.keys.values if matches(key)]


@commands("SCAN", -2)
def scan(core: Core, argv: list[bytes]) -> Reply:
    options = scan_options(argv[1], argv[2:], with_type=True)
    values = core.keys.values
    if core.scan_order is None or not options.cursor:
        # Later pages go by the order made for the first one: a key that is there from beginning to end is in
        # it.
        core.scan_order = scan_order(values)
    cursor, page = scan_page(core.scan_order, options)
    if cursor == b"0":
        core.scan_order = None
    kind = options.kind
    return [
        cursor,
        [key for key in page if (value := values.get(key)) is not None and kind in (None, type_name(value))],
    ]


@commands("RANDOMKEY", 1)
def randomkey(core: Core, argv: list[bytes]) -> Reply:
    return random.choice(list(core.keys.values)) if core.keys.values else None


@commands("DBSIZE", 1)
def dbsize(core: Core, argv: list[bytes]) -> Reply:
    return len(core.keys.values)


@commands("FLUSHALL FLUSHDB", -1, "writes")
def flushall(core: Core, argv: list[bytes]) -> Reply:
    if len(argv) > 2 or (len(argv) == 2 and argv[1].upper() not in (b"SYNC", b"ASYNC")):
        raise ErrorReply(SYNTAX)
    core.keys.clear()
    return OK


def _move(core: Core, source: bytes, target: bytes) -> None:
    value, at = core.keys.values[source], core.keys.expires.get(source)
    if source == target:
        return
    core.keys.remove(source)
    core.keys.put(target, value)
    if at is not None:
        core.keys.expire_at(target, at)
    core.keys.ready(target)


@commands("RENAME", 3, "writes")
def rename(core: Core, argv: list[bytes]) -> Reply:
    if argv[1] not in core.keys.values:
        raise ErrorReply(NO_SUCH_KEY)
    _move(core, argv[1], argv[2])
    return OK


@commands("RENAMENX", 3, "writes")
def renamenx(core: Core, argv: list[bytes]) -> Reply:
    if argv[1] not in core.keys.values:
        raise ErrorReply(NO_SUCH_KEY)
    if argv[2] in core.keys.values:
        return 0
    _move(core, argv[1], argv[2])
    return 1


@commands("COPY", -3, "writes")
def copy_(core: Core, argv: list[bytes]) -> Reply:
    source, target, replace = argv[1], argv[2], False
    words = iter(argv[3:])
    for word in words:
        if word.upper() == b"REPLACE":
            replace = True
        elif word.upper() == b"DB" and (text := next(words, None)) is not None:
            if integer(text):
                raise ErrorReply(b"ERR DB index is out of range")
        else:
            raise ErrorReply(SYNTAX)
    if source == target:
        raise ErrorReply(b"ERR source and destination objects are the same")
    value, at = core.keys.values.get(source), core.keys.expires.get(source)
    if value is None or (target in core.keys.values and not replace):
        return 0
    core.keys.remove(target)
    core.keys.put(target, copy.deepcopy(value))
    if at is not None:
        core.keys.expire_at(target, at)
    core.keys.ready(target)
    return 1


@commands("EXPIRE PEXPIRE EXPIREAT PEXPIREAT", -3, "writes")
def expire(core: Core, argv: list[bytes]) -> Reply:
    name, key = argv[0].upper(), argv[1]
    at = integer(argv[2])
    flags = _expire_flags(argv[3:])
    if name[0:1] == b"E":
        at *= 1000
    if name[-2:] != b"AT":
        at += core.keys.now
    if not -LATEST - 1 <= at <= LATEST:
        raise ErrorReply(b"ERR invalid expire time in '%b' command" % name.lower())
    if key not in core.keys.values:
        return 0
    current = core.keys.expires.get(key)
    if (
        (b"NX" in flags and current is not None)
        or (b"XX" in flags and current is None)
        or (b"GT" in flags and (current is None or at <= current))
        or (b"LT" in flags and current is not None and at >= current)
    ):
        return 0
    core.keys.expire_at(key, at)
    return 1


def _expire_flags(words: list[bytes]) -> set[bytes]:
    flags: set[bytes] = set()
    for word in words:
        if word.upper() not in (b"NX", b"XX", b"GT", b"LT"):
            raise ErrorReply(b"ERR Unsupported option %b" % word)
        flags.add(word.upper())
    if b"NX" in flags and len(flags) > 1:
        raise ErrorReply(b"ERR NX and XX, GT or LT options at the same time are not compatible")
    if flags >= {b"GT", b"LT"}:
        raise ErrorReply(b"ERR GT and LT options at the same time are not compatible")
    return flags


@commands("PERSIST", 2, "writes")
def persist(core: Core, argv: list[bytes]) -> Reply:
    return int(core.keys.persist(argv[1]))


def _time_left(core: Core, key: bytes, *, absolute: bool) -> int:
    """Milliseconds; -1 without an expiry, -2 without a key."""
    if key not in core.keys.values:
        return -2
    at = core.keys.expires.get(key)
    if at is None:
        return -1
    return at if absolute else max(0, at - core.keys.now)


@commands("PTTL", 2)
def pttl(core: Core, argv: list[bytes]) -> Reply:
    return _time_left(core, argv[1], absolute=False)


@commands("TTL", 2)
def ttl(core: Core, argv: list[bytes]) -> Reply:
    left = _time_left(core, argv[1], absolute=False)
    return left if left < 0 else (left + 500) // 1000


@commands("PEXPIRETIME", 2)
def pexpiretime(core: Core, argv: list[bytes]) -> Reply:
    return _time_left(core, argv[1], absolute=True)


@commands("EXPIRETIME", 2)
def expiretime(core: Core, argv: list[bytes]) -> Reply:
    at = _time_left(core, argv[1], absolute=True)
    return at if at < 0 else (at + 500) // 1000

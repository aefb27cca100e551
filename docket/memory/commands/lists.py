"""List commands, the blocking ones included."""

from __future__ import annotations

from itertools import islice

from ..arguments import NO_SUCH_KEY, SYNTAX, integer, rank_span, seconds
from ..core import Core
from ..registry import Commands
from ..replies import OK, Blocked, ErrorReply, Reply
from ..values import ListValue

__all__ = ["commands"]

commands = Commands()
NOTHING = ListValue()


def _push(core: Core, key: bytes, items: list[bytes], *, left: bool, create: bool = True) -> int:
    values = core.keys.get(key, ListValue)
    if values is None:
        if not create:
            return 0
        values = core.keys.ensure(key, ListValue)
    if left:
        values.extendleft(items)
    else:
        values.extend(items)
    core.keys.changed(key)
    core.keys.ready(key)
    return len(values)


@commands("LPUSH", -3, "writes")
def lpush(core: Core, argv: list[bytes]) -> Reply:
    return _push(core, argv[1], argv[2:], left=True)


@commands("RPUSH", -3, "writes")
def rpush(core: Core, argv: list[bytes]) -> Reply:
    return _push(core, argv[1], argv[2:], left=False)


@commands("LPUSHX", -3, "writes")
def lpushx(core: Core, argv: list[bytes]) -> Reply:
    return _push(core, argv[1], argv[2:], left=True, create=False)


@commands("RPUSHX", -3, "writes")
def rpushx(core: Core, argv: list[bytes]) -> Reply:
    return _push(core, argv[1], argv[2:], left=False, create=False)


def _pop_one(core: Core, key: bytes, *, left: bool) -> bytes | None:
    values = core.keys.get(key, ListValue)
    if values is None:
        return None
    item = values.popleft() if left else values.pop()
    core.keys.shrunk(key, values)
    return item


@commands("LPOP RPOP", -2, "writes")
def pop(core: Core, argv: list[bytes]) -> Reply:
    left = argv[0].upper() == b"LPOP"
    if len(argv) == 2:
        return _pop_one(core, argv[1], left=left)
    if len(argv) > 3:
        raise ErrorReply(b"ERR wrong number of arguments for '%b' command" % argv[0].lower())
    too_low = b"ERR value is out of range, must be positive"
    count = integer(argv[2], too_low)
    if count < 0:
        raise ErrorReply(too_low)
    values = core.keys.get(argv[1], ListValue)
    if values is None:
        return None
    items = [values.popleft() if left else values.pop() for _ in range(min(count, len(values)))]
    if items:
        core.keys.shrunk(argv[1], values)
    return items


@commands("LLEN", 2)
def llen(core: Core, argv: list[bytes]) -> Reply:
    return len(core.keys.get(argv[1], ListValue) or NOTHING)


@commands("LRANGE", 4)
def lrange(core: Core, argv: list[bytes]) -> Reply:
    first, last = integer(argv[2]), integer(argv[3])
    values = core.keys.get(argv[1], ListValue) or NOTHING
    return list(islice(values, *rank_span(first, last, len(values))))


@commands("LINDEX", 3)
def lindex(core: Core, argv: list[bytes]) -> Reply:
    index = integer(argv[2])
    values = core.keys.get(argv[1], ListValue) or NOTHING
    return values[index] if -len(values) <= index < len(values) else None


@commands("LSET", 4, "writes")
def lset(core: Core, argv: list[bytes]) -> Reply:
    values = core.keys.get(argv[1], ListValue)
    if values is None:
        raise ErrorReply(NO_SUCH_KEY)
    index = integer(argv[2])
    if not -len(values) <= index < len(values):
        raise ErrorReply(b"ERR index out of range")
    values[index] = argv[3]
    core.keys.changed(argv[1])
    return OK


@commands("LREM", 4, "writes")
def lrem(core: Core, argv: list[bytes]) -> Reply:
    count, item = integer(argv[2]), argv[3]
    values = core.keys.get(argv[1], ListValue)
    if values is None:
        return 0
    left = abs(count) or len(values)
    kept: list[bytes] = []
    for value in values if count >= 0 else reversed(values):
        if value == item and left:
            left -= 1
        else:
            kept.append(value)
    gone = len(values) - len(kept)
    if gone:
        values.clear()
        values.extend(kept if count >= 0 else reversed(kept))
        core.keys.shrunk(argv[1], values)
    return gone


@commands("LTRIM", 4, "writes")
def ltrim(core: Core, argv: list[bytes]) -> Reply:
    first, last = integer(argv[2]), integer(argv[3])
    values = core.keys.get(argv[1], ListValue)
    if values is not None:
        kept = list(islice(values, *rank_span(first, last, len(values))))
        values.clear()
        values.extend(kept)
        core.keys.shrunk(argv[1], values)
    return OK


@commands("LINSERT", 5, "writes")
def linsert(core: Core, argv: list[bytes]) -> Reply:
    where = argv[2].upper()
    if where not in (b"BEFORE", b"AFTER"):
        raise ErrorReply(SYNTAX)
    values = core.keys.get(argv[1], ListValue)
    if values is None:
        return 0
    if argv[3] not in values:
        return -1
    values.insert(values.index(argv[3]) + (where == b"AFTER"), argv[4])
    core.keys.changed(argv[1])
    return len(values)


def _is_left(word: bytes) -> bool:
    side = word.upper()
    if side not in (b"LEFT", b"RIGHT"):
        raise ErrorReply(SYNTAX)
    return side == b"LEFT"


def _move(core: Core, source: bytes, target: bytes, *, pop_left: bool, push_left: bool) -> bytes | None:
    values = core.keys.get(source, ListValue)
    if values is None:
        return None
    if source == target:  # the key stays, its expiry too, even if it holds one item
        item = values.popleft() if pop_left else values.pop()
        _push(core, source, [item], left=push_left)
        return item
    core.keys.get(target, ListValue)  # its type is checked before anything moves
    item = _pop_one(core, source, left=pop_left)
    if item is not None:
        _push(core, target, [item], left=push_left)
    return item


@commands("LMOVE", 5, "writes")
def lmove(core: Core, argv: list[bytes]) -> Reply:
    return _move(core, argv[1], argv[2], pop_left=_is_left(argv[3]), push_left=_is_left(argv[4]))


@commands("RPOPLPUSH", 3, "writes")
def rpoplpush(core: Core, argv: list[bytes]) -> Reply:
    return _move(core, argv[1], argv[2], pop_left=False, push_left=True)


@commands("BLMOVE", 6, "writes", "noscript")
def blmove(core: Core, argv: list[bytes]) -> Reply:
    pop_left, push_left = _is_left(argv[3]), _is_left(argv[4])
    timeout = seconds(argv[5])

    def retry() -> Reply:
        return _move(core, argv[1], argv[2], pop_left=pop_left, push_left=push_left)

    item = retry()
    return item if item is not None or core.nested else Blocked((argv[1],), timeout, retry)


@commands("BLPOP BRPOP", -3, "writes", "noscript")
def blocking_pop(core: Core, argv: list[bytes]) -> Reply:
    left, keys = argv[0].upper() == b"BLPOP", argv[1:-1]
    timeout = seconds(argv[-1])

    def retry() -> Reply:
        for key in keys:
            item = _pop_one(core, key, left=left)
            if item is not None:
                return [key, item]
        return None

    found = retry()
    return found if found is not None or core.nested else Blocked(keys, timeout, retry)

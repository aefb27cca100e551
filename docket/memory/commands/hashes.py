"""Hash commands."""

from __future__ import annotations

import random

from ..arguments import integer, print_real, real, wrong_arity
from ..core import Core
from ..registry import Commands
from ..replies import OK, ErrorReply, Reply, flatten
from ..scanning import scan_options, scan_order, scan_page
from ..values import Hash

__all__ = ["commands"]

commands = Commands()
NOTHING = Hash()


def _set_fields(core: Core, argv: list[bytes]) -> int:
    if len(argv) % 2:
        raise wrong_arity(argv[0].lower())
    fields = core.keys.ensure(argv[1], Hash)
    before = len(fields)
    fields.update(zip(argv[2::2], argv[3::2], strict=True))
    core.keys.changed(argv[1])
    return len(fields) - before


@commands("HSET", -4, "writes")
def hset(core: Core, argv: list[bytes]) -> Reply:
    return _set_fields(core, argv)


@commands("HMSET", -4, "writes")
def hmset(core: Core, argv: list[bytes]) -> Reply:
    _set_fields(core, argv)
    return OK


@commands("HSETNX", 4, "writes")
def hsetnx(core: Core, argv: list[bytes]) -> Reply:
    fields = core.keys.ensure(argv[1], Hash)
    if argv[2] in fields:
        return 0
    fields[argv[2]] = argv[3]
    core.keys.changed(argv[1])
    return 1


@commands("HGET", 3)
def hget(core: Core, argv: list[bytes]) -> Reply:
    fields = core.keys.get(argv[1], Hash)
    return fields.get(argv[2]) if fields is not None else None


@commands("HMGET", -3)
def hmget(core: Core, argv: list[bytes]) -> Reply:
    fields = core.keys.get(argv[1], Hash) or NOTHING
    return [fields.get(field) for field in argv[2:]]


@commands("HGETALL", 2)
def hgetall(core: Core, argv: list[bytes]) -> Reply:
    fields = core.keys.get(argv[1], Hash)
    return flatten(fields) if fields is not None else []


@commands("HKEYS", 2)
def hkeys(core: Core, argv: list[bytes]) -> Reply:
    return list(core.keys.get(argv[1], Hash) or NOTHING)


@commands("HVALS", 2)
def hvals(core: Core, argv: list[bytes]) -> Reply:
    return list((core.keys.get(argv[1], Hash) or NOTHING).values())


@commands("HLEN", 2)
def hlen(core: Core, argv: list[bytes]) -> Reply:
    return len(core.keys.get(argv[1], Hash) or NOTHING)


@commands("HSTRLEN", 3)
def hstrlen(core: Core, argv: list[bytes]) -> Reply:
    return len((core.keys.get(argv[1], Hash) or NOTHING).get(argv[2], b""))


@commands("HEXISTS", 3)
def hexists(core: Core, argv: list[bytes]) -> Reply:
    return int(argv[2] in (core.keys.get(argv[1], Hash) or NOTHING))


@commands("HDEL", -3, "writes")
def hdel(core: Core, argv: list[bytes]) -> Reply:
    fields = core.keys.get(argv[1], Hash)
    if fields is None:
        return 0
    before = len(fields)
    for field in argv[2:]:
        fields.pop(field, None)
    gone = before - len(fields)
    if gone:
        core.keys.shrunk(argv[1], fields)
    return gone


@commands("HINCRBY", 4, "writes")
def hincrby(core: Core, argv: list[bytes]) -> Reply:
    by = integer(argv[3])
    fields = core.keys.get(argv[1], Hash)
    number = integer((fields or NOTHING).get(argv[2], b"0"), b"ERR hash value is not an integer") + by
    if not -(2**63) <= number < 2**63:
        raise ErrorReply(b"ERR increment or decrement would overflow")
    core.keys.ensure(argv[1], Hash)[argv[2]] = b"%d" % number
    core.keys.changed(argv[1])
    return number


@commands("HINCRBYFLOAT", 4, "writes")
def hincrbyfloat(core: Core, argv: list[bytes]) -> Reply:
    by = real(argv[3])
    fields = core.keys.get(argv[1], Hash)
    number = real((fields or NOTHING).get(argv[2], b"0"), b"ERR hash value is not a float") + by
    printed = core.keys.ensure(argv[1], Hash)[argv[2]] = print_real(number)
    core.keys.changed(argv[1])
    return printed


@commands("HRANDFIELD", -2)
def hrandfield(core: Core, argv: list[bytes]) -> Reply:
    fields = core.keys.get(argv[1], Hash) or NOTHING
    if len(argv) == 2:
        return random.choice(list(fields)) if fields else None
    count = integer(argv[2])
    with_values = len(argv) == 4 and argv[3].upper() == b"WITHVALUES"
    if len(argv) > 4 or (len(argv) == 4 and not with_values):
        raise ErrorReply(b"ERR syntax error")
    names = list(fields)
    if not names:
        return []
    chosen = random.sample(names, min(count, len(names))) if count >= 0 else random.choices(names, k=-count)
    return [part for name in chosen for part in (name, fields[name])] if with_values else chosen


@commands("HSCAN", -3)
def hscan(core: Core, argv: list[bytes]) -> Reply:
    options = scan_options(argv[2], argv[3:])
    fields = core.keys.get(argv[1], Hash) or NOTHING
    cursor, names = scan_page(scan_order(fields), options)
    return [cursor, [part for name in names for part in (name, fields[name])]]

"""Set commands."""

from __future__ import annotations

import random

from ..arguments import SYNTAX, integer
from ..core import Core
from ..registry import Commands
from ..replies import ErrorReply, Reply
from ..scanning import scan_options, scan_order, scan_page
from ..values import Set

__all__ = ["commands"]

commands = Commands()
NOTHING = Set()


@commands("SADD", -3, "writes")
def sadd(core: Core, argv: list[bytes]) -> Reply:
    members = core.keys.ensure(argv[1], Set)
    before = len(members)
    members.update(dict.fromkeys(argv[2:]))
    added = len(members) - before
    if added:
        core.keys.changed(argv[1])
    return added


@commands("SREM", -3, "writes")
def srem(core: Core, argv: list[bytes]) -> Reply:
    members = core.keys.get(argv[1], Set)
    if members is None:
        return 0
    before = len(members)
    for member in argv[2:]:
        members.pop(member, None)
    gone = before - len(members)
    if gone:
        core.keys.shrunk(argv[1], members)
    return gone


@commands("SMEMBERS", 2)
def smembers(core: Core, argv: list[bytes]) -> Reply:
    return list(core.keys.get(argv[1], Set) or NOTHING)


@commands("SISMEMBER", 3)
def sismember(core: Core, argv: list[bytes]) -> Reply:
    return int(argv[2] in (core.keys.get(argv[1], Set) or NOTHING))


@commands("SMISMEMBER", -3)
def smismember(core: Core, argv: list[bytes]) -> Reply:
    members = core.keys.get(argv[1], Set) or NOTHING
    return [int(member in members) for member in argv[2:]]


@commands("SCARD", 2)
def scard(core: Core, argv: list[bytes]) -> Reply:
    return len(core.keys.get(argv[1], Set) or NOTHING)


@commands("SPOP", -2, "writes")
def spop(core: Core, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise ErrorReply(SYNTAX)
    count = integer(argv[2], b"ERR value is out of range, must be positive") if len(argv) == 3 else 1
    if count < 0:
        raise ErrorReply(b"ERR value is out of range, must be positive")
    members = core.keys.get(argv[1], Set)
    chosen = random.sample(list(members), min(count, len(members))) if members else []
    if members is not None and chosen:
        for member in chosen:
            del members[member]
        core.keys.shrunk(argv[1], members)
    if len(argv) == 3:
        return chosen
    return chosen[0] if chosen else None


@commands("SRANDMEMBER", -2)
def srandmember(core: Core, argv: list[bytes]) -> Reply:
    if len(argv) > 3:
        raise ErrorReply(SYNTAX)
    count = integer(argv[2]) if len(argv) == 3 else 1
    members = list(core.keys.get(argv[1], Set) or NOTHING)
    if not members:
        return [] if len(argv) == 3 else None
    if len(argv) == 2:
        return random.choice(members)
    return (
        random.sample(members, min(count, len(members))) if count >= 0 else random.choices(members, k=-count)
    )


@commands("SMOVE", 4, "writes")
def smove(core: Core, argv: list[bytes]) -> Reply:
    source, target, member = argv[1:]
    members = core.keys.get(source, Set)
    if members is None:
        return 0
    core.keys.get(target, Set)  # its type is checked before anything moves
    if member not in members:
        return 0
    if source != target:
        del members[member]
        core.keys.shrunk(source, members)
        core.keys.ensure(target, Set)[member] = None
        core.keys.changed(target)
    return 1


def _combine(core: Core, operation: bytes, names: list[bytes]) -> Set:
    sets = [core.keys.get(name, Set) or NOTHING for name in names]
    result = dict(sets[0])
    for other in sets[1:]:
        if operation == b"UNION":
            result.update(other)
        elif operation == b"INTER":
            result = {member: None for member in result if member in other}
        else:
            result = {member: None for member in result if member not in other}
    return Set(result)


@commands("SINTER SUNION SDIFF", -2)
def combine(core: Core, argv: list[bytes]) -> Reply:
    return list(_combine(core, argv[0].upper()[1:], argv[1:]))


@commands("SINTERSTORE SUNIONSTORE SDIFFSTORE", -3, "writes")
def combine_and_store(core: Core, argv: list[bytes]) -> Reply:
    result = _combine(core, argv[0].upper()[1:-5], argv[2:])
    if result:
        core.keys.put(argv[1], result)
    else:
        core.keys.remove(argv[1])
    return len(result)


@commands("SSCAN", -3)
def sscan(core: Core, argv: list[bytes]) -> Reply:
    options = scan_options(argv[2], argv[3:])
    cursor, page = scan_page(scan_order(core.keys.get(argv[1], Set) or NOTHING), options)
    return [cursor, page]

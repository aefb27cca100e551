"""String commands."""

from __future__ import annotations

from ..arguments import NOT_A_FLOAT, SYNTAX, integer, print_real, real, wrong_arity
from ..core import Core
from ..registry import Commands
from ..replies import OK, ErrorReply, Reply

__all__ = ["commands", "deadline"]

commands = Commands()

LATEST = 2**63 - 1


def deadline(core: Core, unit: bytes, text: bytes, command: bytes) -> int:
    """The moment (ms) that ``EX 10``, ``PX``, ``EXAT`` or ``PXAT`` names; it must be a sensible one."""
    number = integer(text)
    at = number * 1000 if unit[:2] == b"EX" else number
    if unit[2:] != b"AT":
        at += core.keys.now
    if number <= 0 or at > LATEST:
        raise ErrorReply(b"ERR invalid expire time in '%b' command" % command)
    return at


UNITS = frozenset((b"EX", b"PX", b"EXAT", b"PXAT"))


@commands("GET", 2)
def get(core: Core, argv: list[bytes]) -> Reply:
    return core.keys.get(argv[1], bytes)


@commands("SET", -3, "writes")
def set_(core: Core, argv: list[bytes]) -> Reply:
    keys, key = core.keys, argv[1]
    at: int | None = None
    options: set[bytes] = set()
    rest = iter(argv[3:])
    for word in rest:
        option = word.upper()
        if option in UNITS:
            text = next(rest, None)
            if text is None or at is not None or b"KEEPTTL" in options:
                raise ErrorReply(SYNTAX)
            at = deadline(core, option, text, b"set")
        elif (
            option not in (b"NX", b"XX", b"GET", b"KEEPTTL")
            or (option == b"KEEPTTL" and at is not None)
            or (option in (b"NX", b"XX") and {b"NX", b"XX"} - {option} <= options)
        ):
            raise ErrorReply(SYNTAX)
        else:
            options.add(option)
    old = keys.get(key, bytes) if b"GET" in options else keys.values.get(key)
    answer = old if isinstance(old, bytes) and b"GET" in options else None
    if (b"NX" in options and old is not None) or (b"XX" in options and old is None):
        return answer
    keys.put(key, argv[2], keep_ttl=b"KEEPTTL" in options)
    if at is not None:
        keys.expire_at(key, at)
    return answer if b"GET" in options else OK


@commands("SETEX", 4, "writes")
def setex(core: Core, argv: list[bytes]) -> Reply:
    at = deadline(core, b"EX", argv[2], b"setex")
    core.keys.put(argv[1], argv[3])
    core.keys.expire_at(argv[1], at)
    return OK


@commands("PSETEX", 4, "writes")
def psetex(core: Core, argv: list[bytes]) -> Reply:
    at = deadline(core, b"PX", argv[2], b"psetex")
    core.keys.put(argv[1], argv[3])
    core.keys.expire_at(argv[1], at)
    return OK


@commands("SETNX", 3, "writes")
def setnx(core: Core, argv: list[bytes]) -> Reply:
    if argv[1] in core.keys.values:
        return 0
    core.keys.put(argv[1], argv[2])
    return 1


@commands("GETSET", 3, "writes")
def getset(core: Core, argv: list[bytes]) -> Reply:
    old = core.keys.get(argv[1], bytes)
    core.keys.put(argv[1], argv[2])
    return old


@commands("GETDEL", 2, "writes")
def getdel(core: Core, argv: list[bytes]) -> Reply:
    old = core.keys.get(argv[1], bytes)
    core.keys.remove(argv[1])
    return old


@commands("GETEX", -2, "writes")
def getex(core: Core, argv: list[bytes]) -> Reply:
    keys, key, option = core.keys, argv[1], argv[2].upper() if len(argv) > 2 else b""
    at: int | None = None
    if len(argv) == 4 and option in UNITS:
        at = deadline(core, option, argv[3], b"getex")
    elif len(argv) > 3 or option not in (b"", b"PERSIST"):
        raise ErrorReply(SYNTAX)
    value = keys.get(key, bytes)
    if value is not None:
        if at is not None:
            keys.expire_at(key, at)
        elif option:
            keys.persist(key)
    return value


@commands("MGET", -2)
def mget(core: Core, argv: list[bytes]) -> Reply:
    values = core.keys.values
    return [value if isinstance(value := values.get(key), bytes) else None for key in argv[1:]]


@commands("MSET", -3, "writes")
def mset(core: Core, argv: list[bytes]) -> Reply:
    if not len(argv) % 2:
        raise wrong_arity(b"mset")
    for key, value in zip(argv[1::2], argv[2::2], strict=True):
        core.keys.put(key, value)
    return OK


@commands("MSETNX", -3, "writes")
def msetnx(core: Core, argv: list[bytes]) -> Reply:
    if not len(argv) % 2:
        raise wrong_arity(b"msetnx")
    if any(key in core.keys.values for key in argv[1::2]):
        return 0
    mset(core, argv)
    return 1


@commands("APPEND", 3, "writes")
def append(core: Core, argv: list[bytes]) -> Reply:
    value = (core.keys.get(argv[1], bytes) or b"") + argv[2]
    core.keys.put(argv[1], value, keep_ttl=True)
    return len(value)


@commands("STRLEN", 2)
def strlen(core: Core, argv: list[bytes]) -> Reply:
    return len(core.keys.get(argv[1], bytes) or b"")


@commands("GETRANGE", 4)
def getrange(core: Core, argv: list[bytes]) -> Reply:
    start, stop = integer(argv[2]), integer(argv[3])
    value = core.keys.get(argv[1], bytes) or b""
    if start < 0 and stop < 0 and start > stop:
        return b""
    length = len(value)
    start = max(start + length, 0) if start < 0 else start
    stop = max(stop + length, 0) if stop < 0 else stop
    return value[start : stop + 1]


def _add(core: Core, key: bytes, by: int) -> int:
    old = core.keys.get(key, bytes)
    number = integer(old if old is not None else b"0") + by
    if not -(2**63) <= number < 2**63:
        raise ErrorReply(b"ERR increment or decrement would overflow")
    core.keys.put(key, b"%d" % number, keep_ttl=True)
    return number


@commands("INCR", 2, "writes")
def incr(core: Core, argv: list[bytes]) -> Reply:
    return _add(core, argv[1], 1)


@commands("DECR", 2, "writes")
def decr(core: Core, argv: list[bytes]) -> Reply:
    return _add(core, argv[1], -1)


@commands("INCRBY", 3, "writes")
def incrby(core: Core, argv: list[bytes]) -> Reply:
    return _add(core, argv[1], integer(argv[2]))


@commands("DECRBY", 3, "writes")
def decrby(core: Core, argv: list[bytes]) -> Reply:
    by = integer(argv[2])
    if by == -(2**63):
        raise ErrorReply(b"ERR decrement would overflow")
    return _add(core, argv[1], -by)


@commands("INCRBYFLOAT", 3, "writes")
def incrbyfloat(core: Core, argv: list[bytes]) -> Reply:
    old = core.keys.get(argv[1], bytes)
    number = real(old if old is not None else b"0", NOT_A_FLOAT) + real(argv[2])
    printed = print_real(number)
    core.keys.put(argv[1], printed, keep_ttl=True)
    return printed

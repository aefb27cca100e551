"""Stream commands without groups: adding, deleting, trimming, ranges, XREAD."""

from __future__ import annotations

import attrs

from ...values import frozen
from ..arguments import NO_SUCH_KEY, SYNTAX, integer, wrong_arity
from ..core import Core
from ..registry import Commands
from ..replies import OK, Blocked, ErrorReply, Reply
from ..stream_values import MAX_ID, NO_ID_IS_LEFT, StreamValue, bound_id, parse_id, print_id

__all__ = ["ReadOptions", "commands"]

commands = Commands()

NODE = 100
"""Entries per node of a real stream: an approximate trimming (``~``) removes whole nodes only."""


@frozen
class _Trimming:
    """MAXLEN or MINID, exact or not."""

    maximum: int | None
    lowest: int | None
    approximate: bool
    limit: int | None = None

    @classmethod
    def of(cls, words: list[bytes], at: int) -> tuple[_Trimming, int]:
        """Read the option that begins at ``at``; returns it and where it ends."""
        kind = words[at].upper()
        at += 1
        approximate = at + 1 < len(words) and words[at] == b"~"
        if at + 1 < len(words) and words[at] in (b"~", b"="):
            at += 1
        if at >= len(words):
            raise ErrorReply(SYNTAX)
        maximum = lowest = None
        if kind == b"MAXLEN":
            maximum = integer(words[at])
            if maximum < 0:
                raise ErrorReply(b"ERR The MAXLEN argument must be >= 0.")
        else:
            lowest = parse_id(words[at])
        return cls(maximum, lowest, approximate), at + 1

    def apply(self, stream: StreamValue) -> int:
        """Trim; returns how many entries went."""
        most = len(stream)
        if self.maximum is not None:
            most = max(0, most - self.maximum)
        if self.approximate:
            most = min(most, NODE * 100 if self.limit is None else self.limit or most)
        gone: list[int] = []
        for number in stream.ids.upward(0):
            if len(gone) >= most or (self.lowest is not None and number >= self.lowest):
                break
            gone.append(number)
        if self.approximate and len(gone) < len(stream):
            del gone[len(gone) // NODE * NODE :]
        for number in gone:
            stream.discard(number)
        return len(gone)


def _options(argv: list[bytes], at: int, *, adding: bool) -> tuple[_Trimming | None, bool, int]:
    """The options of XADD and XTRIM: how to trim, NOMKSTREAM, and where the rest begins."""
    trimming: _Trimming | None = None
    nomkstream = False
    limit: int | None = None
    while at < len(argv):
        option = argv[at].upper()
        if option in (b"MAXLEN", b"MINID"):
            if trimming is not None:
                raise ErrorReply(
                    b"ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
                )
            trimming, at = _Trimming.of(argv, at)
        elif option == b"LIMIT" and at + 1 < len(argv):
            limit = integer(argv[at + 1])
            if limit < 0:
                raise ErrorReply(b"ERR The LIMIT argument must be >= 0.")
            at += 2
        elif option == b"NOMKSTREAM" and adding:
            nomkstream, at = True, at + 1
        elif adding:
            break
        else:
            raise ErrorReply(SYNTAX)
    if limit is not None:
        if trimming is None or not trimming.approximate:
            raise ErrorReply(b"ERR syntax error, LIMIT cannot be used without the special ~ option")
        trimming = attrs.evolve(trimming, limit=limit)
    return trimming, nomkstream, at


def _next_id(core: Core, stream: StreamValue, wanted: bytes, given: int) -> int:
    """The id of a new entry: ``*``, ``ms-*`` or the ``given`` one; greater than every earlier one."""
    last = stream.last
    if wanted == b"*":
        return stream.next_id(core.keys.now)
    if wanted.endswith(b"-*"):
        number = given if given >> 64 != last >> 64 else last + 1
        if number >> 64 != given >> 64:
            number = 0  # no sequence is left
    else:
        number = given
    if last == MAX_ID:
        raise ErrorReply(NO_ID_IS_LEFT)
    if number <= last:
        raise ErrorReply(b"ERR The ID specified in XADD is equal or smaller than the target stream top item")
    return number


@commands("XADD", -5, "writes")
def xadd(core: Core, argv: list[bytes]) -> Reply:
    keys, key = core.keys, argv[1]
    if argv[2] == b"*":
        trimming, nomkstream, at = None, False, 2
    else:
        trimming, nomkstream, at = _options(argv, 2, adding=True)
    fields = argv[at + 1 :]
    if not fields or len(fields) % 2:
        raise wrong_arity(b"xadd")
    wanted, given = argv[at], 0
    if wanted != b"*":
        given = parse_id(wanted[:-2] if wanted.endswith(b"-*") else wanted)
        if not given and not wanted.endswith(b"-*"):
            raise ErrorReply(b"ERR The ID specified in XADD must be greater than 0-0")
    stream = keys.get(key, StreamValue)
    if stream is None:
        if nomkstream:
            return None
        stream = StreamValue()
    number = _next_id(core, stream, wanted, given)
    stream.add(number, fields)
    if trimming is not None:
        trimming.apply(stream)
    keys.values[key] = stream
    keys.changed(key)
    keys.ready(key)
    return print_id(number)


@commands("XTRIM", -4, "writes")
def xtrim(core: Core, argv: list[bytes]) -> Reply:
    trimming, _, _ = _options(argv, 2, adding=False)
    if trimming is None:
        raise ErrorReply(SYNTAX)
    stream = core.keys.get(argv[1], StreamValue)
    gone = trimming.apply(stream) if stream is not None else 0
    if gone:
        core.keys.changed(argv[1])
    return gone


@commands("XLEN", 2)
def xlen(core: Core, argv: list[bytes]) -> Reply:
    stream = core.keys.get(argv[1], StreamValue)
    return len(stream) if stream is not None else 0


@commands("XDEL", -3, "writes")
def xdel(core: Core, argv: list[bytes]) -> Reply:
    stream = core.keys.get(argv[1], StreamValue)
    if stream is None:
        return 0
    numbers = [parse_id(text) for text in argv[2:]]
    gone = sum(stream.delete(number) for number in numbers)
    if gone:
        core.keys.changed(argv[1])
    return gone


@commands("XSETID", -3, "writes")
def xsetid(core: Core, argv: list[bytes]) -> Reply:
    number = parse_id(argv[2])
    added: int | None = None
    max_deleted: int | None = None
    words = argv[3:]
    if len(words) % 2:
        raise ErrorReply(SYNTAX)
    for word, value in zip(words[::2], words[1::2], strict=True):
        if word.upper() == b"ENTRIESADDED":
            added = integer(value)
            if added < 0:
                raise ErrorReply(b"ERR entries_added must be positive")
        elif word.upper() == b"MAXDELETEDID":
            max_deleted = parse_id(value)
            if number < max_deleted:
                raise ErrorReply(
                    b"ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
                )
        else:
            raise ErrorReply(SYNTAX)
    stream = core.keys.get(argv[1], StreamValue)
    if stream is None:
        raise ErrorReply(NO_SUCH_KEY)
    if stream.entries:
        if number < stream.ids.last:
            raise ErrorReply(b"ERR The ID specified in XSETID is smaller than the target stream top item")
        if added is not None and added < len(stream):
            raise ErrorReply(
                b"ERR The entries_added specified in XSETID is smaller than the target stream length"
            )
    stream.last = number
    stream.added = stream.added if added is None else added
    stream.max_deleted = max_deleted or stream.max_deleted
    return OK  # a real server spoils no WATCH with it either


def _range(core: Core, argv: list[bytes], *, reverse: bool) -> Reply:
    start, stop = (argv[3], argv[2]) if reverse else (argv[2], argv[3])
    low, high = bound_id(start, upper=False), bound_id(stop, upper=True)
    count: int | None = None
    if len(argv) > 4:
        if len(argv) != 6 or argv[4].upper() != b"COUNT":
            raise ErrorReply(SYNTAX)
        count = max(0, integer(argv[5]))
    stream = core.keys.get(argv[1], StreamValue)
    if stream is None:
        return []
    if count == 0:
        return None
    return stream.records(stream.span(low, high, count, reverse=reverse))


@commands("XRANGE", -4)
def xrange_(core: Core, argv: list[bytes]) -> Reply:
    return _range(core, argv, reverse=False)


@commands("XREVRANGE", -4)
def xrevrange(core: Core, argv: list[bytes]) -> Reply:
    return _range(core, argv, reverse=True)


@frozen
class ReadOptions:
    """COUNT, BLOCK and the streams of XREAD and XREADGROUP; ``block`` in ms, None if not asked for."""

    count: int | None
    block: int | None
    noack: bool
    keys: list[bytes]
    ids: list[bytes]

    @classmethod
    def of(cls, words: list[bytes], command: bytes) -> ReadOptions:
        count = block = None
        noack = False
        at = 0
        while at < len(words):
            option = words[at].upper()
            at += 1
            if option == b"STREAMS":
                break
            if option == b"NOACK":
                if command != b"xreadgroup":
                    raise ErrorReply(
                        b"ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
                    )
                noack = True
                continue
            if option not in (b"COUNT", b"BLOCK") or at >= len(words):
                raise ErrorReply(SYNTAX)
            if option == b"COUNT":
                count = integer(words[at])
                count = count if count > 0 else None
            else:
                block = integer(words[at], b"ERR timeout is not an integer or out of range")
                if block < 0:
                    raise ErrorReply(b"ERR timeout is negative")
            at += 1
        else:
            raise ErrorReply(SYNTAX)
        names = words[at:]
        if not names:
            raise ErrorReply(SYNTAX)
        if len(names) % 2:
            raise ErrorReply(
                b"ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."
            )
        half = len(names) // 2
        return cls(count, block, noack, names[:half], names[half:])

    def refuse_to_block_scripts(self, core: Core, command: bytes) -> None:
        if self.block is not None and core.scripts.running:
            raise ErrorReply(b"ERR %b command is not allowed with BLOCK option from scripts" % command)

    @property
    def timeout(self) -> float | None:
        return self.block / 1000 if self.block else None


@commands("XREAD", -4)
def xread(core: Core, argv: list[bytes]) -> Reply:
    options = ReadOptions.of(argv[1:], b"xread")
    options.refuse_to_block_scripts(core, b"XREAD")
    starts: list[tuple[bytes, int]] = []
    for key, text in zip(options.keys, options.ids, strict=True):
        if text == b">":
            raise ErrorReply(
                b"ERR The > ID can be specified only when calling XREADGROUP using the "
                b"GROUP <group> <consumer> option."
            )
        stream = core.keys.get(key, StreamValue)
        if text == b"$":
            starts.append((key, stream.last if stream is not None else 0))
        else:
            starts.append((key, parse_id(text)))

    def retry() -> Reply:
        answer: list[Reply] = []
        for key, after in starts:
            stream = core.keys.get(key, StreamValue)
            if stream is not None and stream.last > after:
                found = stream.span(after + 1, MAX_ID, options.count)
                if found:
                    answer.append([key, stream.records(found)])
        return answer or None

    found = retry()
    if found is not None or options.block is None or core.nested:
        return found
    return Blocked(options.keys, options.timeout, retry)

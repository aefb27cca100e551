"""Pending entries: XPENDING, XCLAIM, XAUTOCLAIM, and the reports of XINFO."""

from __future__ import annotations

from ...values import define
from ..arguments import NO_SUCH_KEY, SYNTAX, integer
from ..core import Core
from ..registry import Commands
from ..replies import ErrorReply, Reply
from ..stream_values import Consumer, Group, PendingEntry, StreamValue, bound_id, parse_id, print_id
from .stream_groups import find_group

__all__ = ["commands"]

commands = Commands()


@commands("XPENDING", -3)
def xpending(core: Core, argv: list[bytes]) -> Reply:
    if len(argv) == 3:
        _, group = find_group(core, argv[1], argv[2])
        return _summary(group)
    words, idle = argv[3:], 0
    if words[0].upper() == b"IDLE":
        if len(words) < 5:
            raise ErrorReply(SYNTAX)
        idle, words = integer(words[1]), words[2:]
    if len(words) not in (3, 4):
        raise ErrorReply(SYNTAX)
    count = max(0, integer(words[2]))
    low, high = bound_id(words[0], upper=False), bound_id(words[1], upper=True)
    _, group = find_group(core, argv[1], argv[2])
    rows: list[Reply] = []
    for number in group.pending_ids.upward(low, high) if low <= high else ():
        if len(rows) >= count:
            break
        pending = group.pending[number]
        age = max(0, core.keys.now - pending.time)
        if age >= idle and (len(words) == 3 or pending.consumer.name == words[3]):
            rows.append([print_id(number), pending.consumer.name, age, pending.count])
    return rows


def _summary(group: Group) -> Reply:
    if not group.pending:
        return [0, None, None, None]
    consumers: list[Reply] = [
        [consumer.name, b"%d" % consumer.pending]
        for consumer in sorted(group.consumers.values(), key=_name)
        if consumer.pending
    ]
    ids = group.pending_ids
    return [len(ids), print_id(ids.first), print_id(ids.last), consumers]


def _name(consumer: Consumer) -> bytes:
    return consumer.name


@define
class _Claim:
    """One XCLAIM or XAUTOCLAIM: the consumer that gets the entries, and what it sets on them."""

    core: Core
    stream: StreamValue
    group: Group
    consumer: bytes
    delivered_at: int
    retry_count: int | None = None
    just_id: bool = False

    def take(self, number: int, pending: PendingEntry) -> Reply:
        consumer = self.group.consumer(self.consumer, self.core.keys.now)
        if pending.consumer is not consumer:
            pending.consumer.pending -= 1
            consumer.pending += 1
            pending.consumer = consumer
        pending.time = self.delivered_at
        if self.retry_count is not None:
            pending.count = self.retry_count
        elif not self.just_id:
            pending.count += 1
        return print_id(number) if self.just_id else self.stream.record(number)


def _claim_options(core: Core, words: list[bytes], claim: _Claim) -> bool:
    """Read XCLAIM's options into ``claim``; returns FORCE."""
    now, force, last = core.keys.now, False, 0
    rest = iter(words)
    for word in rest:
        option = word.upper()
        if option == b"FORCE":
            force = True
        elif option == b"JUSTID":
            claim.just_id = True
        elif (
            option in (b"IDLE", b"TIME", b"RETRYCOUNT", b"LASTID") and (text := next(rest, None)) is not None
        ):
            complaint = b"ERR Invalid %b option argument for XCLAIM" % option
            if option == b"IDLE":
                claim.delivered_at = now - integer(text, complaint)
            elif option == b"TIME":
                claim.delivered_at = integer(text, complaint)
            elif option == b"RETRYCOUNT":
                count = integer(text, complaint)
                claim.retry_count = count if count >= 0 else None
            else:
                last = parse_id(text)
        else:
            raise ErrorReply(b"ERR Unrecognized XCLAIM option '%b'" % word)
    if not 0 <= claim.delivered_at <= now:
        claim.delivered_at = now
    claim.group.last = max(claim.group.last, last)
    return force


@commands("XCLAIM", -6, "writes")
def xclaim(core: Core, argv: list[bytes]) -> Reply:
    stream, group = find_group(core, argv[1], argv[2])
    now = core.keys.now
    min_idle = max(0, integer(argv[4], b"ERR Invalid min-idle-time argument for XCLAIM"))
    numbers: list[int] = []
    for text in argv[5:]:
        try:
            numbers.append(parse_id(text))
        except ErrorReply:
            break
    claim = _Claim(core, stream, group, argv[3], now)
    force = _claim_options(core, argv[5 + len(numbers) :], claim)
    taken: list[Reply] = []
    for number in numbers:
        pending = group.pending.get(number)
        if number not in stream.entries:
            group.forget(number)
            continue
        if pending is None:
            if not force:
                continue
            pending = group.deliver(number, group.consumer(argv[3], now), now)
        elif min_idle and now - pending.time < min_idle:
            continue
        taken.append(claim.take(number, pending))
    return taken


@commands("XAUTOCLAIM", -6, "writes")
def xautoclaim(core: Core, argv: list[bytes]) -> Reply:
    now = core.keys.now
    min_idle = max(0, integer(argv[4], b"ERR Invalid min-idle-time argument for XAUTOCLAIM"))
    start, count, just_id = bound_id(argv[5], upper=False), 100, False
    words = iter(argv[6:])
    for word in words:
        if word.upper() == b"COUNT" and (text := next(words, None)) is not None:
            count = integer(text, b"ERR COUNT must be > 0")
            if count < 1:
                raise ErrorReply(b"ERR COUNT must be > 0")
        elif word.upper() == b"JUSTID":
            just_id = True
        else:
            raise ErrorReply(SYNTAX)
    stream, group = find_group(core, argv[1], argv[2])
    claim = _Claim(core, stream, group, argv[3], now, just_id=just_id)
    attempts, left = count * 10, count
    taken: list[Reply] = []
    gone: list[int] = []
    cursor = b"0-0"
    for number in group.pending_ids.upward(start):
        if not attempts or not left:
            cursor = print_id(number)
            break
        attempts -= 1
        pending = group.pending[number]
        if number not in stream.entries:
            gone.append(number)
            left -= 1
        elif not min_idle or now - pending.time >= min_idle:
            taken.append(claim.take(number, pending))
            left -= 1
    for number in gone:
        group.forget(number)
    return [cursor, taken, [print_id(number) for number in gone]]


def _stream(core: Core, key: bytes) -> StreamValue:
    stream = core.keys.get(key, StreamValue)
    if stream is None:
        raise ErrorReply(NO_SUCH_KEY)
    return stream


@commands("XINFO|STREAM", 3)
def xinfo_stream(core: Core, argv: list[bytes]) -> Reply:
    stream = _stream(core, argv[2])
    entries = len(stream)
    return [
        b"length", entries,
        b"radix-tree-keys", -(-entries // 100),
        b"radix-tree-nodes", -(-entries // 100) + 1,
        b"last-generated-id", print_id(stream.last),
        b"max-deleted-entry-id", print_id(stream.max_deleted),
        b"entries-added", stream.added,
        b"recorded-first-entry-id", print_id(stream.ids.first if entries else 0),
        b"groups", len(stream.groups),
        b"first-entry", stream.record(stream.ids.first) if entries else None,
        b"last-entry", stream.record(stream.ids.last) if entries else None,
    ]  # fmt: skip


@commands("XINFO|GROUPS", 3)
def xinfo_groups(core: Core, argv: list[bytes]) -> Reply:
    stream = _stream(core, argv[2])
    return [
        [
            b"name", name,
            b"consumers", len(group.consumers),
            b"pending", len(group.pending),
            b"last-delivered-id", print_id(group.last),
            b"entries-read", group.entries_read,
            b"lag", stream.lag(group),
        ]
        for name, group in sorted(stream.groups.items())
    ]  # fmt: skip


@commands("XINFO|CONSUMERS", 4)
def xinfo_consumers(core: Core, argv: list[bytes]) -> Reply:
    stream = _stream(core, argv[2])
    group = stream.groups.get(argv[3])
    if group is None:
        raise ErrorReply(b"NOGROUP No such consumer group '%b' for key name '%b'" % (argv[3], argv[2]))
    now = core.keys.now
    return [
        [b"name", consumer.name, b"pending", consumer.pending, b"idle", max(0, now - consumer.seen)]
        for consumer in sorted(group.consumers.values(), key=_name)
    ]

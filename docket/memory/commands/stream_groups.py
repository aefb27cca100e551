"""Consumer groups: administration, XREADGROUP, XACK."""

from __future__ import annotations

from ..arguments import SYNTAX, integer
from ..core import Core
from ..registry import Commands
from ..replies import OK, Blocked, ErrorReply, Reply
from ..stream_values import MAX_ID, Group, StreamValue, parse_id, print_id
from .streams import ReadOptions

__all__ = ["commands", "find_group"]

commands = Commands()

NEEDS_KEY = (
    b"ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the "
    b"MKSTREAM option to create an empty stream automatically."
)
DOLLAR = (
    b"ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this "
    b"consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an "
    b"empty result set."
)


def find_group(core: Core, key: bytes, name: bytes, suffix: bytes = b"") -> tuple[StreamValue, Group]:
    """The stream and its group, or NOGROUP."""
    stream = core.keys.get(key, StreamValue)
    group = stream.groups.get(name) if stream is not None else None
    if stream is None or group is None:
        raise ErrorReply(b"NOGROUP No such key '%b' or consumer group '%b'%b" % (key, name, suffix))
    return stream, group


def _existing(core: Core, argv: list[bytes]) -> tuple[StreamValue, Group]:
    """The group of an XGROUP subcommand, which has error texts of its own."""
    stream = core.keys.get(argv[2], StreamValue)
    if stream is None:
        raise ErrorReply(NEEDS_KEY)
    group = stream.groups.get(argv[3])
    if group is None:
        raise ErrorReply(b"NOGROUP No such consumer group '%b' for key name '%b'" % (argv[3], argv[2]))
    return stream, group


def _group_options(argv: list[bytes], at: int, *, creating: bool) -> tuple[bool, int | None]:
    """MKSTREAM and ENTRIESREAD."""
    mkstream, entries_read = False, None
    while at < len(argv):
        option = argv[at].upper()
        if option == b"MKSTREAM" and creating:
            mkstream = True
        elif option == b"ENTRIESREAD" and at + 1 < len(argv):
            at += 1
            entries_read = integer(argv[at])
            if entries_read < -1:
                raise ErrorReply(b"ERR value for ENTRIESREAD must be positive or -1")
        else:
            raise ErrorReply(
                b"ERR unknown subcommand or wrong number of arguments for '%b'. Try XGROUP HELP." % argv[1]
            )
        at += 1
    return mkstream, None if entries_read == -1 else entries_read


@commands("XGROUP|CREATE", -5, "writes")
def xgroup_create(core: Core, argv: list[bytes]) -> Reply:
    key, name = argv[2], argv[3]
    mkstream, entries_read = _group_options(argv, 5, creating=True)
    stream = core.keys.get(key, StreamValue)
    if stream is None and not mkstream:
        raise ErrorReply(NEEDS_KEY)
    last = (stream.last if stream is not None else 0) if argv[4] == b"$" else parse_id(argv[4])
    if stream is None:
        stream = core.keys.ensure(key, StreamValue)
        core.keys.changed(key)  # the group itself fails no WATCH, as on a real server
    if name in stream.groups:
        raise ErrorReply(b"BUSYGROUP Consumer Group name already exists")
    stream.groups[name] = Group(last, entries_read)
    return OK


@commands("XGROUP|SETID", -5, "writes")
def xgroup_setid(core: Core, argv: list[bytes]) -> Reply:
    _, entries_read = _group_options(argv, 5, creating=False)
    stream, group = _existing(core, argv)
    group.last = stream.last if argv[4] == b"$" else parse_id(argv[4])
    group.entries_read = entries_read
    core.keys.ready(argv[2])
    return OK


@commands("XGROUP|DESTROY", 4, "writes")
def xgroup_destroy(core: Core, argv: list[bytes]) -> Reply:
    stream = core.keys.get(argv[2], StreamValue)
    if stream is None:
        raise ErrorReply(NEEDS_KEY)
    if stream.groups.pop(argv[3], None) is None:
        return 0
    core.keys.ready(argv[2])
    return 1


@commands("XGROUP|CREATECONSUMER", 5, "writes")
def xgroup_createconsumer(core: Core, argv: list[bytes]) -> Reply:
    _, group = _existing(core, argv)
    if argv[4] in group.consumers:
        return 0
    group.consumer(argv[4], core.keys.now)
    return 1


@commands("XGROUP|DELCONSUMER", 5, "writes")
def xgroup_delconsumer(core: Core, argv: list[bytes]) -> Reply:
    _, group = _existing(core, argv)
    consumer = group.consumers.pop(argv[4], None)
    if consumer is None:
        return 0
    held = [number for number, pending in group.pending.items() if pending.consumer is consumer]
    for number in held:
        group.forget(number)
    return len(held)


def _deliver_new(
    core: Core, stream: StreamValue, group: Group, consumer: bytes, options: ReadOptions
) -> Reply:
    """Entries that are new to the group."""
    if stream.last <= group.last:
        return None
    numbers = stream.span(group.last + 1, MAX_ID, options.count)
    if not numbers:
        return None
    stream.read(group, consumer, numbers, core.keys.now, noack=options.noack)
    return stream.records(numbers)


def _history(
    core: Core, stream: StreamValue, group: Group, consumer: bytes, after: int, count: int | None
) -> Reply:
    """The pending entries of the consumer, deleted ones with None for their fields."""
    now = core.keys.now
    reader = group.consumer(consumer, now)
    found: list[Reply] = []
    for number in group.pending_ids.upward(after + 1):
        pending = group.pending[number]
        if pending.consumer is not reader:
            continue
        fields = stream.entries.get(number)
        if fields is not None:
            pending.time = now
            pending.count += 1
        found.append([print_id(number), fields])
        if count is not None and len(found) >= count:
            break
    return found


@commands("XREADGROUP", -7, "writes")
def xreadgroup(core: Core, argv: list[bytes]) -> Reply:
    if argv[1].upper() != b"GROUP":
        raise ErrorReply(SYNTAX)
    name, consumer = argv[2], argv[3]
    options = ReadOptions.of(argv[4:], b"xreadgroup")
    options.refuse_to_block_scripts(core, b"XREADGROUP")
    suffix = b" in XREADGROUP with GROUP option"
    starts: list[tuple[bytes, int | None]] = []
    for key, text in zip(options.keys, options.ids, strict=True):
        find_group(core, key, name, suffix)
        if text == b"$":
            raise ErrorReply(DOLLAR)
        starts.append((key, None if text == b">" else parse_id(text)))

    def retry() -> Reply:
        answer: list[Reply] = []
        for key, after in starts:
            stream, group = find_group(core, key, name, suffix)
            if after is not None:
                answer.append([key, _history(core, stream, group, consumer, after, options.count)])
            elif (fresh := _deliver_new(core, stream, group, consumer, options)) is not None:
                answer.append([key, fresh])
        return answer or None

    found = retry()
    if found is not None or options.block is None or core.nested:
        return found
    return Blocked(options.keys, options.timeout, retry)


@commands("XACK", -4, "writes")
def xack(core: Core, argv: list[bytes]) -> Reply:
    stream = core.keys.get(argv[1], StreamValue)
    group = stream.groups.get(argv[2]) if stream is not None else None
    if group is None:
        return 0
    numbers = [parse_id(text) for text in argv[3:]]
    return sum(group.forget(number) for number in numbers)

"""What can be read of executions: their records, progress, results, and a picture of the whole docket."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import attrs

from .. import clock
from ..errors import DeliveryUnreadable
from ..moments import TimeToLive, read_epoch, read_moment
from ..rules import LEVELS, WAITING, ExecutionState, Priority
from ..standins import redis_errors
from ..transport import Client
from ..values import define, frozen
from .answers import answers, is_about_a_key, named, naming, unreadable
from .codec import LANE, Message, decode_message, open_envelope, read_ttl
from .foreign import is_entry, shown, text, text_or_none, whole
from .keys import GROUP, Keys, level_of_row, paused_task, turn_awaited
from .lane_depths import lanes_there
from .levels import LANES, any_leveled, by_level, level_of, level_of_entry, stream_of_lane

__all__ = [
    "Depths",
    "LastRun",
    "Picture",
    "PictureEntry",
    "ProgressRecord",
    "Record",
    "Records",
    "has_successor",
    "members",
    "queued_at",
    "read_mapping",
    "rows_of_turns",
    "turn_of",
    "waiters",
    "waits_for",
]

PAGE = 1000

#: How far above that of a run the generation is of what runs once more after it (lib/successor.lua).
AHEAD = 1_000_000


def read_mapping(reply: Any) -> dict[bytes, bytes]:
    """A flat reply of names and values as a dictionary."""
    flat = cast("Sequence[bytes]", reply)
    return dict(zip(flat[::2], flat[1::2], strict=True))


async def members(client: Client, name: str) -> list[bytes]:
    """The members of a set that may be large, read in pages."""
    found: list[bytes] = []
    cursor = b"0"
    while True:
        reply = await client.call("SSCAN", name, cursor, "COUNT", PAGE)
        cursor, page = cast("tuple[bytes, list[bytes]]", reply)
        found += page
        if cursor == b"0":
            return found


async def rows_of_turns(
    client: Client, keys: Keys, names: Sequence[bytes], most: int | None = None
) -> list[bytes]:
    """What tasks stand in rows for: limits and pauses by their ``names``, and in place of what stands for the turns of
    a level (lib/turns.lua) the first rows of these, ``most`` at most."""
    turns = {keys.turns(level.value).encode(): level.value for level in LEVELS}
    found = [name for name in names if name not in turns]
    for name in names:
        start, level = 0, turns.get(name)
        while level is not None and (most is None or start < most):
            stop = start + PAGE - 1 if most is None else min(start + PAGE, most) - 1
            with naming(text(name), "sorted set"):
                page = cast("list[bytes]", await client.call("ZRANGE", name, start, stop))
            prefix = keys.row(level, "")[:-1].encode()
            found += (prefix + value + b":" for value in page)
            start += PAGE
            if len(page) < PAGE:
                break
    return found


async def waiters(client: Client, keys: Keys) -> dict[str, int]:
    """How many tasks stand in a row for a limit, a resume or their turn, by its name. What is no row has none."""
    names = await rows_of_turns(client, keys, await members(client, keys.waiting))
    found: dict[str, int] = {}
    for at in range(0, len(names), PAGE):
        some = names[at : at + PAGE]
        replies = answers(await client.call_many([("XLEN", name + b":waiters") for name in some]))
        for name, count in zip(some, replies, strict=True):
            if isinstance(count, int) and count:
                found[text(name)] = count
    return found


def _number(raw: bytes | None) -> int | None:
    """A number with or without a sign; None where there is none that can be read."""
    try:
        return None if raw is None else -whole(raw[1:]) if raw[:1] == b"-" else whole(raw)
    except ValueError:
        return None


_COUNT = re.compile(rb"-?[0-9]{1,19}")


def _count(raw: bytes | None) -> int | None:
    """How much of something there is, which may be as much as the server can count."""
    return None if raw is None or _COUNT.fullmatch(raw) is None else int(raw)


@frozen(kw_only=True)
class LastRun:
    """How the run of a chain ended that was the last to end."""

    generation: int
    state: ExecutionState
    completed_at: datetime | None = None
    error: str | None = None
    result_key: str | None = None

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> LastRun | None:
        """None where there was none, or what is recorded of it cannot be read."""
        get = fields.get
        try:
            state = ExecutionState(text(fields[b"last_state"]))
        except (KeyError, ValueError):
            return None
        return cls(
            generation=_number(get(b"last_generation")) or 0,
            state=state,
            completed_at=read_moment(get(b"last_completed_at")),
            error=text_or_none(get(b"last_error") or None),
            result_key=text_or_none(get(b"last_result_key") or None),
        )


@frozen(kw_only=True)
class Record:
    """The run of a key as Redis holds it. ``args`` and ``kwargs`` stay pickled; what cannot be read is not there.

    ``last`` is the run before this one, where the task repeats itself.
    """

    state: ExecutionState
    generation: int = 0
    when: datetime | None = None
    worker: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    result_key: str | None = None
    function: str | None = None
    args: bytes | None = None
    kwargs: bytes | None = None
    last: LastRun | None = None
    ttl: TimeToLive = ...
    attempt: int = 1
    tried: str | None = None
    """The error of the attempt before this one."""
    cancel_requested: bool = False
    by_hand: bool = False
    """Whether it was claimed by a program that is its own worker, and has no heartbeat."""
    row: str | None = None
    """The name of what it stands in a row for, where it does: see `waits_for`."""
    begun: int = 0
    """How often this attempt was begun, as far as is known."""
    is_parent: bool = False
    """Whether it runs and has a task group open."""
    entry: bytes | None = None
    """The id of its entry on the stream: where it waits, runs, or was claimed by a worker of docket's."""
    expires: datetime | None = None
    """By when it is to begin, or to be cancelled; only as long as it has not begun."""
    place: bytes | None = None
    """The id of its entry in the row, where it stands in one."""
    successor: int = 0
    """The generation with which the key runs once more after this run; 0 where it does not."""
    dropped: int = 0
    """The last generation with which it was to; 0 where none was dropped. See `has_dropped`."""

    @property
    def level(self) -> Priority:
        """Its level, where its ``entry`` is known; else normal."""
        return Priority.NORMAL if self.entry is None else level_of_entry(self.entry)

    @property
    def is_once_more(self) -> bool:
        """Whether it ran, or is to run, once more after `last`. Such a generation is far above the one before it."""
        return self.last is not None and self.generation - self.last.generation > AHEAD // 2

    @property
    def has_successor(self) -> bool:
        """Whether the key runs once more after this run."""
        return self.successor > 0

    def has_dropped(self, generation: int) -> bool:
        """Whether the key was to run once more with this generation, after this run or the one before, and will not.

        Those of one run follow each other, and are far above its own.
        """
        return self.dropped - AHEAD // 2 < generation <= self.dropped

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> Record | None:
        """Read a run's hash; None where it is missing or has no state.

        Raises: ValueError - the state is none that we know.
        """
        if b"state" not in fields:
            return None
        get = fields.get
        place = get(b"waiter_entry_id")
        try:
            state = ExecutionState(text(fields[b"state"]))
        except ValueError:
            raise ValueError(f"it says {shown(fields[b'state'])} for a state") from None
        return cls(
            state=state,
            generation=_number(get(b"generation")) or 0,
            when=read_epoch(get(b"when")),
            worker=text_or_none(get(b"worker")),
            started_at=read_moment(get(b"started_at")),
            completed_at=read_moment(get(b"completed_at")),
            error=text_or_none(get(b"error")),
            result_key=text_or_none(get(b"result_key")),
            function=text_or_none(get(b"function")),
            args=get(b"args"),
            kwargs=get(b"kwargs"),
            last=LastRun.of(fields) if b"last_state" in fields else None,
            ttl=read_ttl(fields[b"ttl"]) if b"ttl" in fields else ...,
            attempt=_number(get(b"attempt")) or 1,
            tried=text_or_none(get(b"tried")),
            by_hand=get(b"claim", b"").startswith(b"0-0."),
            begun=times_begun(get(b"claim")),
            entry=_entry(state, fields),
            expires=read_epoch(get(b"expires")) if state in WAITING else None,
            row=_row(get(b"waiter_stream")) if state is ExecutionState.SCHEDULED else None,
            place=place if state is ExecutionState.SCHEDULED and is_entry(place) else None,
            successor=_number(fields[b"successor"]) or 0 if b"successor" in fields else 0,
            dropped=_number(fields[b"dropped"]) or 0 if b"dropped" in fields else 0,
            cancel_requested=state is ExecutionState.RUNNING and _is_asked(fields),
            is_parent=state is ExecutionState.RUNNING and bool(get(b"groups")),
        )


def _entry(state: ExecutionState, fields: Mapping[bytes, bytes]) -> bytes | None:
    """The id of the entry on the stream; what is left of an earlier run counts for nothing."""
    if state is ExecutionState.SCHEDULED:
        return None
    claimed = fields.get(b"claim") if b"started_at" in fields else None
    return fields.get(b"stream_id") or (claimed and claimed.partition(b".")[0])


def _row(stream: bytes | None) -> str | None:
    """What a row of waiters, by the name of its stream, waits for."""
    return None if stream is None else text(stream).removesuffix(":waiters")


def queued_at(entry: bytes | None) -> datetime | None:
    """When an entry was put on the stream, as its id says by the server's clock; None where there is none."""
    written = _number((entry or b"").partition(b"-")[0] or None)
    return (
        read_epoch(written / 1000) if written else None
    )  # those that a program began itself have the id 0-0


def times_begun(claim: bytes | None) -> int:
    """The number of a claim among those of its delivery; 0 where there is none, or a program is its own worker."""
    delivery, _, number = (claim or b"").partition(b".")
    return 0 if delivery == b"0-0" else _number(number or None) or 0


def has_successor(generation: bytes | None) -> bool:
    """Whether a key runs once more after its run, by the field of the record that says with which generation."""
    return (_number(generation) or 0) > 0


def waits_for(keys: Keys, row: str | None) -> str | None:
    """The concurrency limit of a row; None where there is none, or its tasks wait for a resume or their turn."""
    if row is None or paused_task(keys, row) is not None or turn_awaited(keys, row) is not None:
        return None
    return row


def turn_of(keys: Keys, row: str | None) -> str | None:
    """For whose turn a row waits; None where there is none, or it waits for something else."""
    return None if row is None else turn_awaited(keys, row)


def _is_asked(fields: Mapping[bytes, bytes]) -> bool:
    """Whether the run that the record is about was asked to stop."""
    return fields.get(b"cancel_requested") == fields.get(b"generation", b"0")


@frozen(kw_only=True)
class ProgressRecord:
    """How far a running task has reported to be."""

    current: int | None = None
    total: int = 100
    message: str | None = None
    updated_at: datetime | None = None

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes], *, runs: bool) -> ProgressRecord:
        """What is recorded. A run that ``runs`` has no record until it reports some: then it has done nothing yet."""
        if runs and not fields:
            return cls(current=0)
        get = fields.get
        updated_at = read_moment(get(b"updated_at"))
        return cls.read(get(b"current"), get(b"total"), get(b"message"), updated_at)

    @classmethod
    def read(
        cls, current: bytes | None, total: bytes | None, message: bytes | None, updated_at: datetime | None
    ) -> ProgressRecord:
        """Read single fields. A total that is no whole number (pydocket takes any) counts as unknown."""
        return cls(
            current=_count(current),
            total=_count(total) or 100,
            message=text_or_none(message),
            updated_at=updated_at,
        )


@frozen(kw_only=True)
class PictureEntry:
    """A task that waits or runs. ``worker`` and ``started_at`` are set where it runs.

    ``state`` is what its record says: a task that waits for a limit is scheduled, and so is one that is due as long as
    it is on a queue.
    """

    message: Message
    state: ExecutionState = ExecutionState.SCHEDULED
    worker: str | None = None
    started_at: datetime | None = None
    cancel_requested: bool = False
    row: str | None = None
    """What it stands in a row for, where it does: see `waits_for`."""
    tried: str | None = None
    """The error of the attempt before this one, of one that is tried again."""
    begun: int = 0
    """How often this attempt was begun, as far as is known."""
    is_parent: bool = False
    """Whether it has a task group open."""
    has_successor: bool = False
    """Whether its key runs once more after this run."""


#: What `running_entry` takes of the record of a run.
OF_RUNNING = (
    b"started_at", b"cancel_requested", b"generation", b"tried", b"claim", b"groups", b"successor",
)  # fmt: skip


def running_entry(message: Message, worker: str, reply: object) -> PictureEntry:
    """A task that a worker has been given, with what its record says of `OF_RUNNING`: nothing where it is none."""
    values = cast("list[bytes | None]", reply) if isinstance(reply, list) else []
    run = {name: each for name, each in zip(OF_RUNNING, values, strict=False) if each is not None}
    return PictureEntry(
        message=message,
        state=ExecutionState.RUNNING,
        worker=worker,
        started_at=read_moment(run.get(b"started_at")),
        cancel_requested=b"cancel_requested" in run and _is_asked(run),
        tried=text_or_none(run.get(b"tried")),
        begun=times_begun(run.get(b"claim")),
        is_parent=bool(run.get(b"groups")),
        has_successor=has_successor(run.get(b"successor")),
    )


@frozen(kw_only=True)
class Picture:
    """Everything that waits and runs, at about one moment; what cannot be decoded is left out."""

    waiting: Sequence[PictureEntry]
    running: Sequence[PictureEntry]


@frozen(kw_only=True)
class Depths:
    """How many tasks are ``due`` (those that run among them), and how many are scheduled for ``later``.

    Those that wait for a concurrency limit, or for a resume, count as scheduled, those that wait for their turn as due;
    ``waiting`` has the numbers of the first by the name of the limit. ``failed`` keys have a failure that is kept, and
    over; ``paused`` are the names of paused tasks, `EVERY_TASK` for all. ``levels`` has how many of the ``due`` are of
    each level, where there are any of another than normal.
    """

    due: int
    later: int
    waiting: Mapping[str, int]
    levels: Mapping[Priority, int] = attrs.field(factory=dict[Priority, int])
    failed: int = 0
    paused: frozenset[str] = frozenset()


@define(eq=False)
class Records:
    """Reads of one docket."""

    client: Client
    keys: Keys

    async def read(self, key: str) -> tuple[Record | None, ProgressRecord]:
        """The run and the progress of a key, in one round trip.

        Raises: KeyUnreadable - there is something else than a record (what is no progress counts as none); RedisError.
        """
        name = self.keys.run(key)
        run, progress = answers(
            await self.client.call_many([("HGETALL", name), ("HGETALL", self.keys.progress(key))])
        )
        try:
            record = Record.of(read_mapping(named(run, name, "hash")))
        except ValueError as error:
            raise unreadable.UnreadableKey(
                f"the record under the key {name!r} cannot be read: {error}"
            ) from None
        if isinstance(progress, redis_errors.RedisError):
            return record, ProgressRecord()
        runs = record is not None and record.state is ExecutionState.RUNNING
        return record, ProgressRecord.of(read_mapping(progress), runs=runs)

    async def of_scheduled(self, scheduled: Sequence[tuple[str, Record]]) -> list[tuple[int, Priority]]:
        """The attempt and the level of each that waits for its time or in a row, by key and record, as its message has
        them: one round trip.

        Raises: RedisError.
        """
        asked = [self._message_of(key, record) for key, record in scheduled]
        found: list[tuple[int, Priority]] = []
        for command, reply in zip(asked, answers(await self.client.call_many(asked)), strict=True):
            fields: dict[bytes, bytes] = {}
            if isinstance(reply, list) and reply:
                values = cast("list[Any]", reply)
                if command[0] == "XRANGE":
                    fields = read_mapping(values[0][1])
                else:
                    fields = {
                        name: each for name, each in zip(command[2:], values, strict=True) if each is not None
                    }
            found.append((_number(fields.get(b"attempt")) or 1, level_of(fields)))
        return found

    def _message_of(self, key: str, record: Record) -> tuple[Any, ...]:
        """The command that reads of the message of what is scheduled what no record says."""
        is_ours = record.row is not None and record.row.startswith(f"{self.keys.prefix}:")
        if is_ours and record.place is not None:
            return "XRANGE", f"{record.row}:waiters", record.place, record.place
        return "HMGET", self.keys.parked(key), b"attempt", LANE

    async def successor(self, key: str) -> Message | None:
        """The call with which a key runs once more after its run; None where it does not. Raises: RedisError."""
        (fields,) = answers(await self.client.call_many([("HGETALL", self.keys.successor(key))]))
        if isinstance(fields, redis_errors.RedisError) or not fields:
            return None
        named = read_mapping(fields)
        named[b"generation"] = named.get(b"s:generation", b"0")
        try:
            return decode_message({name: each for name, each in named.items() if not name.startswith(b"s:")})
        except DeliveryUnreadable:
            return None

    async def in_row(self, row: str) -> int:
        """How many stand in a row; none in what is none. Raises: RedisError."""
        (length,) = answers(await self.client.call_many([("XLEN", f"{row}:waiters")]))
        return length if isinstance(length, int) else 0

    async def generation(self, key: str) -> int | None:
        """The live generation of a key; None where none is recorded. Raises: KeyUnreadable; RedisError."""
        name = self.keys.run(key)
        with naming(name, "hash"):
            return _number(cast("bytes | None", await self.client.call("HGET", name, "generation")))

    async def result(self, result_key: str) -> str | None:
        """The text of a stored result or exception (see `Payloads.open_result`), from either place where it may be.

        None where it is gone. Raises: ValueError - what is there is no result; RedisError.
        """
        places = self.keys.result_envelope(result_key), self.keys.result_bare(result_key)
        problem: ValueError | None = None
        for raw in cast("list[bytes | None]", await self.client.call("MGET", *places)):
            try:
                if raw is not None and (found := open_envelope(raw, result_key)) is not None:
                    return found
            except ValueError as error:  # of the other place, maybe: they are not far from each other
                problem = error
        if problem is not None:
            raise problem
        return None

    async def exists(self) -> bool:
        """Whether somebody has used the docket: added what is not over, worked, or struck. Raises: RedisError."""
        names = (
            *(stream_of_lane(self.keys, lane) for lane in LANES),
            self.keys.workers,
            self.keys.queue,
            self.keys.reserved_queue,
            self.keys.strikes,
        )
        return any(await self.client.call_many([("EXISTS", name) for name in names]))

    async def depths(self) -> Depths:
        """How full the docket is; nobody waits for a limit where their list is none.

        Raises: KeyUnreadable - the stream or a queue is none; RedisError.
        """
        now = f"{clock.timestamp():.6f}"
        queues = (self.keys.queue, self.keys.reserved_queue)
        lanes = await lanes_there(self.client, self.keys)
        streams = [(stream_of_lane(self.keys, lane), "stream") for lane in lanes]
        counts = await self.client.call_many(
            [
                *(("XLEN", stream) for stream, _ in streams),
                *(("ZCOUNT", queue, "-inf", now) for queue in queues),
                *(("ZCOUNT", queue, f"({now}", "+inf") for queue in queues),
                ("SCARD", self.keys.waiting),
                ("ZCARD", self.keys.failures),
                ("HKEYS", self.keys.pauses),
            ]
        )
        *counts, limits, failed, paused = answers(counts)
        names = [*streams, *((queue, "sorted set") for queue in (*queues, *queues))]
        for count, (name, kind) in zip(counts, names, strict=True):
            named(count, name, kind)
        lengths, queued = cast("list[int]", counts[: len(lanes)]), cast("list[int]", counts[len(lanes) :])
        # Who waits for a limit names a spoiled list; the other depths are to be had without it (I9).
        waiting = await waiters(self.client, self.keys) if isinstance(limits, int) and limits else {}
        limited = {name: count for name, count in waiting.items() if waits_for(self.keys, name) is not None}
        turns = [
            (level_of_row(self.keys, name), count)
            for name, count in waiting.items()
            if turn_awaited(self.keys, name) is not None
        ]
        in_turn = sum(count for _, count in turns)
        levels = by_level([*zip(lanes, lengths, strict=True), *turns])
        return Depths(
            due=sum(lengths) + sum(queued[:2]) + in_turn,
            later=sum(queued[2:]) + sum(waiting.values()) - in_turn,
            waiting=limited,
            levels=levels if any_leveled(levels) else {},
            failed=failed if isinstance(failed, int) else 0,
            paused=frozenset(map(text, cast("list[bytes]", paused)))
            if isinstance(paused, list)
            else frozenset(),
        )

    async def picture(self) -> Picture:
        """Read the whole docket, page by page.

        Tasks move from the queues to the stream, so the queues are read first; what is seen in both is taken
        from the stream. The docket goes on meanwhile: a task may end, or begin, behind the reader's back.
        """
        waiting = await self._parked(self.keys.queue, self.keys.prefix)
        waiting |= await self._parked(self.keys.reserved_queue, self.keys.reserved_queue)
        waiting |= await self._without_slots()
        running: list[PictureEntry] = []
        for lane in await lanes_there(self.client, self.keys):
            await self._on_lane(stream_of_lane(self.keys, lane), waiting, running)
        in_order = sorted(waiting.values(), key=lambda entry: entry.message.when)
        return Picture(waiting=await self.tried(in_order), running=running)

    async def _on_lane(
        self, lane: str, waiting: dict[tuple[str, int], PictureEntry], running: list[PictureEntry]
    ) -> None:
        """Add what is due of a level, and what runs of it."""
        holders = await self._holders(lane)
        start: str | None = "-"
        while start:
            with naming(lane, "stream"):
                page, start = await self._page("XRANGE", lane, start, "+", "COUNT", PAGE)
            held: list[tuple[Message, str]] = []
            for message_id, flat in page:
                try:
                    message = decode_message(read_mapping(flat))
                except DeliveryUnreadable:
                    continue
                if (holder := holders.get(message_id)) is None:
                    waiting[message.key, message.generation] = PictureEntry(
                        message=message, state=ExecutionState.QUEUED
                    )
                else:
                    waiting.pop((message.key, message.generation), None)
                    held.append((message, holder))
            running += await self._running(held)

    async def _without_slots(self) -> dict[tuple[str, int], PictureEntry]:
        """Who waits for a concurrency limit, a resume or a turn."""
        entries: dict[tuple[str, int], PictureEntry] = {}
        with naming(self.keys.waiting, "set"):
            names = await members(self.client, self.keys.waiting)
        for limit in await rows_of_turns(self.client, self.keys, names):
            start: str | None = "-"
            while start:
                try:
                    page, start = await self._page("XRANGE", limit + b":waiters", start, "+", "COUNT", PAGE)
                except redis_errors.ResponseError as error:
                    if not is_about_a_key(error):
                        raise
                    break  # this is no stream, so it has no waiters
                for _, flat in page:
                    try:
                        message = decode_message(read_mapping(flat))
                    except DeliveryUnreadable:
                        continue
                    entries[message.key, message.generation] = PictureEntry(message=message, row=text(limit))
        return entries

    async def tried(self, entries: Sequence[PictureEntry]) -> list[PictureEntry]:
        """The entries, each that waits and is tried again with the error of the attempt before. Raises: RedisError."""
        again = [entry for entry in entries if entry.message.attempt > 1 and entry.tried is None]
        errors: dict[tuple[str, int], str | None] = {}
        for at in range(0, len(again), PAGE):
            some = [entry.message for entry in again[at : at + PAGE]]
            asked = [("HMGET", self.keys.run(each.key), "tried", "generation") for each in some]
            for message, reply in zip(some, answers(await self.client.call_many(asked)), strict=True):
                if isinstance(reply, list):
                    error, generation = cast("list[bytes | None]", reply)
                    if _number(generation) == message.generation:
                        errors[message.key, message.generation] = text_or_none(error)
        found = [(entry, errors.get((entry.message.key, entry.message.generation))) for entry in entries]
        return [entry if error is None else attrs.evolve(entry, tried=error) for entry, error in found]

    async def _page(self, *command: Any) -> tuple[list[Any], str | None]:
        """The reply of a command that reads a range of stream ids, and where to go on."""
        page = cast("list[Any]", await self.client.call(*command))
        return page, f"({page[-1][0].decode()}" if len(page) == PAGE else None

    async def _holders(self, lane: str) -> dict[bytes, str]:
        """Message id to consumer, for everything of a lane that is delivered and not acknowledged."""
        holders: dict[bytes, str] = {}
        start: str | None = "-"
        while start:
            try:
                with naming(lane, "stream"):
                    page, start = await self._page("XPENDING", lane, GROUP, start, "+", PAGE)
            except redis_errors.ResponseError as error:
                if str(error).startswith("NOGROUP"):
                    return holders
                raise
            holders.update((entry[0], text(entry[1])) for entry in page)
        return holders

    async def _running(self, held: Sequence[tuple[Message, str]]) -> list[PictureEntry]:
        commands = [("HMGET", self.keys.run(message.key), *OF_RUNNING) for message, _ in held]
        replies = answers(await self.client.call_many(commands))
        entries = [
            running_entry(message, worker, reply)
            for (message, worker), reply in zip(held, replies, strict=True)
        ]
        return [attrs.evolve(each, started_at=each.started_at or each.message.when) for each in entries]

    async def _parked(self, queue: str, shelf: str) -> dict[tuple[str, int], PictureEntry]:
        entries: dict[tuple[str, int], PictureEntry] = {}
        cursor = b"0"
        while True:
            with naming(queue, "sorted set"):
                reply = await self.client.call("ZSCAN", queue, cursor, "COUNT", PAGE)
            cursor, flat = cast("tuple[bytes, list[bytes]]", reply)
            commands = [("HGETALL", shelf.encode() + b":" + key) for key in flat[::2]]
            for parked in answers(await self.client.call_many(commands)):
                if isinstance(parked, redis_errors.RedisError):
                    continue  # not a message: the scheduler drops it (I9)
                try:
                    message = decode_message(read_mapping(parked))
                except DeliveryUnreadable:
                    continue  # so too what was moved or replaced between the two reads
                entries[message.key, message.generation] = PictureEntry(message=message)
            if cursor == b"0":
                return entries

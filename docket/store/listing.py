"""How much is on a docket, and lists of it page by page: each read is bounded, however much there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias, cast

import attrs

from .. import clock
from ..errors import DeliveryUnreadable
from ..moments import read_epoch
from ..rules import LEVELS, ExecutionState, Priority
from ..standins import redis_errors
from ..transport import Client
from ..values import define, frozen
from .answers import answers, is_about_a_key, named, naming
from .codec import decode_message
from .cursors import InQueue, InRow, checked_range, no_place, on_stream
from .foreign import text
from .keys import GROUP, Keys, level_of_row, paused_task, turn_awaited
from .lane_depths import LaneDepth, ask_depths, lanes_there, read_depths
from .levels import by_level, lane_of_entry, stream_of_lane, stream_with
from .liveness import Liveness
from .records import OF_RUNNING, PictureEntry, Records, read_mapping, rows_of_turns, running_entry
from .server_memory import ABOUT_MEMORY, is_full

__all__ = ["MOST_LOOKED_AT", "Counts", "Listed", "Listing"]

MOST_LOOKED_AT = 10_000
"""Entries that one call looks at."""

MOST_LIMITS = 1000
"""Concurrency limits whose waiters are counted and listed."""

#: Entries of one command: those of a stream bring their arguments along.
OF_STREAM, OF_QUEUE = 250, 1000

Wanted: TypeAlias = Callable[[str, str], bool]
"""Whether a task, given its function and key, is to be listed."""


@frozen(kw_only=True)
class Counts:
    """How much is on a docket at about one moment.

    ``due`` tasks wait for a worker, those for ``later`` for their time. ``failed`` counts the keys whose failure is
    kept and over, ``retrying`` those whose failure is tried again. ``limited`` wait for a concurrency limit, ``paused``
    for their task to be resumed: the waiters of a thousand limits and paused tasks at most. ``oldest_due`` is since
    when the task waits that is next; None also where the user of the server may not see that. ``memory_full``: the
    server refuses what adds to it, since its memory is full; None where its user may not see that. ``dead`` deliveries
    could not be read: see `Docket.dead_letters`. ``draining`` of the ``workers`` were told to stop.
    """

    due: int
    later: int
    running: int
    limited: int
    paused: int
    failed: int
    retrying: int
    workers: int
    oldest_due: datetime | None
    memory_full: bool | None = None
    dead: int = 0
    draining: int = 0
    levels: Mapping[Priority, int] = attrs.field(factory=dict[Priority, int])
    """How many of those that are due are of other levels than normal, where there are any."""
    unserved: tuple[Priority, ...] = ()
    """The levels of which something is due, and that no live worker serves."""
    turns: int = 0
    """How many of those that are due wait for their turn, of the first thousand rows of each level."""


@frozen(kw_only=True)
class _Sizes:
    """How many tasks are due, for later and running at ``now``, in whole seconds of the server's clock."""

    now: int
    due: int
    later: int
    running: int
    lanes: Sequence[LaneDepth]
    """How many of them are on each lane that is there."""


@frozen(kw_only=True)
class Rows:
    """How many tasks wait for each limit, for each pause to end and for the turn of each value, by their names."""

    limited: Mapping[str, int]
    paused: Mapping[str, int]
    turns: Mapping[str, int]


@frozen(kw_only=True)
class Listed:
    """Some entries, and where the next ones begin (None: there are no more); how many were looked at, and are there."""

    entries: Sequence[PictureEntry]
    after: str | None
    looked_at: int
    total: int


@frozen
class _Row:
    """One entry on the way to a list. ``after`` is the cursor behind it; ``entry`` is None until it is wanted."""

    after: str
    function: str
    key: str
    entry: PictureEntry | None = None


#: Before a place among those that are due and wait for their turn.
_TURN = "w"

_Read: TypeAlias = Callable[[str, int], Awaitable["tuple[Sequence[_Row], bool]"]]
"""Rows after a cursor, at most so many, and whether there are more."""


@define(eq=False)
class Listing:
    """Bounded reads of one docket. A worker unseen for ``expiry`` is gone."""

    client: Client
    keys: Keys
    expiry: timedelta

    # numbers ---------------------------------------------------------------------------------------------

    async def counts(self) -> Counts:
        """Some twenty commands, one of them for each limit that has waiters, up to `MOST_LIMITS`.

        Raises: KeyUnreadable - the stream or a queue is none; RedisError.
        """
        sizes = await self._sizes()
        rows = await self.rows()
        turns = [(level_of_row(self.keys, row), count) for row, count in rows.turns.items()]
        in_turn = sum(count for _, count in turns)
        levels = by_level([*((each.lane, each.due) for each in sizes.lanes), *turns])
        alive = (f"{sizes.now - self.expiry.total_seconds():.6f}", "+inf")
        asked = [
            ("ZCOUNT", self.keys.workers, *alive),
            ("ZCOUNT", self.keys.draining, *alive),
            ("ZCARD", self.keys.failures),
            ("ZCARD", self.keys.retrying),
            ("XLEN", self.keys.dead),
            ("EXISTS", self.keys.lanes),
        ]
        *replies, about_memory = await self.client.call_many([*asked, ABOUT_MEMORY])
        memory_full = is_full(about_memory)
        workers, draining, failed, retrying, dead, lanes = answers(replies)
        return Counts(
            due=sizes.due + in_turn,
            later=sizes.later,
            running=sizes.running,
            limited=sum(rows.limited.values()),
            paused=sum(rows.paused.values()),
            failed=cast("int", named(failed, self.keys.failures, "sorted set")),
            retrying=cast("int", named(retrying, self.keys.retrying, "sorted set")),
            workers=workers if isinstance(workers, int) else 0,
            oldest_due=await self._oldest_due(sizes) if sizes.due else None,
            memory_full=memory_full,
            dead=dead if isinstance(dead, int) else 0,
            draining=draining if isinstance(draining, int) else 0,
            levels={
                level: count for level, count in levels.items() if count and level is not Priority.NORMAL
            },
            turns=in_turn,
            unserved=await self._unserved(levels, bool(workers), said=bool(lanes)),
        )

    async def _unserved(
        self, levels: Mapping[Priority, int], works: bool, *, said: bool
    ) -> tuple[Priority, ...]:
        """The levels that are due and that nobody serves. Unless anybody has ``said`` so, nobody serves but normal."""
        due = [level for level in LEVELS if levels[level]]
        if not due:
            return ()
        if said:
            served = await Liveness(self.client, self.keys, self.expiry).served()
        else:
            served = frozenset({Priority.NORMAL}) if works else frozenset[Priority]()
        return tuple(level for level in due if level not in served)

    async def _sizes(self) -> _Sizes:
        """In two round trips. Raises: KeyUnreadable - a stream or a queue is none; RedisError."""
        lanes, now = await lanes_there(self.client, self.keys), f"{clock.timestamp():.6f}"
        queues = (self.keys.queue, self.keys.reserved_queue)
        time, *replies = await self.client.call_many(
            [
                ("TIME",),
                *(("ZCOUNT", queue, "-inf", now) for queue in queues),
                *(("ZCOUNT", queue, f"({now}", "+inf") for queue in queues),
                *ask_depths(self.keys, lanes),
            ]
        )
        seconds = cast("list[bytes]", named(time, "", "string"))[0]
        depths = read_depths(self.keys, lanes, replies[4:])
        queued = [
            cast("int", named(reply, queue, "sorted set"))
            for reply, queue in zip(replies[:4], (*queues, *queues), strict=True)
        ]
        return _Sizes(
            now=int(seconds),
            due=sum(each.due for each in depths) + sum(queued[:2]),
            later=sum(queued[2:]),
            running=sum(each.running for each in depths),
            lanes=depths,
        )

    async def rows(self) -> Rows:
        """How many tasks stand in rows: of the first `MOST_LIMITS` limits and pauses, and values of each level."""
        with naming(self.keys.waiting, "set"):
            reply = await self.client.call("SSCAN", self.keys.waiting, "0", "COUNT", MOST_LIMITS)
        _, names = cast("tuple[bytes, list[bytes]]", reply)
        names = await rows_of_turns(self.client, self.keys, sorted(names)[:MOST_LIMITS], MOST_LIMITS)
        found = Rows(limited={}, paused={}, turns={})
        if not names:
            return found
        lengths = answers(await self.client.call_many([("XLEN", name + b":waiters") for name in names]))
        limited: dict[str, int] = {}
        paused: dict[str, int] = {}
        turns: dict[str, int] = {}
        for name, length in zip(map(text, names), lengths, strict=True):
            if isinstance(length, int) and length:
                kind = paused if paused_task(self.keys, name) is not None else limited
                (kind if turn_awaited(self.keys, name) is None else turns)[name] = length
        return Rows(limited=limited, paused=paused, turns=turns)

    async def _oldest_due(self, sizes: _Sizes) -> datetime | None:
        """Since when the first task waits that no worker has been given; None without the permission to see it."""
        try:
            rows, _ = await self._due("", 1, sizes)
        except redis_errors.NoPermissionError:
            return None
        if not rows:
            rows, _ = await self._queued(InQueue(), 1, _overdue())
            return read_epoch(rows[0].after.split("|")[1]) if rows else None
        queued_at = read_epoch(int(rows[0].after.partition("-")[0].removeprefix("s")) / 1000)
        moments = [at for at in (queued_at, rows[0].entry and rows[0].entry.message.when) if at is not None]
        return max(moments, default=None)

    # lists -----------------------------------------------------------------------------------------------

    async def due(self, wanted: Wanted | None, limit: int, after: str = "") -> Listed:
        """What waits for a worker, in its order, then what waits for its turn, then what is due and not queued yet."""
        sizes, turns = await self._sizes(), (await self.rows()).turns

        async def read(cursor: str, count: int) -> tuple[Sequence[_Row], bool]:
            if not cursor.startswith(("q", _TURN)):
                rows, more = await self._due(on_stream(cursor), min(count, OF_STREAM), sizes)
                if rows or more:
                    return rows, True
                cursor = _TURN
            if cursor.startswith(_TURN):
                rows = await self._in_rows(turns, InRow.read(cursor.removeprefix(_TURN)), count)
                if rows:
                    return [attrs.evolve(row, after=_TURN + row.after) for row in rows], True
                cursor = ""
            return await self._queued(InQueue.read(cursor), count, _overdue())

        return await self._listed(read, wanted, limit, after, sizes.due + sum(turns.values()))

    async def later(self, wanted: Wanted | None, limit: int, after: str = "") -> Listed:
        """What waits for its time, the next first."""
        sizes = await self._sizes()

        async def read(cursor: str, count: int) -> tuple[Sequence[_Row], bool]:
            return await self._queued(InQueue.read(cursor), count, (f"({clock.timestamp():.6f}", "+inf"))

        return await self._listed(read, wanted, limit, after, sizes.later)

    async def queued(self, wanted: Wanted, limit: int, most: int, after: str = "") -> Listed:
        """What is on the queues, due or not, the next first; of ``most`` entries that are looked at. No total."""

        async def read(cursor: str, count: int) -> tuple[Sequence[_Row], bool]:
            return await self._queued(InQueue.read(cursor), count, ("-inf", "+inf"))

        return await self._listed(read, wanted, limit, after, 0, most)

    async def running(self, wanted: Wanted | None, limit: int, after: str = "") -> Listed:
        """What workers have been given and have not ended, in the order of the stream."""
        sizes = await self._sizes()

        async def read(cursor: str, count: int) -> tuple[Sequence[_Row], bool]:
            return await self._running(cursor, min(count, OF_STREAM), sizes)

        return await self._listed(read, wanted, limit, after, sizes.running)

    async def limited(self, wanted: Wanted | None, limit: int, after: str = "") -> Listed:
        """What waits for a concurrency limit: limit by limit, each in its order."""
        row = InRow.read(after).row
        if paused_task(self.keys, row) is not None or turn_awaited(self.keys, row) is not None:
            raise no_place(after)
        return await self._lined_up((await self.rows()).limited, wanted, limit, after)

    async def paused(self, wanted: Wanted | None, limit: int, after: str = "") -> Listed:
        """What workers would have begun and waits for its task to be resumed: task by task, each in its order."""
        if after and paused_task(self.keys, InRow.read(after).row) is None:
            raise no_place(after)
        return await self._lined_up((await self.rows()).paused, wanted, limit, after)

    async def _lined_up(
        self, rows: Mapping[str, int], wanted: Wanted | None, limit: int, after: str
    ) -> Listed:
        async def read(cursor: str, count: int) -> tuple[Sequence[_Row], bool]:
            found = await self._in_rows(rows, InRow.read(cursor), count)
            return found, bool(found)

        return await self._listed(read, wanted, limit, after, sum(rows.values()))

    async def _in_rows(self, rows: Mapping[str, int], place: InRow, count: int) -> list[_Row]:
        """The next entries behind a place, of one row."""
        for row in sorted(rows):
            if row < place.row:
                continue
            begin = f"({place.entry}" if row == place.row else "-"
            found = await self._stream(f"{row}:waiters", begin, min(count, OF_STREAM))
            if found:
                return [_in_row(each, row) for each in found]
        return []

    async def _listed(
        self,
        read: _Read,
        wanted: Wanted | None,
        limit: int,
        after: str,
        total: int,
        most: int = MOST_LOOKED_AT,
    ) -> Listed:
        """Look on until the list is full, at ``most`` entries."""
        found: list[_Row] = []
        cursor, looked_at, more = after, 0, True
        while more and looked_at < most and len(found) < limit:
            count = limit - len(found) if wanted is None else min(OF_QUEUE, most - looked_at)
            rows, more = await read(cursor, count)
            for row in rows:
                cursor, looked_at = row.after, looked_at + 1
                if wanted is None or wanted(row.function, row.key):
                    found.append(row)
                    if len(found) == limit:
                        more = True
                        break
        entries = await Records(self.client, self.keys).tried(await self._entries(found))
        return Listed(
            entries=entries,
            after=cursor if more and cursor != after else None,
            looked_at=looked_at,
            total=max(total, len(entries)),
        )

    # where things are ------------------------------------------------------------------------------------

    async def _due(self, entry: str, count: int, sizes: _Sizes) -> tuple[Sequence[_Row], bool]:
        """Entries of the stream, behind one, that no worker has been given."""
        rows: list[_Row] = []
        for lane in _lanes_from(entry, sizes):
            stream = stream_of_lane(self.keys, lane)
            begin = f"({entry}" if entry else f"({await self._last_delivered(stream)}"
            entry = ""
            rows += await self._stream(stream, begin, count - len(rows), ExecutionState.QUEUED)
            if len(rows) == count:
                break
        return [attrs.evolve(row, after=f"s{row.after}") for row in rows], len(rows) == count

    async def _last_delivered(self, stream: str) -> str:
        try:
            reply = await self.client.call("XINFO", "GROUPS", stream)
        except redis_errors.ResponseError as error:
            if isinstance(error, redis_errors.NoPermissionError) or is_about_a_key(error):
                raise
            return "0-0"  # there is no stream
        for group in cast("list[list[Any]]", reply):
            fields = read_mapping(group)
            if fields.get(b"name") == GROUP.encode():
                return text(fields[b"last-delivered-id"])
        return "0-0"

    async def _stream(
        self, name: str, begin: str, count: int, state: ExecutionState = ExecutionState.SCHEDULED
    ) -> list[_Row]:
        with naming(name, "stream"):
            reply = await self.client.call("XRANGE", name, checked_range(begin), "+", "COUNT", count)
        rows: list[_Row] = []
        for entry_id, flat in cast("list[tuple[bytes, list[bytes]]]", reply):
            entry = _entry_of(flat, state)
            message = entry.message if entry is not None else None
            rows.append(
                _Row(
                    text(entry_id), message.function if message else "", message.key if message else "", entry
                )
            )
        return rows

    async def _queued(
        self, place: InQueue, count: int, within: tuple[str, str]
    ) -> tuple[Sequence[_Row], bool]:
        """Tasks of the queues by their moment, ``within`` two."""
        queues = (self.keys.queue, self.keys.reserved_queue)
        number, score, passed = place.number, place.score, place.passed
        begin, end = score or within[0], within[1]
        with naming(queues[number], "sorted set"):
            reply = await self.client.call(
                "ZRANGEBYSCORE", queues[number], begin, end, "WITHSCORES", "LIMIT", passed, count
            )
        flat = cast("list[bytes]", reply)
        rows: list[_Row] = []
        for key, at in zip(flat[::2], map(text, flat[1::2]), strict=True):
            passed = passed + 1 if at == score else 1
            score = at
            rows.append(_Row(f"q{number}|{score}|{passed}", "", text(key)))
        functions = await self._functions([row.key for row in rows], queues[number])
        rows = [attrs.evolve(row, function=name) for row, name in zip(rows, functions, strict=True)]
        if len(rows) == count:
            return rows, True
        if number:
            return rows, False
        further, more = await self._queued(InQueue(1), count - len(rows), within)
        return [*rows, *further], more

    def _shelf(self, key: str, queue: str) -> str:
        return self.keys.kept_apart(key) if queue == self.keys.reserved_queue else self.keys.plain_parked(key)

    async def _functions(self, keys: Sequence[str], queue: str) -> list[str]:
        asked = [("HGET", self._shelf(key, queue), "function") for key in keys]
        replies = await self._many(asked)
        return [text(reply) if isinstance(reply, bytes) else "" for reply in replies]

    async def _running(self, cursor: str, count: int, sizes: _Sizes) -> tuple[Sequence[_Row], bool]:
        held: list[tuple[str, str]] = []
        for lane in _lanes_from(cursor, sizes):
            begin, cursor = f"({cursor}" if cursor else "-", ""
            if len(held) < count:
                held += await self._pending(stream_of_lane(self.keys, lane), begin, count - len(held))
        entries = await self._held(held)
        rows = [
            _Row(entry_id, entry.message.function if entry else "", entry.message.key if entry else "", entry)
            for (entry_id, _), entry in zip(held, entries, strict=True)
        ]
        return rows, len(rows) == count

    async def _pending(self, stream: str, begin: str, count: int) -> list[tuple[str, str]]:
        """Deliveries of a stream, each with its worker."""
        try:
            reply = await self.client.call("XPENDING", stream, GROUP, checked_range(begin), "+", count)
        except redis_errors.ResponseError as error:
            if str(error).startswith("NOGROUP"):
                return []
            raise
        return [(text(entry[0]), text(entry[1])) for entry in cast("list[list[Any]]", reply)]

    async def _held(self, held: Sequence[tuple[str, str]]) -> list[PictureEntry | None]:
        """The entries of deliveries, each with its worker and since when it runs."""
        asked = [("XRANGE", stream_with(self.keys, entry_id), entry_id, entry_id) for entry_id, _ in held]
        replies = await self._many(asked)
        entries = [
            _entry_of(cast("Any", reply)[0][1], ExecutionState.RUNNING)
            if isinstance(reply, list) and reply
            else None
            for reply in replies
        ]
        asked = [
            ("HMGET", self.keys.run(each.message.key), *OF_RUNNING) for each in entries if each is not None
        ]
        runs = iter(await self._many(asked))
        return [
            None if entry is None else running_entry(entry.message, worker, next(runs))
            for (_, worker), entry in zip(held, entries, strict=True)
        ]

    async def _entries(self, rows: Sequence[_Row]) -> list[PictureEntry]:
        """The entries of rows; those that lie on a shelf are fetched now. What went meanwhile is left out."""
        missing = [row for row in rows if row.entry is None and row.after.startswith("q")]
        shelves = (self.keys.queue, self.keys.reserved_queue)
        asked = [("HGETALL", self._shelf(row.key, shelves[int(row.after[1])])) for row in missing]
        replies = await self._many(asked)
        fetched = {
            row.after: _entry_of(cast("list[bytes]", reply), ExecutionState.SCHEDULED)
            for row, reply in zip(missing, replies, strict=True)
            if not isinstance(reply, Exception)
        }
        entries = (row.entry or fetched.get(row.after) for row in rows)
        return [entry for entry in entries if entry is not None]

    async def _many(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        return answers(await self.client.call_many(list(commands))) if commands else ()


def _in_row(row: _Row, name: str) -> _Row:
    entry = None if row.entry is None else attrs.evolve(row.entry, row=name)
    return attrs.evolve(row, after=f"{row.after} {name}", entry=entry)


def _overdue() -> tuple[str, str]:
    """Until when what is on the queues is due."""
    return "-inf", f"{clock.timestamp():.6f}"


def _entry_of(flat: Sequence[bytes], state: ExecutionState) -> PictureEntry | None:
    try:
        return PictureEntry(message=decode_message(read_mapping(flat)), state=state)
    except DeliveryUnreadable:
        return None


def _lanes_from(entry: str, sizes: _Sizes) -> Sequence[str]:
    """The lanes from that of an entry on, in their order; all of them where there is none."""
    lanes = [each.lane for each in sizes.lanes]
    lane = lane_of_entry(entry)
    return lanes[lanes.index(lane) :] if entry and lane in lanes else lanes

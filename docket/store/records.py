"""What can be read of executions: their records, progress, results, and a picture of the whole docket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import attrs
from redis.exceptions import RedisError, ResponseError

from .. import clock
from ..errors import DeliveryUnreadable
from ..moments import read_epoch, read_moment
from ..rules import ExecutionState
from ..transport import Client
from .answers import answers
from .codec import Message, decode_message, open_envelope
from .keys import GROUP, Keys

__all__ = ["Picture", "PictureEntry", "ProgressRecord", "Record", "Records", "members", "read_mapping"]

PAGE = 1000


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


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode(errors="replace")


def _number(raw: bytes | None) -> int | None:
    return int(raw) if raw is not None and raw.lstrip(b"-").isdigit() else None


@attrs.frozen(kw_only=True)
class Record:
    """The run of a key as Redis holds it. ``args`` and ``kwargs`` stay pickled."""

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

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> Record | None:
        """Read a run's hash; None where it is missing or says no state."""
        if b"state" not in fields:
            return None
        get = fields.get
        return cls(
            state=ExecutionState(fields[b"state"].decode()),
            generation=int(get(b"generation", b"0")),
            when=read_epoch(get(b"when")),
            worker=_text(get(b"worker")),
            started_at=read_moment(get(b"started_at")),
            completed_at=read_moment(get(b"completed_at")),
            error=_text(get(b"error")),
            result_key=_text(get(b"result_key")),
            function=_text(get(b"function")),
            args=get(b"args"),
            kwargs=get(b"kwargs"),
        )


@attrs.frozen(kw_only=True)
class ProgressRecord:
    """How far a running task says it is."""

    current: int | None = None
    total: int = 100
    message: str | None = None
    updated_at: datetime | None = None

    @classmethod
    def of(cls, fields: Mapping[bytes, bytes]) -> ProgressRecord:
        get = fields.get
        return cls.read(get(b"current"), get(b"total"), get(b"message"), read_moment(get(b"updated_at")))

    @classmethod
    def read(
        cls, current: bytes | None, total: bytes | None, message: bytes | None, updated_at: datetime | None
    ) -> ProgressRecord:
        """Read single fields. A total that is no whole number (pydocket takes any) counts as unknown."""
        return cls(
            current=_number(current),
            total=_number(total) or 100,
            message=_text(message),
            updated_at=updated_at,
        )


@attrs.frozen(kw_only=True)
class PictureEntry:
    """A task that waits or runs. ``worker`` and ``started_at`` are set where it runs."""

    message: Message
    worker: str | None = None
    started_at: datetime | None = None


@attrs.frozen(kw_only=True)
class Picture:
    """Everything that waits and runs, at about one moment; what cannot be decoded is left out."""

    waiting: Sequence[PictureEntry]
    running: Sequence[PictureEntry]


@attrs.define(eq=False)
class Records:
    """Reads of one docket."""

    client: Client
    keys: Keys

    async def read(self, key: str) -> tuple[Record | None, ProgressRecord]:
        """The run and the progress of a key, in one round trip."""
        run, progress = await self.client.call_many(
            [("HGETALL", self.keys.run(key)), ("HGETALL", self.keys.progress(key))]
        )
        for reply in (run, progress):
            if isinstance(reply, RedisError):
                raise reply
        return Record.of(read_mapping(run)), ProgressRecord.of(read_mapping(progress))

    async def generation(self, key: str) -> int | None:
        """The live generation of a key; None where nothing is recorded."""
        reply = await self.client.call("HGET", self.keys.run(key), "generation")
        return None if reply is None else int(cast("bytes", reply))

    async def result(self, result_key: str) -> str | None:
        """The text of a stored result or exception (see `load_value`), from either place where it may be.

        None where it is gone.
        """
        stored = await self.client.call(
            "MGET", self.keys.result_envelope(result_key), self.keys.result_bare(result_key)
        )
        for raw in cast("list[bytes | None]", stored):
            if raw is not None and (text := open_envelope(raw, result_key)) is not None:
                return text
        return None

    async def depths(self) -> tuple[int, int]:
        """How many tasks are due, those that run among them; and how many are scheduled for later."""
        now = f"{clock.timestamp():.6f}"
        queues = (self.keys.queue, self.keys.reserved_queue)
        counts = await self.client.call_many(
            [
                ("XLEN", self.keys.stream),
                *(("ZCOUNT", queue, "-inf", now) for queue in queues),
                *(("ZCOUNT", queue, f"({now}", "+inf") for queue in queues),
            ]
        )
        for count in counts:
            if isinstance(count, RedisError):
                raise count
        stream, *queued = cast("list[int]", counts)
        return stream + sum(queued[:2]), sum(queued[2:])

    async def picture(self) -> Picture:
        """Read the whole docket, page by page.

        Tasks move from the queues to the stream, so the queues are read first; what is seen in both is taken
        from the stream. The docket goes on meanwhile: a task may end, or begin, behind the reader's back.
        """
        waiting = await self._parked(self.keys.queue, self.keys.prefix)
        waiting |= await self._parked(self.keys.reserved_queue, self.keys.reserved_queue)
        waiting |= await self._without_slots()
        running: list[PictureEntry] = []
        holders = await self._holders()
        start: str | None = "-"
        while start:
            page, start = await self._page("XRANGE", self.keys.stream, start, "+", "COUNT", PAGE)
            held: list[tuple[Message, str]] = []
            for message_id, flat in page:
                try:
                    message = decode_message(read_mapping(flat))
                except DeliveryUnreadable:
                    continue
                if (holder := holders.get(message_id)) is None:
                    waiting[message.key, message.generation] = PictureEntry(message=message)
                else:
                    waiting.pop((message.key, message.generation), None)
                    held.append((message, holder))
            running += await self._running(held)
        return Picture(
            waiting=sorted(waiting.values(), key=lambda entry: entry.message.when), running=running
        )

    async def _without_slots(self) -> dict[tuple[str, int], PictureEntry]:
        """Who waits for a concurrency limit."""
        entries: dict[tuple[str, int], PictureEntry] = {}
        for limit in await members(self.client, self.keys.waiting):
            start: str | None = "-"
            while start:
                page, start = await self._page("XRANGE", limit + b":waiters", start, "+", "COUNT", PAGE)
                for _, flat in page:
                    try:
                        message = decode_message(read_mapping(flat))
                    except DeliveryUnreadable:
                        continue
                    entries[message.key, message.generation] = PictureEntry(message=message)
        return entries

    async def _page(self, *command: Any) -> tuple[list[Any], str | None]:
        """What a command says that reads a range of stream ids, and where to go on."""
        page = cast("list[Any]", await self.client.call(*command))
        return page, f"({page[-1][0].decode()}" if len(page) == PAGE else None

    async def _holders(self) -> dict[bytes, str]:
        """Message id to consumer, for everything that is delivered and not acknowledged."""
        holders: dict[bytes, str] = {}
        start: str | None = "-"
        while start:
            try:
                page, start = await self._page("XPENDING", self.keys.stream, GROUP, start, "+", PAGE)
            except ResponseError as error:
                if str(error).startswith("NOGROUP"):
                    return holders
                raise
            holders.update((entry[0], entry[1].decode(errors="replace")) for entry in page)
        return holders

    async def _running(self, held: Sequence[tuple[Message, str]]) -> list[PictureEntry]:
        commands = [("HGET", self.keys.run(m.key), "started_at") for m, _ in held]
        replies = answers(await self.client.call_many(commands))
        return [
            PictureEntry(
                message=message,
                worker=worker,
                started_at=read_moment(reply) or message.when,
            )
            for (message, worker), reply in zip(held, replies, strict=True)
        ]

    async def _parked(self, queue: str, shelf: str) -> dict[tuple[str, int], PictureEntry]:
        entries: dict[tuple[str, int], PictureEntry] = {}
        cursor = b"0"
        while True:
            reply = await self.client.call("ZSCAN", queue, cursor, "COUNT", PAGE)
            cursor, flat = cast("tuple[bytes, list[bytes]]", reply)
            commands = [("HGETALL", shelf.encode() + b":" + key) for key in flat[::2]]
            for parked in answers(await self.client.call_many(commands)):
                if isinstance(parked, RedisError):
                    continue  # not a message: the scheduler drops it (I9)
                try:
                    message = decode_message(read_mapping(parked))
                except DeliveryUnreadable:
                    continue  # so too what was moved or replaced between the two reads
                entries[message.key, message.generation] = PictureEntry(message=message)
            if cursor == b"0":
                return entries

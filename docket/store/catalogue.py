"""The tasks that workers know, and the chains of those that repeat themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast

from ..moments import read_epoch
from ..rules import FINAL
from ..standins import redis_errors
from ..transport import Client
from ..values import define, frozen
from . import script_calls
from .answers import answers, named, naming
from .descriptions import Recurrence, TaskDescription
from .foreign import is_entry, text
from .keys import Keys
from .levels import stream_with
from .misuse import named_after
from .records import Record, read_mapping
from .schedule import milliseconds

__all__ = ["Catalogue", "ChainLook"]

#: How many tasks are described at most; those that nobody has described for longest go, or for so long.
MOST_TASKS, KEPT = 1000, timedelta(days=30)

#: Tasks that one script describes: it keeps the server for a millisecond.
AT_ONCE = 100

#: What is read of the record of a chain: not its arguments, which may be large.
_READ = (
    "state", "generation", "when", "worker", "started_at", "completed_at", "error", "function", "attempt", "tried",
    "claim", "last_generation", "last_state", "last_completed_at", "last_error", "stream_id", "waiter_stream",
    "waiter_entry_id",
)  # fmt: skip


@frozen
class ChainLook:
    """What is recorded of a chain (None: nothing), and whether a run of it waits or runs."""

    record: Record | None
    is_live: bool


@define(eq=False)
class Catalogue:
    """What workers say about the tasks of one docket. A worker unseen for ``expiry`` is gone."""

    client: Client
    keys: Keys
    expiry: timedelta

    async def write(self, tasks: Mapping[str, TaskDescription]) -> None:
        """Describe tasks, in place of what was said about them before.

        Raises: KeyUnreadable - one of the keys holds something else; RedisError.
        """
        said = [
            (name, each.written(), "" if each.recurrence is None else each.recurrence.written())
            for name, each in tasks.items()
        ]
        for at in range(0, len(said), AT_ONCE):
            call = script_calls.catalogue(
                self.keys,
                most=MOST_TASKS,
                kept_ms=milliseconds(KEPT),
                tasks=[part for each in said[at : at + AT_ONCE] for part in each],
            )
            try:
                await self.client.run(*call)
            except redis_errors.ResponseError as error:
                kinds = {self.keys.described_tasks: "hash", self.keys.recurrences: "hash"}
                raise await named_after(
                    error, self.client, self.keys, {**kinds, self.keys.seen_tasks: "zset"}
                ) from error

    # reading ---------------------------------------------------------------------------------------------

    async def seen(self) -> dict[str, datetime]:
        """The tasks that are described, and when a worker did last. Raises: KeyUnreadable; RedisError."""
        name = self.keys.seen_tasks
        with naming(name, "sorted set"):
            flat = cast("list[bytes]", await self.client.call("ZRANGE", name, 0, -1, "WITHSCORES"))
        moments = ((text(task), read_epoch(float(ms) / 1e3)) for task, ms in _pairs(flat))
        return {task: moment for task, moment in moments if moment is not None}

    async def recurrences(self) -> dict[str, Recurrence]:
        """The tasks that repeat themselves. Raises: KeyUnreadable; RedisError."""
        name = self.keys.recurrences
        with naming(name, "hash"):
            found = read_mapping(await self.client.call("HGETALL", name))
        return {text(task): Recurrence.read(written) for task, written in found.items()}

    async def described(self, tasks: Sequence[str]) -> dict[str, TaskDescription]:
        """What is said about some tasks. Raises: KeyUnreadable; RedisError."""
        if not tasks:
            return {}
        names = (self.keys.described_tasks, self.keys.recurrences)
        replies = answers(await self.client.call_many([("HMGET", name, *tasks) for name in names]))
        said, recur = (
            cast("list[bytes | None]", named(reply, name, "hash"))
            for reply, name in zip(replies, names, strict=True)
        )
        return {
            task: TaskDescription.read(each, None if again is None else Recurrence.read(again))
            for task, each, again in zip(tasks, said, recur, strict=True)
            if each is not None
        }

    async def knowing(self, tasks: Sequence[str]) -> list[int]:
        """How many live workers know each of some tasks. Raises: RedisError."""
        if not tasks:
            return []
        seconds, micros = cast("list[bytes]", await self.client.call("TIME"))
        oldest = int(seconds) + int(micros) / 1e6 - self.expiry.total_seconds()
        asked = [("ZCOUNT", self.keys.task_workers(task), f"{oldest:.6f}", "+inf") for task in tasks]
        replies = answers(await self.client.call_many(asked))
        return [reply if isinstance(reply, int) else 0 for reply in replies]

    async def chains(self, tasks: Sequence[str]) -> list[list[str]]:
        """The keys of chains that went on lately, of each of some tasks. Raises: RedisError."""
        if not tasks:
            return []
        replies = answers(
            await self.client.call_many([("ZRANGE", self.keys.chains(task), 0, -1) for task in tasks])
        )
        return [
            list(map(text, cast("list[bytes]", reply))) if isinstance(reply, list) else []
            for reply in replies
        ]

    async def look(self, keys: Sequence[str]) -> list[ChainLook]:
        """What is recorded under some keys, and whether it is still there: on the stream, a queue or in a row.

        Twice where it is not: a run may have begun, or ended, between the record and its place.
        Raises: RedisError.
        """
        found = await self._look(keys)
        gone = [at for at, each in enumerate(found) if each.record is not None and not each.is_live]
        again = await self._look([keys[at] for at in gone])
        for at, each in zip(gone, again, strict=True):
            found[at] = each
        return found

    async def _look(self, keys: Sequence[str]) -> list[ChainLook]:
        if not keys:
            return []
        replies = answers(
            await self.client.call_many([("HMGET", self.keys.run(key), *_READ) for key in keys])
        )
        rows = [
            {
                name.encode(): value
                for name, value in zip(_READ, cast("list[bytes | None]", reply), strict=True)
                if value is not None
            }
            if isinstance(reply, list)
            else {}
            for reply in replies
        ]
        asked = [self._place_of(key, fields) for key, fields in zip(keys, rows, strict=True)]
        places = iter(answers(await self.client.call_many([each for each in asked if each is not None])))
        found: list[ChainLook] = []
        for fields, question in zip(rows, asked, strict=True):
            reply = next(places) if question is not None else None
            try:
                record = Record.of(fields)
            except ValueError:
                record = None
            is_there = not isinstance(reply, Exception) and reply not in (None, [])
            is_live = record is not None and record.state not in FINAL and (question is None or is_there)
            found.append(ChainLook(record, is_live))
        return found

    def _place_of(self, key: str, fields: Mapping[bytes, bytes]) -> tuple[str | bytes, ...] | None:
        """What asks for the entry of a run; None where it is not known where it is, or there is none."""
        get, state = fields.get, fields.get(b"state")
        if state == b"scheduled" and b"waiter_stream" not in fields:
            # pydocket has those with reserved names in its own queue.
            return None if self.keys.is_reserved(key) else ("ZSCORE", self.keys.queue, key)
        row, entry = get(b"waiter_stream", b""), get(b"waiter_entry_id", b"")
        name: str | bytes = row if row.startswith(f"{self.keys.prefix}:".encode()) else b""
        if state == b"queued":
            entry = get(b"stream_id") or b""
        elif state == b"running":
            entry = get(b"claim", b"").partition(b".")[0]
        if not is_entry(entry) or entry == b"0-0":
            return None
        if state in (b"queued", b"running") or not name:
            name = stream_with(self.keys, entry)
        return ("XRANGE", name, entry, entry)


def _pairs(flat: Sequence[bytes]) -> zip[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)

"""Which tasks are paused, and what waits for them to be resumed."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

import attrs

from .. import clock
from ..moments import read_moment
from ..transport import Client
from ..values import define, frozen
from . import script_calls
from .answers import answers, naming
from .foreign import text
from .keys import Keys, paused_task
from .lane_depths import ask_depths, lanes_there, read_depths
from .records import members, read_mapping

__all__ = ["EVERY_TASK", "PauseRecord", "Pauses", "TooManyPauses", "is_among"]

EVERY_TASK = "*"
"""Stands for all tasks where a docket is paused as a whole."""

#: Tasks that may be paused at a time: a script that takes tasks reads all their names.
MOST = 500

#: Messages that one script moves back: it keeps the server for two milliseconds.
RESUME_CHUNK = 100


def is_among(task: str, paused: Collection[str]) -> bool:
    """Whether a task is among those that are paused, or all tasks are."""
    return task in paused or EVERY_TASK in paused


class TooManyPauses(Exception):
    """So many tasks are paused that no other can be."""


@frozen(kw_only=True)
class PauseRecord:
    """What is kept of a pause. ``waiting`` is how many tasks are lined up for it."""

    task: str
    since: datetime | None
    reason: str
    by: str
    waiting: int


@define(eq=False)
class Pauses:
    """The pauses of one docket."""

    client: Client
    keys: Keys

    async def pause(self, task: str, reason: str, by: str) -> bool:
        """Pause a task, or `EVERY_TASK`; False: it was paused before, and that stays as it is.

        Raises: TooManyPauses; KeyUnreadable; RedisError.
        """
        remark = json.dumps({"since": clock.now().isoformat(), "reason": reason, "by": by})
        call = script_calls.pause(self.keys, task=task, remark=remark, most=MOST)
        with naming(self.keys.pauses, "hash"):
            word = await self.client.run(*call)
        if word == b"FULL":
            raise TooManyPauses(f"{MOST} tasks are paused already")
        return word == b"OK"

    async def resume(self, task: str) -> tuple[bool, int]:
        """Resume a task, or `EVERY_TASK`. Whether it was paused, and how many tasks went back to the stream.

        In steps: other clients have their turn in between. Cancel: the task is resumed, and some that waited may still
        wait; a worker's sweep has them follow, and so does another call.
        Raises: KeyUnreadable; RedisError - as for a cancellation.
        """
        was, moved, left = await self._step(task, begins=True)
        while left:
            _, more, left = await self._step(task, begins=False)
            moved += more
        return was, moved

    async def finish_resuming(self) -> None:
        """Move what still waits for tasks that are not paused: whoever resumed them has died half way."""
        with naming(self.keys.waiting, "set"):
            rows = [
                paused_task(self.keys, text(each)) for each in await members(self.client, self.keys.waiting)
            ]
        waiting = [task for task in rows if task is not None]
        if not waiting:
            return
        paused = await self.names()
        for task in waiting:
            left = task not in paused
            while left:
                _, _, left = await self._step(task, begins=False)

    async def _step(self, task: str, *, begins: bool) -> tuple[bool, int, int]:
        call = script_calls.resume(self.keys, task=task, limit=RESUME_CHUNK, begins=int(begins))
        with naming(self.keys.pauses, "hash"):
            was, moved, left = cast("list[int]", await self.client.run(*call))
        return bool(was), moved, left

    async def names(self) -> frozenset[str]:
        """The tasks that are paused. Raises: KeyUnreadable; RedisError."""
        with naming(self.keys.pauses, "hash"):
            return frozenset(map(text, read_mapping(await self.client.call("HGETALL", self.keys.pauses))))

    async def is_paused(self, task: str) -> bool:
        """Whether a task, or all of them, are paused. Raises: KeyUnreadable; RedisError."""
        with naming(self.keys.pauses, "hash"):
            found = await self.client.call("HMGET", self.keys.pauses, task, EVERY_TASK)
        return any(each is not None for each in cast("list[bytes | None]", found))

    async def listed(self) -> list[PauseRecord]:
        """The pauses in force, that of all tasks first, then by name. Raises: KeyUnreadable; RedisError."""
        with naming(self.keys.pauses, "hash"):
            found = read_mapping(await self.client.call("HGETALL", self.keys.pauses))
        if not found:
            return []
        rows = [("XLEN", f"{self.keys.pause(text(task))}:waiters") for task in found]
        counts = answers(await self.client.call_many(rows))
        pauses = [
            _record(text(task), remark, count if isinstance(count, int) else 0)  # what is no row has none
            for (task, remark), count in zip(found.items(), counts, strict=True)
        ]
        pauses.sort(key=lambda pause: (pause.task != EVERY_TASK, pause.task))
        if pauses[0].task == EVERY_TASK:  # what is queued stays where it is
            pauses[0] = attrs.evolve(pauses[0], waiting=pauses[0].waiting + await self._queued())
        return pauses

    async def _queued(self) -> int:
        """How many tasks are on the streams that no worker has."""
        lanes = await lanes_there(self.client, self.keys)
        replies = await self.client.call_many(ask_depths(self.keys, lanes))
        return sum(each.due for each in read_depths(self.keys, lanes, replies))


def _record(task: str, remark: bytes, waiting: int) -> PauseRecord:
    """A pause, whatever is written about it."""
    told: dict[str, Any] = {}
    with suppress(ValueError, TypeError, RecursionError):
        told = dict(json.loads(remark))
    since, reason, by = (told.get(name) for name in ("since", "reason", "by"))
    return PauseRecord(
        task=task,
        since=read_moment(since.encode()) if isinstance(since, str) else None,
        reason=reason if isinstance(reason, str) else "",
        by=by if isinstance(by, str) else "",
        waiting=waiting,
    )

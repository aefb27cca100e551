"""Which workers live, and what each can run."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import cast

from .. import clock
from ..errors import KeyUnreadable
from ..moments import read_epoch
from ..rules import LEVELS, Priority
from ..standins import redis_errors
from ..transport import Client
from ..values import define, frozen
from . import script_calls
from .answers import about_key, answers, named
from .foreign import text
from .keys import Keys
from .schedule import milliseconds

__all__ = ["Beat", "Liveness", "WorkerInfo"]

#: What a worker serves that says nothing: pydocket's do not, and docket's only as long as there is nothing else.
_UNSAID = (Priority.NORMAL,)


@define
class WorkerInfo:
    """A live worker: its name, its last heartbeat and the names of the tasks it can run.

    ``draining``: it was told to stop, takes nothing new, and finishes what it runs. ``lanes`` are the levels that it
    serves, as far as it says so: a worker of docket's does where there are others than normal, or it leaves some out.
    """

    name: str
    last_seen: datetime
    tasks: set[str]
    draining: bool = False
    lanes: tuple[Priority, ...] | None = None


@frozen
class Beat:
    """What a heartbeat found: when the first queued task is due, when the worker was last seen (epoch seconds)."""

    first_due: float | None
    seen: float | None
    at: float
    """What the next heartbeat is to find in ``seen``, unless another worker has the same name."""
    problems: Sequence[KeyUnreadable] = ()
    """Keys that should list the workers that know a task, and hold something else."""
    was_forgotten: bool = False
    """Whether the server did not have what earlier heartbeats have written."""
    refused: redis_errors.OutOfMemoryError | None = None
    """What the server, whose memory is full, would have said of any other write."""


@define(eq=False)
class Liveness:
    """Heartbeats of a docket's workers. A worker unseen for ``expiry`` is gone."""

    client: Client
    keys: Keys
    expiry: timedelta
    depths_too: bool = False
    """Whether the depths of the docket are noted, once a minute by whoever beats first."""

    async def beat(
        self, worker: str, tasks: Collection[str], *, tasks_too: bool, drains: bool = False, serves: str = ""
    ) -> Beat:
        """Record that ``worker`` lives: now, by the server's clock; and whether it drains.

        ``serves`` is what it says of its levels (`Lanes.told`), if anything.
        A server whose memory is full takes that of a worker that is on its list, and refuses any other's.
        On memory:// one beat lasts until `leave`: worker and server share one process, and nothing polls there.
        """
        lasting = self.client.is_memory
        call = script_calls.heartbeat(
            self.keys,
            worker=worker,
            expiry_ms=0 if lasting else milliseconds(self.expiry),
            known_tasks=int(tasks_too),
            depths_too=int(self.depths_too and not lasting),
            drains=int(drains),
            serves=serves,
            task_workers_prefix=self.keys.task_workers(""),
            tasks=[*tasks],
        )
        first, before, now, full, *foreign = cast("list[bytes]", await self.client.run(*call))
        problems = [about_key(text(name), "sorted set") for name in foreign]
        return Beat(
            float(first) if first else None,
            float(before) if before else None,
            float(now),
            problems,
            refused=redis_errors.OutOfMemoryError(text(full)) if full else None,
        )

    async def beat_again(
        self,
        worker: str,
        at: float,
        tasks: Collection[str] = (),
        *,
        drains: bool = False,
        serves: str = "",
    ) -> Beat:
        """Record once more that ``worker`` lives, and that it knows ``tasks``: a command each, and one for what is due.

        Another one where it ``drains``, and one where it says which levels it ``serves``, as the last `beat` has told.

        ``at`` is the server's time in epoch seconds, of which the caller has kept count since the last `beat`. The
        lists keep the time to live that a `beat` has given them. Nothing is ``seen``.
        """
        score, lists = f"{at:.6f}", [self.keys.task_workers(task) for task in tasks]
        asked = [
            ("ZADD", self.keys.workers, score, worker),
            ("ZRANGE", self.keys.queue, 0, 0, "WITHSCORES"),
            *(("ZADD", name, score, worker) for name in lists),
        ]
        more = [("ZADD", self.keys.draining, score, worker)] if drains else []
        if serves:
            more.append(("ZADD", self.keys.lanes, score, f"{serves} {worker}"))
        replies = await self.client.call_many([*more, *asked])
        added, first, *listed = answers(replies[len(more) :])
        named(added, self.keys.workers, "sorted set")
        due = cast("list[bytes]", named(first, self.keys.queue, "sorted set"))
        problems = [
            about_key(name, "sorted set")
            for name, reply in zip(lists, listed, strict=True)
            if isinstance(reply, redis_errors.RedisError)
        ]
        return Beat(float(due[1]) if due else None, None, at, problems, 1 in (added, *listed))

    async def leave(self, worker: str, tasks: Collection[str], serves: str = "") -> None:
        """Take ``worker`` off the lists."""
        told = [("ZREM", self.keys.lanes, f"{serves} {worker}")] if serves else []
        await self.client.call_many(
            [
                *told,
                ("ZREM", self.keys.workers, worker),
                ("ZREM", self.keys.draining, worker),
                *(("ZREM", self.keys.task_workers(task), worker) for task in tasks),
                ("DEL", self.keys.worker_tasks(worker)),
            ]
        )

    async def _live(self, zset: str) -> list[tuple[bytes, float]]:
        asked = (("TIME",), ("ZRANGE", zset, 0, -1, "WITHSCORES"))
        time, flat = answers(await self.client.call_many(asked))
        return self._living(time, cast("list[bytes]", named(flat, zset, "sorted set")))

    def _living(self, time: object, names: Sequence[bytes]) -> list[tuple[bytes, float]]:
        oldest = _seconds(cast("list[bytes]", time)) - self.expiry.total_seconds()
        live = zip(names[::2], map(float, names[1::2]), strict=True)
        return [(name, score) for name, score in live if score >= oldest]

    async def names(self) -> set[str]:
        """The names of the workers that have a heartbeat. Raises: KeyUnreadable - their list is none; RedisError."""
        return {text(name) for name, _ in await self._live(self.keys.workers)}

    async def lives(self, worker: str) -> bool:
        """Whether a worker has a heartbeat. Raises: KeyUnreadable - the list of workers is none; RedisError."""
        return worker in await self.names()

    async def share_knowing(self, task: str, *, but: str) -> float:
        """Which part of the live workers can run a task, from 0 to 1; the one named ``but`` is known not to."""
        try:
            known_to = await self._live(self.keys.task_workers(task))
        except KeyUnreadable:
            known_to = []  # what was put there keeps the workers from listing themselves (I9)
        knowing = sum(name != but.encode() for name, _ in known_to)
        return knowing / max(len(await self._live(self.keys.workers)), knowing, 1)

    async def workers(self, task: str | None = None) -> list[WorkerInfo]:
        """The live workers; with ``task``, those that can run it. Raises: KeyUnreadable - their list is none."""
        live = await self._live(self.keys.workers if task is None else self.keys.task_workers(task))
        shelf = self.keys.worker_tasks("").encode()
        asked = [
            ("ZRANGE", self.keys.draining, 0, -1),
            ("ZRANGE", self.keys.lanes, 0, -1),
            *(("SMEMBERS", shelf + name) for name, _ in live),
        ]
        draining, lanes, *tasks = answers(await self.client.call_many(asked)) if live else ((), ())
        stopping, serving = _texts(draining), _served(lanes)
        return [
            WorkerInfo(
                text(name), _seen(score), _texts(members), text(name) in stopping, serving.get(text(name))
            )
            for (name, score), members in zip(live, tasks, strict=True)
        ]

    async def served(self) -> frozenset[Priority]:
        """The levels that a live worker serves; one that drains takes nothing more. Raises: as `workers`."""
        asked = (
            ("TIME",),
            ("ZRANGE", self.keys.workers, 0, -1, "WITHSCORES"),
            ("ZRANGE", self.keys.draining, 0, -1),
            ("ZRANGE", self.keys.lanes, 0, -1),
        )
        time, flat, draining, lanes = answers(await self.client.call_many(asked))
        serving, stopping, served = _served(lanes), _texts(draining), set[Priority]()
        for name, _ in self._living(time, cast("list[bytes]", named(flat, self.keys.workers, "sorted set"))):
            if (worker := text(name)) not in stopping:
                served.update(serving.get(worker, _UNSAID))
        return frozenset(served)


def _seconds(time: list[bytes]) -> float:
    """The reply to TIME, in epoch seconds."""
    seconds, micros = time
    return int(seconds) + int(micros) / 1e6


def _seen(score: float) -> datetime:
    # inf: a worker of this process; it lives.
    return clock.now() if math.isinf(score) else read_epoch(score) or clock.now()


def _served(members: object) -> dict[str, tuple[Priority, ...]]:
    """Which levels workers say that they serve, by their names."""
    said = (each.partition(" ") for each in sorted(_texts(members)))
    return {
        worker: tuple(level for level in LEVELS if level.value in levels.split(","))
        for levels, _, worker in said
    }


def _texts(members: object) -> set[str]:
    """Names; what is no set of them counts as none."""
    if isinstance(members, redis_errors.RedisError):
        return set()
    return {text(member) for member in cast("Iterable[bytes]", members)}

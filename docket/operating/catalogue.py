"""The tasks of a docket as its workers know them, and the schedules among them."""

from __future__ import annotations

import abc
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, unquote

import attrs

from .. import clock
from ..client import TaskFunction, described, recurrence_of
from ..errors import UsageError
from ..moments import read_epoch
from ..numbers import check_whole, spelled
from ..rules import FINAL, WAITING, ExecutionState
from ..store import (
    ONCE,
    ChainLook,
    DocketStore,
    Keys,
    Record,
    Recurrence,
    TaskDescription,
    WorkerInfo,
    is_among,
    waits_for,
)
from ..values import frozen
from .history import Interval
from .lists import MOST_LISTED
from .named import asked_task

__all__ = [
    "DocketCatalogue",
    "KnownTask",
    "Recurrence",
    "SchedulePage",
    "TaskDescription",
    "TaskPage",
    "TaskSchedule",
]

HOUR = timedelta(hours=1)

#: How many entries of the queues one page of schedules looks at, and of how many tasks at once their chains are read.
LOOKED_AT, TASKS_AT_ONCE = 1000, 20

#: Where a place is among the chains, and what it begins with behind them.
_PLACE, _NOT_BEGUN = re.compile(r"t:([^:]*):([^:]*)"), "q:"


@frozen(kw_only=True)
class KnownTask:
    """A task of a docket.

    ``workers`` is how many live ones know it. ``described_at`` is when one of them said what ``description`` has, at
    most an hour ago as long as one lives; both None where none of docket's own has, lately. ``hour`` is what each
    minute of the last hour saw, the present one last; ``last_ended`` when a run of it ended last, if that is kept.
    """

    name: str
    workers: int
    paused: bool
    """Whether it is paused, or all tasks are."""
    description: TaskDescription | None
    described_at: datetime | None
    last_ended: datetime | None
    hour: Sequence[Interval]

    @property
    def completed(self) -> int:
        """How many runs completed in the last hour."""
        return sum(each.completed for each in self.hour)

    @property
    def failed(self) -> int:
        return sum(each.failed for each in self.hour)

    @property
    def retried(self) -> int:
        return sum(each.retried for each in self.hour)

    @property
    def cancelled(self) -> int:
        return sum(each.cancelled for each in self.hour)


@frozen(kw_only=True)
class TaskPage:
    """Some tasks by name. ``after`` is where the next ones begin, None at the end; ``total`` how many there are."""

    tasks: Sequence[KnownTask]
    after: str | None
    total: int


@frozen(kw_only=True)
class TaskSchedule:
    """A chain: the runs of a perpetual task under one key, one after the other.

    ``recurrence`` says when it runs (``every``, ``cron``, ``tz``, ``automatic``). ``state`` is where its present run
    stands: scheduled, queued or running, or how the last one of all ended; None where nothing is recorded. Of one that
    waits ``next_run`` says for when, of one that runs ``started_at`` since when, and on which ``worker``. Of the run
    before, ``last_state``, ``last_ended`` and ``last_error`` say how and when it ended.
    """

    task: str
    key: str
    recurrence: Recurrence
    state: ExecutionState | None
    next_run: datetime | None
    attempt: int
    started_at: datetime | None
    worker: str | None
    last_state: ExecutionState | None
    last_ended: datetime | None
    last_error: str | None
    workers: int
    """How many live workers know the task: without one nothing runs."""
    paused: bool
    """Whether its task is paused, or all tasks are."""
    waits_for: str | None
    """The concurrency limit that it waits for."""
    is_live: bool
    """Whether a run of it waits or runs."""

    @property
    def is_broken(self) -> bool:
        """Whether nothing of it waits or runs, though something should: nobody has ended it.

        Of an automatic task that mends itself within a minute, if a worker knows it.
        """
        if self.is_live:
            return False
        is_unended = self.state is not None and self.state not in FINAL
        return is_unended or (self.recurrence.automatic and self.key == self.task)


@frozen(kw_only=True)
class SchedulePage:
    """Some schedules. ``after`` is where the next ones begin, None at the end.

    ``looked_at`` is how many waiting tasks were looked at for chains that have not had a run yet.
    """

    schedules: Sequence[TaskSchedule]
    after: str | None
    looked_at: int


class DocketCatalogue(abc.ABC):
    """The part of a `Docket` that says which tasks its workers know, and when those run that repeat themselves."""

    tasks: dict[str, TaskFunction]

    @property
    @abc.abstractmethod
    def store(self) -> DocketStore: ...

    @property
    @abc.abstractmethod
    def keys(self) -> Keys: ...

    async def known_tasks(
        self, *, contains: str | None = None, limit: int = 50, after: str | None = None
    ) -> TaskPage:
        """The tasks that workers know, or have known in the last 30 days, by name; with ``contains`` in theirs.

        At most ``limit`` (1 to 1000), and only those ``after`` the place of the page before. Some ten commands, one for
        each worker, and one for each task of the page. Case does not matter to ``contains``.
        Raises: UsageError (a ValueError) - a ``limit`` out of range, an ``after`` of no page; TypeError; RedisError.
        """
        check_whole("limit", limit, most=MOST_LISTED)
        part, place = _part(contains), _checked_place(after)
        store = self.store
        workers = _counted(await store.liveness.workers())
        seen, ended = await store.catalogue.seen(), await store.ledger.tasks()
        names = sorted(name for name in {*workers, *seen, *ended} if part in name.casefold())
        begin = bisect_right(names, place)
        some = names[begin : begin + limit]
        known = await self._known(some, workers, seen, ended)
        return TaskPage(tasks=known, after=some[-1] if begin + limit < len(names) else None, total=len(names))

    async def known_task(self, task: TaskFunction | str) -> KnownTask | None:
        """One task, as `known_tasks` has it; None where no worker has known it lately.

        Raises: TypeError; UsageError (a ValueError) - a name that is none; RedisError.
        """
        name, store = asked_task(task) or "", self.store
        (workers,) = await store.catalogue.knowing([name])
        seen, ended = await store.catalogue.seen(), await store.ledger.tasks()
        if not workers and name not in seen and name not in ended:
            return None
        (known,) = await self._known([name], {name: workers}, seen, ended)
        return known

    async def _known(
        self,
        names: Sequence[str],
        workers: Mapping[str, int],
        seen: Mapping[str, datetime],
        ended: Mapping[str, float],
    ) -> list[KnownTask]:
        store = self.store
        paused = await store.pauses.names()
        said = await store.catalogue.described(names)
        began = clock.timestamp() - HOUR.total_seconds()
        hours = await store.ledger.counts_of(names, "minute", began)
        return [
            KnownTask(
                name=name,
                workers=workers.get(name, 0),
                paused=is_among(name, paused),
                description=said.get(name) or self._described_here(name),
                described_at=seen.get(name),
                last_ended=_moment(ended.get(name)),
                hour=[Interval.of(at, counts) for at, counts in hour],
            )
            for name, hour in zip(names, hours, strict=True)
        ]

    def _described_here(self, name: str) -> TaskDescription | None:
        function = self.tasks.get(name)
        return None if function is None else described(function)

    # schedules -------------------------------------------------------------------------------------------

    async def schedules(
        self,
        task: TaskFunction | str | None = None,
        *,
        contains: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> SchedulePage:
        """The chains of perpetual and cron tasks, by the names of these and their keys; of one ``task``, or with
        ``contains`` in its name or in the key.

        These are automatic tasks, and whatever went on lately: of each task the last thousand keys. Behind them come
        those that wait for their first run; for these a page looks at a thousand waiting tasks, and says how many
        (``looked_at``): it may be short, or empty, and have an ``after`` all the same. A chain that has been ended is
        shown for as long as its record is kept. At most ``limit`` (1 to 1000), only those ``after`` the page before.

        Raises: UsageError (a ValueError) - a ``limit`` out of range, an ``after`` of no page, a name that is none;
        TypeError; RedisError.
        """
        check_whole("limit", limit, most=MOST_LISTED)
        named, part, place = asked_task(task), _part(contains), _checked_place(after)
        recurring = await self._recurring(named)
        found: list[TaskSchedule] = []
        if not place.startswith(_NOT_BEGUN):
            rows = await self._rows(recurring, part, _read_place(place), limit + 1)
            found = await self._look(rows[:limit], recurring)
            if len(rows) > limit:
                return SchedulePage(schedules=found, after=_place_of(*rows[limit - 1]), looked_at=0)
            place = _NOT_BEGUN
        if not recurring or len(found) == limit:
            return SchedulePage(schedules=found, after=place if recurring else None, looked_at=0)
        more = await self._not_begun(recurring, part, limit - len(found), place.removeprefix(_NOT_BEGUN))
        return attrs.evolve(more, schedules=[*found, *more.schedules])

    async def _recurring(self, named: str | None) -> dict[str, Recurrence]:
        """The tasks that repeat themselves, by name: as workers say, or as this program has them."""
        found = {
            name: here
            for name, function in list(self.tasks.items())
            if (here := recurrence_of(function)) is not None
        }
        found |= await self.store.catalogue.recurrences()
        names = sorted(found) if named is None else [named]
        return {name: found[name] for name in names if name in found}

    async def _rows(
        self, recurring: Mapping[str, Recurrence], part: str, begin: tuple[str, str], count: int
    ) -> list[tuple[str, str]]:
        """So many tasks and keys behind one: of automatic tasks, and of chains that went on lately."""
        left = [name for name in recurring if name >= begin[0]]
        rows: list[tuple[str, str]] = []
        while left and len(rows) < count:
            some, left = left[:TASKS_AT_ONCE], left[TASKS_AT_ONCE:]
            for name, keys in zip(some, await self.store.catalogue.chains(some), strict=True):
                each = {name, *keys} if recurring[name].automatic else {*keys}
                rows += [row for key in sorted(each) if (row := (name, key)) > begin and _has(part, *row)]
        return rows[:count]

    async def _look(
        self, rows: Sequence[tuple[str, str]], recurring: Mapping[str, Recurrence]
    ) -> list[TaskSchedule]:
        """What is recorded of some chains; those of which nothing is any more are left out, but for automatic ones."""
        catalogue = self.store.catalogue
        looks = await catalogue.look([key for _, key in rows])
        tasks = list(dict.fromkeys(task for task, _ in rows))
        workers = dict(zip(tasks, await catalogue.knowing(tasks), strict=True))
        paused = await self.store.pauses.names() if rows else frozenset[str]()
        found: list[TaskSchedule] = []
        for (task, key), look in zip(rows, looks, strict=True):
            recurrence = recurring[task]
            is_its_own = look.record is not None and look.record.function == task
            if not is_its_own:
                if not recurrence.automatic or key != task:
                    continue
                look = ChainLook(None, is_live=False)
            is_paused = is_among(task, paused)
            found.append(_schedule(self.keys, (task, key), recurrence, look, (workers[task], is_paused)))
        return found

    async def _not_begun(
        self, recurring: Mapping[str, Recurrence], part: str, limit: int, place: str
    ) -> SchedulePage:
        """Chains on the queues that are no rows: most of them wait for their first run."""

        def wanted(task: str, key: str) -> bool:
            known = recurring.get(task)
            return known is not None and not (known.automatic and key == task) and _has(part, task, key)

        listed = await self.store.listing.queued(wanted, limit, LOOKED_AT, place)
        messages = [entry.message for entry in listed.entries if ONCE not in entry.message.extra]
        tasks = list(dict.fromkeys(message.function for message in messages))
        known = dict(zip(tasks, map(set, await self.store.catalogue.chains(tasks)), strict=True))
        rows = [
            (message.function, message.key)
            for message in messages
            if message.key not in known[message.function]
        ]
        return SchedulePage(
            schedules=await self._look(rows, recurring),
            after=None if listed.after is None else f"{_NOT_BEGUN}{listed.after}",
            looked_at=listed.looked_at,
        )


def _schedule(
    keys: Keys,
    row: tuple[str, str],
    recurrence: Recurrence,
    look: ChainLook,
    of_task: tuple[int, bool],
) -> TaskSchedule:
    record = look.record or Record(state=ExecutionState.SCHEDULED)
    state = None if look.record is None else record.state
    waits, ended = state in WAITING, state in FINAL
    last = record.last
    workers, paused = of_task
    return TaskSchedule(
        task=row[0],
        key=row[1],
        recurrence=recurrence,
        state=state,
        next_run=record.when if waits and look.is_live else None,
        attempt=record.attempt,
        started_at=record.started_at if state is ExecutionState.RUNNING else None,
        worker=record.worker if state is ExecutionState.RUNNING else None,
        last_state=state if ended else None if last is None else last.state,
        last_ended=record.completed_at if ended else None if last is None else last.completed_at,
        last_error=record.error or record.tried or (None if last is None else last.error),
        workers=workers,
        paused=paused,
        waits_for=waits_for(keys, record.row),
        is_live=look.is_live,
    )


def _counted(workers: Iterable[WorkerInfo]) -> dict[str, int]:
    return Counter(name for worker in workers for name in worker.tasks)


def _part(contains: object) -> str:
    if contains is not None and not isinstance(contains, str):
        raise TypeError(f"contains takes a part of a name, not {type(contains).__name__}")
    return (contains or "").casefold()


def _has(part: str, task: str, key: str) -> bool:
    return part in task.casefold() or part in key.casefold()


def _checked_place(after: object) -> str:
    if after is not None and not isinstance(after, str):
        raise UsageError(f"after takes what the page before has there, not {spelled(after)}")
    return after or ""


def _place_of(task: str, key: str) -> str:
    return f"t:{quote(task, safe='')}:{quote(key, safe='')}"


def _read_place(place: str) -> tuple[str, str]:
    """Raises: UsageError - it is no place in the list of schedules."""
    if not place:
        return "", ""
    found = _PLACE.fullmatch(place)
    if found is None:
        raise UsageError(f"{place!r} is no place in a list: take it from the page before")
    task, key = map(unquote, found.groups())
    return task, key


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else read_epoch(seconds)

"""How runs have ended: single ones, and what each minute or hour saw."""

from __future__ import annotations

import abc
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Literal

import attrs

from .. import clock
from ..client import TaskFunction
from ..errors import UsageError
from ..moments import check_duration, check_moment
from ..numbers import check_whole
from ..rules import ExecutionState, Priority
from ..store import BOUNDS, STATES, Depth, DocketStore, EndState, Row, RunCounts
from ..text import text_of
from ..values import frozen
from .named import asked_task

__all__ = ["HISTORY_KEPT", "HISTORY_TTL", "Depth", "DocketHistory", "Ended", "Interval", "latest_first"]

HISTORY_TTL, HISTORY_KEPT = timedelta(days=7), 1000
"""How long rows of ended runs are kept, and how many of each task, where nobody says anything."""

#: How many rows one call of `history` returns at most.
MOST = 1000

#: How many tasks one call of `busiest` returns at most.
MOST_BUSY = 100

#: How many tasks are read in one round trip.
AT_ONCE = 20

#: Clocks of workers and of the server differ by less, and a row is written so soon: rows are in order but for that.
SLACK = 60.0

#: Within these each minute, and each hour, has figures.
LONGEST_SINCE = {"minute": timedelta(hours=24), "hour": timedelta(days=31)}

_LEVELS = {level.value: level for level in Priority}

_EPOCH = datetime.fromtimestamp(0, UTC)


def _moment(seconds: float) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)


@frozen(kw_only=True)
class Ended:
    """How one run ended. ``state`` is "completed", "failed", "retried" (it failed, and another attempt followed) or
    "cancelled"; ``late`` is how long after it was due it began.

    Where many runs of a task end at about the same time only some of them have a row: ``left_out`` is how many others
    ended in the same state at about that moment.
    """

    key: str
    function: str
    state: EndState
    attempt: int
    generation: int
    started_at: datetime
    """When a worker took it."""
    ran: timedelta | None
    """How long it ran; None where it did not begin."""
    late: timedelta
    worker: str
    error: str | None
    """The beginning of what went wrong."""
    priority: Priority = Priority.NORMAL
    """The level at which it waited."""
    took_turns: str | None = None
    """The row of those with which it took turns, as in ``tenant:acme``, where its task has a `FairShare`."""
    left_out: int = 0
    id: str = attrs.field(default="", repr=False)
    """Where it stands in the history of its task."""

    @property
    def waited(self) -> str:
        """How it waited, in words: its level where that is not normal, and with whom it took turns."""
        level = "" if self.priority is Priority.NORMAL else self.priority.value
        return ", ".join(part for part in (level, self.took_turns) if part)

    @property
    def ended_at(self) -> datetime:
        return self.started_at + (self.ran or timedelta(0))

    @classmethod
    def of(cls, function: str, row: Row) -> Ended:
        level, _, turns = row.waited.partition(" ")
        return cls(
            key=row.key,
            function=function,
            state=row.state,
            attempt=row.attempt,
            generation=row.generation,
            started_at=_moment(row.started),
            ran=None if row.ran is None else timedelta(seconds=row.ran),
            late=timedelta(seconds=row.late),
            worker=row.worker,
            error=row.error or None,
            priority=_LEVELS.get(level, Priority.NORMAL),
            took_turns=turns or None,
            left_out=row.left_out,
            id=row.id,
        )


def latest_first(rows: Iterable[Ended]) -> list[Ended]:
    """Rows in the order of their ends: workers write some at a time, so they are kept in about that order only."""
    return sorted(rows, key=lambda row: row.ended_at, reverse=True)


@frozen(kw_only=True)
class Interval:
    """What a minute or an hour saw: how many runs ended in which state, how long they ``ran`` and how ``late`` they
    began, on average."""

    at: datetime
    """When it began."""
    completed: int
    failed: int
    retried: int
    cancelled: int
    ran: timedelta
    late: timedelta
    histogram: tuple[int, ...] = attrs.field(default=(0,) * 12, repr=False)
    """How many ran up to 1, 4, 16, 64, 256 ms, 1, 4, 16, 66, 262, 1049 s, and longer."""

    @classmethod
    def of(cls, at: float, counts: RunCounts) -> Interval:
        """What was counted in the interval that began ``at`` (epoch seconds)."""
        runs = max(1, sum(counts.parts))
        completed, failed, retried, cancelled = counts.states
        return cls(
            at=_moment(at),
            completed=completed,
            failed=failed,
            retried=retried,
            cancelled=cancelled,
            ran=timedelta(seconds=counts.ran / runs),
            late=timedelta(seconds=counts.late / runs),
            histogram=tuple(counts.parts),
        )

    @property
    def ended(self) -> int:
        """How many runs ended, in whichever state."""
        return self.completed + self.failed + self.retried + self.cancelled

    def percentile(self, part: float) -> timedelta:
        """An estimate of how long the quickest ``part`` (from 0 to 1) of the runs took at most: within a factor of 4.

        Zero where none ran. Raises: UsageError (a ValueError) - a part that is none.
        """
        return percentile(self.histogram, part)


def percentile(histogram: Sequence[int], part: float) -> timedelta:
    """As `Interval.percentile`, of any sums of histograms."""
    if not 0 <= part <= 1:
        raise UsageError(f"a percentile takes a part from 0 to 1, not {text_of(part, repr)}")
    sums = list(accumulate(histogram))
    if not sums or not sums[-1]:
        return timedelta(0)
    wanted = max(part * sums[-1], 1e-9)
    at = bisect_left(sums, wanted)
    top = BOUNDS[at] if at < len(BOUNDS) else BOUNDS[-1] * 4
    within = (wanted - (sums[at] - histogram[at])) / histogram[at]
    return timedelta(seconds=top / 4 * 4**within)  # even in the logarithm


@frozen
class _Wanted:
    """Which rows somebody asks for."""

    key: str | None
    state: str | None
    since: float
    until: float

    def has(self, row: Row) -> bool:
        if (self.key is not None and row.key != self.key) or (
            self.state is not None and row.state != self.state
        ):
            return False
        return self.since <= row.started + (row.ran or 0.0) < self.until

    def is_over(self, rows: Sequence[Row]) -> bool:
        """Whether nothing behind these rows, the latest first, can be wanted."""
        return bool(rows) and _place(rows[-1].id)[0] / 1e3 < self.since - SLACK


def _place(row_id: str) -> tuple[int, int]:
    ms, _, number = row_id.partition("-")
    return int(ms), int(number or 0)


def _place_of(ended: Ended) -> tuple[tuple[int, int], str]:
    """The order of the history: the latest is the greatest."""
    return _place(ended.id), ended.function


class DocketHistory(abc.ABC):
    """What a `Docket` says about runs that have ended."""

    @property
    @abc.abstractmethod
    def store(self) -> DocketStore: ...

    async def history(
        self,
        task: TaskFunction | str | None = None,
        *,
        key: str | None = None,
        state: ExecutionState | str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        before: Ended | None = None,
    ) -> list[Ended]:
        """How runs have ended, the latest first: of a task, or of all; of one ``key``; in one ``state`` ("completed",
        "failed", "retried", "cancelled"); ``since`` a moment and before ``until``.

        At most ``limit`` (1 to 1000), and only those after ``before``, the last one of the page before. They come in
        about that order, that in which workers have written them; `latest_first` sorts them. The last two seconds may
        be missing, and only the latest ``history_kept`` of each task are there, for ``history_ttl``. Without a task,
        ``key`` is looked for in that of its record, or else in all.

        Raises: UsageError (a ValueError) - a naive moment, a limit out of range, a state or a name that is none;
        TypeError; RedisError.
        """
        check_whole("limit", limit, most=MOST)
        wanted = _Wanted(
            _checked_key(key),
            _checked_state(state),
            check_moment("since", since).timestamp() if since is not None else float("-inf"),
            check_moment("until", until).timestamp() if until is not None else float("inf"),
        )
        named = asked_task(task)
        if named is None and key is not None:
            record, _ = await self.store.records.read(key)
            named = None if record is None else record.function
        if named is not None:
            names = {named: float("inf")}
        else:
            names = await self.store.ledger.tasks()
        return await self._latest(names, wanted, limit, before)

    async def _latest(
        self, names: dict[str, float], wanted: _Wanted, limit: int, before: Ended | None
    ) -> list[Ended]:
        """``names`` are tasks with the moments of their last rows, the latest first."""
        found = list[Ended]()
        left = list(names)
        while left:
            some, left = left[:AT_ONCE], left[AT_ONCE:]
            if len(found) == limit and _place(found[-1].id)[0] / 1e3 > names[some[0]] + SLACK:
                break
            found = sorted(
                [*found, *await self._of_tasks(some, wanted, limit, before)], key=_place_of, reverse=True
            )
            del found[limit:]
        return found

    async def _of_tasks(
        self, names: Iterable[str], wanted: _Wanted, limit: int, before: Ended | None
    ) -> list[Ended]:
        """The latest rows of each of some tasks."""
        is_any = wanted.key is wanted.state is None and wanted.until == float("inf")
        count = limit if is_any else MOST
        starts = {name: _start(name, before) for name in names}
        found: dict[str, list[Ended]] = {name: [] for name in starts}
        while starts:
            pages = await self.store.ledger.pages(starts, count)
            for name, (rows, following) in pages.items():
                found[name] += [Ended.of(name, row) for row in rows if wanted.has(row)]
                if following is None or len(found[name]) >= limit or wanted.is_over(rows):
                    del starts[name]
                else:
                    starts[name] = following
        return [one for ends in found.values() for one in ends[:limit]]

    async def throughput(
        self,
        task: TaskFunction | str | None = None,
        *,
        since: timedelta = timedelta(hours=1),
        per: Literal["minute", "hour"] = "minute",
    ) -> list[Interval]:
        """What each minute or hour saw of a task, or of all tasks together, the earliest first, the present one last.

        ``since`` is up to a day of minutes, or up to 31 days of hours. What workers have written: the last two seconds
        may be missing.
        Raises: UsageError (a ValueError) - a duration out of that range, a name that is none; TypeError; RedisError.
        """
        if per not in LONGEST_SINCE:
            raise UsageError(f'per takes "minute" or "hour", not {text_of(per, repr)}')
        began = _since(since, LONGEST_SINCE[per], f" per {per}")
        named = asked_task(task)
        return [Interval.of(at, counts) for at, counts in await self.store.ledger.counts(named, per, began)]

    async def busiest(self, *, limit: int = 10) -> dict[str, list[Interval]]:
        """The tasks of which most runs ended in the last hour, the busiest first, each with its `throughput`.

        At most ``limit`` (1 to 100) of them. Some ten commands, however many tasks there are.
        Raises: UsageError (a ValueError) - a limit out of range; RedisError.
        """
        check_whole("limit", limit, most=MOST_BUSY)
        found = await self.store.ledger.busiest(limit, clock.timestamp() - 3600)
        return {task: [Interval.of(at, counts) for at, counts in minutes] for task, minutes in found.items()}

    async def depths(self, *, since: timedelta = timedelta(hours=1)) -> list[Depth]:
        """How many tasks were due, waited for later and ran, the earliest first: once in each minute.

        In minutes in which a worker lived; on memory:// in those in which a run ended. ``since`` is up to a day.
        Raises: UsageError (a ValueError) - a duration out of that range; RedisError.
        """
        return await self.store.ledger.depths(_since(since, LONGEST_SINCE["minute"]))


def _since(since: timedelta, longest: timedelta, which: str = "") -> float:
    """When a duration that ends now began. Raises: UsageError, TypeError."""
    if check_duration("since", since, positive=True) > longest:
        raise UsageError(f"since takes a duration up to {longest}{which}, not {since}")
    return clock.timestamp() - since.total_seconds()


def _start(name: str, before: Ended | None) -> str:
    """Where the rows of a task begin that come after ``before``, which may be of another task."""
    if before is None:
        return "+"
    return before.id if name < before.function else f"({before.id}"


def _checked_key(key: object) -> str | None:
    if key is not None and not isinstance(key, str):
        raise TypeError(f"key takes a string, not {type(key).__name__}: {text_of(key, repr)}")
    return key


def _checked_state(state: object) -> str | None:
    if state is None:
        return None
    named = state.value if isinstance(state, ExecutionState) else state
    if named not in STATES:
        raise UsageError(
            f"runs end as {', '.join(STATES[:-1])} or {STATES[-1]}, not as {text_of(named, repr)}"
        )
    return str(named)

"""The worker's ledger: keeps how runs have ended for a moment, and writes that in batches.

The end of a run costs one append. What is to be counted and written is made of many at once, in `run`.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TypeAlias
from uuid import uuid4

import anyio
import attrs

from ... import clock
from ...notification import Notification
from ...rules import (
    Abandon,
    AwaitSlot,
    AwaitTurn,
    Complete,
    Defer,
    Fail,
    HandBack,
    PassOn,
    Raised,
    Reschedule,
    Returned,
)
from ...standins import redis_errors
from ...store import (
    ALL_TASKS,
    BOUNDS,
    CHAINS_AT_ONCE,
    LONGEST_KEY,
    STATES,
    Again,
    EndState,
    Expired,
    Message,
    RunCounts,
    Settled,
    TaskEnds,
    Unreadable,
    row_text,
    waited_as,
    why_expired,
)
from ...store import Ledger as Store
from ...text import class_name, class_path, error_text, text_of
from ...transport import is_outage
from ...values import define
from ..roster import End, Running

__all__ = ["Ledger", "in_batches", "task_ends"]

logger = logging.getLogger("docket.worker")

COMPLETED, FAILED, RETRIED, CANCELLED = STATES

#: How many seconds the first row waits for others, and how many rows end that wait.
WAIT_SECONDS, FULL = 2.0, 1000

#: Rows that wait while Redis is away; then the oldest go.
MOST_WAITING = 10_000

#: Of each task and batch so many runs have rows that ended in the same state: the first and the last of them. Of so
#: many it is asked how late they began.
ROWS = 20

#: Tasks and rows in one script: they keep the server for some milliseconds.
TASKS_AT_ONCE, ROWS_AT_ONCE = 20, 400

#: Of so many keys that hold something else a worker warns.
MOST_WARNINGS = 100

#: How many seconds the last rows of a worker that ends may take.
LAST_SECONDS = 1.0

Noted: TypeAlias = (
    "tuple[str, EndState, float | None, datetime | None, datetime, str, int, int, str | None, str]"
)
"""What is kept of a run: its task, how it ended, for how many seconds it ran, when it began, when it was due, its key,
generation, attempt and error, and where it has waited. No more, since more would keep its arguments."""

_OK = Settled.OK
_SILENT = Abandon, AwaitSlot, AwaitTurn, Defer, HandBack, PassOn
_NEVER = timedelta(0)


@define(eq=False)
class Ledger:
    """The ended runs of one worker that are not written yet.

    It is a service: it ends no worker, and no run waits for it. While Redis is away rows wait, at most `MOST_WAITING`.
    A server that refuses to take them switches it off, with a warning.
    """

    store: Store
    worker: str
    _noted: deque[Noted] = attrs.field(init=False, factory=lambda: deque[Noted](maxlen=MOST_WAITING))
    _wakes_at: int = attrs.field(init=False, default=1)
    """So many rows wake the loop: the first, or those that fill a batch."""
    _chains: dict[str, dict[str, None]] = attrs.field(init=False, factory=dict[str, dict[str, None]])
    """By task, the keys of perpetual runs that ended and are followed by another, the latest last."""
    _woken: Notification = attrs.field(init=False, factory=Notification)
    _is_off: bool = attrs.field(init=False)
    _batches: deque[tuple[str, float, list[TaskEnds]]] = attrs.field(
        init=False, factory=deque[tuple[str, float, list[TaskEnds]]]
    )
    """What is to be written: the name of each batch, when it was made, and what is in it."""
    _name: str = attrs.field(init=False, factory=lambda: uuid4().hex[:12])
    _made: int = attrs.field(init=False, default=0)
    _warned_of: set[str] = attrs.field(init=False, factory=set[str])
    """The keys that are said to hold something else."""

    def __attrs_post_init__(self) -> None:
        self._is_off = not self.store.is_on

    # the settle path --------------------------------------------------------------------------------------

    def note(self, running: Running, end: End, settled: Settled) -> None:
        """Keep how a run ended, once that is written."""
        if settled is not _OK or self._is_off:
            return
        if type(end.verdict) is Complete:
            state, error = COMPLETED, None
        elif isinstance(end.verdict, _SILENT):
            return
        else:
            state, error = _state_of(running, end)
            if state is not RETRIED and isinstance(end.verdict, Reschedule):
                self._note_chain(running.delivery.message)
        message, noted = running.delivery.message, self._noted
        noted.append(
            (
                message.function, state, end.seconds, running.execution.started_at, message.when, message.key,
                message.generation, message.attempt, error, waited_as(message.extra) if message.extra else "",
            )
        )  # fmt: skip
        if len(noted) == self._wakes_at:
            self._woken.notify()

    def _note_chain(self, message: Message) -> None:
        """Keep that another run follows under a key, of a bounded number of them."""
        if len(message.key) > LONGEST_KEY:
            return
        keys = self._chains.setdefault(message.function, {})
        keys.pop(message.key, None)
        keys[message.key] = None
        if len(keys) > CHAINS_AT_ONCE:
            del keys[next(iter(keys))]

    def note_dead(self, unreadable: Unreadable) -> None:
        """Keep that a delivery which cannot be read was set aside, as a run that failed."""
        key = unreadable.key or ""
        key = key.decode(errors="backslashreplace") if isinstance(key, bytes) else key
        if unreadable.task and not self._is_off:
            why = f"{class_path(unreadable.reason)}: {text_of(unreadable.reason)}"
            self._noted.append(
                (unreadable.task, FAILED, None, None, clock.now(), key, unreadable.generation, 1, why, "")
            )
            self._woken.notify()

    def note_expired(self, expired: Expired) -> None:
        """Keep that a task was cancelled as it waited, since it had not begun in time."""
        if expired.task and not self._is_off:
            due, why = expired.when or expired.moment, why_expired(expired.moment)
            self._noted.append(
                (
                    expired.task,
                    CANCELLED,
                    None,
                    expired.moment,
                    due,
                    expired.key,
                    expired.generation,
                    1,
                    why,
                    "",
                )
            )
            self._woken.notify()

    # writing -----------------------------------------------------------------------------------------------

    async def run(self, answered: Callable[[], None]) -> None:
        """Write what has ended, until cancelled or until Redis is lost. There is no timer while nothing has ended."""
        while not self._is_off:
            await self._write(answered)
            await self._wait_for(1)
            with anyio.move_on_after(WAIT_SECONDS):
                await self._wait_for(FULL)
            self._gather()
        await clock.wait_for_ever()

    async def write_last(self) -> None:
        """Write what is left of a worker that ends. A server that does not answer at once gets nothing."""
        with anyio.move_on_after(LAST_SECONDS):
            try:
                self._gather()
                await self._write(lambda: None)
            except redis_errors.RedisError as error:
                logger.debug("The last runs of worker %s are not in the history: %s", self.worker, error)

    async def _wait_for(self, rows: int) -> None:
        self._wakes_at = rows
        while len(self._noted) < rows:
            await self._woken.wait()

    async def _write(self, answered: Callable[[], None]) -> None:
        while self._batches:
            name, at, tasks = self._batches[0]
            try:
                wrong = await self.store.write(self.worker, name, tasks, at)
            except redis_errors.RedisError as error:
                if is_outage(error):
                    raise
                self._switch_off(f"Redis refuses it: {error}")
            else:
                answered()
                self._batches.popleft()
                self._warn_of(wrong)

    def _warn_of(self, wrong: Iterable[tuple[str, str]]) -> None:
        """Say once of each key that it is misused: what it would have kept of that task is lost, and nothing else."""
        for task, key in wrong:
            if key not in self._warned_of and len(self._warned_of) < MOST_WARNINGS:
                self._warned_of.add(key)
                whose = "all tasks" if task == ALL_TASKS else f"task {task!r}"
                logger.warning(
                    "Worker %r cannot write all of the history of %s: the key %r holds something else; remove it",
                    self.worker,
                    whose,
                    key,
                )

    def _switch_off(self, why: str) -> None:
        self._is_off = True
        self._noted.clear()
        self._chains.clear()
        self._batches.clear()
        logger.warning("Worker %r keeps no history of its runs from now on: %s", self.worker, why)

    def _gather(self) -> None:
        """Make batches of all that has ended."""
        noted, chains = list(self._noted), self._chains
        self._noted.clear()
        if not noted:
            return
        self._chains = {}
        now = clock.timestamp()
        try:
            ends = task_ends(noted, self.worker, now, rows=self.store.kept > 0)
            for task in ends:
                task.chains = [*chains.get(task.task, ())]
            for tasks in in_batches(ends):
                self._made += 1
                self._batches.append((f"{self._name}:{self._made}", now, tasks))
        except Exception as error:  # of ours: no history is worth a worker
            logger.exception("Worker %r could not count its runs", self.worker)
            self._switch_off(error_text(error))


def _state_of(running: Running, end: End) -> tuple[EndState, str | None]:
    """How a run that did not simply complete ended, and with which error."""
    verdict, error = end.verdict, _error_of(end)
    if isinstance(verdict, Reschedule):
        if verdict.retries(running.delivery.message.attempt):
            return RETRIED, error
        if isinstance(end.outcome, Returned):
            return COMPLETED, None
        return (FAILED if isinstance(end.outcome, Raised) else CANCELLED), error
    return (FAILED if isinstance(verdict, Fail) else CANCELLED), error


def _error_of(end: End) -> str | None:
    """The error as a record has it, with the module of its class: other modules may have one of that name."""
    written = end.ended
    ended = written.ended if isinstance(written, Again) else written
    text = (isinstance(written, Again) and written.tried) or (ended and ended.error)
    if text and isinstance(end.outcome, Raised):
        name = f"{class_name(end.outcome.error)}:"
        if text.startswith(name):
            return f"{class_path(end.outcome.error)}:{text[len(name) :]}"
    return text or None


# from single runs to what is written of them: as few steps for each as can be ---------------------------------


def task_ends(noted: Sequence[Noted], worker: str, at: float, *, rows: bool) -> list[TaskEnds]:
    """What is written of some runs: by task, and of all of them. ``rows``: whether single runs have rows."""
    tasks: dict[str, tuple[list[tuple[float, str]], dict[int, RunCounts]]] = {}
    everything: dict[int, RunCounts] = {}
    for (task, state), ends in _grouped(noted).items():
        kept, counts = tasks.setdefault(task, ([], {}))
        if rows:
            kept += _rows(ends, worker)
        for minute, seen in _counted(state, ends).items():
            counts.setdefault(minute, RunCounts()).add(seen)
            everything.setdefault(minute, RunCounts()).add(seen)
    found = [
        TaskEnds(task, at, [text for _, text in sorted(kept)], counts)
        for task, (kept, counts) in tasks.items()
    ]
    return [*found, TaskEnds(ALL_TASKS, at, [], everything)]


def in_batches(tasks: Iterable[TaskEnds]) -> Iterator[list[TaskEnds]]:
    """Parts of what is to be written, each small enough for one step of the server."""
    batch, rows = list[TaskEnds](), 0
    for task in tasks:
        more = len(task.rows) + len(task.chains)
        if batch and (len(batch) == TASKS_AT_ONCE or rows + more > ROWS_AT_ONCE):
            yield batch
            batch, rows = [], 0
        batch.append(task)
        rows += more
    yield batch


def _grouped(noted: Sequence[Noted]) -> Mapping[tuple[str, EndState], Sequence[Noted]]:
    """The runs of each task that ended in the same state."""
    task, state, *_ = noted[0]
    if len(set(map(itemgetter(0), noted))) == len(set(map(itemgetter(1), noted))) == 1:
        return {(task, state): noted}
    groups: dict[tuple[str, EndState], list[Noted]] = {}
    for one in noted:
        groups.setdefault((one[0], one[1]), []).append(one)
    return groups


def _rows(ends: Sequence[Noted], worker: str) -> list[tuple[float, str]]:
    """The rows of runs of a task that ended in the same state, and when they did: of the first ones and the last."""
    left_out = max(0, len(ends) - ROWS)
    some = [*ends[: ROWS // 2], *ends[len(ends) - ROWS // 2 :]] if left_out else ends
    rows = [_row(end, worker) for end in some[:-1]]
    return [*rows, _row(some[-1], worker, left_out)]


def _row(end: Noted, worker: str, left_out: int = 0) -> tuple[float, str]:
    _, state, ran, started, when, key, generation, attempt, error, waited = end
    due = when.timestamp()
    began = due if started is None else started.timestamp()
    times = began, ran, max(0.0, began - due)
    text = row_text(state, (generation, attempt), times, left_out, worker, key, error or "", waited)
    return began + (ran or 0.0), text


def _counted(state: EndState, ends: Sequence[Noted]) -> dict[int, RunCounts]:
    """What each minute, by its number since the epoch, saw of runs of a task that ended in the same state."""
    seconds = list(map(itemgetter(2), ends))
    ran = sorted(seconds if None not in seconds else (each for each in seconds if each is not None))
    starts = set(map(itemgetter(3), ends))  # what was taken together has one
    if None not in starts:
        first, last = min(starts).timestamp(), max(starts).timestamp() + (ran[-1] if ran else 0.0)
        if first // 60 == last // 60:
            return {int(first // 60): _counts(state, ends, ran)}
    by_minute: dict[int, list[Noted]] = {}
    for end in ends:
        ended = (end[3] or end[4]).timestamp() + (end[2] or 0.0)
        by_minute.setdefault(int(ended // 60), []).append(end)
    if len(by_minute) == 1:
        return {minute: _counts(state, ends, ran) for minute in by_minute}
    return {minute: counts for minute, some in by_minute.items() for counts in _counted(state, some).values()}


def _counts(state: EndState, ends: Sequence[Noted], ran: Sequence[float]) -> RunCounts:
    """``ran`` are the seconds for which they ran, the shortest first."""
    counts = RunCounts()
    counts.states[STATES.index(state)] = len(ends)
    if ran:
        asked = ends[:: -(-len(ends) // ROWS)]
        late = sum((max(_NEVER, (end[3] or end[4]) - end[4]) for end in asked), _NEVER)
        counts.late = late.total_seconds() / len(asked) * len(ran)
        counts.ran = sum(ran)
        up_to = [*(bisect_right(ran, bound) for bound in BOUNDS), len(ran)]
        counts.parts = [count - before for count, before in zip(up_to, [0, *up_to], strict=False)]
    return counts

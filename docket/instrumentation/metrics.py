"""The counters, histograms and gauges, and what makes them count. Names and labels are those of pydocket's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Generic, TypeAlias, TypeVar

from opentelemetry import metrics

from ..signals import Labels, Subscriber

__all__ = [
    "CACHE_SIZE",
    "FAILURES_KEPT",
    "LEVEL_DEPTH",
    "LIMIT_WAITERS",
    "PAUSES_IN_EFFECT",
    "PAYLOADS_UNSIGNED",
    "PAYLOADS_UNTRUSTED",
    "QUEUE_DEPTH",
    "REDIS_DISRUPTIONS",
    "SCHEDULE_DEPTH",
    "STRIKES_IN_EFFECT",
    "TASKS_ADDED",
    "TASKS_CANCELLED",
    "TASKS_COMPLETED",
    "TASKS_FAILED",
    "TASKS_PERPETUATED",
    "TASKS_REDELIVERED",
    "TASKS_REPLACED",
    "TASKS_RETRIED",
    "TASKS_RUNNING",
    "TASKS_SCHEDULED",
    "TASKS_STARTED",
    "TASKS_STRICKEN",
    "TASKS_SUCCEEDED",
    "TASKS_SUPERSEDED",
    "TASK_DURATION",
    "TASK_PUNCTUALITY",
    "UNSERVED_DEPTH",
    "Metrics",
    "meter",
]

meter: metrics.Meter = metrics.get_meter("docket")

TASKS_ADDED = meter.create_counter(
    "docket_tasks_added", description="How many tasks added to the docket", unit="1"
)
TASKS_REPLACED = meter.create_counter(
    "docket_tasks_replaced", description="How many tasks replaced on the docket", unit="1"
)
TASKS_SCHEDULED = meter.create_counter(
    "docket_tasks_scheduled", description="How many tasks added or replaced on the docket", unit="1"
)
TASKS_CANCELLED = meter.create_counter(
    "docket_tasks_cancelled", description="How many tasks cancelled from the docket", unit="1"
)
TASKS_STARTED = meter.create_counter("docket_tasks_started", description="How many tasks started", unit="1")
TASKS_REDELIVERED = meter.create_counter(
    "docket_tasks_redelivered",
    description="How many tasks started that were redelivered from another worker",
    unit="1",
)
TASKS_STRICKEN = meter.create_counter(
    "docket_tasks_stricken", description="How many tasks have been stricken from executing", unit="1"
)
TASKS_EXPIRED = meter.create_counter(
    "docket_tasks_expired",
    description="How many tasks were cancelled since they had not begun in time",
    unit="1",
)
TASKS_SUPERSEDED = meter.create_counter(
    "docket_tasks_superseded",
    description="How many tasks were superseded by a newer schedule before execution",
    unit="1",
)
TASKS_COMPLETED = meter.create_counter(
    "docket_tasks_completed", description="How many tasks that have completed in any state", unit="1"
)
TASKS_FAILED = meter.create_counter(
    "docket_tasks_failed", description="How many tasks that have failed", unit="1"
)
TASKS_SUCCEEDED = meter.create_counter(
    "docket_tasks_succeeded", description="How many tasks that have succeeded", unit="1"
)
TASKS_RETRIED = meter.create_counter(
    "docket_tasks_retried", description="How many tasks that have been retried", unit="1"
)
TASKS_PERPETUATED = meter.create_counter(
    "docket_tasks_perpetuated", description="How many tasks that have been self-perpetuated", unit="1"
)
#: In seconds, from 5 ms to 10 min. The usual ones are for milliseconds: nearly all runs would be in the first.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)

TASK_DURATION = meter.create_histogram(
    "docket_task_duration",
    description="How long tasks take to complete",
    unit="s",
    explicit_bucket_boundaries_advisory=BUCKETS,
)
TASK_PUNCTUALITY = meter.create_histogram(
    "docket_task_punctuality",
    description="How close a task was to its scheduled time",
    unit="s",
    explicit_bucket_boundaries_advisory=BUCKETS,
)
TASKS_RUNNING = meter.create_up_down_counter(
    "docket_tasks_running", description="How many tasks that are currently running", unit="1"
)
TASKS_WAITING = meter.create_up_down_counter(
    "docket_tasks_waiting",
    description="How many of the tasks that are running only wait for other tasks",
    unit="1",
)
REDIS_DISRUPTIONS = meter.create_counter(
    "docket_redis_disruptions",
    description="How many times Redis dropped, timed out, or refused a command that the worker then retried",
    unit="1",
)
PAYLOADS_UNSIGNED = meter.create_counter(
    "docket_payloads_unsigned",
    description="How many arguments, results and strikes were accepted without a signature",
    unit="1",
)
PAYLOADS_UNTRUSTED = meter.create_counter(
    "docket_payloads_untrusted",
    description="How many arguments, results and strikes were refused, since nobody known had signed them",
    unit="1",
)
STRIKES_IN_EFFECT = meter.create_up_down_counter(
    "docket_strikes_in_effect", description="How many strikes are currently in effect", unit="1"
)

#: Limits with a series of their own for each docket: those with most waiters. The others share one.
MOST_LIMITS = 50

T = TypeVar("T")

Row: TypeAlias = "tuple[int, Mapping[str, str]]"
"""A number, and the labels that it has besides the docket's."""


class _Latest(Generic[T]):
    """What is known of each docket. Read as metrics are collected: what nobody measures any more has no series."""

    def __init__(self, rows: Callable[[T], Iterable[Row]]) -> None:
        self._rows, self._by_docket = rows, dict[str, T]()

    def keep(self, docket: str, known: T) -> None:
        self._by_docket[docket] = known

    def drop(self, docket: str) -> None:
        self._by_docket.pop(docket, None)

    def observe(self, options: metrics.CallbackOptions) -> Iterator[metrics.Observation]:
        for docket, known in self._by_docket.copy().items():
            for number, labels in self._rows(known):
                yield metrics.Observation(number, {"docket.name": docket, **labels})


def _number(number: int) -> Iterator[Row]:
    yield number, {}


def _limits(waiting: Mapping[str, int]) -> Iterator[Row]:
    """Of each limit that has waiters; the shorter rows together."""
    rows = sorted(waiting.items(), key=lambda row: (-row[1], row[0]))
    rest = sum(count for _, count in rows[MOST_LIMITS:])
    for limit, count in (*rows[:MOST_LIMITS], *((("(others)", rest),) if rest else ())):
        yield count, {"docket.limit": limit}


def _levels(due: Mapping[str, int]) -> Iterator[Row]:
    for level, count in due.items():
        yield count, {"docket.priority": level}


def _tasks(names: Collection[str]) -> Iterator[Row]:
    for task in names:
        yield 1, {"docket.task": task}


DUE, LATER, FAILED = _Latest(_number), _Latest(_number), _Latest(_number)
WAITERS, PAUSED = _Latest(_limits), _Latest(_tasks)
OF_LEVELS, UNSERVED = _Latest(_levels), _Latest(_levels)
QUEUE_DEPTH = meter.create_observable_gauge(
    "docket_queue_depth", [DUE.observe], description="How many tasks are due to be executed now", unit="1"
)
LEVEL_DEPTH = meter.create_observable_gauge(
    "docket_level_depth",
    [OF_LEVELS.observe],
    description="How many of the tasks that are due have this level, where there are others than normal",
    unit="1",
)
UNSERVED_DEPTH = meter.create_observable_gauge(
    "docket_unserved_depth",
    [UNSERVED.observe],
    description="How many tasks are due of a level that no live worker serves",
    unit="1",
)
SCHEDULE_DEPTH = meter.create_observable_gauge(
    "docket_schedule_depth",
    [LATER.observe],
    description="How many tasks are scheduled to be executed in the future",
    unit="1",
)
LIMIT_WAITERS = meter.create_observable_gauge(
    "docket_limit_waiters",
    [WAITERS.observe],
    description="How many tasks wait for a slot of a concurrency limit",
    unit="1",
)
FAILURES_KEPT = meter.create_observable_gauge(
    "docket_failures_kept",
    [FAILED.observe],
    description="How many keys have a failure that is kept",
    unit="1",
)
PAUSES_IN_EFFECT = meter.create_observable_gauge(
    "docket_pauses_in_effect", [PAUSED.observe], description="Which tasks are paused, * for all", unit="1"
)
CACHE_SIZE = meter.create_gauge("docket_cache_size", description="Size of internal docket caches", unit="1")

#: Tasks of a worker that are shown before they run.
MOST_TASKS = 200


class Metrics(Subscriber):
    """Counts what happens."""

    def __init__(self) -> None:
        #: The same few label sets come again with every task.
        self._of_runs: dict[tuple[str, str, str], Mapping[str, str]] = {}
        self._provided = False

    def wants_runs(self) -> bool:
        """Whether the program has set a meter provider, which it can do once. Libraries load the API in vain."""
        if not self._provided:  # Without one the API has a stand-in, which has no public name.
            self._provided = not type(metrics.get_meter_provider()).__name__.startswith("_Proxy")
        return self._provided

    def _run(self, docket: str, worker: str, task: str) -> Mapping[str, str]:
        labels = self._of_runs.get((docket, worker, task))
        if labels is None:
            labels = {"docket.name": docket, "docket.worker": worker, "docket.task": task}
            self._of_runs[docket, worker, task] = labels
        return labels

    def placed(self, docket: str, task: str, *, replacing: bool, disposition: str) -> None:
        labels = {"docket.name": docket, "docket.task": task}
        if disposition == "struck":
            TASKS_STRICKEN.add(1, {**labels, "docket.where": "docket"})
            return
        if disposition in ("failed", "superseded"):
            return
        if disposition == "expired":
            TASKS_EXPIRED.add(1, {**labels, "docket.where": "docket"})
        if disposition == "scheduled":
            TASKS_SCHEDULED.add(1, labels)
        if replacing:
            TASKS_REPLACED.add(1, labels)
            TASKS_CANCELLED.add(1, labels)
        else:
            TASKS_ADDED.add(1, labels)

    def cancelled(self, docket: str, count: int) -> None:
        TASKS_CANCELLED.add(count, {"docket.name": docket})

    def stricken(self, docket: str, worker: str, task: str) -> None:
        TASKS_STRICKEN.add(1, {**self._run(docket, worker, task), "docket.where": "worker"})

    def expired(self, docket: str, worker: str, task: str) -> None:
        TASKS_EXPIRED.add(1, {**self._run(docket, worker, task), "docket.where": "worker"})

    def superseded(self, docket: str, worker: str, task: str) -> None:
        TASKS_SUPERSEDED.add(1, {**self._run(docket, worker, task), "docket.where": "worker"})

    def worker_began(self, docket: str, worker: str, tasks: Collection[str]) -> None:
        """Show zeros: what first appears with a one has not increased, for those who ask by how much it has."""
        if not self.wants_runs():
            return
        REDIS_DISRUPTIONS.add(0, {"docket.name": docket, "docket.worker": worker})
        for task in sorted(tasks)[:MOST_TASKS]:
            for counter in TASKS_STARTED, TASKS_REDELIVERED, TASKS_COMPLETED, TASKS_FAILED, TASKS_RUNNING:
                counter.add(0, self._run(docket, worker, task))

    def run_started(self, docket: str, worker: str, task: str, *, late: float, redelivered: bool) -> None:
        labels = self._run(docket, worker, task)
        TASKS_STARTED.add(1, labels)
        TASKS_RUNNING.add(1, labels)
        TASK_PUNCTUALITY.record(late, labels)
        if redelivered:
            TASKS_REDELIVERED.add(1, labels)

    def run_ended(
        self, docket: str, worker: str, task: str, *, seconds: float, ended: str, then: str
    ) -> None:
        labels = self._run(docket, worker, task)
        TASKS_RUNNING.add(-1, labels)
        TASKS_COMPLETED.add(1, labels)
        TASK_DURATION.record(seconds, labels)
        if ended == "succeeded":
            TASKS_SUCCEEDED.add(1, labels)
        elif ended == "failed":
            TASKS_FAILED.add(1, labels)
        if then == "retried":
            TASKS_RETRIED.add(1, labels)
        elif then == "perpetuated":
            TASKS_PERPETUATED.add(1, labels)

    def run_waits(self, docket: str, worker: str, task: str, change: int) -> None:
        TASKS_WAITING.add(change, self._run(docket, worker, task))

    def disrupted(self, docket: str, worker: str) -> None:
        REDIS_DISRUPTIONS.add(1, {"docket.name": docket, "docket.worker": worker})

    def unsigned(self, docket: str) -> None:
        PAYLOADS_UNSIGNED.add(1, {"docket.name": docket})

    def untrusted(self, docket: str) -> None:
        PAYLOADS_UNTRUSTED.add(1, {"docket.name": docket})

    def wants_depths(self) -> bool:
        return self.wants_runs()

    def depths(self, docket: str, due: int, later: int) -> None:
        DUE.keep(docket, due)
        LATER.keep(docket, later)

    def levels(self, docket: str, due: Mapping[str, int], unserved: Mapping[str, int]) -> None:
        OF_LEVELS.keep(docket, due)
        UNSERVED.keep(docket, unserved)

    def unmeasured(self, docket: str) -> None:
        for numbers in DUE, LATER, FAILED, PAUSED, OF_LEVELS, UNSERVED:
            numbers.drop(docket)

    def kept(self, docket: str, failed: int, paused: Collection[str]) -> None:
        FAILED.keep(docket, failed)
        PAUSED.keep(docket, paused)

    def waiting(self, docket: str, limits: Mapping[str, int]) -> None:
        WAITERS.keep(docket, limits)

    def strikes(self, labels: Labels, change: int) -> None:
        STRIKES_IN_EFFECT.add(change, labels)

    def cached(self, cache: str, size: int) -> None:
        CACHE_SIZE.set(size, {"cache": cache})

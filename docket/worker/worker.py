"""The worker: its settings, and the ways to run it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import anyio

from ..client import TaskFunction, check_function, check_on_this_loop, storage_at
from ..dependencies import Dependency, FailedDependency, conflicts
from ..docket import Docket
from ..errors import UsageError
from ..moments import DEFAULT_TTL
from ..numbers import spelled
from ..rules import LEVELS, Level, Priority, alone
from ..signals import signals
from ..store import ResultStorage
from ..text import checked_name
from .fallback import Drops, default_fallback_task, function_named
from .runs.hooks import RunHook, checked_hooks
from .session import Session
from .settings import (
    MAX_DELIVERIES,
    MAX_WAITING,
    MESSAGE_BATCH,
    UNKNOWN_TASK_PATIENCE,
    Settings,
    default_name,
)
from .shutdown_signals import stop_on_signals
from .worker_dependencies import dependencies_at, named_dependencies

if TYPE_CHECKING:
    from ..client import SigningKey, SigningMode
    from ..serializers import AnySerializer

__all__ = ["Worker"]

logger = logging.getLogger("docket.worker")


class Worker:
    """Runs the tasks of one docket, up to ``concurrency`` at a time. Durations are timedeltas.

    ``async with Worker(docket)`` may be entered and left in different tasks; everything that runs lives inside the
    ``run_*`` methods (I8). A worker that stops takes nothing new and gives its running tasks ``shutdown_timeout`` to
    finish; those that have not are queued again at once.

    - ``name`` must be the worker's own: by it the server knows which worker holds a task.
    - ``redelivery_timeout``: a task whose worker is gone is redelivered to another one so long after its lease was
      last renewed.
    - ``max_deliveries``: a task for which so many workers died, or lost its lease, fails with DeliveryLimitExceeded.
      If it repeats itself, its next run follows.
    - ``fallback_task`` runs in place of tasks that this docket does not know, with their arguments. Without one such
      tasks are put back for a worker that knows them, with growing pauses, and fail with UnknownTask after
      ``unknown_task_patience``, or at once if this worker runs until finished.
    - ``dependencies`` are resolved for every task that this worker runs, besides the task's own. No parameter receives
      them.
    - ``on_run_ended``: one or several functions, async or plain, that are called with an `EndedRun` for each run that
      has ended here, after that was written. What they raise is logged; after 10 s they are cancelled.
    - ``reconnection_delay`` is the longest pause between two attempts to reach Redis.
    - ``minimum_check_interval``: how often, though at most once a second, `run_until_finished` looks whether workers of
      pydocket's have finished the docket.
    - ``scheduling_resolution``: how often the worker looks for due tasks while clients that announce none use the
      docket.
    - ``max_waiting``: so many tasks may wait for other tasks here, besides the ``concurrency`` that run. One more is
      put off unless it goes on within a second: it begins anew five seconds later.
    - ``parent_task_spans``: the span of a run is a child of the span in which its task was added, not only linked to
      it. None: as the docket says.
    - ``lanes``: the levels that it serves (`Priority`), in any order; it leaves the others to other workers. None: all
      of them.

    Raises: BadSetting (a ValueError) - a setting out of range; TypeError - a dependency or a hook that is none.
    """

    def __init__(
        self,
        docket: Docket,
        name: str | None = None,
        concurrency: int = 10,
        redelivery_timeout: timedelta = timedelta(minutes=5),
        reconnection_delay: timedelta = timedelta(seconds=5),
        minimum_check_interval: timedelta = timedelta(milliseconds=250),
        scheduling_resolution: timedelta = timedelta(milliseconds=250),
        schedule_automatic_tasks: bool = True,
        enable_internal_instrumentation: bool = False,
        fallback_task: TaskFunction | None = None,
        dependencies: Mapping[str, Any] | Sequence[Any] | None = None,
        message_batch: int = MESSAGE_BATCH,
        shutdown_timeout: timedelta = timedelta(seconds=25),
        max_deliveries: int = MAX_DELIVERIES,
        unknown_task_patience: timedelta = UNKNOWN_TASK_PATIENCE,
        parent_task_spans: bool | None = None,
        on_run_ended: RunHook | Sequence[RunHook] | None = None,
        max_waiting: int = MAX_WAITING,
        lanes: Iterable[Level] | None = None,
    ) -> None:
        self._settings = Settings(
            concurrency=concurrency,
            message_batch=message_batch,
            redelivery_timeout=redelivery_timeout,
            reconnection_delay=reconnection_delay,
            minimum_check_interval=minimum_check_interval,
            scheduling_resolution=scheduling_resolution,
            shutdown_timeout=shutdown_timeout,
            schedule_automatic_tasks=schedule_automatic_tasks,
            max_deliveries=max_deliveries,
            unknown_task_patience=unknown_task_patience,
            parent_task_spans=parent_task_spans,
            max_waiting=max_waiting,
            lanes=LEVELS if lanes is None else lanes,
        )
        if fallback_task is not None:
            check_function(fallback_task, "fallback_task")
        self.docket = docket
        self.name = checked_name(name, "the name of a worker") if name else default_name()
        self.concurrency = concurrency
        self.fallback_task: TaskFunction = fallback_task or default_fallback_task
        self.drops = Drops()
        self.enable_internal_instrumentation = enable_internal_instrumentation
        self.dependencies = named_dependencies(dependencies)
        self.on_run_ended = checked_hooks(on_run_ended)
        self._session: Session | None = None

    @property
    def parent_task_spans(self) -> bool:
        """Whether the spans of its runs are children of those in which the tasks were added."""
        own = self._settings.parent_task_spans
        return self.docket.parent_task_spans if own is None else own

    @property
    def message_batch(self) -> int:
        return self._settings.message_batch

    @property
    def redelivery_timeout(self) -> timedelta:
        return self._settings.redelivery_timeout

    @property
    def reconnection_delay(self) -> timedelta:
        return self._settings.reconnection_delay

    @property
    def minimum_check_interval(self) -> timedelta:
        return self._settings.minimum_check_interval

    @property
    def scheduling_resolution(self) -> timedelta:
        return self._settings.scheduling_resolution

    @property
    def shutdown_timeout(self) -> timedelta:
        return self._settings.shutdown_timeout

    @property
    def max_deliveries(self) -> int:
        return self._settings.max_deliveries

    @property
    def unknown_task_patience(self) -> timedelta:
        return self._settings.unknown_task_patience

    @property
    def schedule_automatic_tasks(self) -> bool:
        return self._settings.schedule_automatic_tasks

    @property
    def max_waiting(self) -> int:
        return self._settings.max_waiting

    @property
    def lanes(self) -> tuple[Priority, ...]:
        """The levels that it serves, the first one served first."""
        return self._settings.lanes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    @property
    def workers_set(self) -> str:
        return self.docket.workers_set

    def worker_tasks_set(self, worker_name: str) -> str:
        return self.docket.worker_tasks_set(worker_name)

    def task_workers_set(self, task_name: str) -> str:
        return self.docket.task_workers_set(task_name)

    def validate_task_dependencies(
        self,
        function: TaskFunction,
        arguments: Mapping[str, Any] | None = None,
        annotations: Mapping[str, Sequence[Dependency[Any]]] | None = None,
    ) -> dict[str, FailedDependency]:
        """The dependencies that keep a task from running here, by name.

        Each is of a kind that a call may have only once, and which both the task and this worker have. ``arguments``
        and ``annotations`` are there for callers of pydocket's, and not used.
        """
        return conflicts(function, self.dependencies)

    def labels(self) -> Mapping[str, str]:
        return {"docket.name": self.docket.name, "docket.worker": self.name}

    # running ---------------------------------------------------------------------------------------------

    async def run_forever(self) -> None:
        """Run tasks until `stop` is called. Waits for a Redis that is lost or refuses, also at the start.

        Raises: AuthenticationError - the server wants other credentials, and there is no ``credential_provider`` to ask
        again; ResponseError - a command is not permitted; a bug in docket, unchanged (I7).
        Cancel: drains (for at most ``shutdown_timeout``), then the cancellation comes out (I6). A second
        ``Task.cancel()`` or Ctrl-C meanwhile hands back at once.
        """
        await self._run(Session(self, self._settings))

    async def run_until_finished(self) -> None:
        """Run tasks until nothing waits or runs on the docket, here or elsewhere. Cancel: as `run_forever`."""
        await self._run(Session(self, self._settings, until_finished=True))

    async def run_at_most(self, iterations_by_key: Mapping[str, int]) -> None:
        """Run until finished, each of the given keys at most so many times; what it schedules after that is cancelled.

        For tests of tasks that repeat themselves for ever. A retry counts as a run, and so does a run that a limit
        drops; the last allowed run is final. A task that was to be tried again after it is cancelled.
        Raises: UsageError (a ValueError) - a number of runs that is not a whole number from 0; else as `run_forever`.
        """
        for key, count in iterations_by_key.items():
            if not isinstance(count, int) or count < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
                raise UsageError(f"run_at_most: {key!r} takes a number of runs from 0, not {spelled(count)}")
        await self._run(Session(self, self._settings, until_finished=True, limits=iterations_by_key))

    async def _run(self, session: Session) -> None:
        if self._session is not None:
            raise RuntimeError(f"worker {self.name!r} is already running; one Worker runs once at a time")
        self._session = session
        signals.connect_opentelemetry()
        try:
            await check_on_this_loop(self.docket.store.result_storage)
            await session.run()
        finally:
            self._session = None

    def stop(self) -> None:
        """Begin the drain: take nothing new, and end once the running tasks have. Without effect when not running."""
        if self._session is not None:
            self._session.stop()

    def hand_back(self) -> None:
        """Stop, and queue the running tasks again at once. Without effect when not running."""
        if self._session is not None:
            self._session.hand_back()

    def liveness(self) -> list[str]:
        """Why this worker should be restarted, if it should: its event loop has not answered for half a minute.

        From any thread; in another one than the loop's it waits for the loop's answer, for half a second at most.
        """
        return [] if self._session is None else self._session.health.liveness()

    def readiness(self) -> list[str]:
        """Why this worker takes or finishes no tasks now, if it does not.

        It does not run, or is stopping; Redis is away, or has not answered lately; leases are not renewed; the event
        loop is blocked. From any thread, as `liveness`.
        """
        return ["the worker does not run"] if self._session is None else self._session.health.readiness()

    @classmethod
    async def run(
        cls,
        docket_name: str = "docket",
        url: str = "redis://localhost:6379/0",
        name: str | None = None,
        concurrency: int = 10,
        redelivery_timeout: timedelta = timedelta(minutes=5),
        reconnection_delay: timedelta = timedelta(seconds=5),
        minimum_check_interval: timedelta = timedelta(milliseconds=100),
        scheduling_resolution: timedelta = timedelta(milliseconds=250),
        schedule_automatic_tasks: bool = True,
        enable_internal_instrumentation: bool = False,
        until_finished: bool = False,
        healthcheck_port: int | None = None,
        metrics_port: int | None = None,
        tasks: Sequence[str] = ("docket.tasks:standard_tasks",),
        fallback_task: str | None = None,
        message_batch: int = MESSAGE_BATCH,
        dependencies: Mapping[str, Any] | Sequence[Any] | str | None = None,
        shutdown_timeout: timedelta = timedelta(seconds=25),
        max_deliveries: int = MAX_DELIVERIES,
        unknown_task_patience: timedelta = UNKNOWN_TASK_PATIENCE,
        parent_task_spans: bool | None = None,
        on_run_ended: RunHook | str | Sequence[RunHook | str] | None = None,
        max_waiting: int = MAX_WAITING,
        lanes: Iterable[Level] | None = None,
        *,
        execution_ttl: timedelta | None = DEFAULT_TTL,
        heartbeat_interval: timedelta = timedelta(seconds=2),
        missed_heartbeats: int = 5,
        result_storage: ResultStorage | str | None = None,
        serializer: AnySerializer | None = None,
        accept: Iterable[AnySerializer] | None = None,
        signing_keys: Sequence[SigningKey] | None = None,
        signatures: SigningMode | None = None,
        signature_max_age: timedelta | None = None,
        failure_ttl: timedelta = timedelta(days=7),
        failures_kept: int = 10_000,
        history_ttl: timedelta = timedelta(days=7),
        history_kept: int = 1000,
        healthcheck_host: str = "0.0.0.0",
        metrics_host: str = "0.0.0.0",
    ) -> None:
        """Open a docket, register task collections and run a worker, as the command line does.

        ``tasks`` are ``"module:collection"``, ``fallback_task`` is ``"module:function"``; so may be ``on_run_ended``,
        and ``result_storage`` ``"module:member"``. That and the other settings after the star are those of the docket.
        SIGTERM or SIGINT drains and returns; a second one hands back at once. Health checks and metrics are served
        meanwhile on the hosts and ports that are given (`docket.instrumentation`).
        Raises: BadSetting (PortUnavailable is one), ImportError, AttributeError; else as `run_forever`.
        """
        from ..instrumentation import healthcheck_server, metrics_server  # most workers load no HTTP server

        async with AsyncExitStack() as stack:
            stack.enter_context(metrics_server(metrics_host, metrics_port))
            docket = await stack.enter_async_context(
                Docket(
                    name=docket_name,
                    url=url,
                    heartbeat_interval=heartbeat_interval,
                    missed_heartbeats=missed_heartbeats,
                    execution_ttl=execution_ttl,
                    result_storage=storage_at(result_storage),
                    serializer=serializer,
                    accept=accept,
                    signing_keys=signing_keys,
                    signatures=signatures,
                    signature_max_age=signature_max_age,
                    failure_ttl=failure_ttl,
                    failures_kept=failures_kept,
                    history_ttl=history_ttl,
                    history_kept=history_kept,
                )
            )
            for collection in tasks:
                docket.register_collection(collection)
            worker = cls(
                docket, name, concurrency, redelivery_timeout, reconnection_delay, minimum_check_interval,
                scheduling_resolution, schedule_automatic_tasks, enable_internal_instrumentation,
                function_named(fallback_task, "fallback_task") if fallback_task else None,
                dependencies_at(dependencies), message_batch, shutdown_timeout, max_deliveries,
                unknown_task_patience, parent_task_spans, _hooks_at(on_run_ended), max_waiting, lanes,
            )  # fmt: skip
            stack.enter_context(healthcheck_server(healthcheck_host, healthcheck_port, worker))
            async with worker:
                await worker.run_with_signals(until_finished=until_finished)

    async def run_with_signals(self, *, until_finished: bool = False) -> None:
        """`run_forever` or `run_until_finished`, stopped by SIGTERM or SIGINT, and by a second one handed back.

        Outside of the main thread, which alone receives signals, only `stop` ends it.
        """
        session = Session(self, self._settings, until_finished=until_finished)
        with alone():
            async with anyio.create_task_group() as group:
                group.start_soon(stop_on_signals, session)
                await self._run(session)
                group.cancel_scope.cancel()


def _hooks_at(given: RunHook | str | Sequence[RunHook | str] | None) -> list[RunHook]:
    """Hooks, those among them that are named as ``"module:function"`` included. Raises: as `function_named`."""
    several = () if given is None else (given,) if isinstance(given, str) or callable(given) else given
    return [function_named(one, "on_run_ended") if isinstance(one, str) else one for one in several]

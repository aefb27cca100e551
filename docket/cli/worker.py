"""``docket worker`` and ``docket-worker``: one worker in this process, or several in others, until a signal ends it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import anyio
from cyclopts import Parameter
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError

from ..errors import UsageError
from ..moments import DEFAULT_TTL
from ..rules import Priority
from . import logs
from .at import NO_TRUST, TrustOptions
from .loops import BACKENDS, check_backend, run_on
from .options import Heartbeat, Missed, choice, duration, each, integer, levels, option, path, ttl, url
from .paths import check_paths
from .processes import Processes, check_processes, number_of_this, while_parent_lives

__all__ = ["work"]


Tasks = Annotated[tuple[str, ...], each("--tasks", path("a collection of tasks"), "DOCKET_TASKS")]
DocketName = Annotated[str, Parameter(name="--docket", env_var="DOCKET_NAME")]
Url = Annotated[str, option("--url", url, "DOCKET_URL")]
Name = Annotated[str | None, Parameter(name="--name", env_var="DOCKET_WORKER_NAME")]
Backend = Annotated[str, option("--backend", choice(*BACKENDS), "DOCKET_WORKER_BACKEND")]
Level = Annotated[str, option("--logging-level", choice(*logs.LEVELS, upper=True), "DOCKET_LOGGING_LEVEL")]
Format = Annotated[str | None, option("--logging-format", choice(*logs.FORMATS), "DOCKET_LOGGING_FORMAT")]
Fallback = Annotated[str | None, option("--fallback-task", path("a task"), "DOCKET_FALLBACK_TASK")]
Dependencies = Annotated[
    str | None, option("--dependencies", path("a list or mapping"), "DOCKET_WORKER_DEPENDENCIES")
]
RunEnded = Annotated[
    tuple[str, ...], each("--on-run-ended", path("a function"), "DOCKET_WORKER_ON_RUN_ENDED")
]
MaxAge = Annotated[timedelta | None, option("--signature-max-age", duration(), "DOCKET_SIGNATURE_MAX_AGE")]
Concurrency = Annotated[int, option("--concurrency", integer(1), "DOCKET_WORKER_CONCURRENCY")]
MessageBatch = Annotated[int, option("--message-batch", integer(1), "DOCKET_WORKER_MESSAGE_BATCH")]
Redelivery = Annotated[
    timedelta, option("--redelivery-timeout", duration(), "DOCKET_WORKER_REDELIVERY_TIMEOUT")
]
Reconnection = Annotated[
    timedelta, option("--reconnection-delay", duration(), "DOCKET_WORKER_RECONNECTION_DELAY")
]
CheckInterval = Annotated[
    timedelta, option("--minimum-check-interval", duration(), "DOCKET_WORKER_MINIMUM_CHECK_INTERVAL")
]
Resolution = Annotated[
    timedelta, option("--scheduling-resolution", duration(), "DOCKET_WORKER_SCHEDULING_RESOLUTION")
]
Shutdown = Annotated[
    timedelta, option("--shutdown-timeout", duration(zero=True), "DOCKET_WORKER_SHUTDOWN_TIMEOUT")
]
MaxDeliveries = Annotated[int, option("--max-deliveries", integer(1), "DOCKET_WORKER_MAX_DELIVERIES")]
MaxWaiting = Annotated[int, option("--max-waiting", integer(1), "DOCKET_WORKER_MAX_WAITING")]
Lanes = Annotated[tuple[Priority, ...] | None, levels("--lanes", "DOCKET_WORKER_LANES")]
Patience = Annotated[
    timedelta,
    option("--unknown-task-patience", duration(zero=True), "DOCKET_WORKER_UNKNOWN_TASK_PATIENCE"),
]
ExecutionTtl = Annotated[timedelta | None, option("--execution-ttl", ttl(), "DOCKET_EXECUTION_TTL")]
FailureTtl = Annotated[timedelta, option("--failure-ttl", duration(zero=True), "DOCKET_FAILURE_TTL")]
FailuresKept = Annotated[int, option("--failures-kept", integer(0), "DOCKET_FAILURES_KEPT")]
HistoryTtl = Annotated[timedelta, option("--history-ttl", duration(zero=True), "DOCKET_HISTORY_TTL")]
HistoryKept = Annotated[int, option("--history-kept", integer(0), "DOCKET_HISTORY_KEPT")]
Storage = Annotated[str | None, option("--result-storage", path("a storage"), "DOCKET_RESULT_STORAGE")]
Automatic = Annotated[
    bool, Parameter(name="--schedule-automatic-tasks", env_var="DOCKET_WORKER_SCHEDULE_AUTOMATIC_TASKS")
]
Instrumented = Annotated[
    bool,
    Parameter(
        name="--enable-internal-instrumentation", env_var="DOCKET_WORKER_ENABLE_INTERNAL_INSTRUMENTATION"
    ),
]
ParentSpans = Annotated[
    bool | None, Parameter(name="--parent-task-spans", env_var="DOCKET_PARENT_TASK_SPANS")
]
UntilFinished = Annotated[bool, Parameter(name="--until-finished", negative=())]
HealthPort = Annotated[
    int | None, option("--healthcheck-port", integer(0, 65535), "DOCKET_WORKER_HEALTHCHECK_PORT")
]
HealthHost = Annotated[str, Parameter(name="--healthcheck-host", env_var="DOCKET_WORKER_HEALTHCHECK_HOST")]
MetricsHost = Annotated[str, Parameter(name="--metrics-host", env_var="DOCKET_WORKER_METRICS_HOST")]
MetricsPort = Annotated[int | None, option("--metrics-port", integer(0, 65535), "DOCKET_WORKER_METRICS_PORT")]
ProcessCount = Annotated[int, option("--processes", integer(1), "DOCKET_WORKER_PROCESSES")]
Reload = Annotated[bool, Parameter(name="--reload", env_var="DOCKET_WORKER_RELOAD", negative=())]


def work(
    *,
    tasks: Tasks = ("docket.tasks:standard_tasks",),
    docket: DocketName = "docket",
    url: Url = "redis://localhost:6379/0",
    name: Name = None,
    backend: Backend = "asyncio",
    logging_level: Level = "INFO",
    logging_format: Format = None,
    concurrency: Concurrency = 10,
    message_batch: MessageBatch = 1000,
    redelivery_timeout: Redelivery = timedelta(minutes=5),
    reconnection_delay: Reconnection = timedelta(seconds=5),
    minimum_check_interval: CheckInterval = timedelta(milliseconds=100),
    scheduling_resolution: Resolution = timedelta(milliseconds=250),
    shutdown_timeout: Shutdown = timedelta(seconds=25),
    max_deliveries: MaxDeliveries = 5,
    max_waiting: MaxWaiting = 1000,
    lanes: Lanes = None,
    unknown_task_patience: Patience = timedelta(hours=1),
    execution_ttl: ExecutionTtl = DEFAULT_TTL,
    failure_ttl: FailureTtl = timedelta(days=7),
    failures_kept: FailuresKept = 10_000,
    history_ttl: HistoryTtl = timedelta(days=7),
    history_kept: HistoryKept = 1000,
    result_storage: Storage = None,
    trust: TrustOptions = NO_TRUST,
    signature_max_age: MaxAge = None,
    heartbeat_interval: Heartbeat = timedelta(seconds=2),
    missed_heartbeats: Missed = 5,
    schedule_automatic_tasks: Automatic = True,
    enable_internal_instrumentation: Instrumented = False,
    parent_task_spans: ParentSpans = None,
    until_finished: UntilFinished = False,
    healthcheck_port: HealthPort = None,
    metrics_port: MetricsPort = None,
    healthcheck_host: HealthHost = "0.0.0.0",
    metrics_host: MetricsHost = "0.0.0.0",
    fallback_task: Fallback = None,
    dependencies: Dependencies = None,
    on_run_ended: RunEnded = (),
    processes: ProcessCount = 1,
    reload: Reload = False,
) -> int:
    """Start a worker to process tasks.

    Durations are 90, 90s, 2m, 1h, 250ms, mm:ss or hh:mm:ss. Modules are looked for in the working directory
    first. SIGTERM and SIGINT drain the worker; the exit status is then 0.

    Parameters
    ----------
    tasks
        A collection of tasks to register, module:name of an iterable of functions; may be repeated.
    docket
        The name of the docket.
    url
        The server of the docket.
    name
        The name of this worker, unique on the docket; the host's name and the process id if not given.
    backend
        The event loop: asyncio, uvloop or trio.
    logging_level
        The least level that is logged.
    logging_format
        How it is logged: rich, plain or json; rich at a terminal and plain elsewhere if not given.
    concurrency
        How many tasks run at the same time.
    message_batch
        How many tasks are moved or renewed with one command at most.
    redelivery_timeout
        How long after the last sign of life of a worker its tasks go to another one.
    reconnection_delay
        How long to wait before connecting again when the server is lost.
    minimum_check_interval
        The least time between two looks for work.
    scheduling_resolution
        How exactly future tasks are moved when they are due.
    shutdown_timeout
        How long running tasks may go on after a signal before they are handed back.
    max_deliveries
        How many workers may die with a task, or lose it, before it fails.
    max_waiting
        How many tasks may wait for other tasks at a time, besides those that run; others begin anew later.
    lanes
        The levels that this worker serves, with commas between them, like high,normal; all of them if not given.
    unknown_task_patience
        How long a task that this worker does not know is put back for one that does, before it fails.
    execution_ttl
        How long records and results of tasks are kept after their end, of those that were added without saying so: a
        duration, 0 for not at all, or never for without an end.
    failure_ttl
        How long failures are kept for docket failures and docket retry; 0 for not at all.
    failures_kept
        Of how many keys the last failure is kept at most, the newest; 0 for none.
    history_ttl
        How long it is kept how runs have ended, for docket history; 0 for not at all, and no figures either.
    history_kept
        Of how many runs of each task that is kept, the latest; 0 for none.
    result_storage
        Keeps the results of tasks instead of the server, module:name of a store of py-key-value-aio or of a function
        that makes one.
    signature_max_age
        How long after it was due a signed call may begin; for ever if not given.
    heartbeat_interval
        How often this worker shows that it is there.
    missed_heartbeats
        After so many heartbeats that did not come a worker is gone.
    schedule_automatic_tasks
        Whether this worker schedules the automatic perpetual tasks when it starts.
    enable_internal_instrumentation
        Accepted for pydocket's sake; what docket itself asks of the server is not traced.
    parent_task_spans
        Whether the span of a run is a child of the span in which its task was added; linked to it if not.
    until_finished
        Exit when nothing is left to do.
    healthcheck_port
        The port on which HTTP requests are answered with OK while the worker runs, /live and /ready with JSON; 0 for
        one that is free.
    metrics_port
        The port on which Prometheus finds the metrics of this worker; 0 for one that is free.
    healthcheck_host
        The address on which health checks are answered; all of them if not given.
    metrics_host
        The address on which metrics are served; all of them if not given.
    fallback_task
        The task, module:name, that runs in place of one that nobody registered.
    dependencies
        Dependencies of every task that runs here, module:name of a list or mapping.
    on_run_ended
        A function, module:name, that is called with each run that has ended here; may be repeated.
    processes
        How many worker processes to start. The first one has the ports that are given, the next ones those after them;
        a name that is given gets their numbers, like name-2.
    reload
        Start again whenever a Python file below the working directory changes; for development.
    """
    logs.configure(logging_level, logging_format or logs.default_format())
    check_backend(backend)
    if (number := number_of_this()) is None and (processes > 1 or reload):
        check_processes(processes, url, reload=reload)
        return anyio.run(Processes(processes, until_finished=until_finished, reload=reload).run)
    check_paths(
        {
            "--tasks": tasks,
            "--fallback-task": [fallback_task],
            "--dependencies": [dependencies],
            "--on-run-ended": on_run_ended,
            "--result-storage": [result_storage],
        }
    )
    if signature_max_age is not None:
        trust.check_keys(f"--signature-max-age {signature_max_age}")
    if metrics_port is not None:
        _check_exporter()
    if number is not None:
        name = f"{name}-{number}" if name and processes > 1 else name
        healthcheck_port, metrics_port = _nth(healthcheck_port, number), _nth(metrics_port, number)

    from ..worker import Worker

    run = partial(
        Worker.run,
        docket_name=docket,
        url=url,
        name=name,
        concurrency=concurrency,
        redelivery_timeout=redelivery_timeout,
        reconnection_delay=reconnection_delay,
        minimum_check_interval=minimum_check_interval,
        scheduling_resolution=scheduling_resolution,
        execution_ttl=execution_ttl,
        failure_ttl=failure_ttl,
        failures_kept=failures_kept,
        history_ttl=history_ttl,
        history_kept=history_kept,
        result_storage=result_storage,
        **trust.settings(),
        signature_max_age=signature_max_age,
        heartbeat_interval=heartbeat_interval,
        missed_heartbeats=missed_heartbeats,
        schedule_automatic_tasks=schedule_automatic_tasks,
        enable_internal_instrumentation=enable_internal_instrumentation,
        until_finished=until_finished,
        healthcheck_port=healthcheck_port,
        metrics_port=metrics_port,
        healthcheck_host=healthcheck_host,
        metrics_host=metrics_host,
        tasks=list(tasks),
        fallback_task=fallback_task,
        dependencies=dependencies,
        on_run_ended=on_run_ended,
        message_batch=message_batch,
        shutdown_timeout=shutdown_timeout,
        max_deliveries=max_deliveries,
        max_waiting=max_waiting,
        lanes=lanes,
        unknown_task_patience=unknown_task_patience,
        parent_task_spans=parent_task_spans,
    )
    return _work(run if number is None else partial(while_parent_lives, run), backend)


def _nth(port: int | None, number: int) -> int | None:
    """The port of one of several processes: the one that is given for the first, the next one for the second."""
    return port + number - 1 if port else port


def _work(run: Callable[[], Coroutine[Any, Any, None]], backend: str) -> int:
    """Run a worker to its end on an event loop of its own."""
    try:
        run_on(backend, run)
    except (AuthenticationError, AuthorizationError, NoPermissionError) as error:
        raise UsageError(f"--url: the server refuses the user or the password: {error}") from error
    return 0


def _check_exporter() -> None:
    try:
        importlib.import_module("opentelemetry.exporter.prometheus")
    except ImportError as error:
        raise UsageError(f"--metrics-port: {error}; pip install 'anydocket[metrics]'") from error

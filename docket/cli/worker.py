"""``docket worker`` and ``docket-worker``: one worker in this process, until a signal ends it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated

import anyio
from cyclopts import Parameter

from ..errors import UsageError
from . import logs
from .options import choice, duration, each, integer, option, path, url

__all__ = ["work"]

BACKENDS = ("asyncio", "uvloop", "trio")


def work(
    *,
    tasks: Annotated[tuple[str, ...], each("--tasks", path("a collection of tasks"), "DOCKET_TASKS")] = (
        "docket.tasks:standard_tasks",
    ),
    docket: Annotated[str, Parameter(name="--docket", env_var="DOCKET_NAME")] = "docket",
    url: Annotated[str, option("--url", url, "DOCKET_URL")] = "redis://localhost:6379/0",
    name: Annotated[str | None, Parameter(name="--name", env_var="DOCKET_WORKER_NAME")] = None,
    backend: Annotated[str, option("--backend", choice(*BACKENDS), "DOCKET_WORKER_BACKEND")] = "asyncio",
    logging_level: Annotated[
        str, option("--logging-level", choice(*logs.LEVELS, upper=True), "DOCKET_LOGGING_LEVEL")
    ] = "INFO",
    logging_format: Annotated[
        str | None, option("--logging-format", choice(*logs.FORMATS), "DOCKET_LOGGING_FORMAT")
    ] = None,
    concurrency: Annotated[int, option("--concurrency", integer(1), "DOCKET_WORKER_CONCURRENCY")] = 10,
    message_batch: Annotated[
        int, option("--message-batch", integer(1), "DOCKET_WORKER_MESSAGE_BATCH")
    ] = 1000,
    redelivery_timeout: Annotated[
        timedelta, option("--redelivery-timeout", duration(), "DOCKET_WORKER_REDELIVERY_TIMEOUT")
    ] = timedelta(minutes=5),
    reconnection_delay: Annotated[
        timedelta, option("--reconnection-delay", duration(), "DOCKET_WORKER_RECONNECTION_DELAY")
    ] = timedelta(seconds=5),
    minimum_check_interval: Annotated[
        timedelta, option("--minimum-check-interval", duration(), "DOCKET_WORKER_MINIMUM_CHECK_INTERVAL")
    ] = timedelta(milliseconds=100),
    scheduling_resolution: Annotated[
        timedelta, option("--scheduling-resolution", duration(), "DOCKET_WORKER_SCHEDULING_RESOLUTION")
    ] = timedelta(milliseconds=250),
    shutdown_timeout: Annotated[
        timedelta, option("--shutdown-timeout", duration(zero=True), "DOCKET_WORKER_SHUTDOWN_TIMEOUT")
    ] = timedelta(seconds=25),
    schedule_automatic_tasks: Annotated[
        bool, Parameter(name="--schedule-automatic-tasks", env_var="DOCKET_WORKER_SCHEDULE_AUTOMATIC_TASKS")
    ] = True,
    enable_internal_instrumentation: Annotated[
        bool,
        Parameter(
            name="--enable-internal-instrumentation", env_var="DOCKET_WORKER_ENABLE_INTERNAL_INSTRUMENTATION"
        ),
    ] = False,
    until_finished: Annotated[bool, Parameter(name="--until-finished", negative=())] = False,
    healthcheck_port: Annotated[
        int | None, option("--healthcheck-port", integer(0, 65535), "DOCKET_WORKER_HEALTHCHECK_PORT")
    ] = None,
    metrics_port: Annotated[
        int | None, option("--metrics-port", integer(0, 65535), "DOCKET_WORKER_METRICS_PORT")
    ] = None,
    fallback_task: Annotated[
        str | None, option("--fallback-task", path("a task"), "DOCKET_FALLBACK_TASK")
    ] = None,
    dependencies: Annotated[
        str | None, option("--dependencies", path("a list or mapping"), "DOCKET_WORKER_DEPENDENCIES")
    ] = None,
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
    schedule_automatic_tasks
        Whether this worker schedules the automatic perpetual tasks when it starts.
    enable_internal_instrumentation
        Whether docket's own commands are traced too.
    until_finished
        Exit when nothing is left to do.
    healthcheck_port
        Answer health checks on this port.
    metrics_port
        Serve Prometheus metrics on this port.
    fallback_task
        The task, module:name, that runs in place of one that nobody registered.
    dependencies
        Dependencies of every task of this worker, module:name of a list or a mapping.
    """
    logs.configure(logging_level, logging_format or logs.default_format())
    if (missing := _missing(backend)) is not None:
        raise UsageError(f"--backend {backend} needs {missing}: pip install 'anydocket[{backend}]'")
    sys.path.insert(0, os.getcwd())
    _import_all("--tasks", tasks)
    _import_all("--fallback-task", [fallback_task] if fallback_task else [])
    _import_all("--dependencies", [dependencies] if dependencies else [])

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
        schedule_automatic_tasks=schedule_automatic_tasks,
        enable_internal_instrumentation=enable_internal_instrumentation,
        until_finished=until_finished,
        healthcheck_port=healthcheck_port,
        metrics_port=metrics_port,
        tasks=list(tasks),
        fallback_task=fallback_task,
        message_batch=message_batch,
        dependencies=dependencies,
        shutdown_timeout=shutdown_timeout,
    )
    if backend == "trio":
        anyio.run(run, backend="trio")
    else:
        anyio.run(run, backend="asyncio", backend_options={"use_uvloop": backend == "uvloop"})
    return 0


def _missing(backend: str) -> str | None:
    """The package that a backend needs and this environment has not."""
    return backend if backend != "asyncio" and importlib.util.find_spec(backend) is None else None


def _import_all(named: str, places: Sequence[str]) -> None:
    """Import every ``module:name`` now, while a mistake in it can still be told by the option's name.

    Raises: UsageError - the module is not there or has no such name. What the module itself raises comes out
            as it is, an ImportError of something that it needs included.
    """
    for place in places:
        module, _, member = place.partition(":")
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            raise UsageError(f"{named} {place}: there is no module {error.name!r}") from None
        if not hasattr(found, member):
            raise UsageError(f"{named} {place}: module {module!r} has no {member!r}")

"""A worker process of a chaos session: ``python -m tests.chaos.worker {settings as JSON}``."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs

from docket import Docket, Worker
from tests.chaos import tasks
from tests.chaos.ledger import Ledger
from tests.chaos.poison import POISONS

__all__ = ["LATE", "WorkerSettings", "note_stalls", "run_on", "set_up_logging"]

#: Being late by more than this is a stall, and noted.
LATE = 0.25


@attrs.frozen(kw_only=True)
class WorkerSettings:
    """What a worker process is told. ``lease`` is the redelivery timeout in seconds."""

    url: str
    docket: str
    name: str
    slot: int
    loop: str
    ledger: str
    lease: float
    keep: float
    """For how many seconds final records are kept."""


async def note_stalls(ledger: Ledger) -> None:
    """Note when this process got no turn, or its event loop was blocked."""
    while True:
        since = time.monotonic()
        await anyio.sleep(0.05)
        if time.monotonic() - since > 0.05 + LATE:
            ledger.note("stall", since=since)


def set_up_logging() -> None:
    formatter = logging.Formatter("%(monotonic).3f %(levelname)s %(name)s %(message)s")
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    handler.addFilter(lambda record: setattr(record, "monotonic", time.monotonic()) or True)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def run_on(loop: str, function: Any, *args: Any) -> None:
    """Run an async function on one of the three loops."""
    if loop == "trio":
        anyio.run(function, *args, backend="trio")
    else:
        anyio.run(function, *args, backend_options={"use_uvloop": loop == "uvloop"})


async def work(settings: WorkerSettings) -> None:
    ledger = Ledger(Path(settings.ledger), "worker")
    tasks.note_in(ledger)
    docket = Docket(
        settings.docket,
        settings.url,
        heartbeat_interval=timedelta(milliseconds=500),
        execution_ttl=timedelta(seconds=settings.keep),
    )
    async with docket, anyio.create_task_group() as group:
        for task in [*tasks.TASKS, *POISONS]:
            docket.register(task)
        worker = Worker(
            docket,
            settings.name,
            concurrency=8,
            max_deliveries=30,  # bodies do die here, and none of them is poison
            redelivery_timeout=timedelta(seconds=settings.lease),
            reconnection_delay=timedelta(milliseconds=300),
            shutdown_timeout=timedelta(seconds=0.5),
        )
        ledger.note("worker", slot=settings.slot, name=settings.name, loop=settings.loop)
        group.start_soon(note_stalls, ledger)
        await worker.run_with_signals()
        group.cancel_scope.cancel()


if __name__ == "__main__":
    set_up_logging()
    given = WorkerSettings(**json.loads(sys.argv[1]))
    run_on(given.loop, work, given)

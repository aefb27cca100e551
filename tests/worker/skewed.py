"""A worker in a process whose wall clock is wrong: ``python -m tests.worker.skewed URL BACKEND NAME SECONDS``."""

from __future__ import annotations

import logging
import sys
import time
from datetime import timedelta
from types import SimpleNamespace

import anyio

from docket import ConcurrencyLimit, Docket, Worker, clock

#: Where tasks say that they have run.
RUNS = "skew-runs"


async def task(name: str, limit: ConcurrencyLimit = ConcurrencyLimit("name", 1)) -> None:
    async with Docket("skew", sys.argv[1]) as docket, docket.redis() as redis:
        await redis.hincrby(RUNS, name, 1)


async def work(url: str, name: str) -> None:
    async with Docket("skew", url, heartbeat_interval=timedelta(milliseconds=250)) as docket:
        docket.register(task)
        await Worker(docket, name, redelivery_timeout=timedelta(seconds=2)).run_forever()


def main() -> None:
    _, url, backend, name, seconds = sys.argv
    shift = float(seconds)
    wrong = SimpleNamespace(time=lambda: time.time() + shift, perf_counter=time.perf_counter)
    setattr(clock, "time", wrong)  # noqa: B010 - the one place that reads the time
    logging.basicConfig(level=logging.WARNING)
    anyio.run(
        work,
        url,
        name,
        backend="trio" if backend == "trio" else "asyncio",
        backend_options={} if backend == "trio" else {"use_uvloop": backend == "uvloop"},
    )


if __name__ == "__main__":
    main()

"""A worker in a process of its own, for the test of a limit across processes.

``python -m tests.worker.limited {url} {docket} {name} {backend} {ledger}``: the ledger is a file that all processes
append to, one line for each beginning and end of a body, with the process and the moment.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from typing import Any

import anyio

from docket import ConcurrencyLimit, Docket, Worker

LEASE = timedelta(seconds=3)


async def task(number: int, limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> None:
    note("begin", number)
    await anyio.sleep(0.002)
    note("end", number)


def note(what: str, number: int) -> None:
    """One write of one line: appends of this size are not mixed up."""
    os.write(ledger, f"{time.monotonic_ns()} {os.getpid()} {what} {number}\n".encode())


async def main(url: str, name: str, worker: str) -> None:
    async with Docket(name, url) as docket:
        docket.register(task)
        await Worker(docket, worker, concurrency=5, redelivery_timeout=LEASE).run_until_finished()


if __name__ == "__main__":
    url, name, worker, backend, path = sys.argv[1:]
    ledger = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    options: dict[str, Any] = {"use_uvloop": True} if backend == "uvloop" else {}
    anyio.run(main, url, name, worker, backend=backend.replace("uvloop", "asyncio"), backend_options=options)

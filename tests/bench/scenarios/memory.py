"""What a worker and the server hold while ``n`` tasks go through one worker, of which up to ``waiting`` wait at a time.

    python tests/bench/scenarios/memory.py --n 1000000 --waiting 100000    # its own server: --url; a line each 50,000

Another process adds the tasks. The worker's curve is flat if nothing grows with what it has run or with what waits.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import anyio
import redis
from drain import noop
from meter import PAD, Meter, arguments, run

from docket import Docket, Worker

BATCH = 2000
STEP = 50_000  #: tasks from one line to the next
STREAM = "bench-memory:stream"


async def add(given: argparse.Namespace) -> dict[str, float]:
    """What the other process does: keep ``waiting`` tasks waiting until there were ``n``."""
    server = redis.Redis.from_url(given.url)
    async with Docket(name="bench-memory", url=given.url, execution_ttl=timedelta(seconds=5)) as docket:
        docket.register(noop)
        for start in range(0, given.n, BATCH):
            while int(server.xlen(STREAM)) > given.waiting:  # pyright: ignore[reportArgumentType]
                await anyio.sleep(0.05)
            await docket.add_many([docket.call(noop)(i, PAD) for i in range(start, start + BATCH)])
    return {}


def resident() -> float:
    """MB that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def main(given: argparse.Namespace) -> dict[str, float]:
    if given.adds:
        return await add(given)
    meter, began = Meter(given.url), time.monotonic()
    ended, curve = 0, [resident()]
    server = redis.Redis.from_url(given.url)

    async def count(i: int, pad: str) -> None:
        nonlocal ended
        ended += 1
        if ended % STEP == 0:
            curve.append(resident())
            seconds, waiting = time.monotonic() - began, server.xlen(STREAM)
            figures = f"{curve[-1]:.1f} MB; server {meter.memory() / 1e6:.0f} MB, {waiting:,} wait"
            print(f"{ended:>9,} tasks, {seconds:5.0f} s: worker {figures}", flush=True)
        if ended == given.n:
            group.cancel_scope.cancel()

    async with Docket(name="bench-memory", url=given.url, execution_ttl=timedelta(seconds=5)) as docket:
        docket.register(count, names=["noop"])
        async with (
            Worker(docket, concurrency=given.concurrency) as worker,
            anyio.create_task_group() as group,
        ):
            other = subprocess.Popen([sys.executable, *sys.argv, "--adds"], stdout=subprocess.DEVNULL)
            group.start_soon(worker.run_forever)
    other.wait()
    return {
        "first_mb": curve[1],
        "last_mb": curve[-1],
        "mb_per_100000": (curve[-1] - curve[1]) / given.n * 1e5,
    }


if __name__ == "__main__":
    parser = arguments()
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--adds", action="store_true", help=argparse.SUPPRESS)
    run(main, parser.parse_args())

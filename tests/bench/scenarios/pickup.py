"""How long a task waits: from ``add`` to its start, at ``rate`` tasks a second; or from its moment, if ``--future``.

Another process adds the tasks: at random moments whose mean is the rate, or ``--evenly``. With ``--beside-low`` they
are high, and the worker has as many low tasks as it can run meanwhile, each of 5 ms.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from datetime import UTC, datetime

import anyio
from meter import Meter, arguments, often, percentile, run

from docket import Docket, Worker

WAITS: list[float] = []


async def stamp(since: float) -> None:
    WAITS.append(time.time() - since)


#: How long each of the low tasks takes, in seconds.
BODY = 0.005


async def low() -> None:
    await anyio.sleep(BODY)


async def add(given: argparse.Namespace) -> dict[str, float]:
    """What the other process does."""
    chance = random.Random(7)
    level = {"priority": "high"} if given.beside_low else {}
    async with Docket(name="bench-pickup", url=given.url) as docket:
        docket.register(stamp)
        at = time.time() + 0.5
        for _ in range(given.n):
            at += 1 / given.rate if given.evenly else chance.expovariate(given.rate)
            if given.future:
                moment = at + 1
                await docket.add(stamp, when=datetime.fromtimestamp(moment, UTC), **level)(moment)
            else:
                await anyio.sleep(max(0, at - time.time()))
                await docket.add(stamp, **level)(time.time())
    return {}


async def main(given: argparse.Namespace) -> dict[str, float]:
    if given.adds:
        return await add(given)
    Meter(given.url)  # empties the server
    async with Docket(name="bench-pickup", url=given.url) as docket:
        docket.register(stamp)
        if given.beside_low:  # more than it can run in that time
            count = int((2 + given.n / given.rate) * given.concurrency / BODY)
            for _ in range(0, count, 1000):
                await docket.add_many([docket.call(low, priority="low")() for _ in range(1000)])
        async with Worker(docket, concurrency=given.concurrency, **often(given)) as worker:
            async with anyio.create_task_group() as group:
                group.start_soon(worker.run_forever)
                await anyio.sleep(0.5)
                other = subprocess.Popen([sys.executable, *sys.argv, "--adds"], stdout=subprocess.DEVNULL)
                with anyio.fail_after(60 + given.n / given.rate):
                    while len(WAITS) < given.n:
                        await anyio.sleep(0.1)
                other.wait()
                group.cancel_scope.cancel()
    waits = [1000 * wait for wait in WAITS]
    return {"p50_ms": percentile(waits, 0.5), "p99_ms": percentile(waits, 0.99), "max_ms": max(waits)}


if __name__ == "__main__":
    parser = arguments()
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--evenly", action="store_true")
    parser.add_argument("--future", action="store_true")
    parser.add_argument("--beside-low", action="store_true")
    parser.add_argument("--adds", action="store_true", help=argparse.SUPPRESS)
    run(main, parser.parse_args())

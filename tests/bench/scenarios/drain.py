"""Place ``n`` tasks of one kind, 50 adds at once, then drain them with one worker."""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import anyio
from meter import PAD, Meter, arguments, often, run, settings

from docket import ConcurrencyLimit, Depends, Docket, Retry, Worker

BEGUN = itertools.count()
MEGABYTE = "x" * 1_000_000


async def noop(i: int, pad: str) -> None:
    next(BEGUN)


async def value(i: int, pad: str) -> int:
    next(BEGUN)
    return i


async def three(i: int, pad: str, share: float) -> int:
    next(BEGUN)
    return i


async def fail(i: int, pad: str) -> None:
    next(BEGUN)
    raise ValueError(i)


def seven() -> int:
    return 7


async def depends(i: int, pad: str, seven: int = Depends(seven)) -> None:
    next(BEGUN)


async def retry(i: int, pad: str, again: Retry = Retry(attempts=2)) -> None:
    next(BEGUN)
    if again.attempt == 1:
        raise ValueError(i)


async def limit(i: int, pad: str, slot: ConcurrencyLimit = ConcurrencyLimit(max_concurrent=100)) -> None:
    next(BEGUN)


async def sleep(i: int, pad: str) -> None:
    next(BEGUN)
    await anyio.sleep(0.1)


async def large(i: int, pad: str) -> None:
    next(BEGUN)


KINDS: dict[str, Callable[..., Any]] = {
    task.__name__: task for task in (noop, value, three, fail, depends, retry, limit, sleep, large)
}


def call_of(task: Callable[..., Any], i: int) -> tuple[Any, ...]:
    """The arguments of its call number ``i``."""
    pad = MEGABYTE if task is large else PAD
    return (i, pad, 0.5) if task is three else (i, pad)


async def place(docket: Docket, task: Callable[..., Any], n: int) -> None:
    numbers = iter(range(n))

    async def adder() -> None:
        for i in numbers:
            await docket.add(task)(*call_of(task, i))

    async with anyio.create_task_group() as adders:
        for _ in range(50):
            adders.start_soon(adder)


async def main(given: argparse.Namespace) -> dict[str, float]:
    task, n = KINDS[given.kind], given.n
    kept = timedelta(0) if given.forget else timedelta(minutes=15)
    meter = Meter(given.url)
    async with Docket(
        name=f"bench-{os.getpid()}", url=given.url, execution_ttl=kept, **settings(given)
    ) as docket:
        docket.register(task)
        meter.start()
        await place(docket, task, n)
        placed = meter.took(n)
        async with Worker(docket, concurrency=given.concurrency, **often(given)) as worker:
            meter.start()
            await worker.run_until_finished()
            drained = meter.took(n)
    assert next(BEGUN) == n * (2 if task is retry else 1)
    whole = {f"whole_{name}": placed[name] + drained[name] for name in placed if name != "per_s"}
    share_of_ideal = 0.1 / given.concurrency * drained["per_s"]  # of tasks that sleep for 0.1 s
    return {**drained, **whole, "share_of_ideal": share_of_ideal}


if __name__ == "__main__":
    parser = arguments()
    parser.add_argument("--kind", default="noop", choices=KINDS)
    parser.add_argument("--forget", action="store_true", help="keep nothing of what has ended")
    run(main, parser.parse_args())

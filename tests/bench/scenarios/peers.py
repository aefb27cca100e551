"""No-op tasks of other task queues: adds, 50 at once, then one worker; ``peers.py NAME --n N --concurrency C``."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from meter import PAD, Meter, arguments

BEGUN = 0


async def begun(n: int) -> None:
    """Wait until all have begun; asked each 5 ms, since none of them says it."""
    while n > BEGUN:
        await asyncio.sleep(0.005)


async def fill(n: int, add: Callable[[int], Awaitable[Any]]) -> None:
    allowed = asyncio.Semaphore(50)

    async def one(i: int) -> None:
        async with allowed:
            await add(i)

    await asyncio.gather(*(one(i) for i in range(n)))


def report(placed: dict[str, float], drained: dict[str, float]) -> None:
    whole = {f"whole_{name}": placed[name] + drained[name] for name in placed if name != "per_s"}
    figures = {**drained, **whole, "add_per_s": placed["per_s"]}
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}), flush=True)


async def streaq(url: str, n: int, concurrency: int) -> None:
    from streaq import Worker

    worker = Worker(redis_url=url, concurrency=concurrency, handle_signals=False)

    @worker.task
    async def noop(i: int, pad: str) -> None:
        global BEGUN
        BEGUN += 1

    worker.burst = True
    meter = Meter(url)
    async with worker:
        await worker.enqueue_many([noop.enqueue(i, PAD) for i in range(n)])
    placed = meter.took(n)
    await worker.run_async()
    report(placed, meter.took(n))


async def saq(url: str, n: int, concurrency: int) -> None:
    from saq import Queue, Worker

    async def noop(context: Any, *, i: int, pad: str) -> None:
        global BEGUN
        BEGUN += 1

    queue = Queue.from_url(url)
    await queue.connect()
    meter = Meter(url)
    await fill(n, lambda i: queue.enqueue("noop", i=i, pad=PAD))
    placed = meter.took(n)
    worker = Worker(
        queue, functions=[("noop", noop)], concurrency=concurrency, burst=True, dequeue_timeout=0.2
    )
    task = asyncio.create_task(worker.start())
    await begun(n)
    report(placed, meter.took(n))
    del task  # held until here


async def arq(url: str, n: int, concurrency: int) -> None:
    from arq import create_pool, func
    from arq.connections import RedisSettings
    from arq.worker import Worker

    async def noop(context: Any, i: int, pad: str) -> None:
        global BEGUN
        BEGUN += 1

    settings = RedisSettings.from_dsn(url)
    queue = await create_pool(settings)
    meter = Meter(url)
    await fill(n, lambda i: queue.enqueue_job("noop", i, PAD))
    placed = meter.took(n)
    worker = Worker(
        functions=[func(noop, name="noop")],
        redis_settings=settings,
        burst=True,
        max_jobs=concurrency,
        poll_delay=0.01,
        handle_signals=False,
    )
    await worker.async_run()
    report(placed, meter.took(n))


async def taskiq(url: str, n: int, concurrency: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from taskiq.receiver import Receiver
    from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

    broker = RedisStreamBroker(url=url).with_result_backend(RedisAsyncResultBackend(redis_url=url))

    @broker.task(task_name="noop")
    async def noop(i: int, pad: str) -> None:
        global BEGUN
        BEGUN += 1

    meter = Meter(url)
    broker.is_worker_process = True
    await broker.startup()
    await fill(n, lambda i: noop.kiq(i, PAD))
    placed = meter.took(n)
    receiver = Receiver(
        broker,
        executor=ThreadPoolExecutor(1),
        max_async_tasks=concurrency,
        max_prefetch=concurrency,
        run_startup=False,
    )
    task = asyncio.create_task(receiver.listen(asyncio.Event()))
    await begun(n)
    report(placed, meter.took(n))
    del task  # held until here


async def main(peer: Callable[[str, int, int], Awaitable[None]], url: str, n: int, concurrency: int) -> None:
    await peer(url, n, concurrency)
    os._exit(0)  # some of them end only when they are killed


if __name__ == "__main__":
    parser = arguments()
    parser.add_argument("peer", choices=("streaq", "saq", "arq", "taskiq"))
    given = parser.parse_args()
    asyncio.run(main(globals()[given.peer], given.url, given.n, given.concurrency))

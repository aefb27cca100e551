"""No-op drain and enqueue rates of the peers, one worker process, same server.

usage: python peer_bench.py {streaq|saq|arq|taskiq} --n N --concurrency C [--url URL]
"""

import argparse
import asyncio
import json
import logging
import os
import resource
import time

import redis as redis_sync

logging.disable(logging.CRITICAL)
p = argparse.ArgumentParser()
p.add_argument("peer")
p.add_argument("--n", type=int, default=5000)
p.add_argument("--concurrency", type=int, default=10)
p.add_argument("--url", default="redis://localhost:6379/0")
p.add_argument("--backend", default="asyncio")
a = p.parse_args()
r = redis_sync.Redis.from_url(a.url)
r.flushall()
COUNT = 0
PAD = "x" * 64


def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


def scpu():
    i = r.info("cpu")
    return i["used_cpu_user"] + i["used_cpu_sys"]


def report(add, drain, c, rc):
    print(
        json.dumps(
            {
                "peer": a.peer,
                "backend": a.backend,
                "n": a.n,
                "concurrency": a.concurrency,
                "add_per_s": round(a.n / add),
                "drain_per_s": round(a.n / drain),
                "cpu_us": round(c / a.n * 1e6),
                "redis_us": round(rc / a.n * 1e6),
                "count": COUNT,
            }
        ),
        flush=True,
    )


def streaq():
    import anyio
    from streaq import Worker

    kw = {"use_uvloop": True} if a.backend == "uvloop" else {}
    w = Worker(
        redis_url=a.url,
        concurrency=a.concurrency,
        anyio_backend="trio" if a.backend == "trio" else "asyncio",
        anyio_kwargs=kw,
        handle_signals=False,
    )

    @w.task
    async def noop(i: int, pad: str) -> None:
        global COUNT
        COUNT += 1

    w.burst = True

    async def main():
        t = time.perf_counter()
        async with w:
            await w.enqueue_many([noop.enqueue(i, PAD) for i in range(a.n)])
        add = time.perf_counter() - t
        t, c, rc = time.perf_counter(), cpu(), scpu()
        await w.run_async()
        report(add, time.perf_counter() - t, cpu() - c, scpu() - rc)

    if a.backend == "trio":
        anyio.run(main, backend="trio")
    else:
        anyio.run(main, backend_options=kw)


def saq():
    from saq import Queue, Worker

    async def noop(ctx, *, i, pad):
        global COUNT
        COUNT += 1

    async def main():
        q = Queue.from_url(a.url)
        await q.connect()
        sem = asyncio.Semaphore(50)

        async def one(i):
            async with sem:
                await q.enqueue("noop", i=i, pad=PAD)

        t = time.perf_counter()
        await asyncio.gather(*(one(i) for i in range(a.n)))
        add = time.perf_counter() - t
        w = Worker(q, functions=[("noop", noop)], concurrency=a.concurrency, burst=True, dequeue_timeout=0.2)
        t, c, rc = time.perf_counter(), cpu(), scpu()
        task = asyncio.create_task(w.start())
        while a.n > COUNT:
            await asyncio.sleep(0.005)
        report(add, time.perf_counter() - t, cpu() - c, scpu() - rc)
        del task  # held until here
        os._exit(0)

    asyncio.run(main())


def arq():
    from arq import create_pool, func
    from arq.connections import RedisSettings
    from arq.worker import Worker

    async def noop(ctx, i, pad):
        global COUNT
        COUNT += 1

    async def main():
        st = RedisSettings.from_dsn(a.url)
        q = await create_pool(st)
        sem = asyncio.Semaphore(50)

        async def one(i):
            async with sem:
                await q.enqueue_job("noop", i, PAD)

        t = time.perf_counter()
        await asyncio.gather(*(one(i) for i in range(a.n)))
        add = time.perf_counter() - t
        w = Worker(
            functions=[func(noop, name="noop")],
            redis_settings=st,
            burst=True,
            max_jobs=a.concurrency,
            poll_delay=0.01,
            handle_signals=False,
        )
        t, c, rc = time.perf_counter(), cpu(), scpu()
        await w.async_run()
        report(add, time.perf_counter() - t, cpu() - c, scpu() - rc)

    asyncio.run(main())


def taskiq():
    from concurrent.futures import ThreadPoolExecutor

    from taskiq.receiver import Receiver
    from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

    broker = RedisStreamBroker(url=a.url).with_result_backend(RedisAsyncResultBackend(redis_url=a.url))

    @broker.task(task_name="noop")
    async def noop(i: int, pad: str) -> None:
        global COUNT
        COUNT += 1

    async def main():
        broker.is_worker_process = True
        await broker.startup()
        sem = asyncio.Semaphore(50)

        async def one(i):
            async with sem:
                await noop.kiq(i, PAD)

        t = time.perf_counter()
        await asyncio.gather(*(one(i) for i in range(a.n)))
        add = time.perf_counter() - t
        rec = Receiver(
            broker,
            executor=ThreadPoolExecutor(1),
            max_async_tasks=a.concurrency,
            max_prefetch=a.concurrency,
            run_startup=False,
        )
        t, c, rc = time.perf_counter(), cpu(), scpu()
        ev = asyncio.Event()
        task = asyncio.create_task(rec.listen(ev))
        while a.n > COUNT:
            await asyncio.sleep(0.005)
        report(add, time.perf_counter() - t, cpu() - c, scpu() - rc)
        del task  # held until here
        os._exit(0)

    asyncio.run(main())


globals()[a.peer]()

"""Benchmark any implementation of the `docket` package (ours or pydocket).

usage: python docket_bench.py SCENARIO [--url URL] [--n N] [--concurrency C] [--backend asyncio|uvloop|trio]
Prints one JSON line per scenario.  Only names that both implementations share are used.
"""

import argparse
import json
import logging
import os
import resource
import time
from datetime import UTC, datetime, timedelta

import anyio
import redis as redis_sync

from docket import Docket, Worker

logging.disable(logging.CRITICAL)
COUNT = 0
STARTS: list[tuple[float, float]] = []
DONE = None
PAD = "x" * 64


async def noop(i: int, pad: str = "") -> None:
    global COUNT
    COUNT += 1


async def stamp(sent: float) -> None:
    STARTS.append((sent, time.time()))


async def sleeper(seconds: float) -> None:
    global COUNT
    COUNT += 1
    await anyio.sleep(seconds)


def cpu() -> float:
    r = resource.getrusage(resource.RUSAGE_SELF)
    return r.ru_utime + r.ru_stime


def server(url):
    return redis_sync.Redis.from_url(url) if not url.startswith("memory") else None


def server_cpu(r):
    if r is None:
        return 0.0
    i = r.info("cpu")
    return i["used_cpu_user"] + i["used_cpu_sys"]


def server_calls(r):
    return 0 if r is None else r.info("stats")["total_commands_processed"]


def pct(xs, p):
    xs = sorted(xs)
    return xs[min(len(xs) - 1, int(len(xs) * p))]


async def fill(d, n, fn=noop, conc=50, args=None):
    """Concurrent single adds by `conc` producers."""
    it = iter(range(n))

    async def producer():
        for i in it:
            await d.add(fn)(*(args or (i, PAD)))

    async with anyio.create_task_group() as tg:
        for _ in range(conc):
            tg.start_soon(producer)


async def bulk(d, n):
    if hasattr(d, "add_many"):
        await d.add_many([d.call(noop)(i, PAD) for i in range(n)])
    else:
        await fill(d, n)


async def main(a):
    r = server(a.url)
    if r is not None:
        r.flushall()
    out = {"scenario": a.scenario, "n": a.n, "concurrency": a.concurrency, "backend": a.backend}
    ttl = timedelta(minutes=15) if not a.forget else timedelta(0)
    five_ms = timedelta(milliseconds=5)
    tuned = {"minimum_check_interval": five_ms, "scheduling_resolution": five_ms} if a.tuned else {}
    async with Docket(name=f"bench-{os.getpid()}", url=a.url, execution_ttl=ttl) as d:
        for f in (noop, stamp, sleeper):
            d.register(f)
        s = a.scenario
        if s in ("add_seq", "add_conc", "add_many"):
            await d.add(noop)(0, PAD)
            t, c, rc = time.perf_counter(), cpu(), server_cpu(r)
            if s == "add_seq":
                for i in range(a.n):
                    await d.add(noop)(i, PAD)
            elif s == "add_conc":
                await fill(d, a.n)
            else:
                await bulk(d, a.n)
            w = time.perf_counter() - t
            out |= {
                "per_s": a.n / w,
                "cpu_us": (cpu() - c) / a.n * 1e6,
                "redis_us": (server_cpu(r) - rc) / a.n * 1e6,
            }
            if r is not None:
                out["redis_bytes"] = r.info("memory")["used_memory"] / a.n
        elif s in ("drain", "sleep"):
            if s == "sleep":
                await fill(d, a.n, sleeper, args=(0.1,))
            else:
                await bulk(d, a.n)
            calls = server_calls(r)
            async with Worker(d, concurrency=a.concurrency, **tuned) as w:
                t, c, rc = time.perf_counter(), cpu(), server_cpu(r)
                await w.run_until_finished()
                e = time.perf_counter() - t
            assert a.n == COUNT, (COUNT, a.n)
            out |= {
                "per_s": a.n / e,
                "cpu_us": (cpu() - c) / a.n * 1e6,
                "redis_us": (server_cpu(r) - rc) / a.n * 1e6,
                "calls_per_task": (server_calls(r) - calls) / a.n,
            }
            if s == "sleep":
                out["ideal"] = (a.n * 0.1 / a.concurrency) / e
        elif s in ("latency", "punctual", "idle"):
            async with Worker(d, concurrency=a.concurrency, **tuned) as w:
                async with anyio.create_task_group() as tg:
                    tg.start_soon(w.run_forever)
                    await anyio.sleep(1)
                    if s == "latency":
                        for _ in range(a.n):
                            await d.add(stamp)(time.time())
                            await anyio.sleep(0.01)
                        await anyio.sleep(1.0)
                        lat = [b - x for x, b in STARTS]
                    elif s == "punctual":
                        base = datetime.now(UTC) + timedelta(seconds=1)
                        whens = [base + timedelta(seconds=3 * i / a.n) for i in range(a.n)]
                        for x in whens:
                            await d.add(stamp, when=x)(x.timestamp())
                        for _ in range(300):
                            await anyio.sleep(0.1)
                            if len(STARTS) >= a.n:
                                break
                        lat = [b - x for x, b in STARTS]
                    else:
                        c, rc, calls = cpu(), server_cpu(r), server_calls(r)
                        await anyio.sleep(5)
                        out |= {
                            "cpu_pct": (cpu() - c) / 5 * 100,
                            "redis_cpu_pct": (server_cpu(r) - rc) / 5 * 100,
                            "calls_per_s": (server_calls(r) - calls) / 5,
                        }
                        lat = None
                    if lat is not None:
                        assert len(lat) == a.n, (len(lat), a.n)
                        out |= {
                            "p50_ms": pct(lat, 0.5) * 1e3,
                            "p99_ms": pct(lat, 0.99) * 1e3,
                            "max_ms": max(lat) * 1e3,
                            "early": sum(x < 0 for x in lat),
                        }
                    tg.cancel_scope.cancel()
    out["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({k: round(v, 2) if isinstance(v, float) else v for k, v in out.items()}), flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("scenario")
    p.add_argument("--url", default="redis://localhost:6379/0")
    p.add_argument("--n", type=int, default=5000)
    p.add_argument("--concurrency", type=int, default=10)
    p.add_argument("--backend", default="asyncio")
    p.add_argument("--tuned", action="store_true")
    p.add_argument("--forget", action="store_true")
    a = p.parse_args()
    try:
        if a.backend == "trio":
            anyio.run(main, a, backend="trio")
        else:
            anyio.run(main, a, backend_options={"use_uvloop": a.backend == "uvloop"})
    except BaseException as e:
        print(json.dumps({"scenario": a.scenario, "backend": a.backend, "error": repr(e)[:300]}), flush=True)
        raise

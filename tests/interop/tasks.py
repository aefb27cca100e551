"""The tasks of the interoperability tests. The same file is loaded by pydocket's process and by ours.

It uses only what both offer under the same names. What a task did it writes to Redis, where the test looks.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from docket import (
    Cron,
    CurrentDocket,
    CurrentExecution,
    CurrentWorker,
    Docket,
    Execution,
    Perpetual,
    Progress,
    Retry,
    TaskKey,
    Worker,
)

try:
    from anyio import sleep
except ImportError:  # pydocket's environment has no anyio
    from asyncio import sleep

try:
    from docket import FairShare
except ImportError:  # pydocket has none: to its side it is an argument that is None
    FairShare = None


class Refused(Exception):
    """An exception that is known to both sides and to no library."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason, code)
        self.reason, self.code = reason, code


async def echo(value: Any = None) -> Any:
    return value


async def refuse(reason: str, code: int) -> None:
    raise Refused(reason, code)


async def fail(message: str) -> None:
    raise ValueError(message)


async def tally(
    n: int, docket: Docket = CurrentDocket(), worker: Worker = CurrentWorker(), key: str = TaskKey()
) -> str:
    """Count a run, by number and by worker."""
    async with docket.redis() as redis:
        await redis.hincrby(f"tally:{docket.name}", str(n), 1)
        await redis.hincrby(f"tally-workers:{docket.name}", worker.name, 1)
    return key


async def hold(
    docket: Docket = CurrentDocket(), worker: Worker = CurrentWorker(), key: str = TaskKey()
) -> str:
    """Say that it has begun, then wait until ``release:{docket}`` is there; return the worker's name."""
    async with docket.redis() as redis:
        await redis.rpush(f"began:{docket.name}:{key}", worker.name)
        while not await redis.exists(f"release:{docket.name}"):
            await sleep(0.02)  # the two clients have no blocking command in common
    return worker.name


async def flaky(retry: Retry = Retry(attempts=3)) -> str:
    """Fail twice, and say which attempt came through."""
    if retry.attempt < 3:
        raise ValueError(f"attempt {retry.attempt}")
    return f"attempt {retry.attempt}"


async def patient(retry: Retry = Retry(attempts=2, delay=timedelta(seconds=60))) -> None:
    """Fail, to be tried again much later."""
    raise ValueError("not yet")


async def handed_over(first: str, worker: Worker = CurrentWorker(), retry: Retry = Retry(attempts=20)) -> str:
    """Fail for as long as the worker called ``first`` has it."""
    if worker.name == first:
        raise ValueError("not here")
    return f"{worker.name} at attempt {retry.attempt}"


async def tick(
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
    perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=200)),
) -> None:
    """Run for ever, and say each time who ran it."""
    async with docket.redis() as redis:
        await redis.rpush(f"ticks:{docket.name}", worker.name)


async def chime(
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
    execution: Execution = CurrentExecution(),
    cron: Cron = Cron("* * * * * *", automatic=False),
) -> None:
    """Run every second, and say each time who ran it and for which second."""
    async with docket.redis() as redis:
        await redis.rpush(f"ticks:{docket.name}", worker.name)
        await redis.rpush(f"chimes:{docket.name}", execution.when.isoformat())


async def advance(
    message: str, docket: Docket = CurrentDocket(), key: str = TaskKey(), progress: Progress = Progress()
) -> dict[str, str]:
    """Report every kind of step; return what is kept of it half-way."""
    await progress.set_total(7)
    await progress.increment(2)
    await progress.set_message(message)
    async with docket.redis() as redis:
        kept = await redis.hgetall(docket.key(f"progress:{key}"))
    await progress.increment()
    await progress.set_message(None)
    return {field.decode(): value.decode() for field, value in kept.items() if field != b"updated_at"}


async def describe(
    x: Any, *rest: Any, execution: Execution = CurrentExecution(), key: str = TaskKey(), **named: Any
) -> dict[str, Any]:
    return {"x": x, "rest": list(rest), "named": named, "key": key, "attempt": execution.attempt}


async def origins(execution: Execution = CurrentExecution()) -> list[str]:
    """The spans that the run is linked to."""
    contexts = [link.context for link in execution.incoming_span_links()]
    return [f"{context.trace_id:032x}-{context.span_id:016x}" for context in contexts]


async def in_turns(
    tenant: str,
    n: int,
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
    key: str = TaskKey(),
    share: Any = FairShare and FairShare("tenant"),
) -> str:
    """Count a run as `tally` does, and say whose turn it was."""
    async with docket.redis() as redis:
        await redis.rpush(f"turns:{docket.name}", tenant)
    return await tally(n, docket, worker, key)


TASKS = [
    echo,
    refuse,
    fail,
    tally,
    hold,
    flaky,
    patient,
    handed_over,
    tick,
    chime,
    describe,
    origins,
    advance,
    in_turns,
]

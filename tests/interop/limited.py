"""Tasks under limits, for the tests that both implementations keep them together; loaded by both as ``tasks.py`` is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from docket import (
    ConcurrencyLimit,
    Cooldown,
    CurrentDocket,
    CurrentWorker,
    Debounce,
    Docket,
    RateLimit,
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


async def exclusive(
    n: int,
    slot: str,
    limit: ConcurrencyLimit = ConcurrencyLimit("slot", max_concurrent=1),
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
) -> None:
    """Count who is in here, and who has been."""
    async with docket.redis() as redis:
        inside = await redis.hincrby(f"tally:{docket.name}", "inside", 1)
        await redis.rpush(f"seen:{docket.name}", inside)
        await sleep(0.005)
        await redis.hincrby(f"tally:{docket.name}", "inside", -1)
        await redis.hincrby(f"tally-workers:{docket.name}", worker.name, 1)
        await redis.hincrby(f"runs:{docket.name}", str(n), 1)


async def exclusive_in_turns(
    n: int,
    slot: str,
    limit: ConcurrencyLimit = ConcurrencyLimit("slot", max_concurrent=1),
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
    share: Any = FairShare and FairShare("slot"),
) -> None:
    await exclusive(n, slot, limit, docket, worker)


async def occupied(
    slot: str,
    limit: ConcurrencyLimit = ConcurrencyLimit("slot", max_concurrent=1),
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
) -> str:
    """Stay until ``release:{docket}`` is there; return the worker's name."""
    async with docket.redis() as redis:
        await redis.rpush(f"began:{docket.name}:occupied", worker.name)
        while not await redis.exists(f"release:{docket.name}"):
            await sleep(0.02)  # the two clients have no blocking command in common
    return worker.name


async def _noted(docket: Docket, worker: Worker) -> None:
    async with docket.redis() as redis:
        await redis.rpush(f"seen:{docket.name}", worker.name)


async def rated(
    rate: RateLimit = RateLimit(1, per=timedelta(seconds=30), drop=True),
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
) -> None:
    await _noted(docket, worker)


async def cooled(
    pause: Cooldown = Cooldown(timedelta(seconds=30)),
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
) -> None:
    await _noted(docket, worker)


async def settled(
    n: int,
    burst: Debounce = Debounce(timedelta(milliseconds=400)),
    docket: Docket = CurrentDocket(),
    worker: Worker = CurrentWorker(),
) -> None:
    await _noted(docket, worker)


TASKS: list[Any] = [exclusive, exclusive_in_turns, occupied, rated, cooled, settled]

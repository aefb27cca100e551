"""Tasks for dashboards to show."""

from __future__ import annotations

from typing import Annotated

import anyio

from docket import CurrentDocket, Docket, Logged, Progress


async def paint(wall: Annotated[int, Logged()] = 0, secret: str = "") -> None: ...


async def wash(wall: int = 0) -> None: ...


async def bad(text: str = "out of paint") -> None:
    raise ValueError(text)


async def charge(account: str, docket: Docket = CurrentDocket()) -> None:
    """Fails until somebody has repaired it."""
    async with docket.redis() as redis:
        if not await redis.exists("repaired"):
            raise ConnectionError(f"no answer for {account}")


async def slow(progress: Progress = Progress()) -> None:
    await progress.set_total(1000)
    while True:
        await progress.increment()
        await anyio.sleep(0.05)


all_tasks = [paint, wash, bad, charge, slow]

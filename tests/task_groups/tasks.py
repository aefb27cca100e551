"""Tasks of parents and children, for workers here and in processes of their own."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Annotated

import anyio

from docket import ConcurrencyLimit, CurrentDocket, Docket, Retry, Timeout, clock

SOON = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)


class Boom(Exception):
    """What children raise."""


async def count(docket: Docket, what: str) -> int:
    """Note that this happens; how often it has by now."""
    async with docket.redis() as redis:
        return int(await redis.hincrby(docket.key("counted"), what, 1))


async def counted(docket: Docket) -> dict[str, int]:
    """How often what has happened."""
    async with docket.redis() as redis:
        return {
            name.decode(): int(often) for name, often in (await redis.hgetall(docket.key("counted"))).items()
        }


async def double(number: int, docket: Docket = CurrentDocket()) -> int:
    await count(docket, f"double {number}")
    return 2 * number


async def boom(why: str = "bang") -> None:
    raise Boom(why)


async def flaky(docket: Docket = CurrentDocket(), retry: Retry = Retry(attempts=3, delay=SOON)) -> int:
    attempt = await count(docket, "flaky")
    if attempt < 3:
        raise Boom(f"attempt {attempt}")
    return attempt


async def endless(name: str, docket: Docket = CurrentDocket()) -> None:
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.CancelScope(shield=True):
            await count(docket, f"stopped {name}")


async def one_at_a_time(name: str, limited: Annotated[int, ConcurrencyLimit(1)] = 1) -> None:
    await anyio.sleep_forever()


def stubborn(seconds: float) -> str:
    time.sleep(seconds)
    return "done"


async def total(numbers: int, docket: Docket = CurrentDocket()) -> int:
    async with docket.task_group() as group:
        children = [await group.add(double)(number) for number in range(numbers)]
    return sum([await child.get_result() for child in children])


async def walk(depth: int, docket: Docket = CurrentDocket()) -> int:
    if not depth:
        return 1
    async with docket.task_group() as group:
        children = [await group.add(walk)(depth - 1) for _ in range(2)]
    return sum([await child.get_result() for child in children])


async def middle(docket: Docket = CurrentDocket()) -> None:
    async with docket.task_group() as group:
        await group.add(endless, key="leaf")("leaf")
        await group.add(double, key="later", when=clock.now() + HOUR)(1)


async def root(docket: Docket = CurrentDocket()) -> None:
    async with docket.task_group() as group:
        await group.add(middle, key="middle")()


async def root_in_time(docket: Docket = CurrentDocket(), timeout: Timeout = Timeout(SOON * 700)) -> None:
    await root(docket)


async def root_in_a_scope(docket: Docket = CurrentDocket()) -> str:
    with anyio.move_on_after(0.7):
        await root(docket)
    return "goes on"


async def held_up(numbers: int, docket: Docket = CurrentDocket()) -> int:
    """A parent that stays in its body the first time, and holds its place; its children are for others."""
    begun = await count(docket, "held up")
    async with docket.task_group() as group:
        children = [await group.add(double)(number) for number in range(numbers)]
        later = await group.add(endless, key="child")("child") if begun == 1 else None
        if later is not None:
            await anyio.sleep_forever()
        await docket.cancel("child")
    return sum([await child.get_result() for child in children])


async def lingering(begun: int, docket: Docket = CurrentDocket()) -> int:
    """Takes its time to stop, the first time."""
    if begun == 1:
        try:
            await count(docket, "lingers")
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await count(docket, "stops")
                await anyio.sleep(4)  # longer than a lease
    return begun


async def unlucky(docket: Docket = CurrentDocket()) -> int:
    """Another child fails, the first time."""
    begun = await count(docket, "unlucky")
    async with docket.task_group() as group:
        child = await group.add(lingering, key="child")(begun)
        if begun == 1:
            while "lingers" not in await counted(docket):
                await anyio.sleep(0.01)
            await group.add(boom)()
    return await child.get_result()


every = [
    double,
    boom,
    flaky,
    endless,
    one_at_a_time,
    stubborn,
    total,
    walk,
    middle,
    root,
    root_in_time,
    root_in_a_scope,
    held_up,
    lingering,
    unlucky,
]

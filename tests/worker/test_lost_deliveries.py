"""A delivery that is handed out just as the connection is lost does not wait for the end of its lease."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest

from docket import CurrentExecution, Docket, Execution, Worker
from tests.durations import ms
from tests.proxy import Proxy
from tests.servers import Server
from tests.where import asyncio_and_trio
from tests.worker.conftest import PATIENCE, working

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

#: Longer than the test, so no lease ends in it.
LEASE = timedelta(minutes=5)


async def held(docket: Docket) -> int:
    """How many deliveries the worker has, whether it knows of them or not."""
    async with docket.redis() as redis:
        return int((await redis.xpending(docket.stream_key, docket.worker_group_name))["pending"])


@pytest.mark.parametrize("busy", [False, True], ids=["while it waits", "while it runs others"])
async def test_a_delivery_that_did_not_arrive_is_taken_when_the_server_is_back(
    server: Server, redis_url: str, busy: bool
) -> None:
    ended, begun = anyio.Event(), anyio.Event()
    runs: list[str] = []

    async def task(name: str, execution: Execution[None] = CurrentExecution()) -> None:
        runs.append(name)
        begun.set()
        if name == "long":
            await ended.wait()

    with Proxy(server.port) as proxy:
        async with (
            Docket("lost", redis_url) as docket,
            Docket("lost", f"{proxy.url}?socket_timeout=5") as far,
        ):
            far.register(task)
            worker = Worker(far, "worker", redelivery_timeout=LEASE, reconnection_delay=ms(50))
            with anyio.fail_after(PATIENCE):
                async with working(worker):
                    long = await docket.add(task)("long")
                    await begun.wait()
                    if not busy:
                        ended.set()
                        await long.get_result()
                    async with docket.redis() as redis:
                        while not (await redis.info("clients"))["blocked_clients"]:
                            await anyio.sleep(0.01)  # until the worker waits in the server
                    proxy.hang("down")
                    short = await docket.add(task)("short")
                    while await held(docket) < (2 if busy else 1):
                        await anyio.sleep(0.01)  # the server does not publish what it hands out
                    proxy.cut()
                    proxy.resume()
                    await short.get_result()
                    ended.set()
                    await long.get_result()
    assert sorted(runs) == ["long", "short"]


async def test_a_delivery_that_arrived_is_not_taken_again(server: Server, redis_url: str) -> None:
    """I4: a lost connection is no reason to restart running tasks."""
    ended, begun = anyio.Event(), anyio.Event()
    runs: list[str] = []

    async def task(name: str) -> None:
        runs.append(name)
        begun.set()
        await ended.wait()

    with Proxy(server.port) as proxy:
        async with Docket("lost", f"{proxy.url}?socket_timeout=5") as docket:
            docket.register(task)
            worker = Worker(docket, "worker", redelivery_timeout=LEASE, reconnection_delay=ms(50))
            with anyio.fail_after(PATIENCE):
                async with working(worker):
                    first = await docket.add(task)("first")
                    await begun.wait()
                    proxy.cut()
                    accepted = proxy.accepted
                    while proxy.accepted == accepted:
                        await anyio.sleep(0.01)  # until the worker is connected again
                    second = await docket.add(task)("second")
                    ended.set()
                    assert await first.get_result() is None
                    assert await second.get_result() is None
    assert runs == ["first", "second"]

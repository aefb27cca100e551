"""Tasks that follow channels do so on their worker's connection; what may have been missed they are told of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from docket import Docket
from docket.parenthood import current_parent
from docket.standins import redis_errors
from tests.durations import ms
from tests.proxy import Proxy
from tests.where import asyncio_and_trio
from tests.worker.conftest import a_worker, working

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

CHANNEL = "a-channel"


class Told:
    """What one task is told."""

    def __init__(self) -> None:
        self.all: list[bytes | None] = []
        self._news = anyio.Event()

    async def __call__(self, said: bytes | None) -> None:
        self.all.append(said)
        self._news.set()
        self._news = anyio.Event()

    async def wait_for(self, said: bytes | None) -> None:
        while said not in self.all:
            await self._news.wait()


async def in_a_task(docket: Docket, body: Callable[[], Awaitable[None]]) -> None:
    docket.register(body, names=["body"])
    execution = await docket.add("body")()
    async with working(a_worker(docket)):
        await execution.get_result(timeout=ms(10_000))


async def say(docket: Docket, text: str) -> None:
    await docket.store.client.call("PUBLISH", CHANNEL, text)


async def test_a_task_hears_what_is_published_until_it_unfollows(docket: Docket) -> None:
    told = Told()

    async def body() -> None:
        parent = current_parent()
        assert parent is not None
        await say(docket, "before")
        await parent.follow(CHANNEL, told)
        await say(docket, "meanwhile")
        await told.wait_for(b"meanwhile")
        parent.unfollow(CHANNEL)
        await parent.follow("another", last := Told())
        await say(docket, "after")
        await docket.store.client.call("PUBLISH", "another", "last")
        await last.wait_for(b"last")
        parent.unfollow("another")

    await in_a_task(docket, body)
    assert told.all == [b"meanwhile"]


async def test_after_a_lost_connection_it_is_told_so_and_hears_on(proxy: Proxy, anyio_backend: Any) -> None:
    told = Told()

    async def body() -> None:
        parent = current_parent()
        assert parent is not None
        await parent.follow(CHANNEL, told)
        proxy.cut()
        await told.wait_for(None)
        while b"again" not in told.all:  # the calls of this task are cut off, too
            try:
                await say(docket, "again")
                await told.wait_for(b"again")
            except redis_errors.ConnectionError:
                pass
        parent.unfollow(CHANNEL)

    async with Docket("following", proxy.url) as docket:
        await in_a_task(docket, body)
    assert told.all.count(None) >= 1


async def test_what_goes_wrong_for_one_is_nothing_to_the_others(docket: Docket) -> None:
    told = Told()

    async def fails(said: bytes | None) -> None:
        raise redis_errors.ResponseError("WRONGTYPE of its group")

    async def body() -> None:
        parent = current_parent()
        assert parent is not None
        await parent.follow("another", fails)
        await parent.follow(CHANNEL, told)
        await docket.store.client.call("PUBLISH", "another", "x")
        await say(docket, "said")
        await told.wait_for(b"said")

    await in_a_task(docket, body)
    assert told.all == [b"said"]

"""A task group while the server is away: its block waits for that, however it stands, and no error of it comes out."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
from redis.exceptions import RedisError

from docket import CurrentDocket, Docket
from docket.transport import PubSub
from tests.servers import Server
from tests.task_groups.conftest import PATIENCE, running
from tests.task_groups.tasks import double, endless
from tests.where import slow
from tests.worker.test_outages import at_work, logged, quick

pytestmark = [pytest.mark.anyio, slow]

KEPT = "--appendonly", "yes", "--appendfsync", "always"


async def test_a_block_is_entered_while_the_server_goes_away(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker has subscribed, and finds the connection lost behind that."""
    subscribe, away = PubSub.subscribe, anyio.Event()

    async def lost_behind(self: PubSub, *channels: bytes | str) -> None:
        await subscribe(self, *channels)
        if ":group:" in str(channels[0]) and not away.is_set():
            server.kill()
            await logged(caplog, "unavailable")
            away.set()

    async def parent(docket: Docket = CurrentDocket()) -> int:
        async with docket.task_group() as group:
            child = await group.add(double)(21)
        return await child.get_result()

    monkeypatch.setattr(PubSub, "subscribe", lost_behind)
    with Server(*KEPT) as server:
        async with Docket("entered", server.url) as docket:
            docket.register(double)
            execution = await docket.add(parent)()
            async with at_work(quick(docket)):
                await away.wait()
                await anyio.sleep(1)  # whoever asks the server meanwhile is told that it is away
                server.start()
                assert await execution.get_result(timeout=timedelta(seconds=PATIENCE)) == 42


async def test_many_are_added_once_a_full_server_takes_them(caplog: pytest.LogCaptureFixture) -> None:
    full = anyio.Event()

    async def parent(docket: Docket = CurrentDocket()) -> list[int]:
        async with docket.task_group() as group:
            async with docket.redis() as redis:
                await redis.config_set("maxmemory", "1")
            full.set()
            children = await group.add_many(group.call(double)(n) for n in range(3))
        return [await child.get_result() for child in children]

    with Server() as server:
        async with Docket("full", server.url) as docket:
            docket.register(double)
            execution = await docket.add(parent)()
            async with at_work(quick(docket)):
                await full.wait()
                await logged(caplog, "its memory is full")
                async with docket.redis() as redis:
                    await redis.config_set("maxmemory", "0")
                assert await execution.get_result(timeout=timedelta(seconds=PATIENCE)) == [0, 2, 4]


async def test_a_parent_whose_lease_is_lost_as_it_leaves_its_block_sees_no_error_and_begins_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[BaseException] = []
    begun = 0

    async def parent(docket: Docket = CurrentDocket()) -> int:
        nonlocal begun
        begun += 1
        try:
            async with docket.task_group() as group:
                await group.add(endless, key="child")("child")
                if begun > 1:
                    await docket.cancel("child")
        except BaseException as error:
            seen.append(error)
            raise
        return begun

    with Server(*KEPT) as server:
        async with Docket("left", server.url) as docket:
            docket.register(endless)
            execution = await docket.add(parent)()
            async with at_work(quick(docket, redelivery_timeout=timedelta(seconds=2))):
                await running(docket, "child")
                server.kill()
                await logged(caplog, r"\(lost\)")
                server.start()
                assert await execution.get_result(timeout=timedelta(seconds=PATIENCE)) == 2
                assert not any(isinstance(error, RedisError | ExceptionGroup) for error in seen)

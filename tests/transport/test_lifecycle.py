"""The life of a client: event loops, tasks, closing."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from docket.transport import Client
from tests.loops import LOOPS
from tests.servers import Server
from tests.transport.stress import open_descriptors


def run(loop: Any, work: Callable[[], Awaitable[None]]) -> None:
    backend, options = loop
    anyio.run(work, backend=backend, backend_options=options)


def test_one_client_works_in_one_event_loop_after_another(url: str) -> None:
    client = Client.from_url(url)
    used = 0

    async def use() -> None:
        nonlocal used
        used += 1
        assert await client.incr("count") == used
        with anyio.move_on_after(0.01):  # leaves a connection behind that is owed something
            await client.blpop(["nothing"], 0)
        async with client.dedicated() as connection:
            assert await connection.call("ECHO", "x") == b"x"

    for loop in (*LOOPS, *reversed(LOOPS)):
        run(loop, use)
    assert used == 6
    client.close()


def test_connections_of_an_ended_loop_are_closed(server: Server) -> None:
    client = Client.from_url(server.url)

    async def use() -> None:
        await client.ping()
        await client.blpop(["nothing"], 0.01)

    before = open_descriptors()
    for loop in LOOPS * 3:
        run(loop, use)
        assert open_descriptors() == before
    client.close()


def test_a_client_can_be_closed_where_no_loop_runs(url: str) -> None:
    client = Client.from_url(url)

    async def use() -> None:
        await client.ping()

    for loop in LOOPS:
        run(loop, use)
        client.close()
        client.close()


@pytest.mark.anyio
async def test_a_client_may_be_entered_and_left_in_different_tasks(url: str) -> None:
    client = Client.from_url(url)
    for step in (client.__aenter__, client.ping, lambda: client.__aexit__(None, None, None)):
        async with anyio.create_task_group() as group:
            group.start_soon(step)


@pytest.mark.anyio
async def test_a_closed_client_connects_again_when_used_again(redis: Client) -> None:
    await redis.set("key", "kept")
    await redis.aclose()
    assert await redis.get("key") == b"kept"


@pytest.mark.anyio
async def test_a_forgotten_client_leaves_nothing_open(redis: Client) -> None:
    await redis.ping()
    before = open_descriptors()
    forgotten = Client.from_url(f"redis://127.0.0.1:{redis.address.port}")
    await forgotten.ping()
    await forgotten.blpop(["nothing"], 0.01)
    assert open_descriptors() == before + 2
    del forgotten
    gc.collect()
    assert open_descriptors() == before


@pytest.mark.anyio
async def test_the_server_in_this_process_lives_as_long_as_its_client(memory_url: str) -> None:
    async with Client.from_url(memory_url) as first, Client.from_url(memory_url) as second:
        await first.set("key", "kept")
        await second.ping()
        first.close()
        assert await second.get("key") == b"kept"
    async with Client.from_url(memory_url) as third:
        assert await third.get("key") is None


@pytest.mark.anyio
async def test_a_lone_caller_of_the_server_in_this_process_lets_others_run(memory_url: str) -> None:
    turns: list[str] = []
    async with Client.from_url(memory_url) as client:

        async def one(name: str) -> None:
            for _ in range(5):
                await client.call("PING")
                turns.append(name)

        async with anyio.create_task_group() as group:
            group.start_soon(one, "a")
            group.start_soon(one, "b")
    assert all(turns[index : index + 3] not in (["a"] * 3, ["b"] * 3) for index in range(8)), turns


@pytest.mark.anyio
async def test_a_cancelled_caller_of_the_server_in_this_process_has_done_nothing(memory_url: str) -> None:
    async with Client.from_url(memory_url) as client:
        await client.ping()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await client.call("SET", "key", "value")
        assert scope.cancelled_caught
        assert await client.exists("key") == 0


def test_no_timeout_of_the_client_moves_a_virtual_clock(memory_url: str) -> None:
    """On memory:// waiting for a message or an item ends when it comes, be it in a month."""
    month = 30 * 24 * 3600.0

    async def use() -> None:
        async with Client.from_url(memory_url) as client, client.pubsub() as pubsub:
            await pubsub.subscribe("news")
            started = anyio.current_time()

            async def later() -> None:
                await anyio.sleep(month)
                await client.publish("news", "at last")
                await anyio.sleep(month)
                await client.rpush("queue", "item")

            async with anyio.create_task_group() as group:
                group.start_soon(later)
                assert (await pubsub.receive()).payload == b"at last"
                assert anyio.current_time() - started == month
                assert await client.blpop(["queue"], 0) == (b"queue", b"item")
                assert anyio.current_time() - started == 2 * month

    trio.run(use, clock=trio.testing.MockClock(autojump_threshold=0))

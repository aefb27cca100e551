"""Cancelled callers, lost connections, silent servers: who is hit, and who must not notice."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable

import anyio
import pytest
from redis.exceptions import ConnectionError, TimeoutError, WatchError

from docket.transport import Client
from tests.servers import Server, free_port
from tests.transport.stress import open_descriptors

pytestmark = [pytest.mark.anyio]

BIG = b"x" * 20_000_000  # more than the socket buffers of both sides hold


async def settled() -> None:
    """Let every task run until it waits for something that is not another task."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(10):
        while not await condition():
            pass


async def blocked_clients(client: Client) -> int:
    return int((await client.info("clients"))["blocked_clients"])


async def test_a_cancelled_caller_does_not_shift_replies(victim: Server) -> None:
    async with Client.from_url(victim.url) as client:
        await client.ping()
        identity = await client.call("CLIENT", "ID")
        victim.pause()
        async with anyio.create_task_group() as callers:
            for number in range(20):
                callers.start_soon(client.call, "ECHO", number)
            await settled()
            callers.cancel_scope.cancel()
        victim.resume()
        assert await client.call("ECHO", b"mine") == b"mine"
        assert await client.call("CLIENT", "ID") == identity


async def test_who_sends_for_the_others_may_be_cancelled_half_way(victim: Server) -> None:
    got: dict[int, object] = {}
    async with Client.from_url(victim.url) as client:
        identity = await client.call("CLIENT", "ID")
        victim.pause()
        sending = anyio.CancelScope()

        async def send_much() -> None:
            with sending:
                await client.call("ECHO", BIG)

        async def one(number: int) -> None:
            got[number] = await client.call("ECHO", number)

        async with anyio.create_task_group() as group:
            group.start_soon(send_much)
            await settled()  # the buffers are full now
            for number in range(5):
                group.start_soon(one, number)
            await settled()
            sending.cancel()
            await settled()
            victim.resume()
        assert got == {number: b"%d" % number for number in range(5)}
        assert await client.call("CLIENT", "ID") == identity, "one of the others finished the sending"


async def test_a_command_that_nobody_sends_any_more_dies_with_its_connection(victim: Server) -> None:
    async with Client.from_url(victim.url) as client:
        identity = await client.call("CLIENT", "ID")
        victim.pause()
        async with anyio.create_task_group() as group:
            group.start_soon(client.call, "SET", "late", BIG)
            await settled()
            group.cancel_scope.cancel()
        victim.resume()
        assert await client.call("CLIENT", "ID") != identity
        assert await client.call("EXISTS", "late") == 0


async def test_a_lost_connection_fails_everybody_in_flight_each_with_an_error_of_its_own(
    victim: Server,
) -> None:
    errors: list[Exception] = []
    async with Client.from_url(victim.url) as client:
        await client.ping()
        victim.pause()

        async def one() -> None:
            try:
                await client.call("ECHO", b"?")
            except ConnectionError as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(one)
            await settled()
            assert victim.process is not None
            victim.process.kill()  # while paused: it answers nobody any more
        victim.kill()
        assert len(errors) == len({id(error) for error in errors}) == 50
        victim.start()
        assert await client.call("ECHO", b"back") == b"back"


async def test_a_command_that_may_have_been_executed_is_not_repeated(victim: Server) -> None:
    async with Client.from_url(victim.url) as client, Client.from_url(victim.url) as other:
        await client.set("count", 0)
        with pytest.raises(ConnectionError):
            await client.call_many(
                [("INCR", "count"), ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"), ("ECHO", b"never")]
            )
        assert int(await other.get("count") or 0) == 1


async def test_a_command_of_which_nothing_was_sent_is_sent_again_unnoticed(victim: Server) -> None:
    outcomes: dict[str, object] = {}
    async with Client.from_url(victim.url) as client:
        await client.ping()

        async def one(name: str, payload: bytes) -> None:
            try:
                outcomes[name] = await client.call("ECHO", payload)
            except ConnectionError as error:
                outcomes[name] = error

        async with anyio.create_task_group() as group:
            victim.pause()
            group.start_soon(one, "half sent", BIG)
            await settled()  # the buffers are full now
            group.start_soon(one, "behind it", b"small")
            await settled()
            victim.restart()
    assert isinstance(outcomes["half sent"], ConnectionError)
    assert outcomes["behind it"] == b"small"


async def test_a_connection_lost_while_keys_are_watched_is_as_if_they_had_changed(victim: Server) -> None:
    async with Client.from_url(victim.url) as client, client.pipeline() as pipe:
        await pipe.watch("key")
        victim.restart()
        pipe.multi()
        pipe.set("key", 1)
        with pytest.raises(WatchError):
            await pipe.execute()


async def test_a_connection_lost_while_idle_is_replaced_unnoticed(victim: Server) -> None:
    async with Client.from_url(victim.url) as client:
        await client.ping()
        victim.restart()
        await anyio.sleep(0.02)  # some servers are back within 10 ms: nobody is idle that soon
        assert await client.call("ECHO", b"z") == b"z"


async def test_one_connects_for_all_and_they_share_its_failure() -> None:
    errors: list[str] = []
    port = free_port()
    async with Client.from_url(f"redis://127.0.0.1:{port}") as client:

        async def one() -> None:
            try:
                await client.ping()
            except ConnectionError as error:
                errors.append(str(error))

        started = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(one)
        assert time.perf_counter() - started < 5
    assert len(errors) == 100
    assert all(f"127.0.0.1:{port}" in error for error in errors)


async def test_a_server_that_never_accepts_is_given_up_in_bounded_time(victim: Server) -> None:
    victim.pause()  # the kernel accepts, nobody answers
    async with Client.from_url(f"{victim.url}?socket_connect_timeout=0.2") as client:
        started = time.perf_counter()
        with pytest.raises(ConnectionError, match=f"127.0.0.1:{victim.port}.*no answer within 0.2 s"):
            await client.ping()
        assert time.perf_counter() - started < 2


async def test_callers_wait_for_a_server_that_comes_back_while_they_try(victim: Server) -> None:
    victim.kill()
    async with Client.from_url(victim.url) as client:
        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(client.ping)
            await settled()
            await anyio.to_thread.run_sync(victim.start)


async def test_a_silent_server_is_given_up_after_the_socket_timeout(victim: Server) -> None:
    errors: list[Exception] = []
    async with Client.from_url(f"{victim.url}?socket_timeout=0.3") as client:
        await client.ping()
        victim.pause()

        async def one() -> None:
            try:
                await client.call("ECHO", b"?")
            except TimeoutError as error:
                errors.append(error)

        started = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(one)
        assert 0.25 < time.perf_counter() - started < 3
        assert len(errors) == 5
        victim.resume()
        assert await client.call("ECHO", b"back") == b"back"


async def test_a_silent_server_is_given_up_however_many_go_on_to_ask_it(victim: Server) -> None:
    """That the kernel takes their questions is no sign of life."""
    patience, longest = 0.4, 0.0
    async with Client.from_url(
        f"{victim.url}?socket_timeout={patience}&socket_connect_timeout=0.2"
    ) as client:
        await client.ping()
        victim.pause()

        async def one() -> None:
            nonlocal longest
            started = time.perf_counter()
            with pytest.raises((TimeoutError, ConnectionError)):
                await client.call("ECHO", b"?")
            longest = max(longest, time.perf_counter() - started)

        async with anyio.create_task_group() as group:
            for _ in range(20):  # for longer than the patience
                group.start_soon(one)
                await anyio.sleep(0.1)
    assert longest < 3 * patience


async def test_a_server_that_takes_no_more_bytes_is_given_up_too(victim: Server) -> None:
    async with Client.from_url(f"{victim.url}?socket_timeout=0.3") as client:
        await client.ping()
        victim.pause()
        with anyio.fail_after(5), pytest.raises(TimeoutError):
            await client.call("ECHO", BIG)


async def test_the_time_a_command_may_block_is_added_to_the_socket_timeout(victim: Server) -> None:
    async with Client.from_url(f"{victim.url}?socket_timeout=0.2") as client:
        assert await client.blpop(["nothing"], 1) is None  # a real second: the server's own clock counts
        victim.pause()
        with anyio.fail_after(5), pytest.raises(TimeoutError):
            await client.blpop(["nothing"], 0.1)


async def test_a_cancelled_blocking_command_is_forgotten_by_the_server(redis: Client) -> None:
    await redis.xgroup_create("stream", "group", mkstream=True)

    async def blocking() -> None:
        await redis.xreadgroup("group", "me", {"stream": ">"}, block=0)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(blocking)

        async def all_blocked() -> bool:
            return await blocked_clients(redis) == 3

        await until(all_blocked)
        group.cancel_scope.cancel()

    async def none_blocked() -> bool:
        return await blocked_clients(redis) == 0

    await until(none_blocked)


async def test_others_are_served_while_one_blocks(client: Client) -> None:
    got: list[object] = []

    async def blocking() -> None:
        got.append(await client.blpop(["queue"], 0))

    async with anyio.create_task_group() as group:
        group.start_soon(blocking)
        await settled()
        assert await client.rpush("queue", "item") == 1
    assert got == [(b"queue", b"item")]


async def test_closing_fails_those_in_flight_and_leaves_nothing_open(victim: Server) -> None:
    errors: list[Exception] = []
    async with Client.from_url(victim.url) as warm:
        await warm.ping()
    before = open_descriptors()
    client = Client.from_url(victim.url)
    await client.ping()

    async def one(*command: str) -> None:
        try:
            await client.execute_command(*command)
        except ConnectionError as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(one, "BLPOP", "nothing", "0")
        await settled()
        victim.pause()
        group.start_soon(one, "ECHO", "a")
        group.start_soon(one, "ECHO", "b")
        await settled()
        client.close()
    assert len(errors) == 3
    assert all("closed by client" in str(error) for error in errors)
    victim.resume()
    assert open_descriptors() == before


async def test_what_the_server_sends_unasked_ends_the_connection(redis: Client) -> None:
    async with redis.dedicated() as connection:
        await connection.request(b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n")
        with contextlib.suppress(ConnectionError):
            while connection.error is None:  # noticed with the next reply, at the latest
                await connection.call("PING")
        assert "nobody asked for" in str(connection.error)

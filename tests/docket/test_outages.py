"""What a program that has a docket sees of a Redis in trouble: each call ends in time, with an error that says why."""

from __future__ import annotations

import builtins
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
import redis
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from docket import Disposition, Docket, Execution, StrikeList, Worker
from docket.transport import parse
from tests.proxy import Direction, Proxy
from tests.servers import Server
from tests.trouble import AWAY, REFUSALS, SAID, on_some_loop
from tests.where import asyncio_and_trio

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

#: With these no call of a few round trips may take longer than the tests allow.
QUICK = "?socket_timeout=0.3&socket_connect_timeout=0.5"
AT_MOST = 4.0

LATER = datetime(2065, 1, 24, 5, 20, tzinfo=UTC)
SOON = timedelta(milliseconds=100)


async def task(number: int = 0) -> int:
    return number


async def strike_elsewhere(docket: Docket) -> None:
    async with StrikeList(
        docket.url, docket.name
    ) as strikes:  # entering waits in vain, and says so in the log
        await strikes.strike("task")


async def use_redis(docket: Docket) -> None:
    async with docket.redis() as client:
        await client.blpop(["nothing"], timeout=0.1)
        await client.get("nothing")


#: By name; the execution is of a task that waits on the docket, under the key ``known``.
CALLS: dict[str, Callable[[Docket, Execution[Any]], Awaitable[Any]]] = {
    "add": lambda docket, _: docket.add(task)(1),
    "replace": lambda docket, _: docket.replace(task, LATER, "key")(1),
    "add_many": lambda docket, _: docket.add_many([docket.call(task)(1), docket.call(task)(2)]),
    "cancel": lambda docket, _: docket.cancel("known"),
    "clear": lambda docket, _: docket.clear(),
    "get_execution": lambda docket, _: docket.get_execution("known"),
    "snapshot": lambda docket, _: docket.snapshot(),
    "workers": lambda docket, _: docket.workers(),
    "task_workers": lambda docket, _: docket.task_workers("task"),
    "concurrency": lambda docket, _: docket.concurrency(),
    "strike": lambda docket, _: docket.strike("nobody"),
    "restore": lambda docket, _: docket.restore("nobody"),
    "strikes": lambda docket, _: docket.strikes(),
    "StrikeList": lambda docket, _: strike_elsewhere(docket),
    "redis": lambda docket, _: use_redis(docket),
    "sync": lambda _, execution: execution.sync(),
    "get_result": lambda _, execution: execution.get_result(),
    "is_superseded": lambda _, execution: execution.is_superseded(),
    "increment": lambda _, execution: execution.progress.increment(),
    "set_total": lambda _, execution: execution.progress.set_total(3),
    "set_message": lambda _, execution: execution.progress.set_message("on the way"),
    "subscribe": lambda _, execution: anext(execution.subscribe()),
}


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[tuple[Docket, Execution[Any]]]:
    async with Docket("trouble", url) as docket:
        yield docket, await docket.add(task, LATER, "known")(7)


async def all_at_once(docket: Docket, execution: Execution[Any]) -> dict[str, object]:
    """Make every call, at the same time; return what came of each within the time that is allowed."""
    outcomes: dict[str, object] = dict.fromkeys(CALLS, "did not end")

    async def one(name: str) -> None:
        try:
            outcomes[name] = await CALLS[name](docket, execution)
        except Exception as error:
            outcomes[name] = error

    with anyio.move_on_after(AT_MOST):
        async with anyio.create_task_group() as group:
            for name in CALLS:
                group.start_soon(one, name)
    return outcomes


def other_than(kind: type[Exception] | tuple[type[Exception], ...], outcomes: dict[str, object]) -> object:
    return {name: outcome for name, outcome in outcomes.items() if not isinstance(outcome, kind)}


def errors(outcomes: dict[str, object]) -> object:
    return {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, RedisError | str)}


@pytest.fixture
def victim(own_server: Server) -> Server:
    """A server that a test may do anything to, and leaves well."""
    with redis.Redis(port=own_server.port) as client:
        client.flushall()
    return own_server


DIRECTIONS: dict[str, Direction] = {"mute": "both", "deaf": "up", "dumb": "down"}


@on_some_loop(DIRECTIONS, everywhere=["mute"])
async def test_no_call_waits_for_a_server_that_hangs(redis_url: str, server: Server, name: str) -> None:
    """Nothing arrives, and no connection is closed: neither those that there are nor new ones."""
    with Proxy(server.port) as proxy:
        async with opened(proxy.url + QUICK) as (docket, execution):
            proxy.hang(DIRECTIONS[name])
            outcomes = await all_at_once(docket, execution)
            assert other_than((ConnectionError, TimeoutError), outcomes) == {}
            proxy.cut()
            proxy.resume()
            assert errors(await all_at_once(docket, execution)) == {}


@on_some_loop(["refused"])
async def test_no_call_waits_for_a_server_that_is_not_there(victim: Server, name: str) -> None:
    async with opened(victim.url + QUICK) as (docket, execution):
        with AWAY[name](victim):
            assert other_than(ConnectionError, await all_at_once(docket, execution)) == {}
        assert errors(await all_at_once(docket, execution)) == {}


async def test_a_silent_server_is_given_up_after_half_a_minute_unless_the_url_says_otherwise() -> None:
    """As docs/servers.md says."""
    address = parse("redis://localhost")
    assert (address.socket_timeout, address.connect_timeout) == (30, 10)
    assert parse(f"redis://localhost{QUICK}").socket_timeout == 0.3


@on_some_loop([*REFUSALS, *(name for name in AWAY if name != "SIGSTOP")], everywhere=REFUSALS)
async def test_who_adds_hears_what_is_wrong_and_may_add_again_when_it_is_over(
    victim: Server, name: str
) -> None:
    async with opened(victim.url + QUICK) as (docket, _):
        with {**REFUSALS, **AWAY}[name](victim):
            await anyio.sleep(0.02)  # a connection that has rested is looked at before it is used
            with anyio.fail_after(AT_MOST), pytest.raises(RedisError, match=SAID[name]) as caught:
                await docket.add(task, key="again")()
            assert name not in AWAY or isinstance(caught.value, ConnectionError)
        assert await docket.get_execution("again") is None, "what was refused was not done by half"
        assert (await docket.add(task, key="again")()).disposition is Disposition.SCHEDULED


# Waiting for a result ----------------------------------------------------------------------------------------


async def finish(url: str, key: str) -> None:
    """Run a task at once, by a worker that has nothing to do with the trouble of the one who waits for it."""
    async with Docket("trouble", url) as docket, Worker(docket) as worker:
        await docket.replace(task, datetime.now(UTC), key)(7)
        await worker.run_until_finished()


async def test_the_timeout_of_get_result_holds_while_the_server_hangs(redis_url: str, server: Server) -> None:
    with Proxy(server.port) as proxy:
        async with opened(proxy.url) as (_, execution):  # whose server may be silent for half a minute
            proxy.hang()
            with anyio.fail_after(AT_MOST), pytest.raises(builtins.TimeoutError, match="Timeout waiting"):
                await execution.get_result(timeout=SOON)
            with anyio.fail_after(AT_MOST), pytest.raises(builtins.TimeoutError, match="Timeout waiting"):
                await execution.get_result(deadline=datetime.now(UTC) + SOON)


async def test_who_waits_for_a_result_does_not_notice_that_the_connections_were_lost(
    redis_url: str, server: Server
) -> None:
    got: list[int] = []
    with Proxy(server.port) as proxy:
        async with opened(proxy.url) as (_, execution):

            async def wait() -> None:
                got.append(await execution.get_result())

            with anyio.fail_after(20):
                async with anyio.create_task_group() as group:
                    group.start_soon(wait)
                    while proxy.open < 2:  # one for everybody, one to listen on
                        await anyio.sleep(0.01)
                    proxy.cut()
                    await finish(redis_url, "known")
    assert got == [7]


async def test_who_waits_for_a_result_on_a_half_open_connection_hears_of_it_in_time(
    redis_url: str, server: Server
) -> None:
    got: list[int] = []
    with Proxy(server.port) as proxy:
        async with opened(proxy.url + QUICK) as (_, execution):

            async def wait() -> None:
                got.append(await execution.get_result())

            with anyio.fail_after(AT_MOST):
                async with anyio.create_task_group() as group:
                    group.start_soon(wait)
                    while proxy.open < 2:
                        await anyio.sleep(0.01)
                    proxy.cut("up")  # the server forgets the listener, who is not told
                    await finish(redis_url, "known")
    assert got == [7]


@asyncio_and_trio
async def test_get_result_waits_out_a_restart_within_its_timeout(persistent: Server) -> None:
    async with Docket("trouble", persistent.url + QUICK) as docket, anyio.create_task_group() as group:
        execution = await docket.add(task, key="k")(7)
        other = await docket.add(task, LATER, "later")(7)
        results: list[int] = []
        causes: list[BaseException | None] = []

        async def wait() -> None:
            results.append(await execution.get_result(timeout=timedelta(seconds=60)))

        async def wait_in_vain() -> None:
            with pytest.raises(builtins.TimeoutError, match="Redis was away meanwhile") as raised:
                await other.get_result(timeout=timedelta(seconds=1))
            causes.append(raised.value.__cause__)

        for _ in range(5):
            group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        persistent.kill()
        group.start_soon(wait)  # begins while the server is away
        await wait_in_vain()
        assert isinstance(causes[0], ConnectionError)
        assert results == []
        await anyio.to_thread.run_sync(persistent.start)
        await docket.cancel("later")
        await Worker(docket).run_until_finished()
        with anyio.fail_after(10):
            while len(results) < 6:
                await anyio.sleep(0.01)
        assert results == [7] * 6


@pytest.fixture
def persistent() -> Iterator[Server]:
    with Server("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server

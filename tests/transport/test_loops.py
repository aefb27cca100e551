"""One client in several event loops, one after the other and in several threads at once."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from types import ModuleType
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from redis.exceptions import ConnectionError

from docket.transport import Client, PubSub, Tail
from tests.loops import LOOPS, PATIENCE, Elsewhere, Loop, run, together
from tests.transport.stress import open_descriptors

FOREIGN = pytest.mark.parametrize("foreign", LOOPS, ids=["asyncio", "uvloop", "trio"])

SCRIPT = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


async def settled_at(descriptors: int) -> None:
    """Wait until this process has so many descriptors: what another loop closes it closes soon."""
    with anyio.fail_after(PATIENCE):
        while open_descriptors() != descriptors:
            await anyio.sleep(0.001)


@pytest.mark.parametrize("kind", ["memory", "redis", "cluster", "sentinel"])
def test_loops_in_several_threads_use_one_client_at_once(kind: str, request: pytest.FixtureRequest) -> None:
    client = Client.from_url(request.getfixturevalue(f"{kind}_url"), home="{at-once}")
    script = client.register_script(SCRIPT)
    start = threading.Barrier(2 * len(LOOPS))

    async def one(number: int) -> None:
        for _ in range(10):
            await client.incr("{at-once}:count")
            await script(["{at-once}:count"], [1])
            async with client.pipeline() as pipe:
                pipe.incr("{at-once}:count")
                await script(["{at-once}:count"], [1], client=pipe)
                await pipe.execute()
            await client.rpush(f"{{at-once}}:{number}", "x")
            assert await client.blpop([f"{{at-once}}:{number}"], 0) is not None
        async with client.lock("{at-once}:lock", timeout=PATIENCE, sleep=0.01):
            await client.incr("{at-once}:count")

    async def use(first: int) -> None:
        async with anyio.create_task_group() as group:
            for number in range(first, first + 3):
                group.start_soon(one, number)

    def work(loop: Loop, first: int) -> None:
        start.wait(PATIENCE)
        run(loop, use, first)

    together(*[lambda loop=loop, at=at: work(loop, 10 * at) for at, loop in enumerate(LOOPS * 2)])

    async def count() -> bytes | None:
        return await client.get("{at-once}:count")

    before = open_descriptors()
    assert run(LOOPS[0], count) == str(6 * 3 * 41).encode()
    assert open_descriptors() == before
    client.close()


@FOREIGN
@pytest.mark.anyio
async def test_what_is_published_and_pushed_in_one_loop_is_heard_in_another(
    client: Client, foreign: Loop
) -> None:
    subscribed = threading.Event()

    async def listen() -> list[bytes]:
        async with client.pubsub() as pubsub:
            await pubsub.subscribe("news")
            subscribed.set()
            heard = [(await pubsub.receive()).payload for _ in range(20)]
        return heard + [item for _, item in [await client.blpop(["queue"], 0) for _ in range(20)]]

    with Elsewhere(foreign) as other:
        heard: list[bytes] = []

        async def ask() -> None:
            heard.extend(await other.ask(listen))

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                await anyio.to_thread.run_sync(subscribed.wait)
                for number in range(20):
                    await client.publish("news", number)
                for number in range(20, 40):
                    await client.rpush("queue", number)
                    await anyio.lowlevel.checkpoint()
    assert heard == [str(number).encode() for number in range(40)]


@FOREIGN
@pytest.mark.anyio
async def test_a_loop_that_ends_does_not_disturb_who_waits_in_another(client: Client, foreign: Loop) -> None:
    async def use() -> None:
        await client.rpush("other", "x")
        await client.blpop(["other"], 0)

    popped: list[Any] = []

    async def wait() -> None:
        popped.append(await client.blpop(["queue"], 0))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await client.ping()
            for _ in range(3):
                await anyio.to_thread.run_sync(run, foreign, use)
                await client.ping()
            await anyio.to_thread.run_sync(run, foreign, lambda: client.rpush("queue", "item"))
    assert popped == [(b"queue", b"item")]


@FOREIGN
def test_an_ended_loop_leaves_nothing_behind(url: str, foreign: Loop) -> None:
    client = Client.from_url(url)
    ended: list[weakref.ref[Any]] = []

    async def use() -> None:
        ended.append(weakref.ref(anyio.lowlevel.current_token().native_token))
        await client.incr("count")
        with anyio.move_on_after(0.001):
            await client.blpop(["nothing"], 0)
        pubsub = client.pubsub()
        await pubsub.subscribe("news")  # and is not closed

    before = open_descriptors()
    for _ in range(10):
        run(foreign, use)
        assert open_descriptors() == before
    gc.collect()
    assert [loop() for loop in ended if loop() is not None] == []
    client.close()


def test_a_loop_that_an_error_has_ended_leaves_nothing_open(url: str) -> None:
    client = Client.from_url(url)

    async def fail() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client.blpop(["nothing"], 0))
            await client.ping()
            raise ZeroDivisionError

    for loop in LOOPS:
        run(loop, client.ping)  # what a loop opens once for ever is there by now
    before = open_descriptors()
    for loop in LOOPS:
        with pytest.raises(ExceptionGroup):
            run(loop, fail)
        assert open_descriptors() == before
    client.close()


def test_a_loop_that_is_closed_without_ceremony_is_found_by_the_next_one(url: str) -> None:
    """Its tasks were never told: they wait for ever."""
    client = Client.from_url(url)
    for loop in LOOPS:
        run(loop, client.ping)
    before = open_descriptors()
    abandoned = asyncio.new_event_loop()
    tasks: list[asyncio.Task[Any]] = []

    async def wait() -> None:
        await client.blpop(["queue"], 0)

    async def use() -> None:
        tasks.append(asyncio.ensure_future(wait()))
        await client.ping()
        await asyncio.sleep(0.01)

    abandoned.run_until_complete(use())
    abandoned.close()
    assert open_descriptors() == before + (0 if client.is_memory else 2)
    other = Client.from_url(url)
    run(LOOPS[1], lambda: other.rpush("queue", "x"))  # wakes nobody
    run(LOOPS[1], client.ping)
    assert open_descriptors() == before
    assert run(LOOPS[2], lambda: other.llen("queue")) == (1 if client.is_memory else 0)
    tasks.pop().get_coro().close()  # type: ignore[union-attr]  # nobody else would
    other.close()
    client.close()


@FOREIGN
@pytest.mark.anyio
async def test_closing_a_client_closes_what_it_has_in_all_loops(url: str, foreign: Loop) -> None:
    client = Client.from_url(url)
    await client.ping()
    waiting = threading.Event()

    async def connect() -> None:
        await client.ping()

    async def wait() -> None:
        waiting.set()
        await client.blpop(["nothing"], 0)

    with Elsewhere(foreign) as other:
        before = open_descriptors()
        await other.ask(connect)

        async def ask() -> None:
            with pytest.raises(ConnectionError, match="closed by client"):
                await other.ask(wait)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as group:
                group.start_soon(ask)
                await anyio.to_thread.run_sync(waiting.wait)
                while not client.is_memory and open_descriptors() < before + 2:
                    await anyio.sleep(0.001)
                client.close()
        await settled_at(before - (not client.is_memory))
        await other.ask(connect)  # a closed client connects again
        client.close()
        await settled_at(before - (not client.is_memory))


def test_a_client_is_closed_again_and_again_while_short_loops_use_it(url: str) -> None:
    """Each moment of a loop's end is one at which it may be closed."""
    client = Client.from_url(url)
    for loop in LOOPS:
        run(loop, client.ping)
    before = open_descriptors()
    over = threading.Event()

    async def use() -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(client.ping)
                await client.ping()
        except* ConnectionError:
            pass

    def short_runs(loop: Loop) -> None:
        while not over.is_set():
            run(loop, use)

    def close() -> None:
        for _ in range(1000):
            client.close()
            over.wait(0.0005)
        over.set()

    together(close, *[lambda loop=loop: short_runs(loop) for loop in LOOPS])
    client.close()
    assert open_descriptors() == before


def test_who_waits_in_a_loop_that_rests_is_told_when_that_goes_on(url: str) -> None:
    """A script that runs a loop of its own for a while, as Jupyter did."""
    client = Client.from_url(url)
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Task[Any]:
        task = asyncio.ensure_future(client.blpop(["nothing"], 0))
        await client.ping()
        await asyncio.sleep(0.01)
        return task

    before = open_descriptors()
    waiting = loop.run_until_complete(begin())
    run(LOOPS[2], client.ping)
    assert not waiting.done()
    client.close()
    assert open_descriptors() == before
    with pytest.raises(ConnectionError, match="closed by client"):
        loop.run_until_complete(asyncio.wait_for(waiting, PATIENCE))
    loop.close()


@FOREIGN
@pytest.mark.anyio
async def test_a_client_that_is_forgotten_elsewhere_leaves_nothing_open(url: str, foreign: Loop) -> None:
    async def use(client: Client) -> None:
        await client.ping()

    with Elsewhere(foreign) as other:
        before = open_descriptors()
        forgotten = Client.from_url(url)
        await use(forgotten)
        await other.ask(use, forgotten)
        del forgotten
        gc.collect()
        await other.ask(anyio.lowlevel.checkpoint)
        gc.collect()
        await settled_at(before)


@FOREIGN
@pytest.mark.anyio
async def test_a_subscriber_is_of_one_loop_and_may_be_closed_in_another(
    client: Client, foreign: Loop
) -> None:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        with Elsewhere(foreign) as other:
            for method in pubsub.receive, lambda: pubsub.subscribe("more"), pubsub.reconnect:
                with pytest.raises(RuntimeError, match="used in another event loop: make one for each"):
                    await other.ask(method)
            await client.publish("news", "still here")
            with anyio.fail_after(PATIENCE):
                assert (await pubsub.receive()).payload == b"still here"
            before = open_descriptors()
            await other.ask(pubsub.aclose)
            await settled_at(before - (not client.is_memory))


def test_a_subscriber_connects_again_in_the_next_loop(url: str) -> None:
    client = Client.from_url(url)
    pubsub = PubSub(client)

    async def listen() -> bytes:
        await pubsub.reconnect()
        await client.publish("news", "again")
        return (await pubsub.receive()).payload

    run(LOOPS[0], lambda: pubsub.subscribe("news"))
    for loop in LOOPS:
        assert run(loop, listen) == b"again"
    pubsub.close()
    client.close()


def test_a_tail_is_read_after_the_loop_that_opened_it_has_ended(url: str) -> None:
    client = Client.from_url(url)
    tail = Tail(client, "s")

    async def write(number: int) -> None:
        await client.xadd("s", {"n": number})

    run(LOOPS[0], tail.open)
    assert tail.is_open
    read: list[bytes] = []
    for at, loop in enumerate(LOOPS * 2):
        run(loop, write, at)
        while len(read) <= at:
            read += [entry_id for entry_id, _ in tail.new_entries(read[-1] if read else b"")]
    assert tail.is_open
    tail.close()
    client.close()


def test_a_tail_is_read_by_several_threads_at_once(url: str) -> None:
    client = Client.from_url(url)
    tail = Tail(client, "s")
    run(LOOPS[0], tail.open)
    told: list[bytes] = []
    written = threading.Event()

    async def write() -> None:
        for number in range(20):
            await client.xadd("s", {"n": number})
            await anyio.sleep(0.001)
        written.set()

    def read() -> None:
        while not (written.is_set() and len(told) >= 20):
            told.extend(entry_id for entry_id, _ in tail.new_entries(b""))

    together(lambda: run(LOOPS[2], write), read, read, read)
    assert len(set(told)) == 20
    tail.close()
    client.close()


@pytest.mark.anyio
async def test_a_thread_without_a_loop_is_told_so(client: Client) -> None:
    await client.ping()

    def use() -> None:
        with pytest.raises(RuntimeError, match="no running event loop"):
            client.pool()

    await anyio.to_thread.run_sync(use)


def test_a_loop_of_asyncio_goes_on_while_another_thread_imports_trio_for_the_first_time(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use() -> None:
        async with Client.from_url(url) as client:
            await client.ping()

    monkeypatch.delitem(sys.modules, "trio.testing", raising=False)
    monkeypatch.setitem(sys.modules, "trio", ModuleType("trio"))  # as far as it is there by then
    run(LOOPS[0], use)

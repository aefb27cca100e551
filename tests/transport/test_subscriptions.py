"""One subscribed connection for all callers of an event loop."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from redis.exceptions import ConnectionError, ResponseError

from docket.transport import KEPT, Client, Subscription, Subscriptions
from tests.loops import LOOPS, run
from tests.servers import Server
from tests.where import asyncio_and_trio, one_loop

pytestmark = [pytest.mark.anyio, asyncio_and_trio]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(5):
        while not await condition():
            await anyio.sleep(0.001)  # nothing tells a client that the server has read what others sent


async def begun(all_of_them: Subscriptions, *channels: str) -> Subscription:
    subscription = all_of_them.new(*channels)
    await subscription.begin()
    return subscription


async def test_each_receives_its_channels_on_one_connection(redis: Client) -> None:
    subscriptions = Subscriptions(redis)
    got: dict[int, bytes] = {}

    async def follow(number: int, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        subscription = await begun(subscriptions, f"c{number}", "all")
        task_status.started()
        got[number] = await subscription.receive() + await subscription.receive()

    async with anyio.create_task_group() as group:
        for number in range(50):
            await group.start(follow, number)
        connections = await redis.client_list()
        assert len([each for each in connections if each["sub"] != "0"]) == 1
        for number in range(50):
            await redis.publish(f"c{number}", number)
        await redis.publish("all", ".")
    assert got == {number: b"%d." % number for number in range(50)}


async def test_another_end_in_the_same_turn_takes_no_message_from_who_reads(client: Client) -> None:
    """On memory:// an end reads at once what is there, also what the reading task was about to be woken for."""
    subscriptions = Subscriptions(client)
    one = await begun(subscriptions, "news")
    got: list[bytes] = []

    async def read() -> None:
        got.append(await one.receive())

    async def end(ending: Subscription) -> None:
        await anyio.lowlevel.checkpoint()  # as publishing begins with one
        ending.end()

    for number in range(20):
        two = await begun(subscriptions, "more")
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(read)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(client.publish, "news", f"{number}")
                group.start_soon(end, two)
        assert got[-1] == b"%d" % number


async def test_a_channel_is_given_up_with_its_last_follower(client: Client) -> None:
    subscriptions = Subscriptions(client)
    one, two = await begun(subscriptions, "news"), await begun(subscriptions, "news", "more")
    two.end()
    two.end()

    async def more_is_given_up() -> bool:
        return await client.publish("more", "") == 0

    await until(more_is_given_up)
    await client.publish("news", "for one")
    assert await one.receive() == b"for one"
    again = await begun(subscriptions, "more")  # at once after the end
    again.end()
    again = await begun(subscriptions, "more")
    await client.publish("more", "again")
    assert await again.receive() == b"again"


async def test_a_forgotten_subscription_is_given_up(client: Client) -> None:
    subscriptions = Subscriptions(client)
    await begun(subscriptions, "news")
    gc.collect()

    async def news_is_given_up() -> bool:
        return await client.publish("news", "") == 0

    await until(news_is_given_up)


async def test_who_does_not_read_holds_up_nobody_and_keeps_the_newest(client: Client) -> None:
    subscriptions = Subscriptions(client)
    slow = subscriptions.new("state", "progress", may_go=b"progress".__eq__)
    await slow.begin()
    quick = await begun(subscriptions, "progress")
    await client.publish("state", "running")
    for number in range(3 * KEPT):
        await client.publish("progress", number)
        assert await quick.receive() == b"%d" % number
    await client.publish("state", "completed")
    await client.publish("progress", "last")
    assert await quick.receive() == b"last"
    received = [await slow.receive()]
    while received[-1] != b"last":
        received.append(await slow.receive())
    assert received[0] == b"running"
    newest = received[-KEPT // 4 : -2]
    assert newest == [b"%d" % number for number in range(3 * KEPT - len(newest), 3 * KEPT)]
    assert received[-2:] == [b"completed", b"last"]
    assert len(received) <= KEPT


async def test_whoever_reads_for_the_others_may_be_cancelled(redis: Client) -> None:
    subscriptions = Subscriptions(redis)
    got: list[bytes] = []

    async def follow(scope: anyio.CancelScope, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        subscription = await begun(subscriptions, "news")
        task_status.started()
        with scope:
            got.append(await subscription.receive())
        subscription.end()

    scopes = [anyio.CancelScope() for _ in range(5)]
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            for scope in scopes:
                await group.start(follow, scope)
            for scope in (scopes[0], scopes[4], scopes[2]):
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
            await anyio.wait_all_tasks_blocked()
            await redis.publish("news", "here")
    assert got == [b"here"] * 2


async def test_a_cancelled_beginning_leaves_the_others_subscribed(client: Client) -> None:
    subscriptions = Subscriptions(client)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(begun, subscriptions, "abandoned")
            await anyio.lowlevel.checkpoint()
            scope.cancel()
    one = await begun(subscriptions, "news")
    await client.publish("news", "here")
    assert await one.receive() == b"here"


async def test_a_lost_connection_is_told_to_each_and_opened_once(victim: Server) -> None:
    async with Client.from_url(victim.url) as client:
        subscriptions = Subscriptions(client)
        got: list[bytes] = []
        ready = [anyio.Event() for _ in range(20)]

        async def follow(number: int, *, task_status: anyio.abc.TaskStatus[None]) -> None:
            subscription = await begun(subscriptions, f"c{number}")
            task_status.started()
            with pytest.raises(ConnectionError):
                await subscription.receive()
            while True:
                try:
                    await subscription.begin()
                    break
                except ConnectionError:
                    await anyio.sleep(0.01)
            ready[number].set()
            got.append(await subscription.receive())

        idle = await begun(subscriptions, "idle")
        async with anyio.create_task_group() as group:
            for number in range(20):
                await group.start(follow, number)
            await anyio.to_thread.run_sync(victim.restart)
            for each in ready:
                await each.wait()
            assert len([each for each in await client.client_list() if each["sub"] != "0"]) == 1
            for number in range(20):
                await client.publish(f"c{number}", "again")
        assert got == [b"again"] * 20
        with pytest.raises(
            ConnectionError
        ):  # by the others it was subscribed anew, but it has missed something
            await idle.receive()
        await idle.begin()
        await client.publish("idle", "again")
        assert await idle.receive() == b"again"


async def test_a_refusal_is_raised_to_the_one_that_may_not() -> None:
    with Server("--user", "reader", "on", ">secret", "+@all", "~*", "resetchannels", "&open") as server:
        url = server.url.replace("redis://", "redis://reader:secret@")
        async with Client.from_url(url) as client:
            subscriptions = Subscriptions(client)
            one = await begun(subscriptions, "open")
            with pytest.raises(ResponseError):
                await begun(subscriptions, "closed")
            await client.publish("open", "still here")
            assert await one.receive() == b"still here"


async def test_who_may_not_unsubscribe_hangs_up_in_the_end() -> None:
    with Server("--user", "reader", "on", ">secret", "+@all", "-unsubscribe", "~*", "&*") as server:
        url = server.url.replace("redis://", "redis://reader:secret@")
        async with Client.from_url(url) as client:
            subscriptions = Subscriptions(client)
            one, two = await begun(subscriptions, "one"), await begun(subscriptions, "two")
            one.end()
            await client.publish("two", "here")
            assert await two.receive() == b"here"
            two.end()

            async def nobody_is_subscribed() -> bool:
                return await client.publish("one", "") + await client.publish("two", "") == 0

            await until(nobody_is_subscribed)


@one_loop
async def test_each_event_loop_has_one_and_may_end_before_the_others(redis: Client) -> None:
    subscriptions = Subscriptions(redis)
    mine = await begun(subscriptions, "news")

    async def in_its_own() -> Subscription:
        subscription = await begun(subscriptions, "news")
        await redis.publish("news", "there")
        assert await subscription.receive() == b"there"
        return subscription

    for loop in LOOPS:
        left_open = await anyio.to_thread.run_sync(lambda loop=loop: run(loop, in_its_own))
        assert await mine.receive() == b"there"
        left_open.end()
    await redis.publish("news", "here")
    assert await mine.receive() == b"here"


async def test_closing_the_client_ends_who_waits(client: Client) -> None:
    subscription = await begun(Subscriptions(client), "news")

    async def receive() -> None:
        with pytest.raises(ConnectionError, match="closed by client"):
            await subscription.receive()

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        client.close()


async def test_a_subscriber_keeps_up_with_many_publishers(client: Client) -> None:
    """One turn of the loop per message would leave it behind without a bound."""
    published = received = behind = 0

    async def publish() -> None:
        nonlocal published
        for _ in range(100):
            await client.publish("news", "")
            published += 1

    async with client.pubsub() as pubsub, anyio.create_task_group() as group:
        await pubsub.subscribe("news")
        subscription = await begun(Subscriptions(client), "news")
        for _ in range(20):
            group.start_soon(publish)
        for _ in range(2000):
            await pubsub.receive()
            await subscription.receive()
            received += 1
            behind = max(behind, published - received)
    assert behind < 200

"""Publish and subscribe."""

from __future__ import annotations

import anyio
import pytest
from redis.exceptions import ConnectionError, ResponseError, TimeoutError

from docket.transport import Client, Published, PubSub
from tests.proxy import Proxy
from tests.servers import Server

pytestmark = pytest.mark.anyio


async def test_messages_come_to_who_is_subscribed(client: Client) -> None:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("news", b"more")
        await pubsub.psubscribe("p*")
        assert await client.publish("news", "one") == 1
        assert await client.publish("park", b"two") == 1
        assert await client.publish("elsewhere", "lost") == 0
        assert await pubsub.receive() == Published("message", None, b"news", b"one")
        assert await pubsub.receive() == Published("pmessage", b"p*", b"park", b"two")


async def test_subscribing_returns_after_the_server_has_confirmed(client: Client) -> None:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        assert await client.pubsub_numsub("news") == [(b"news", 1)]
        await pubsub.unsubscribe("news")
        assert await client.pubsub_numsub("news") == [(b"news", 0)]
        assert not pubsub.subscribed


async def test_leaving_ends_the_subscriptions(client: Client) -> None:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("news")
    with anyio.fail_after(5):
        while await client.publish("news", "anybody?"):  # the server closes when it gets to it
            pass


async def test_a_receiver_waits_and_others_may_subscribe_meanwhile(client: Client) -> None:
    got: list[Published] = []
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("first")

        async def receive() -> None:
            async for message in pubsub:
                got.append(message)
                if len(got) == 3:
                    return

        async with anyio.create_task_group() as group:
            group.start_soon(receive)
            for name in ("second", "third"):
                await pubsub.subscribe(name)
            for name in ("first", "second", "third"):
                await client.publish(name, name)
    assert [message.channel for message in got] == [b"first", b"second", b"third"]


async def test_a_cancelled_receiver_loses_no_message(client: Client) -> None:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        for number in range(20):
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(pubsub.receive)
                    await anyio.lowlevel.checkpoint()
                    await anyio.lowlevel.checkpoint()
                    scope.cancel()
            await client.publish("news", number)
            assert (await pubsub.receive()).payload == b"%d" % number


async def test_a_cancelled_subscriber_leaves_the_others_confirmed(client: Client) -> None:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("first")
        async with anyio.create_task_group() as group:
            group.start_soon(pubsub.subscribe, "abandoned")
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        await pubsub.subscribe("second")
        assert await client.publish("second", "here") == 1
        assert (await pubsub.receive()).payload == b"here"


async def test_only_one_task_receives(client: Client) -> None:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        async with anyio.create_task_group() as group:
            group.start_soon(pubsub.receive)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(RuntimeError, match="Another task"):
                await pubsub.receive()
            group.cancel_scope.cancel()


async def test_receiving_without_a_subscription_is_an_error(client: Client) -> None:
    async with client.pubsub() as pubsub:
        with pytest.raises(RuntimeError, match="subscribe"):
            await pubsub.receive()
        await pubsub.subscribe("news")
        await pubsub.unsubscribe()
        with pytest.raises(RuntimeError, match="subscribe"):
            await pubsub.receive()


async def test_a_lost_connection_is_told_and_reconnecting_subscribes_anew(victim: Server) -> None:
    async with Client.from_url(victim.url) as client, client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        await pubsub.psubscribe("p*")

        async def lose() -> None:
            with pytest.raises(ConnectionError):
                await pubsub.receive()

        async with anyio.create_task_group() as group:
            group.start_soon(lose)
            await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(victim.restart)
        with pytest.raises(ConnectionError):
            await pubsub.receive()
        await pubsub.reconnect()
        assert await client.publish("news", "again") == 1
        assert await client.publish("p1", "again") == 1
        assert (await pubsub.receive()).channel == b"news"
        assert (await pubsub.receive()).channel == b"p1"


async def test_closing_the_client_ends_a_receiver(client: Client) -> None:
    pubsub = client.pubsub()
    await pubsub.subscribe("news")

    async def receive() -> None:
        with pytest.raises(ConnectionError, match="closed by client"):
            await pubsub.receive()

    async with anyio.create_task_group() as group:
        group.start_soon(receive)
        await anyio.wait_all_tasks_blocked()
        client.close()


async def test_a_refused_subscription_is_raised_where_it_was_asked_for() -> None:
    with Server("--user", "reader", "on", ">secret", "+@all", "~*", "resetchannels", "&open") as server:
        url = server.url.replace("redis://", "redis://reader:secret@")
        async with Client.from_url(url) as client, client.pubsub() as pubsub:
            await pubsub.subscribe("open")
            with pytest.raises(ResponseError):
                await pubsub.subscribe("closed")
            assert list(pubsub.channels) == [b"open"]
            await client.publish("open", "still here")
            assert (await pubsub.receive()).payload == b"still here"


async def drain(pubsub: PubSub) -> list[tuple[str, bytes | None, object]]:
    messages = []
    while (message := await pubsub.get_message(timeout=0.2)) is not None:
        messages.append((message["type"], message["channel"], message["data"]))
    return messages


async def test_the_forms_of_redis_py_yield_confirmations_too(client: Client) -> None:
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        await client.publish("news", "one")
        assert await drain(pubsub) == [("subscribe", b"news", 1), ("message", b"news", b"one")]
        await pubsub.subscribe("more")
        await client.publish("news", "two")
        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5)
        assert message == {"type": "message", "pattern": None, "channel": b"news", "data": b"two"}
        assert await pubsub.get_message() is None
        await client.publish("news", "three")
        with anyio.fail_after(5):
            while (message := await pubsub.get_message()) is None:  # never waits, so is asked again
                pass
        assert message["data"] == b"three"


async def test_listening_ends_with_the_last_subscription(client: Client) -> None:
    seen: list[object] = []
    async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe("news")
        await client.publish("news", "one")
        await client.publish("news", "two")
        async for message in pubsub.listen():
            seen.append(message["data"])
            if message["data"] == b"two":
                await pubsub.unsubscribe()
    assert seen == [b"one", b"two"]


async def test_a_server_that_has_forgotten_the_subscriber_without_a_word_is_given_up(
    redis_url: str, server: Server
) -> None:
    """A half-open connection: nothing arrives, and nobody says that it never will."""
    with Proxy(server.port) as proxy:
        async with Client.from_url(f"{proxy.url}?socket_timeout=0.2") as client, client.pubsub() as pubsub:
            await pubsub.subscribe("news")
            proxy.cut("up")
            with (
                anyio.fail_after(5),
                pytest.raises(TimeoutError, match=r"No answer from the server for 0\.2 s"),
            ):
                await pubsub.receive()
            async with anyio.create_task_group() as group:
                await pubsub.reconnect()
                group.start_soon(client.publish, "news", "again")
                assert (await pubsub.receive()).payload == b"again"


async def test_silence_is_no_fault_while_the_server_answers_when_asked(redis_url: str) -> None:
    async with Client.from_url(f"{redis_url}?socket_timeout=0.1") as client, client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        with anyio.move_on_after(0.5):  # several times as long as the silence that makes it ask
            await pubsub.receive()
        await anyio.sleep(0.25)  # nobody receives: what is not read is no silence either
        async with anyio.create_task_group() as group:
            group.start_soon(client.publish, "news", "at last")
            assert (await pubsub.receive()).payload == b"at last"

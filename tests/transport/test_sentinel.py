"""A client that asks sentinels for the master, and follows it from server to server."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import AuthenticationError, ConnectionError, ReadOnlyError

from docket.transport import Client, Lua
from tests.fleets import SERVICE, Sentinels
from tests.servers import free_port, valkey_binary
from tests.transport.stress import open_descriptors, stress
from tests.transport.test_faults import settled

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(sentinel_url: str) -> AsyncIterator[Client]:
    async with Client.from_url(sentinel_url) as client:
        yield client


async def port_of(client: Client) -> int:
    return int((await client.config_get("port"))["port"])


def at(*ports: int, credentials: str = "", rest: str = "") -> str:
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"redis+sentinel://{credentials}{hosts}/{SERVICE}{rest}"


@contextlib.contextmanager
def hanging_up() -> Iterator[tuple[int, list[None]]]:
    """A port at which whoever connects is hung up on, and how often that was."""
    calls: list[None] = []

    def accept() -> None:
        while True:
            try:
                connected, _ = listener.accept()
            except OSError:
                return
            calls.append(None)
            connected.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1], calls
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


# asking ---------------------------------------------------------------------------------------------------


async def test_the_master_that_the_sentinels_name_is_used(client: Client, sentinels: Sentinels) -> None:
    assert await port_of(client) == sentinels.master.port
    assert await client.set("key", "value")
    assert await client.run(Lua("return redis.call('GET', KEYS[1])"), ["key"], []) == b"value"
    async with client.dedicated() as connection, client.pubsub() as pubsub:
        assert await connection.call("GET", "key") == b"value"
        await pubsub.subscribe("channel")
        await client.publish("channel", "hello")
        assert (await pubsub.receive()).payload == b"hello"


async def test_nobody_stays_connected_to_a_sentinel(client: Client, sentinels: Sentinels) -> None:
    await client.ping()
    before = open_descriptors()
    async with client.dedicated():
        assert open_descriptors() == before + 1


async def test_the_database_of_the_url_is_the_master_s(sentinels: Sentinels) -> None:
    async with (
        Client.from_url(f"{sentinels.url}/3") as third,
        Client.from_url(f"{sentinels.url}?db=3") as same,
    ):
        await third.set("key", "here")
        assert await same.get("key") == b"here"
    assert sentinels.ask(sentinels.master, "EXISTS", "key") == 0


async def test_servers_and_sentinels_each_get_their_own_credentials(sentinels: Sentinels) -> None:
    for server in sentinels.servers:
        sentinels.ask(server, "ACL", "SETUSER", "limited", "on", ">pass word", "+@all", "~*", "&*")
    sentinel = sentinels.sentinels[0]
    sentinels.ask(sentinel, "ACL", "SETUSER", "watcher", "on", ">other", "+@all")
    url = at(
        sentinel.port,
        credentials="limited:pass%20word@",
        rest="?sentinel_username=watcher&sentinel_password=",
    )
    async with Client.from_url(url + "other") as client:
        assert await client.call("ACL", "WHOAMI") == b"limited"
    async with Client.from_url(url + "wrong") as client:
        with pytest.raises(AuthenticationError, match=f"Sentinel 127.0.0.1:{sentinel.port}"):
            await client.ping()
    async with Client.from_url(at(sentinel.port, credentials="limited:wrong@")) as client:
        with pytest.raises(AuthenticationError):
            await client.ping()


async def test_credentials_of_the_master_come_from_a_provider(sentinels: Sentinels) -> None:
    for server in sentinels.servers:
        sentinels.ask(server, "ACL", "SETUSER", "provided", "on", ">secret", "+@all", "~*", "&*")
    provider = UsernamePasswordCredentialProvider("provided", "secret")
    async with Client.from_url(sentinels.url, credential_provider=provider) as client:
        assert await client.call("ACL", "WHOAMI") == b"provided"
    with pytest.raises(ValueError, match="not both"):
        Client.from_url(at(1, credentials=":secret@"), credential_provider=provider)


async def test_a_user_who_may_not_ask_for_the_role_may_still_work(sentinels: Sentinels) -> None:
    for server in sentinels.servers:
        sentinels.ask(server, "ACL", "SETUSER", "plain", "on", ">p", "+@all", "-role", "-info", "~*", "&*")
    async with Client.from_url(at(sentinels.sentinels[0].port, credentials="plain:p@")) as client:
        assert await client.set("key", 1)


async def test_a_sentinel_that_does_not_answer_is_asked_last_from_then_on(sentinels: Sentinels) -> None:
    with hanging_up() as (port, calls):
        async with Client.from_url(at(port, *(sentinel.port for sentinel in sentinels.sentinels))) as client:
            await client.ping()
            async with client.dedicated() as connection:
                await connection.call("PING")
            assert len(calls) == 1


async def test_a_silent_sentinel_costs_a_part_of_the_time_for_connecting(sentinels: Sentinels) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel accepts, nobody answers
        ports = silent.getsockname()[1], sentinels.sentinels[0].port
        url = at(*ports, rest="?socket_connect_timeout=1.2")
        async with Client.from_url(url) as client:
            with anyio.fail_after(1):
                await client.ping()


async def test_sentinels_of_whom_none_helps_are_all_named(sentinels: Sentinels) -> None:
    dead, knows_nothing = free_port(), sentinels.sentinels[0].port
    url = at(dead, knows_nothing).replace(SERVICE, "another")
    errors: list[str] = []
    async with Client.from_url(url) as client:

        async def ask() -> None:
            with pytest.raises(ConnectionError) as error:
                await client.ping()
            errors.append(str(error.value))

        with anyio.fail_after(8):
            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(ask)
    assert len(errors) == 50
    assert f"sentinel 127.0.0.1:{knows_nothing}: it knows no service 'another'" in errors[0]
    assert f"sentinel 127.0.0.1:{dead}" in errors[0]


async def test_a_sentinel_that_names_a_replica_is_not_believed(sentinels: Sentinels) -> None:
    """As one does that has not heard of a failover yet."""
    other, good = sentinels.sentinels[:2]
    sentinels.ask(other, "SENTINEL", "MONITOR", "stale", "127.0.0.1", sentinels.replica.port, 2)
    sentinels.ask(good, "SENTINEL", "MONITOR", "stale", "127.0.0.1", sentinels.master.port, 2)
    try:
        async with Client.from_url(at(other.port).replace(SERVICE, "stale")) as client:
            with pytest.raises(
                ConnectionError, match=f"127.0.0.1:{sentinels.replica.port}.*is a slave, no master"
            ):
                await client.ping()
        async with Client.from_url(at(other.port, good.port).replace(SERVICE, "stale")) as client:
            assert await port_of(client) == sentinels.master.port
    finally:
        for sentinel in (other, good):
            sentinels.ask(sentinel, "SENTINEL", "REMOVE", "stale")


# following ------------------------------------------------------------------------------------------------


async def test_a_master_that_hands_over_is_followed_unnoticed(watched: Sentinels) -> None:
    async with Client.from_url(watched.url) as client:
        await client.set("key", 1)
        async with client.dedicated() as connection:
            await connection.call("PING")
        watched.hand_over()
        assert await client.incr("key") == 2
        assert await port_of(client) == watched.master.port
        async with client.dedicated() as connection:
            assert await connection.call("INCR", "key") == 3


async def test_a_dedicated_connection_to_what_is_no_master_any_more_is_not_kept(watched: Sentinels) -> None:
    async with Client.from_url(watched.url) as client:
        async with client.dedicated() as connection:
            await connection.call("PING")
        watched.hand_over()
        with pytest.raises(ReadOnlyError):
            async with client.dedicated() as connection:
                await connection.call("SET", "key", 1)
        async with client.dedicated() as connection:
            assert await connection.call("SET", "key", 2) == b"OK"


async def test_a_pipeline_that_is_refused_works_the_next_time(watched: Sentinels) -> None:
    async with Client.from_url(watched.url) as client:
        await client.ping()
        watched.hand_over()
        pipe = client.pipeline()
        pipe.set("key", 1).incr("key")
        with pytest.raises(ReadOnlyError):
            await pipe.execute()
        pipe.set("key", 1).incr("key")
        assert await pipe.execute() == [True, 2]


async def test_a_killed_master_is_replaced_by_whom_the_sentinels_name_then(watched: Sentinels) -> None:
    errors: list[Any] = []
    async with Client.from_url(watched.url) as client, client.pubsub() as pubsub:
        await client.set("key", "kept")
        await pubsub.subscribe("channel")

        async def wait_in_the_server() -> None:
            with pytest.raises(ConnectionError) as error:
                await client.blpop(["nothing"], 0)
            errors.append(error.value)

        async with anyio.create_task_group() as group:
            group.start_soon(wait_in_the_server)
            await settled()
            watched.replicated()
            watched.master.kill()
        assert len(errors) == 1
        with pytest.raises(ConnectionError):
            await pubsub.receive()
        watched.hand_over()
        await settled()
        with contextlib.suppress(
            ConnectionError
        ):  # it may be sent before anybody notices that the master is gone
            await client.get("key")
        assert await client.get("key") == b"kept"
        await pubsub.reconnect()
        await client.publish("channel", "again")
        assert (await pubsub.receive()).payload == b"again"


async def test_a_connection_is_not_unblocked_by_its_number_at_another_server(watched: Sentinels) -> None:
    """There the number is somebody else's."""
    async with Client.from_url(watched.url) as client, client.dedicated() as before:
        new = watched.replica
        number = watched.ask(new, "CLIENT", "ID")
        watched.hand_over()
        await client.unblock(before, number)
    calls = watched.info_of(new, "commandstats")
    assert "client|unblock" not in calls


@pytest.mark.chaos
async def test_cancelled_callers_and_lost_connections_disturb_nobody_else(sentinel_url: str) -> None:
    await stress(sentinel_url, 5000)


def test_valkey_s_sentinels_are_understood_too() -> None:
    async def use(sentinels: Sentinels) -> None:
        async with Client.from_url(sentinels.url) as client:
            await client.set("key", 1)
            sentinels.hand_over()
            assert await client.incr("key") == 2

    with Sentinels(sentinels=1, program=valkey_binary()) as sentinels:
        anyio.run(use, sentinels)


def test_a_client_is_used_in_one_event_loop_after_another(sentinel_url: str, anyio_backend: Any) -> None:
    name, options = anyio_backend
    client = Client.from_url(sentinel_url)

    async def ask() -> None:
        assert await client.set("a", 1)

    for _ in range(2):
        anyio.run(ask, backend=name, backend_options=options)
    client.close()

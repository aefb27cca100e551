"""How a connection begins: users, passwords, databases, names, sockets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from redis.credentials import CredentialProvider, UsernamePasswordCredentialProvider
from redis.exceptions import AuthenticationError, ConnectionError, ResponseError

from docket.transport import Client
from tests.servers import Server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server with a password, a user of limited rights, and a unix socket."""
    with Server(
        *("--requirepass", "secret", "--unixsocket", "server.sock"),
        *("--user", "limited", "on", ">pass word", "+@all", "-ping", "~*", "&*"),
    ) as running:
        yield running


def at(server: Server, credentials: str = "", rest: str = "/0") -> str:
    return f"redis://{credentials}127.0.0.1:{server.port}{rest}"


async def test_the_password_of_the_url_is_given(guarded: Server) -> None:
    async with Client.from_url(at(guarded, ":secret@")) as client:
        assert await client.call("ACL", "WHOAMI") == b"default"


async def test_the_user_of_the_url_is_given_even_if_it_may_not_ping(guarded: Server) -> None:
    async with Client.from_url(at(guarded, "limited:pass%20word@")) as client:
        assert await client.call("ACL", "WHOAMI") == b"limited"


@pytest.mark.parametrize("credentials", ["", ":wrong@", "nobody:secret@", "limited@"])
async def test_a_wrong_password_is_told_at_once_to_everybody(guarded: Server, credentials: str) -> None:
    async with Client.from_url(at(guarded, credentials)) as client:
        errors: list[Exception] = []

        async def one() -> None:
            try:
                await client.get("x")
            except AuthenticationError as error:
                errors.append(error)

        started = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(one)
        assert len(errors) == 10
        assert time.perf_counter() - started < 2


class Asked(CredentialProvider):
    def get_credentials(self) -> tuple[str, str]:
        return ("limited", "pass word")


class AskedLater(CredentialProvider):
    async def get_credentials_async(self) -> Any:
        await anyio.lowlevel.checkpoint()
        return ("limited", "pass word")


@pytest.mark.parametrize(
    "provider", [Asked(), AskedLater(), UsernamePasswordCredentialProvider("limited", "pass word")]
)
async def test_credentials_come_from_a_provider(guarded: Server, provider: CredentialProvider) -> None:
    async with Client.from_url(at(guarded), credential_provider=provider) as client:
        assert await client.call("ACL", "WHOAMI") == b"limited"


def test_credentials_given_twice_are_refused(guarded: Server) -> None:
    with pytest.raises(ValueError, match="not both"):
        Client.from_url(at(guarded, ":secret@"), credential_provider=Asked())


async def test_the_database_of_the_url_is_selected(redis_url: str) -> None:
    base = redis_url.removesuffix("/0")
    async with Client.from_url(f"{base}/3") as third, Client.from_url(f"{base}?db=3") as same:
        async with Client.from_url(f"{base}/0") as other:
            await third.set("key", "here")
            assert await same.get("key") == b"here"
            assert await other.get("key") is None
            async with third.dedicated() as connection:
                assert await connection.call("GET", "key") == b"here"


async def test_a_database_that_does_not_exist_is_told(redis_url: str) -> None:
    async with Client.from_url(f"{redis_url.removesuffix('/0')}/9999") as client:
        with pytest.raises(ResponseError, match="index"):
            await client.ping()


async def test_the_name_of_the_client_is_set(redis_url: str) -> None:
    async with Client.from_url(f"{redis_url}?client_name=by-url", client_name="not-this") as client:
        assert await client.call("CLIENT", "GETNAME") == b"by-url"
    async with Client.from_url(redis_url, client_name="by-argument") as client:
        assert await client.call("CLIENT", "GETNAME") == b"by-argument"


async def test_unix_sockets_are_served(guarded: Server) -> None:
    path = f"{guarded.directory.name}/server.sock"
    async with Client.from_url(f"unix://:secret@{path}?db=2") as client:
        await client.set("key", "here")
    async with Client.from_url(at(guarded, ":secret@", "/2")) as client:
        assert await client.get("key") == b"here"


async def test_a_missing_unix_socket_is_named() -> None:
    async with Client.from_url("unix:///nowhere/server.sock") as client:
        with pytest.raises(ConnectionError, match=r"/nowhere/server\.sock"):
            await client.ping()


async def test_a_server_that_is_silent_from_the_start_is_named_too() -> None:
    with Server() as server:
        server.pause()
        async with Client.from_url(at(server, rest="?socket_timeout=0.05")) as client:
            with pytest.raises(ConnectionError, match=f"127.0.0.1:{server.port}"):
                await client.ping()


async def test_a_host_name_is_resolved_and_its_addresses_are_tried(redis_url: str) -> None:
    async with Client.from_url(redis_url.replace("127.0.0.1", "localhost")) as client:
        assert await client.ping()


async def test_a_host_that_does_not_exist_is_named() -> None:
    async with Client.from_url("redis://no-such-host.invalid?socket_connect_timeout=3") as client:
        with pytest.raises(ConnectionError, match=r"no-such-host\.invalid:6379"):
            await client.ping()


@pytest.mark.parametrize("scheme", ["valkey", "redis"])
@pytest.mark.parametrize("protocol", [2, 3])
async def test_schemes_and_protocols_give_the_same_replies(
    redis_url: str, scheme: str, protocol: int
) -> None:
    url = redis_url.replace("redis://", f"{scheme}://")
    async with Client.from_url(f"{url}?protocol={protocol}") as client:
        await client.zadd("z", {"m": 1})
        assert await client.zrange("z", 0, -1, withscores=True) == [(b"m", 1.0)]

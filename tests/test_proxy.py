"""The proxy of the tests does what it says: to a client of its own, without docket."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.proxy import Proxy
from tests.servers import Server


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    with redis.Redis(port=proxy.port, socket_timeout=0.2, retry=Retry(NoBackoff(), 0)) as client:
        assert client.ping()
        yield client


def test_it_forwards_large_things_and_counts_its_connections(proxy: Proxy, client: redis.Redis) -> None:
    assert client.echo(b"x" * 5_000_000) == b"x" * 5_000_000
    assert (proxy.accepted, proxy.open) == (1, 1)


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_a_delay_holds_until_it_is_resumed(proxy: Proxy, client: redis.Redis, direction: str) -> None:
    proxy.delay(0.05, direction)  # type: ignore[arg-type]
    began = time.monotonic()
    assert client.ping()
    assert time.monotonic() - began > (0.09 if direction == "both" else 0.045)
    proxy.resume()


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_a_hanging_connection_is_accepted_and_mute(
    proxy: Proxy, client: redis.Redis, server: Server, direction: str
) -> None:
    proxy.hang(direction)  # type: ignore[arg-type]
    with pytest.raises(redis.TimeoutError):
        client.set("said", direction)
    with redis.Redis(port=server.port) as direct:
        said = direct.get("said")
        assert said == direction.encode() if direction == "down" else said != direction.encode()
    proxy.resume()
    assert client.ping()


@pytest.mark.parametrize("direction", ["down", "both"])
def test_a_cut_is_heard_of_by_the_client(proxy: Proxy, direction: str) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as plain:
        plain.sendall(b"PING\r\n")
        assert plain.recv(100) == b"+PONG\r\n"
        proxy.cut(direction)  # type: ignore[arg-type]
        with pytest.raises(ConnectionResetError):
            plain.recv(100)


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_a_cut_is_heard_of_by_the_server(proxy: Proxy, server: Server, direction: str) -> None:
    with (
        redis.Redis(port=server.port) as watcher,
        redis.Redis(port=proxy.port, client_name=f"cut-{direction}") as cut,
    ):
        number = str(cut.client_id())
        proxy.cut(direction)  # type: ignore[arg-type]
        deadline = time.monotonic() + (0.2 if direction == "down" else 5)
        while watcher.client_list(client_id=[number]) and time.monotonic() < deadline:
            pass
        assert bool(watcher.client_list(client_id=[number])) == (direction == "down")


def test_a_cut_of_the_servers_end_leaves_the_client_without_an_answer(
    proxy: Proxy, client: redis.Redis
) -> None:
    proxy.cut("up")
    with pytest.raises(redis.TimeoutError):
        client.ping()
    assert client.ping()


def test_what_was_held_back_is_lost_by_a_cut(proxy: Proxy, client: redis.Redis, server: Server) -> None:
    proxy.hang("up")
    with pytest.raises(redis.TimeoutError):
        client.set("held", "back")
    proxy.cut()
    proxy.resume()
    assert client.get("held") is None


def test_a_connection_is_cut_within_what_is_said_once(
    proxy: Proxy, client: redis.Redis, server: Server
) -> None:
    proxy.cut_within(b"half")
    with pytest.raises(redis.ConnectionError):
        client.set("half", "said")
    assert proxy.answer_lost.is_set()
    with redis.Redis(port=server.port) as direct:
        assert direct.get("half") is None
    assert client.set("half", "said")


def test_refused_connections_leave_open_ones_alone(proxy: Proxy, client: redis.Redis) -> None:
    proxy.refuse()
    with redis.Redis(port=proxy.port, retry=Retry(NoBackoff(), 0)) as another:
        with pytest.raises(redis.ConnectionError, match="refused"):
            another.ping()
        assert client.ping()
        proxy.resume()
        assert another.ping()


def test_a_server_that_is_gone_resets_connections() -> None:
    with Server() as gone, Proxy(gone.port) as proxy:
        gone.kill()
        with redis.Redis(port=proxy.port, retry=Retry(NoBackoff(), 0)) as client:
            with pytest.raises(redis.ConnectionError):
                client.ping()
            gone.start()
            assert client.ping()


def test_it_ends_amid_connections_and_leaves_no_socket_open(server: Server) -> None:
    """A socket that is left open is a ResourceWarning, and that an error."""
    for _ in range(20):
        with ExitStack() as clients:
            with Proxy(server.port) as proxy:
                for _ in range(50):
                    clients.enter_context(socket.create_connection(("127.0.0.1", proxy.port)))
        gc.collect()

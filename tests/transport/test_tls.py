"""TLS: to the server's own TLS port where it has one, else through a proxy that speaks TLS."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import anyio
import pytest
from redis.exceptions import ConnectionError

from docket.transport import Client
from tests.fleets import Cluster, Sentinels
from tests.servers import at_least
from tests.tls import Certificates, tls_front, tls_server
from tests.transport.stress import stress

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def port(certificates: Certificates) -> Iterator[int]:
    with tls_server(certificates, certificates.server) as port:
        yield port


@pytest.fixture(scope="module")
def asking_port(certificates: Certificates) -> Iterator[int]:
    with tls_server(certificates, certificates.server, ask_clients=True) as port:
        yield port


@pytest.fixture(scope="module")
def strange_port(certificates: Certificates) -> Iterator[int]:
    with tls_server(certificates, certificates.stranger) as port:
        yield port


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_server_is_trusted_by_its_authority(
    certificates: Certificates, port: int, scheme: str, host: str
) -> None:
    async with Client.from_url(f"{scheme}://{host}:{port}?ssl_ca_certs={certificates.ca}") as client:
        assert await client.echo("é") == "é".encode()


async def test_the_authority_may_be_in_the_url(certificates: Certificates, port: int) -> None:
    async with Client.from_url(
        f"rediss://localhost:{port}?ssl_ca_data={quote(certificates.ca_text)}"
    ) as client:
        assert await client.ping()


async def test_an_unknown_authority_is_refused_at_once(port: int) -> None:
    async with Client.from_url(f"rediss://localhost:{port}") as client:
        with pytest.raises(ConnectionError, match=f"TLS with localhost:{port}.*(?i:certificate)"):
            await client.ping()


async def test_nothing_is_checked_if_so_asked(port: int) -> None:
    async with Client.from_url(f"rediss://localhost:{port}?ssl_cert_reqs=none") as client:
        assert await client.ping()


async def test_the_name_in_the_certificate_is_checked_unless_asked_not_to(
    certificates: Certificates, strange_port: int
) -> None:
    url = f"rediss://localhost:{strange_port}?ssl_ca_certs={certificates.ca}"
    async with Client.from_url(url) as client:
        with pytest.raises(ConnectionError, match="localhost"):
            await client.ping()
    async with Client.from_url(f"{url}&ssl_check_hostname=false") as client:
        assert await client.ping()


async def test_a_client_shows_its_certificate(certificates: Certificates, asking_port: int) -> None:
    url = f"rediss://localhost:{asking_port}?ssl_ca_certs={certificates.ca}"
    shown = f"&ssl_certfile={certificates.client}&ssl_keyfile={certificates.client}"
    async with Client.from_url(url + shown) as client:
        assert await client.ping()
    async with Client.from_url(url + "&socket_connect_timeout=2") as client:
        with pytest.raises(ConnectionError):
            await client.ping()


async def test_many_callers_with_large_payloads_share_a_tls_connection(
    certificates: Certificates, port: int
) -> None:
    async with Client.from_url(f"rediss://localhost:{port}?ssl_ca_certs={certificates.ca}") as client:

        async def one(number: int) -> None:
            payload = b"%d" % number * 300_000
            assert await client.call("ECHO", payload) == payload

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(one, number)


async def test_replies_reach_their_callers_over_tls_while_callers_are_cancelled(
    certificates: Certificates, port: int
) -> None:
    url = f"rediss://localhost:{port}?ssl_ca_certs={certificates.ca}"
    async with Client.from_url(url) as warm:
        await warm.ping()
    # A handshake takes some turns of the loop, and whoever connects is cancelled as often as the others.
    counts = await stress(url, 3000, pause=1000)
    assert counts["verified"] > 1000


@pytest.fixture(scope="module")
def secure_cluster(certificates: Certificates) -> Iterator[int]:
    """A cluster of one node, which is told that others reach it by a port with TLS."""
    with Cluster(primaries=1) as cluster:
        [node] = cluster.nodes
        with tls_front(certificates, certificates.server, node.port) as port:
            cluster.ask(node, "CONFIG", "SET", "cluster-announce-port", port)
            yield port


@pytest.mark.skipif(not at_least(7), reason="Redis 6 announces another port only if told so when it starts")
async def test_every_node_of_a_cluster_is_reached_by_tls(
    certificates: Certificates, secure_cluster: int
) -> None:
    url = f"rediss+cluster://127.0.0.1:{secure_cluster}"
    async with Client.from_url(f"{url}?ssl_ca_certs={certificates.ca}") as client:
        assert await client.set("key", "value")
        assert await client.get("key") == b"value"
    async with Client.from_url(url) as client:
        with pytest.raises(ConnectionError, match="certificate verify failed"):
            await client.get("key")


@pytest.fixture(scope="module")
def secure_sentinel(certificates: Certificates) -> Iterator[int]:
    """A sentinel that names a master by a port with TLS, and is reached by one itself."""
    with Sentinels(sentinels=1) as running:
        [sentinel] = running.sentinels
        with tls_front(certificates, certificates.server, running.master.port) as master:
            # It cannot watch that port, as it speaks no TLS; asked for the master it names it all the same.
            running.ask(sentinel, "SENTINEL", "MONITOR", "secure", "127.0.0.1", master, 2)
            with tls_front(certificates, certificates.server, sentinel.port) as port:
                yield port


async def test_sentinels_and_their_master_are_reached_by_tls(
    certificates: Certificates, secure_sentinel: int
) -> None:
    url = f"rediss+sentinel://127.0.0.1:{secure_sentinel}/secure"
    async with Client.from_url(f"{url}?ssl_ca_certs={certificates.ca}") as client:
        assert await client.set("key", "value")
    async with Client.from_url(url) as client:
        with pytest.raises(ConnectionError, match="certificate verify failed"):
            await client.get("key")

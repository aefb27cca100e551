"""Credentials that change while a worker and a client are connected, and certificates of clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import anyio
import pytest
from redis import Redis
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, ConnectionError

from docket import Docket, Worker
from tests.durations import ms
from tests.fleets import Cluster, Sentinels
from tests.servers import Server
from tests.tls import Certificates, tls_server
from tests.topologies.load import insist
from tests.topologies.scenes import adding, asking, plain, register, working

pytestmark = pytest.mark.anyio

Command = Callable[..., object]


class Vault(CredentialProvider):
    """Says what the password is by now, and counts who asks."""

    def __init__(self) -> None:
        self.password = "first"
        self.asked = 0

    def get_credentials(self) -> tuple[str, str]:
        self.asked += 1
        return "rotating", self.password


class DistantVault(Vault):
    """It has to be waited for."""

    async def get_credentials_async(self) -> tuple[str, str]:
        await anyio.sleep(0.001)  # as a network would take
        return super().get_credentials()

    def get_credentials(self) -> tuple[str, str]:
        raise AssertionError("nobody should wait for this in the event loop")


vaults = pytest.mark.parametrize("vault", [Vault, DistantVault], ids=["at-once", "async"])


def let_in(commands: list[Command], password: str) -> None:
    for command in commands:
        command("ACL", "SETUSER", "rotating", "on", "resetpass", f">{password}", "+@all", "~*", "&*")


def cut_off(commands: list[Command]) -> None:
    for command in commands:
        command("CLIENT", "KILL", "USER", "rotating")


@pytest.fixture
def single(redis_url: str, server: Server) -> Iterator[tuple[str, list[Command]]]:
    with Redis.from_url(redis_url) as admin:
        yield redis_url, [admin.execute_command]


def of_cluster(cluster: Cluster) -> list[Command]:
    return [lambda *words, node=node: cluster.ask(node, *words) for node in cluster.nodes]


def of_sentinels(sentinels: Sentinels) -> list[Command]:
    return [lambda *words, server=server: sentinels.ask(server, *words) for server in sentinels.servers]


async def rotate(url: str, commands: list[Command], vault: Vault) -> None:
    let_in(commands, "first")
    begun, go_on = anyio.Event(), anyio.Event()

    async def long() -> str:
        begun.set()
        await go_on.wait()
        return "through it all"

    async with Docket("rotating", url, credential_provider=vault) as docket:
        docket.register(plain)
        docket.register(long)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                worker = Worker(docket, "w", reconnection_delay=ms(50))
                group.start_soon(worker.run_forever)
                assert await (await docket.add(plain)(1)).get_result() == 1
                runs = await docket.add(long)()
                await begun.wait()
                vault.password = "second"
                let_in(commands, "second")
                asked = vault.asked
                cut_off(commands)
                added = await insist(lambda: docket.add(plain)(2))
                assert await insist(added.get_result) == 2
                go_on.set()
                assert await insist(runs.get_result) == "through it all"
                worker.stop()
        assert vault.asked > asked


@vaults
async def test_a_worker_goes_on_with_the_password_of_now(
    single: tuple[str, list[Command]], vault: Callable[[], Vault]
) -> None:
    await rotate(*single, vault())


@vaults
def test_so_it_does_on_a_cluster(cluster: Cluster, cluster_url: str, vault: Callable[[], Vault]) -> None:
    anyio.run(rotate, cluster_url, of_cluster(cluster), vault())


def test_so_it_does_behind_sentinels(sentinels: Sentinels, sentinel_url: str) -> None:
    anyio.run(rotate, sentinel_url, of_sentinels(sentinels), DistantVault(), backend="trio")


async def test_a_provider_is_asked_once_for_each_connection(single: tuple[str, list[Command]]) -> None:
    url, commands = single
    let_in(commands, "first")
    vault = Vault()
    async with Docket("rotating", url, credential_provider=vault) as docket:
        docket.register(plain)
        for number in range(5):
            await docket.add(plain)(number)
        assert vault.asked == 1
        cut_off(commands)
        await insist(lambda: docket.add(plain)(5))
        assert vault.asked == 2


async def test_a_password_that_the_server_refuses_ends_a_worker(single: tuple[str, list[Command]]) -> None:
    """Nobody would find out otherwise; it is not tried for ever."""
    url, commands = single
    let_in(commands, "first")
    async with Docket("rotating", url, credential_provider=Vault()) as docket:
        docket.register(plain)

        async def change() -> None:
            await (await docket.add(plain)(1)).get_result()
            let_in(commands, "other")
            cut_off(commands)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                group.start_soon(change)
                with pytest.raises(AuthenticationError):
                    await Worker(docket, "w", reconnection_delay=ms(50)).run_forever()


# certificates ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def asking_server(certificates: Certificates) -> Iterator[str]:
    """A server that turns away whoever shows no certificate; its URL, with the authority to trust."""
    with tls_server(certificates, certificates.server, ask_clients=True) as port:
        yield f"rediss://localhost:{port}?ssl_ca_certs={certificates.ca}"


async def test_all_is_done_over_tls_with_certificates_of_clients(
    certificates: Certificates, asking_server: str
) -> None:
    url = f"{asking_server}&ssl_certfile={certificates.client}&ssl_keyfile={certificates.client}"
    async with Docket("secure", url) as client, Docket("secure", url) as works:
        for docket in client, works:
            register(docket)
        await client.clear()
        await adding(client)
        async with working(works):
            await asking(client)


async def test_who_shows_no_certificate_is_turned_away(asking_server: str) -> None:
    async with Docket("secure", f"{asking_server}&socket_connect_timeout=1") as docket:
        docket.register(plain)
        with (
            anyio.fail_after(10),
            pytest.raises(ConnectionError, match=r"localhost:.*certificate of the client"),
        ):
            await docket.add(plain)(1)

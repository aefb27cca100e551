"""Credentials that change while a worker and a client are connected, and certificates of clients."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from redis import Redis
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, ConnectionError

from docket import Docket, StrikeList, Worker
from docket.errors import BadSetting
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


@asynccontextmanager
async def through_it_all(url: str, commands: list[Command], vault: Vault) -> AsyncGenerator[Docket]:
    """A docket and a worker at work, with a task that runs for as long as the block, whatever happens in it."""
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
                runs = await docket.add(long)()
                await begun.wait()
                yield docket
                go_on.set()
                assert await insist(runs.get_result) == "through it all"
                worker.stop()


async def rotate(url: str, commands: list[Command], vault: Vault) -> None:
    async with through_it_all(url, commands, vault) as docket:
        assert await (await docket.add(plain)(1)).get_result() == 1
        vault.password = "second"
        let_in(commands, "second")
        asked = vault.asked
        cut_off(commands)
        added = await insist(lambda: docket.add(plain)(2))
        assert await insist(added.get_result) == 2
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


# passwords that are refused ---------------------------------------------------------------------------------


async def late(url: str, commands: list[Command], vault: Vault, caplog: pytest.LogCaptureFixture) -> None:
    """The server has the new password before the vault has: what is refused meanwhile is an outage."""
    async with through_it_all(url, commands, vault) as docket:
        let_in(commands, "second")
        cut_off(commands)
        while "refuses what the credential_provider answered" not in caplog.text:
            await anyio.sleep(0.01)
        with pytest.raises(AuthenticationError, match="credential_provider"):
            await docket.add(plain)(1)
        asked = vault.asked
        while vault.asked < asked + 5:
            await anyio.sleep(0.01)
        vault.password = "second"
        assert await insist((await insist(lambda: docket.add(plain)(2))).get_result) == 2
        # It is logged once the last of the worker's loops has reached the server.
        while "is back after" not in caplog.text:
            await anyio.sleep(0.01)
    assert "is back after" in caplog.text
    assert vault.password not in caplog.text.split()


@vaults
async def test_with_a_provider_a_password_that_is_refused_for_a_moment_is_an_outage(
    single: tuple[str, list[Command]], vault: Callable[[], Vault], caplog: pytest.LogCaptureFixture
) -> None:
    await late(*single, vault(), caplog)


def test_so_it_is_on_a_cluster(cluster: Cluster, cluster_url: str, caplog: pytest.LogCaptureFixture) -> None:
    anyio.run(late, cluster_url, of_cluster(cluster), Vault(), caplog)


def test_so_it_is_behind_sentinels(
    sentinels: Sentinels, sentinel_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    anyio.run(late, sentinel_url, of_sentinels(sentinels), DistantVault(), caplog, backend="trio")


async def test_a_worker_that_starts_before_the_vault_knows_the_password_waits_for_it(
    single: tuple[str, list[Command]],
) -> None:
    url, commands = single
    let_in(commands, "second")
    vault = Vault()
    async with Docket("rotating", url, credential_provider=vault) as docket:
        docket.register(plain)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                worker = Worker(docket, "w", reconnection_delay=ms(50))
                group.start_soon(worker.run_forever)
                while vault.asked < 10:
                    await anyio.sleep(0.01)
                vault.password = "second"
                assert await insist((await insist(lambda: docket.add(plain)(3))).get_result) == 3
                worker.stop()


class Failing(Vault):
    """It cannot be reached for a while; or it answers rubbish."""

    def __init__(self, answer: Exception | object) -> None:
        super().__init__()
        self.answer: Any = answer

    def get_credentials(self) -> tuple[str, str]:
        credentials = super().get_credentials()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer or credentials


@pytest.mark.parametrize(
    "answer",
    [OSError("no route to the vault"), KeyError("a bug in it"), ("only-a-user", None), ("a", "b", "c")],
    ids=["away", "bug", "no-password", "three"],
)
async def test_a_provider_that_has_no_answer_is_an_outage(
    single: tuple[str, list[Command]], answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    url, commands = single
    let_in(commands, "first")
    vault = Failing(answer)
    async with Docket("rotating", url, credential_provider=vault) as docket:
        docket.register(plain)
        with pytest.raises(ConnectionError, match="the credential_provider raised"):
            await docket.add(plain)(1)
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                worker = Worker(docket, "w", reconnection_delay=ms(50))
                group.start_soon(worker.run_forever)
                while "the credential_provider raised" not in caplog.text:
                    await anyio.sleep(0.01)
                vault.answer = None
                assert await insist((await insist(lambda: docket.add(plain)(4))).get_result) == 4
                worker.stop()


class Passwords(CredentialProvider):
    """For servers that have a password and no users."""

    def __init__(self, password: str) -> None:
        self.password = password

    def get_credentials(self) -> tuple[str]:
        return (self.password,)


async def test_so_is_a_password_of_the_server_that_is_set_while_a_worker_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without users: the server had no password, gets one, and gets another."""
    with Server() as server, Redis(port=server.port) as admin:
        vault = Passwords("first")
        admin.config_set("requirepass", "first")
        url = f"redis://127.0.0.1:{server.port}/0"
        async with Docket("rotating", url, credential_provider=vault) as docket:
            docket.register(plain)
            with anyio.fail_after(20):
                async with anyio.create_task_group() as group:
                    worker = Worker(docket, "w", reconnection_delay=ms(50))
                    group.start_soon(worker.run_forever)
                    assert await (await docket.add(plain)(1)).get_result() == 1
                    admin.config_set("requirepass", "second")
                    admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                    while "refuses what the credential_provider answered" not in caplog.text:
                        await anyio.sleep(0.01)
                    vault.password = "second"
                    assert await insist((await insist(lambda: docket.add(plain)(2))).get_result) == 2
                    worker.stop()


@pytest.mark.parametrize(
    ("credentials", "says"),
    [
        ("rotating:first@", "refuses a client with the credentials in its URL: invalid username"),
        ("rotating@", "refuses a client with the credentials in its URL: invalid username"),
        ("", "refuses a client with no credentials in its URL: Authentication required"),
    ],
    ids=["password", "username-only", "none"],
)
async def test_without_a_provider_a_password_that_the_server_refuses_ends_a_worker_that_says_so(
    single: tuple[str, list[Command]], credentials: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody would find out otherwise; it is not tried for ever."""
    url, commands = single
    let_in(commands, "first")
    if credentials == "rotating@":
        commands[0]("ACL", "SETUSER", "rotating", "nopass")
    with Redis.from_url(url) as admin:
        async with Docket("rotating", url.replace("//", f"//{credentials}")) as docket:
            docket.register(plain)

            async def change() -> None:
                await (await docket.add(plain)(1)).get_result()
                let_in(commands, "other")
                admin.execute_command("ACL", "SETUSER", "default", "resetpass", ">other")
                admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                admin.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

            try:
                with anyio.fail_after(10):
                    async with anyio.create_task_group() as group:
                        group.start_soon(change)
                        with pytest.raises(AuthenticationError, match=says):
                            await Worker(docket, "w", reconnection_delay=ms(50)).run_forever()
            finally:
                admin.execute_command("ACL", "SETUSER", "default", "nopass")
    assert "Worker 'w' ends: AuthenticationError:" in caplog.text
    assert says in caplog.text


@vaults
async def test_a_server_in_this_process_asks_for_no_password(vault: Callable[[], Vault]) -> None:
    provider = vault()
    async with Docket("rotating", "memory://rotating", credential_provider=provider) as docket:
        docket.register(plain)
        execution = await docket.add(plain)(1)
        with anyio.fail_after(10):
            await Worker(docket).run_until_finished()
            assert await execution.get_result() == 1
    assert not provider.asked


@pytest.mark.parametrize("credentials", ["rotating:first@", "rotating@", ":first@"])
@pytest.mark.parametrize(
    "url",
    ["redis://{}server", "rediss://{}server", "unix://{}/socket", "memory://{}name",
     "redis+cluster://{}a,b", "redis+sentinel://{}a,b/service"],
    ids=lambda url: url.partition(":")[0],
)  # fmt: skip
def test_credentials_in_the_url_and_a_provider_are_refused_where_the_docket_is_made(
    url: str, credentials: str
) -> None:
    for make in Docket, StrikeList:
        with pytest.raises(BadSetting, match="in the URL or by a credential_provider, not both"):
            make(name="twice", url=url.format(credentials), credential_provider=Vault())


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

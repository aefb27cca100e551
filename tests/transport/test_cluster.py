"""A client of a cluster: every command to the owner of its key, wherever that is by now."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import attrs
import pytest
from redis.crc import key_slot
from redis.exceptions import (
    AuthenticationError,
    ClusterCrossSlotError,
    ClusterDownError,
    ConnectionError,
    RedisError,
    ResponseError,
    TryAgainError,
    WatchError,
)

from docket.transport import Client, Lua
from tests.fleets import Cluster
from tests.servers import Server, at_least, free_port, valkey_binary
from tests.transport.stress import open_descriptors, stress
from tests.transport.test_faults import settled, until

pytestmark = pytest.mark.anyio

KEYS = [f"key-{number}" for number in range(60)]  # of all three nodes
HOME = "{home}:x"
GET = Lua("return redis.call('GET', KEYS[1]) .. ARGV[1]")


@pytest.fixture
async def client(cluster_url: str) -> AsyncIterator[Client]:
    async with Client.from_url(cluster_url, home=HOME) as client:
        yield client


@attrs.frozen
class Move:
    """A slot that a test moves: a key of it, its owner, and another primary."""

    cluster: Cluster
    key: str
    source: Server
    target: Server

    @property
    def slot(self) -> int:
        return key_slot(self.key.encode())

    def refusals(self, kind: str) -> int:
        """How often the source has sent somebody on."""
        stats = self.cluster.info_of(self.source, "errorstats")
        return int(stats.partition(f"errorstat_{kind}:count=")[2].split("\r")[0] or 0)


@pytest.fixture
def move(cluster: Cluster, cluster_url: str) -> Iterator[Move]:
    key = "{moving}:a"
    source = cluster.owner(key)
    move = Move(cluster, key, source, next(cluster.others(source)))
    yield move
    cluster.end_of_move(move.slot, cluster.owner(key))


async def echo_of_home(client: Client) -> bytes:
    """Which node serves what names no key."""
    return bytes(await client.call("CLUSTER", "MYID"))  # pyright: ignore[reportArgumentType]


# where commands go ----------------------------------------------------------------------------------------


async def test_each_command_goes_to_the_owner_of_its_key(client: Client, cluster: Cluster) -> None:
    for key in KEYS:
        assert await client.set(key, f"of {key}")
    assert [await client.get(key) for key in KEYS] == [f"of {key}".encode() for key in KEYS]
    assert all(cluster.ask(node, "DBSIZE") > 5 for node in cluster.nodes)


@pytest.mark.parametrize(
    ("write", "read"),
    [
        (("XADD", "key-1", "*", "f", "v"), ("XLEN", "key-1")),
        (("XGROUP", "CREATE", "key-2", "g", "0", "MKSTREAM"), ("XINFO", "GROUPS", "key-2")),
        (("ZADD", "key-3", 1, "m"), ("ZUNION", 1, "key-3")),
        (("SETBIT", "key-4", 7, 1), ("OBJECT", "ENCODING", "key-4")),
        (("BITOP", "NOT", "key-5", "key-5"), ("EXISTS", "key-5")),
        (("EVAL", "return redis.call('INCR', KEYS[1])", 1, "key-6"), ("GET", "key-6")),
        pytest.param(
            *(("RPUSH", "key-7", "i"), ("LMPOP", 1, "key-7", "LEFT")),
            marks=pytest.mark.skipif(not at_least(7), reason="LMPOP is of Redis 7"),
        ),
    ],
    ids=lambda command: command[0],
)
async def test_the_key_is_found_wherever_a_command_has_it(
    client: Client, write: tuple[Any, ...], read: tuple[Any, ...]
) -> None:
    """A key that is looked for in the wrong place is the wrong node's: it would answer MOVED, and be followed."""
    await client.call("SET", "elsewhere", 1)
    before = sum([int((await node.info("stats"))["total_error_replies"]) for node in await nodes(client)])
    await client.call(*write)
    assert await client.call(*read) is not None
    after = sum([int((await node.info("stats"))["total_error_replies"]) for node in await nodes(client)])
    assert after == before


async def nodes(client: Client) -> list[Client]:
    return list(await client.servers_of([("GET", key) for key in KEYS]))


async def test_many_in_one_write_come_back_in_order_from_whichever_node(client: Client) -> None:
    assert await client.call_many([("SET", key, key) for key in KEYS]) == [b"OK"] * len(KEYS)
    assert await client.call_many([("GET", key) for key in KEYS]) == [key.encode() for key in KEYS]
    pipe = client.pipeline(transaction=False)
    for key in KEYS:
        pipe.strlen(key)
    assert await pipe.execute() == [len(key) for key in KEYS]


async def test_scripts_are_loaded_where_they_run(client: Client) -> None:
    await client.call_many([("SET", key, key) for key in KEYS])
    assert await client.run(GET, [KEYS[0]], ["!"]) == f"{KEYS[0]}!".encode()
    calls = [([key], ["?"]) for key in KEYS]
    assert await client.run_many(GET, calls) == [f"{key}?".encode() for key in KEYS]
    assert await client.run(Lua("return 'no key'"), [], []) == b"no key"
    script = client.register_script("return redis.call('GET', KEYS[1]) .. '!'")
    pipe = client.pipeline(transaction=False)
    for key in KEYS:
        await script([key], client=pipe)
    assert await pipe.execute() == [f"{key}!".encode() for key in KEYS]


async def test_a_transaction_stays_within_one_slot(client: Client) -> None:
    async with client.pipeline() as pipe:
        pipe.set("{t}:a", 1).incr("{t}:a").publish("nobody", "x")
        assert await pipe.execute() == [True, 2, 0]
    async with client.pipeline() as pipe:
        pipe.set("a", 1).set("b", 1)
        with pytest.raises(ClusterCrossSlotError, match=r"share a slot.*pipeline\(transaction=False\)"):
            await pipe.execute()
    assert await client.exists("a") == 0


async def test_a_command_on_keys_of_several_slots_is_refused_by_the_server(client: Client) -> None:
    with pytest.raises(ClusterCrossSlotError):
        await client.mget("a", "b")


async def test_watched_keys_are_watched_at_their_owner(client: Client) -> None:
    for key in KEYS[:5]:
        async with client.pipeline() as pipe:
            await pipe.watch(key)
            await client.set(key, "changed")
            pipe.multi()
            pipe.set(key, "mine")
            with pytest.raises(WatchError):
                await pipe.execute()

        def increment(pipe: Any) -> None:
            pipe.multi()
            pipe.append(key, "!")  # noqa: B023 - called in this very turn

        assert await client.transaction(increment, key) == [8]


async def test_locks_are_held_at_the_owner_of_their_name(client: Client) -> None:
    for key in KEYS[:5]:
        async with client.lock(key, timeout=10):
            assert not await client.lock(key, blocking=False).acquire()
        assert await client.exists(key) == 0


async def test_a_command_that_waits_does_so_at_the_owner_and_holds_nobody_up(client: Client) -> None:
    got: list[object] = []

    async def wait(key: str) -> None:
        got.append(await client.blpop([key], 0))

    async with anyio.create_task_group() as group:
        for key in KEYS[:6]:
            group.start_soon(wait, key)
        await settled()
        for key in KEYS[:6]:
            await client.rpush(key, "item")
    assert sorted(got) == sorted((key.encode(), b"item") for key in KEYS[:6])  # pyright: ignore[reportArgumentType]


async def test_a_dedicated_connection_goes_to_the_owner_of_home_and_is_unblocked_there(
    client: Client, cluster: Cluster
) -> None:
    async with client.dedicated() as connection:
        assert await connection.call("CLUSTER", "MYID") == cluster.id(cluster.owner(HOME)).encode()
        number = await connection.call("CLIENT", "ID")
        with anyio.fail_after(5):
            async with anyio.create_task_group() as group:
                group.start_soon(connection.call, "BLPOP", HOME, 0)
                blocked = 0
                while not blocked:
                    blocked = int(
                        cluster.info_of(cluster.owner(HOME), "clients").split("blocked_clients:")[1][0]
                    )
                    await anyio.sleep(0)
                await client.unblock(connection, int(number))  # pyright: ignore[reportArgumentType]


async def test_another_client_has_the_same_home_and_connections_of_its_own(client: Client) -> None:
    mine = await client.call("CLIENT", "ID")
    async with client.another() as other:
        assert await echo_of_home(other) == await echo_of_home(client)
        assert await other.call("CLIENT", "ID") != mine


async def test_publishers_and_subscribers_meet_whatever_their_home_is(
    client: Client, cluster: Cluster, cluster_url: str
) -> None:
    elsewhere = next(key for key in KEYS if cluster.owner(key) is not cluster.owner(HOME))
    async with Client.from_url(cluster_url, home=elsewhere) as other, client.pubsub() as pubsub:
        assert await echo_of_home(client) != await echo_of_home(other)
        await pubsub.subscribe("channel")
        await pubsub.psubscribe("pattern:*")
        assert await client.pubsub_numsub("channel") == [(b"channel", 1)]
        assert await other.pubsub_channels("chan*") == [b"channel"]
        await client.publish("channel", "near")
        await other.publish("pattern:x", "far")
        got = [(await pubsub.receive()).payload, (await pubsub.receive()).payload]
        assert sorted(got) == [b"far", b"near"]


async def test_what_concerns_all_keys_asks_every_primary(client: Client) -> None:
    await client.call_many([("SET", key, 1) for key in KEYS])
    expected = sorted(key.encode() for key in KEYS)
    assert sorted(await client.keys("key-*")) == expected
    assert sorted([key async for key in client.scan_iter(match="key-*", count=5)]) == expected
    assert await client.dbsize() == len(KEYS)
    sha = await client.script_load("return 1")
    assert await client.script_exists(sha, "0" * 40) == [True, False]
    assert await client.script_flush()
    assert await client.script_exists(sha) == [False]
    assert await client.flushall()
    assert await client.dbsize() == 0


async def test_what_would_be_only_a_part_is_refused(client: Client) -> None:
    with pytest.raises(RedisError, match=r"use scan_iter\(\)"):
        await client.scan()
    pipe = client.pipeline()
    pipe.flushall()
    with pytest.raises(RedisError, match="FLUSHALL goes to every primary"):
        await pipe.execute()


# finding the cluster --------------------------------------------------------------------------------------


async def test_any_of_the_nodes_in_the_url_will_do(cluster: Cluster) -> None:
    dead, live = free_port(), cluster.nodes[1].port
    async with Client.from_url(f"redis+cluster://127.0.0.1:{dead},127.0.0.1:{live}") as client:
        assert await client.set("a", 1)


async def test_a_cluster_none_of_whose_nodes_answers_is_named() -> None:
    one, other = free_port(), free_port()
    errors: list[str] = []
    async with Client.from_url(f"redis+cluster://127.0.0.1:{one},127.0.0.1:{other}") as client:

        async def ask() -> None:
            with pytest.raises(ConnectionError) as error:
                await client.get("a")
            errors.append(str(error.value))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as group:
                for _ in range(50):
                    group.start_soon(ask)
    assert len(errors) == 50
    assert all(f"127.0.0.1:{one}" in error and f"127.0.0.1:{other}" in error for error in errors)


async def test_a_server_that_is_no_cluster_is_told_apart(server: Server) -> None:
    async with Client.from_url(f"redis+cluster://127.0.0.1:{server.port}") as client:
        with pytest.raises(
            ResponseError, match=f"127.0.0.1:{server.port} is no node of a cluster: use redis://"
        ):
            await client.get("a")


async def test_every_node_is_given_the_user_of_the_url(cluster: Cluster) -> None:
    for node in cluster.nodes:
        cluster.ask(node, "ACL", "SETUSER", "limited", "on", ">pass word", "+@all", "~*", "&*")
    port = cluster.nodes[0].port
    async with Client.from_url(f"redis+cluster://limited:pass%20word@127.0.0.1:{port}") as client:
        assert [await node.call("ACL", "WHOAMI") for node in await nodes(client)] == [b"limited"] * 3
    async with Client.from_url(f"redis+cluster://limited:wrong@127.0.0.1:{port}") as client:
        with anyio.fail_after(5), pytest.raises(AuthenticationError):
            await client.get("a")


async def test_closing_leaves_nothing_open_and_a_closed_client_connects_again(cluster_url: str) -> None:
    async with Client.from_url(cluster_url) as warm:
        await warm.get("a")
    before = open_descriptors()
    client = Client.from_url(cluster_url)
    await client.call_many([("GET", key) for key in KEYS])
    client.close()
    assert open_descriptors() == before
    assert await client.set("a", 1)
    client.close()


def test_a_client_is_used_in_one_event_loop_after_another(cluster_url: str, anyio_backend: Any) -> None:
    name, options = anyio_backend
    client = Client.from_url(cluster_url)

    async def ask() -> None:
        assert await client.set("a", 1)

    for _ in range(2):
        anyio.run(ask, backend=name, backend_options=options)
    client.close()


# a cluster that changes -----------------------------------------------------------------------------------


async def test_a_slot_that_has_moved_is_followed_and_remembered(move: Move) -> None:
    async with Client.from_url(move.cluster.url, home=move.key) as client:
        await client.set(move.key, "value")
        before = move.refusals("MOVED")
        move.cluster.move(move.slot, move.source, move.target)
        assert await client.get(move.key) == b"value"
        assert await client.run(GET, [move.key], ["!"]) == b"value!"
        async with client.pipeline() as pipe:
            assert await pipe.get(move.key).execute() == [b"value"]
        assert move.refusals("MOVED") == before + 1
        assert await echo_of_home(client) == move.cluster.id(move.target).encode()


async def test_transactions_scripts_and_pipelines_follow_a_moved_slot_too(move: Move) -> None:
    clients = [Client.from_url(move.cluster.url) for _ in range(4)]
    for client in clients:
        await client.set(move.key, "1")
    move.cluster.move(move.slot, move.source, move.target)
    transaction, script, pipeline, watch = clients
    async with transaction.pipeline() as pipe:
        assert await pipe.incr(move.key).get(move.key).execute() == [2, b"2"]
    assert await script.run_many(GET, [([move.key], [n]) for n in range(3)]) == [b"20", b"21", b"22"]
    pipe = pipeline.pipeline(transaction=False)
    pipe.get(move.key).get("elsewhere").incr(move.key)
    assert await pipe.execute() == [b"2", None, 3]
    async with watch.pipeline() as pipe:
        # A watch is for one connection; what is learnt from a refusal is where the next one goes.
        with pytest.raises(ResponseError):
            await pipe.watch(move.key)
        await pipe.reset()
        await pipe.watch(move.key)
        assert await pipe.get(move.key) == b"3"
    for client in clients:
        client.close()


async def test_a_key_on_its_way_is_asked_for_where_it_goes(move: Move) -> None:
    stays = "{moving}:stays"
    async with Client.from_url(move.cluster.url, home=move.key) as client:
        await client.set(move.key, "1")
        await client.set(stays, "here")
        move.cluster.begin_to_move(move.slot, move.source, move.target)
        move.cluster.move_key(move.key, move.source, move.target)
        assert await client.get(move.key) == b"1"
        assert await client.get(stays) == b"here"
        assert await client.run(GET, [move.key], ["!"]) == b"1!"
        async with client.pipeline() as pipe:
            assert await pipe.incr(move.key).get(move.key).execute() == [2, b"2"]
        assert await client.call_many([("GET", stays), ("GET", move.key), ("GET", stays)]) == [
            b"here",
            b"2",
            b"here",
        ]
        assert await echo_of_home(client) == move.cluster.id(move.source).encode(), (
            "the slot is still the source's"
        )
        with pytest.raises(TryAgainError):
            await client.mget(move.key, stays)
        move.cluster.move_key(stays, move.source, move.target)
        move.cluster.end_of_move(move.slot, move.target)
        assert await client.mget(move.key, stays) == [b"2", b"here"]


async def test_a_command_that_waits_follows_the_slot(move: Move) -> None:
    got: list[object] = []
    async with Client.from_url(move.cluster.url, home=move.key) as client:

        async def wait() -> None:
            got.append(await client.blpop([move.key], 0))

        async def blocked() -> bool:
            await anyio.lowlevel.checkpoint()
            return "blocked_clients:1" in move.cluster.info_of(move.source, "clients")

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await until(blocked)
            move.cluster.move(move.slot, move.source, move.target)
            async with Client.from_url(move.cluster.url) as other:
                await other.rpush(move.key, "item")
        assert got == [(move.key.encode(), b"item")]


async def test_a_dedicated_connection_whose_slot_moves_is_lost_to_its_user(move: Move) -> None:
    async with Client.from_url(move.cluster.url, home=move.key) as client:
        await client.get(move.key)
        move.cluster.move(move.slot, move.source, move.target)
        with pytest.raises(ConnectionError, match="another node"):
            async with client.dedicated() as connection:
                await connection.call("GET", move.key)
        async with client.dedicated() as connection:
            assert await connection.call("CLUSTER", "MYID") == move.cluster.id(move.target).encode()


async def test_a_slot_that_nobody_serves_is_told(move: Move) -> None:
    cluster = move.cluster
    async with Client.from_url(cluster.url, home="elsewhere") as client:
        await client.get(move.key)
        cluster.ask(move.source, "CLUSTER", "DELSLOTS", move.slot)
        try:
            with pytest.raises(ClusterDownError):
                await client.get(move.key)
        finally:
            cluster.ask(move.source, "CLUSTER", "ADDSLOTS", move.slot)
        cluster.until_up()
        assert await client.get(move.key) is None


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    with Cluster(replicas=3) as running:
        yield running


async def test_the_replica_of_a_killed_owner_is_found_when_it_has_taken_over(own_cluster: Cluster) -> None:
    """The replica is told to take over: what the cluster decides by itself takes it seconds."""
    owner = own_cluster.owner(HOME)
    replica = own_cluster.replica_of(owner)
    async with Client.from_url(own_cluster.url, home=HOME) as client, client.pubsub() as pubsub:
        await client.set(HOME, "kept")
        await pubsub.subscribe("channel")
        own_cluster.until_in_step(owner, replica)
        owner.kill()
        try:
            own_cluster.take_over(replica)
            await settled()
            with contextlib.suppress(
                ConnectionError
            ):  # it may be sent before anybody notices that the node is gone
                await client.get(HOME)
            assert await client.get(HOME) == b"kept"
            with pytest.raises(ConnectionError):
                await pubsub.receive()
            await pubsub.reconnect()
            await client.publish("channel", "again")
            assert (await pubsub.receive()).payload == b"again"
        finally:
            own_cluster.bring_back(owner)


@pytest.mark.chaos
async def test_cancelled_callers_and_lost_connections_disturb_nobody_else(cluster_url: str) -> None:
    await stress(cluster_url, 5000)


def test_valkey_s_clusters_are_understood_too() -> None:
    async def use(cluster: Cluster) -> None:
        async with Client.from_url(cluster.url, home=HOME) as client:
            await client.set(HOME, "x")
            assert await client.run(GET, [HOME], ["!"]) == b"x!"

    with Cluster(primaries=1, program=valkey_binary()) as cluster:
        anyio.run(use, cluster)

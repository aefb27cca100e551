"""Dockets and workers on a cluster and behind sentinels, and what becomes of them when the servers change."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest
from redis.crc import key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from docket import Docket, ExecutionCancelled, ExecutionState, Retry, Worker
from docket.errors import BadSetting
from docket.worker.upkeep.outages import is_disruption
from tests.docket.conftest import later
from tests.durations import ms
from tests.fleets import Cluster, Sentinels
from tests.where import asyncio_and_trio
from tests.worker.conftest import PATIENCE, working

pytestmark = [pytest.mark.anyio, pytest.mark.slow, asyncio_and_trio]


async def add(a: int, b: int = 0) -> int:
    return a + b


async def refuse(why: str) -> None:
    raise ValueError(why)


async def flaky(retry: Retry = Retry(attempts=3)) -> str:
    if retry.attempt < 3:
        raise ValueError(f"attempt {retry.attempt}")
    return "at last"


async def for_ever() -> None:
    await anyio.sleep_forever()


@asynccontextmanager
async def opened(url: str, name: str = "fleet") -> AsyncGenerator[Docket]:
    async with Docket(name, url) as docket:
        for task in add, refuse, flaky, for_ever:
            docket.register(task)
        yield docket


@pytest.fixture(params=["cluster", "sentinel"])
async def docket(request: pytest.FixtureRequest, anyio_backend: Any) -> AsyncGenerator[Docket]:
    async with opened(request.getfixturevalue(f"{request.param}_url")) as docket:
        yield docket


def soon() -> datetime:
    return datetime.now(UTC) + ms(50)


# all that a docket does -----------------------------------------------------------------------------------


async def test_tasks_run_now_later_and_again_and_give_their_results(docket: Docket) -> None:
    async with working(Worker(docket, "w")):
        now = await docket.add(add)(1, 2)
        then = await docket.add(add, when=soon())(3, 4)
        again = await docket.add(flaky)()
        fails = await docket.add(refuse)("no")
        many = await docket.add_many(docket.call(add)(number) for number in range(50))
        assert await now.get_result() == 3
        assert await then.get_result() == 7
        assert await again.get_result() == "at last"
        with pytest.raises(ValueError, match="no"):
            await fails.get_result()
        assert [await execution.get_result() for execution in many] == list(range(50))
        assert [worker.name for worker in await docket.workers()] == ["w"]


async def test_what_waits_and_what_runs_is_cancelled(docket: Docket) -> None:
    waits = await docket.add(add, when=later())(1)
    runs = await docket.add(for_ever)()
    async with working(Worker(docket, "w")):
        with anyio.fail_after(PATIENCE):
            async with aclosing(runs.subscribe()) as events:
                async for event in events:
                    if event["type"] == "state" and event["state"] is ExecutionState.RUNNING:
                        break
            for execution in (waits, runs):
                await docket.cancel(execution.key)
                with pytest.raises(ExecutionCancelled):
                    await execution.get_result()


async def test_a_docket_is_looked_at_replaced_and_cleared(docket: Docket) -> None:
    await docket.add(add, key="now")(1)
    await docket.add(add, when=later(), key="then")(2)
    await docket.replace(add, when=later(), key="then")(3)
    snapshot = await docket.snapshot()
    assert {execution.key: execution.args for execution in snapshot.future} == {"now": (1,), "then": (3,)}
    assert (execution := await docket.get_execution("then")) is not None
    assert execution.state is ExecutionState.SCHEDULED
    assert await docket.clear() == 2
    assert (await docket.snapshot()).total_tasks == 0


async def test_what_is_struck_is_not_added(docket: Docket) -> None:
    await docket.strike(add, "a", "==", 3)
    assert [(await docket.add(add)(number)).disposition.value for number in (3, 4)] == ["struck", "scheduled"]
    await docket.restore(add, "a", "==", 3)
    assert (await docket.add(add)(3)).disposition.value == "scheduled"


async def test_a_worker_that_is_gone_is_replaced(docket: Docket) -> None:
    """Its delivery is found and taken over."""
    execution = await docket.add(add)(1, 1)
    async with docket.redis() as redis:
        await redis.xgroup_create(docket.stream_key, docket.worker_group_name, "0-0")
        await redis.xreadgroup(docket.worker_group_name, "gone", {docket.stream_key: ">"})
    async with working(Worker(docket, "w", redelivery_timeout=ms(200))):
        assert await execution.get_result() == 2


# keys -----------------------------------------------------------------------------------------------------


async def test_all_keys_of_a_docket_on_a_cluster_share_the_slot_of_its_name(cluster_url: str) -> None:
    async with opened(cluster_url, "a name") as docket:
        assert docket.prefix == "{a name}"
        await docket.add(add, when=later(), key="later")(1)
        execution = await docket.add(add, key="now")(1)
        async with working(Worker(docket, "w")):
            await execution.get_result()
            async with docket.redis() as redis:
                keys = [key async for key in redis.scan_iter()]
                stored = json.loads(await redis.get("{a name}:results:now:1") or "")
    assert {b"{a name}:queue", b"{a name}:later", b"{a name}:runs:now", b"{a name}:workers"} <= set(keys)
    assert {key_slot(key) for key in keys} == {key_slot(b"a name")}
    assert list(stored) == ["data"]


async def test_keys_behind_sentinels_are_those_of_a_single_server(sentinel_url: str) -> None:
    async with opened(sentinel_url, "plain") as docket:
        execution = await docket.add(add, key="now")(1)
        await Worker(docket, "w").run_until_finished()
        assert await execution.get_result() == 1
        async with docket.redis() as redis:
            stored = json.loads(await redis.get("plain:results::now:1") or "")
    assert docket.prefix == "plain"
    assert stored["collection"] == "plain:results"


def test_a_name_of_which_no_tag_can_be_made_is_refused_on_a_cluster_only() -> None:
    with pytest.raises(BadSetting, match="on a cluster the name of a docket does not begin with"):
        Docket("}x", "redis+cluster://localhost")
    assert Docket("}x", "redis+sentinel://localhost/service").prefix == "}x"


# servers that change --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "disrupts"),
    [
        (ClusterDownError("Hash slot not served"), True),
        (TryAgainError("Multiple keys request during rehashing of slot"), True),
        *[
            (ResponseError(f"{text} attempted to access a non local key in a cluster node"), True)
            for text in ("@user_script: 5: Lua script", "Script", "ERR Script")
        ],
        (
            ResponseError("Attempted to access a non local key in a cluster node script: on @user_script:5."),
            True,
        ),
        (AskError("1 127.0.0.1:1"), False),  # of a client that was not told that there is a cluster
    ],
    ids=["CLUSTERDOWN", "TRYAGAIN", "Redis 6", "Redis 7", "caught", "Valkey 9", "MOVED"],
)
def test_a_cluster_in_disorder_is_waited_for(error: RedisError, disrupts: bool) -> None:
    assert is_disruption(error) is disrupts


async def insist(act: Any) -> Any:
    """Do something that may fail while the servers change."""
    with anyio.fail_after(PATIENCE):
        while True:
            try:
                return await act()
            except (ConnectionError, ClusterDownError, TryAgainError):
                await anyio.sleep(0.05)  # as a program would that cares


async def test_a_worker_follows_its_docket_to_another_node(cluster: Cluster, cluster_url: str) -> None:
    source = cluster.owner("{moves}")
    target = next(cluster.others(source))
    async with opened(cluster_url, "moves") as docket:
        parked = await docket.add(add, when=datetime.now(UTC) + ms(400))(20, 1)
        async with working(Worker(docket, "w", reconnection_delay=ms(50))):
            assert await (await docket.add(add)(1, 1)).get_result() == 2
            cluster.move(key_slot(b"moves"), source, target)
            after = await insist(lambda: docket.add(add)(2, 2))
            assert await insist(after.get_result) == 4
            assert await insist(parked.get_result) == 21
        async with docket.redis() as redis:
            assert await redis.xlen(docket.stream_key) == 0
    assert cluster.ask(source, "CLUSTER", "COUNTKEYSINSLOT", key_slot(b"moves")) == 0


async def test_a_due_task_stays_due_while_its_message_is_on_its_way_to_another_node(
    cluster: Cluster, cluster_url: str
) -> None:
    async with opened(cluster_url, "due") as docket:
        await docket.add(add)(1)
        await docket.add(add, when=later(), key="stream")(
            1
        )  # all keys that the step names: it gets as far as the message
        execution = await docket.add(add, when=datetime.now(UTC) + ms(1), key="k")(2)
        slot, source = key_slot(b"due"), cluster.owner("{due}")
        target = next(cluster.others(source))
        cluster.begin_to_move(slot, source, target)
        cluster.move_key(docket.keys.parked("k"), source, target)
        with pytest.raises(RedisError) as refused:
            await docket.store.due.move(10)
        assert is_disruption(refused.value)
        cluster.move(slot, source, target)
        assert (await insist(lambda: docket.store.due.move(10))).count == 1
        await execution.sync()
        assert execution.state is ExecutionState.QUEUED


@pytest.mark.chaos
async def test_a_slot_that_moves_slowly_under_load_costs_no_task(cluster: Cluster, cluster_url: str) -> None:
    """While some of its keys are here and some there, the cluster refuses most of what a docket does."""
    slot, runs = key_slot(b"slow"), dict[int, int]()

    async def count(number: int) -> None:
        runs[number] = runs.get(number, 0) + 1

    def move() -> None:
        source = cluster.owner("{slow}")
        target = next(cluster.others(source))
        cluster.begin_to_move(slot, source, target)
        deadline = time.monotonic() + 0.5
        while keys := cluster.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 5):
            for key in keys:
                cluster.move_key(key, source, target)
            if time.monotonic() < deadline:
                time.sleep(0.005)  # the servers' time: what this is about
        cluster.end_of_move(slot, target)

    async with opened(cluster_url, "slow") as docket:
        docket.register(count)

        async def place(numbers: range) -> None:
            for number in numbers:
                when = soon() if number % 2 else None
                await insist(lambda when=when, n=number: docket.add(count, when=when, key=f"k{n}")(n))
                await anyio.sleep(0.01)

        async with working(*(Worker(docket, f"w{n}", reconnection_delay=ms(100)) for n in range(2))):
            async with anyio.create_task_group() as group:
                for start in (0, 100):
                    group.start_soon(place, range(start, start + 100))
                for _ in range(3):
                    await anyio.to_thread.run_sync(move)
            while len(runs) < 200:
                await anyio.sleep(0.01)  # within the patience of `working`
    assert runs == dict.fromkeys(range(200), 1)


async def test_a_worker_follows_the_master_that_hands_over(watched: Sentinels) -> None:
    async with opened(watched.url) as docket:
        parked = await docket.add(add, when=datetime.now(UTC) + ms(400))(20, 1)
        async with working(Worker(docket, "w", reconnection_delay=ms(50))):
            assert await (await docket.add(add)(1, 1)).get_result() == 2
            watched.hand_over()
            after = await insist(lambda: docket.add(add)(2, 2))
            assert await insist(after.get_result) == 4
            assert await insist(parked.get_result) == 21


async def lose(fleet: Cluster | Sentinels) -> None:
    """Kill the server that a docket is on; the others take some seconds to agree on another one."""
    begun, go_on = anyio.Event(), anyio.Event()

    async def long() -> str:
        begun.set()
        await go_on.wait()
        return "through it all"

    async with opened(fleet.url) as docket:
        docket.register(long)
        parked = [await docket.add(add, when=soon() + ms(900))(number) for number in range(20)]
        async with working(Worker(docket, "w", reconnection_delay=ms(100))):
            runs = await docket.add(long)()
            await begun.wait()
            if isinstance(fleet, Sentinels):
                old = fleet.master
                fleet.in_step()
                old.kill()
                go_on.set()
                await anyio.to_thread.run_sync(fleet.until_another_than, old)
            else:
                old = fleet.owner("{fleet}")
                fleet.until_in_step(old, fleet.replica_of(old))
                old.kill()
                go_on.set()
                await anyio.to_thread.run_sync(fleet.until_another_owns, "{fleet}", old)
            added = await insist(lambda: docket.add(add)(2, 2))
            assert await insist(added.get_result) == 4
            assert await insist(runs.get_result) == "through it all"
            assert [await insist(execution.get_result) for execution in parked] == list(range(20))


def test_a_worker_goes_on_with_the_master_that_the_sentinels_agree_on() -> None:
    """On one loop here, on all of them in the chaos session: the sentinels' seconds are the same on each."""
    with Sentinels() as sentinels:
        anyio.run(lose, sentinels, backend="trio")


@pytest.mark.chaos
@pytest.mark.parametrize("kind", ["cluster", "sentinels"])
async def test_a_worker_goes_on_with_whoever_replaces_its_server_on_every_loop(kind: str) -> None:
    with Sentinels() if kind == "sentinels" else Cluster(replicas=3) as fleet:
        await lose(fleet)

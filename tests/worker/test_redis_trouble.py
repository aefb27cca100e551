"""Redis is in trouble: the worker logs that once, keeps its tasks, and continues when the trouble is over."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import anyio
import attrs
import pytest
import redis

from docket import Docket, Execution, Perpetual, Worker
from docket.signals import Subscriber, signals
from docket.worker import drain
from docket.worker.intake import blocking_read, reader
from docket.worker.upkeep import heartbeat
from tests.durations import ms
from tests.proxy import Proxy
from tests.servers import Server
from tests.trouble import AWAY, LOSSES, REFUSALS, SAID, Trouble, on_some_loop
from tests.where import asyncio_and_trio
from tests.worker.conftest import at_most

pytestmark = [pytest.mark.anyio, pytest.mark.slow, asyncio_and_trio]

#: How long a server may be silent.
SILENCE = 0.3

#: How long a trouble lasts in which each loop is to meet it.
LASTS = 0.3


class Disruptions(Subscriber):
    """Counts how often a worker was disrupted, as the metric does."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()

    def disrupted(self, docket: str, worker: str) -> None:
        self.count[docket] += 1


@attrs.define(eq=False)
class Scene:
    """A docket with a worker, the log lines about the server, and the tasks that have run."""

    server: Server
    proxy: Proxy
    docket: Docket
    caplog: pytest.LogCaptureFixture
    disruptions: Disruptions
    worker: Worker = attrs.field(init=False)
    ran: Counter[str] = attrs.field(factory=Counter[str])
    begun: anyio.Event = attrs.field(factory=anyio.Event)
    go_on: anyio.Event = attrs.field(factory=anyio.Event)
    ended: anyio.Event = attrs.field(factory=anyio.Event)

    async def work(self) -> None:
        await self.worker.run_forever()
        self.ended.set()

    async def short(self, name: str) -> str:
        self.ran[name] += 1
        await anyio.sleep(0)
        return name

    async def long(self, name: str) -> str:
        """Runs until it is released, and then has a result to write."""
        self.ran[name] += 1
        self.begun.set()
        await self.go_on.wait()
        return name

    async def add(self, function: Callable[[str], Any], count: int, name: str) -> list[Execution[str]]:
        return [await self.docket.add(function)(f"{name} {number}") for number in range(count)]

    def said(self, text: str) -> list[str]:
        return [message for message in self.caplog.messages if text in message]

    async def heard(self, text: str) -> None:
        while not self.said(text):
            await anyio.sleep(0.01)  # a log record notifies nobody

    async def waits(self) -> None:
        """Return once the worker waits in the server for more tasks."""
        with redis.Redis(port=self.server.port) as admin:
            while not admin.info("clients")["blocked_clients"]:
                await anyio.sleep(0.01)

    async def all_well(self, executions: list[Execution[str]]) -> None:
        """Check that each task has run once and has its result."""
        for execution in executions:
            assert await execution.get_result() == execution.args[0]
        assert set(self.ran.values()) == {1}
        async with self.docket.redis() as client:
            while await client.xlen(self.docket.stream_key):
                await anyio.sleep(0.01)  # the last is being acknowledged


@pytest.fixture(scope="module")
def keeper() -> Iterator[Server]:
    """A server that keeps all writes when it is killed."""
    with Server("--appendonly", "yes", "--appendfsync", "always") as running:
        yield running


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Server]:
    """A server that keeps nothing over a restart, and that no other test uses."""
    with Server() as running:
        yield running


@asynccontextmanager
async def at_work(
    server: Server, caplog: pytest.LogCaptureFixture, *, silence: float = SILENCE, **settings: Any
) -> AsyncGenerator[Scene]:
    """A worker at work, through a proxy; after ``silence`` it takes the server for lost."""
    with redis.Redis(port=server.port) as admin:
        admin.flushall()
    disruptions = Disruptions()
    signals.subscribers.append(disruptions)
    try:
        with Proxy(server.port) as proxy:
            url = f"{proxy.url}?socket_timeout={silence}"
            async with Docket("trouble", url, heartbeat_interval=ms(100)) as docket:
                scene = Scene(server, proxy, docket, caplog, disruptions)
                for function in (scene.short, scene.long):
                    docket.register(function)
                settings = {"reconnection_delay": ms(50), "redelivery_timeout": ms(3000), **settings}
                worker = Worker(docket, "worker", **settings)
                async with at_most(), anyio.create_task_group() as group:
                    scene.worker = worker
                    group.start_soon(scene.work)
                    yield scene
                    worker.stop()
    finally:
        signals.subscribers.remove(disruptions)


# Nothing is lost --------------------------------------------------------------------------------------------


def _by_proxy(begin: Callable[[Proxy], None]) -> Callable[[Proxy], AbstractContextManager[None]]:
    @contextmanager
    def trouble(proxy: Proxy) -> Iterator[None]:
        begin(proxy)
        yield
        proxy.resume()

    return trouble


def _unplugged(proxy: Proxy) -> None:
    proxy.refuse()
    proxy.cut()


ON_THE_WAY = {
    "unplugged": _by_proxy(_unplugged),
    "mute": _by_proxy(Proxy.hang),
    "deaf": _by_proxy(lambda proxy: proxy.hang("up")),
    "half open": _by_proxy(lambda proxy: proxy.cut("up")),
}

TROUBLES: dict[str, Trouble] = {**REFUSALS, **AWAY}


async def lives_through(scene: Scene, trouble: AbstractContextManager[None], *, waits: bool = True) -> None:
    """Tasks run, wait and end while the server is in trouble; each runs once, and there is one log line each way."""
    long = await scene.add(scene.long, 3, "long")
    await scene.begun.wait()
    if waits:
        await scene.waits()
    with trouble:
        await scene.heard("unavailable")
        scene.go_on.set()  # the results of tasks that end now cannot be written
        # The server is away for as long as it takes every loop to meet that, and to try again several times.
        await anyio.sleep(LASTS)
    await scene.heard("is back after")
    short = await scene.add(scene.short, 20, "short")
    await scene.all_well([*long, *short])
    assert len(scene.said("unavailable")) == len(scene.said("is back after")) == 1, scene.caplog.messages
    assert scene.disruptions.count["trouble"] >= 2


@on_some_loop(TROUBLES, everywhere=("refused",))
async def test_running_and_waiting_tasks_survive_a_server_in_trouble(
    keeper: Server, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    async with at_work(keeper, caplog) as scene:
        await lives_through(scene, TROUBLES[name](keeper))
        if name in REFUSALS:  # in the other cases it first finds its connections lost
            assert re.search(f"{SAID[name]}|master -> replica", scene.said("unavailable")[0])


@on_some_loop(ON_THE_WAY, everywhere=("mute",))
async def test_running_and_waiting_tasks_survive_trouble_on_the_way_to_the_server(
    server: Server, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    async with at_work(server, caplog) as scene:
        await lives_through(scene, ON_THE_WAY[name](scene.proxy), waits=name != "half open")


@pytest.mark.chaos
async def test_a_blocking_read_finds_an_outage_last_and_does_not_log_it_again(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits for five seconds, and then for the usual silence of a server that is away."""
    async with at_work(server, caplog) as scene:
        await lives_through(scene, ON_THE_WAY["half open"](scene.proxy))


async def test_forgotten_scripts_are_no_outage(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async with at_work(server, caplog) as scene:
        long = await scene.add(scene.long, 3, "long")
        await scene.begun.wait()
        with redis.Redis(port=server.port) as admin:
            admin.script_flush()
        scene.go_on.set()
        await scene.all_well([*long, *await scene.add(scene.short, 20, "short")])
        assert not scene.disruptions.count
        assert not caplog.messages


async def test_lost_connections_are_made_again_at_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    async with at_work(server, caplog) as scene:
        long = await scene.add(scene.long, 3, "long")
        await scene.begun.wait()
        await scene.waits()
        scene.proxy.cut()
        scene.go_on.set()
        await scene.all_well([*long, *await scene.add(scene.short, 20, "short")])
        assert len(scene.said("unavailable")) <= 1


async def test_a_restart_during_the_drain_does_not_keep_the_worker(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Its tasks are settled when the server is back, if that is before the end of the drain."""
    async with at_work(server, caplog, shutdown_timeout=ms(10_000)) as scene:
        long = await scene.add(scene.long, 3, "long")
        await scene.begun.wait()
        await scene.waits()
        scene.worker.stop()
        with ON_THE_WAY["unplugged"](scene.proxy):
            await scene.heard("unavailable")
            scene.go_on.set()
        await scene.all_well(long)


@on_some_loop(["mute"])
async def test_a_worker_that_stops_does_not_wait_long_for_a_server_that_hangs(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Neither to hand back its tasks, nor for the answer to its last request."""
    monkeypatch.setattr(drain, "CLOSING", 0.2)
    monkeypatch.setattr(reader, "LAST_ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(blocking_read, "UNBLOCK_SECONDS", 0.2)
    monkeypatch.setattr(heartbeat, "LEAVE_SECONDS", 0.2)
    async with at_work(server, caplog, silence=60, shutdown_timeout=ms(100)) as scene:
        await scene.add(scene.long, 1, "long")
        await scene.begun.wait()
        await scene.waits()
        scene.proxy.delay(0.02, "down")  # so most of its time is spent on requests
        async with Docket("trouble", server.url) as docket:
            await docket.add_many([docket.call(scene.short)(str(number)) for number in range(100)])
        while len(scene.ran) < 12:
            await anyio.sleep(0.01)
        with ON_THE_WAY[name](scene.proxy):
            scene.worker.stop()
            with anyio.fail_after(5):
                await scene.ended.wait()
            scene.proxy.cut()


# Something is lost -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data", "everything"])
async def test_an_empty_server_is_prepared_again(
    forgetful: Server, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The bodies that ran are stopped, since their records are gone; automatic tasks are seeded."""
    async with at_work(forgetful, caplog, redelivery_timeout=ms(800)) as scene:
        beats: list[int] = []

        async def beat(perpetual: Perpetual = Perpetual(every=timedelta(hours=1), automatic=True)) -> None:
            beats.append(len(beats))

        await scene.add(scene.long, 3, "long")
        await scene.begun.wait()
        await scene.waits()
        scene.docket.register(beat)  # after the first look of the seeder; the next one comes after the outage
        with LOSSES[name](forgetful):
            pass
        await anyio.sleep(0.02)  # some servers are back within 10 ms: no connection is found lost that soon
        short = await scene.add(scene.short, 20, "short")
        await scene.all_well(short)
        while not beats:
            await anyio.sleep(0.01)
        while len(scene.said("The lease of")) < 3:
            await anyio.sleep(0.01)
        assert len(scene.said("unavailable")) == len(scene.said("is back after")) == 1, caplog.messages
        assert beats == [0]
        assert {await client_type(scene, scene.docket.stream_key)} == {b"stream"}


@pytest.mark.parametrize("when", ["at its end", "while it drains"])
async def test_tasks_that_ran_while_the_server_lost_everything_end_without_a_log_line(
    forgetful: Server, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    async with at_work(forgetful, caplog) as scene:
        await scene.add(scene.long, 3, "long")
        await scene.begun.wait()
        await scene.waits()
        if when == "while it drains":  # then nothing reads, and nothing makes the group again
            scene.worker.stop()
        with LOSSES["data"](forgetful):
            scene.go_on.set()
        if when == "at its end":
            await scene.all_well(await scene.add(scene.short, 20, "short"))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_work_continues_on_a_server_that_evicts_keys(
    forgetful: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """The server chooses the keys; `maxmemory-policy` has to prevent that tasks are lost with them."""
    async with at_work(forgetful, caplog, redelivery_timeout=ms(800)) as scene:
        await scene.add(scene.long, 3, "long")
        await scene.begun.wait()
        await scene.waits()
        with redis.Redis(port=forgetful.port) as admin:
            admin.config_set("maxmemory-policy", "allkeys-random")
            admin.config_set("maxmemory", 1)
            while admin.dbsize():  # keys are evicted at the next write
                with contextlib.suppress(redis.ResponseError):
                    admin.set("more", "")
            admin.config_set("maxmemory", 0)
            admin.config_set("maxmemory-policy", "noeviction")
        await scene.all_well(await scene.add(scene.short, 20, "short"))


async def client_type(scene: Scene, key: str) -> bytes:
    async with scene.docket.redis() as client:
        return bytes(await client.type(key))

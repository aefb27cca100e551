"""A turn, in which a worker writes what has ended and takes what comes next, goes wrong on its way.

No claim is lost by that, none is written twice, and none as something else than what it was. No lease ends meanwhile
where nothing else is said: they are longer than the tests.
"""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import anyio
import anyio.to_thread
import attrs
import pytest
from redis.crc import key_slot

from docket import Docket, Execution, ExecutionState, Worker
from docket.store import GROUP, Claims, Delivery, DueTasks, Ended, Settled, Taken
from docket.store.lua import script
from docket.worker import drain
from docket.worker.drain import Drain
from docket.worker.intake import reader
from tests.docket.conftest import later
from tests.durations import ms
from tests.fleets import Cluster
from tests.proxy import Direction, Proxy
from tests.servers import Server
from tests.trouble import LOSSES, REFUSALS, on_some_loop
from tests.where import asyncio_and_trio, slow
from tests.worker.conftest import PATIENCE, at_most, working

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

TAKE = script("take").sha.encode()
COMPLETED = ExecutionState.COMPLETED

_names = itertools.count()


@attrs.define(eq=False)
class Scene:
    """Tasks that return their number. Some do something as the last thing before their end."""

    docket: Docket
    at_the_end_of: dict[int, Callable[[], object]] = attrs.field(factory=dict[int, Callable[[], object]])
    ran: Counter[int] = attrs.field(factory=Counter[int])

    async def task(self, number: int) -> int:
        self.ran[number] += 1
        await anyio.sleep(0)
        if number in self.at_the_end_of:
            self.at_the_end_of.pop(number)()
        return number

    async def add(self, count: int) -> Sequence[Execution[int]]:
        return await self.docket.add_many([self.docket.call(self.task, key=f"{n}")(n) for n in range(count)])

    async def all_well(self, executions: Sequence[Execution[int]], *, repeated: Sequence[int] = ()) -> None:
        """Each has its result and has run once, or has ``repeated`` that; and nothing is left."""
        for execution in executions:
            assert await execution.get_result() == int(execution.key)
            await execution.sync()
            assert (execution.state, execution.error) == (COMPLETED, None)
        assert self.ran == Counter([*range(len(executions)), *repeated])
        async with self.docket.redis() as client:
            while await client.xlen(self.docket.stream_key):  # the last is being acknowledged
                await anyio.sleep(0.01)
            assert (await client.xpending(self.docket.stream_key, GROUP))["pending"] == 0
            assert await client.xlen(self.docket.keys.dead) == 0


@pytest.fixture
def scene(docket: Docket) -> Scene:
    it = Scene(docket)
    docket.register(it.task)
    return it


@attrs.define(eq=False)
class Far:
    """A scene on a server, and the docket of a worker that reaches that through a proxy."""

    scene: Scene
    docket: Docket
    proxy: Proxy


@pytest.fixture
async def far(server: Server, redis_url: str, anyio_backend: Any) -> AsyncGenerator[Far]:
    name = f"turns-{next(_names)}"
    with Proxy(server.port) as proxy:
        async with Docket(name, redis_url) as near, Docket(name, proxy.url) as docket:
            it = Scene(near)
            for each in near, docket:
                each.register(it.task)
            yield Far(it, docket, proxy)


class Turns:
    """Which ends each turn carries, and what happens right before that of some is sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ends: list[list[str]] = []
        self.before: dict[str, Callable[[], Awaitable[object]]] = {}
        take_settling = Claims.take_settling

        async def noted(
            claims: Claims, count: int, ended: Sequence[tuple[Delivery, Ended]], **options: Any
        ) -> tuple[list[Taken], list[Settled | None]]:
            if keys := [delivery.message.key for delivery, _ in ended]:
                self.ends.append(keys)
            for key in keys:
                if key in self.before:
                    await self.before.pop(key)()
            return await take_settling(claims, count, ended, **options)

        monkeypatch.setattr(Claims, "take_settling", noted)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    return Turns(monkeypatch)


Announced = Callable[[], Awaitable[Counter[tuple[str, str]]]]


@asynccontextmanager
async def watched(docket: Docket) -> AsyncGenerator[Announced]:
    """Asks how often each final state was published so far, by key and state."""
    counted: Counter[tuple[str, str]] = Counter()
    channel = docket.keys.state_channel("")
    async with docket.redis() as client, client.pubsub() as pubsub:
        await pubsub.psubscribe(f"{channel}*")

        async def finals() -> Counter[tuple[str, str]]:
            await client.publish(f"{channel}end", "")
            while (event := await pubsub.receive()).payload:
                for state in "completed", "failed", "cancelled":
                    if f'"state": "{state}"'.encode() in event.payload:
                        counted[event.channel.decode().removeprefix(channel), state] += 1
            return counted

        yield finals


# The worker ends ----------------------------------------------------------------------------------------------


def once(numbers: Iterable[int]) -> Counter[tuple[str, str]]:
    return Counter({(f"{number}", "completed"): 1 for number in numbers})


@pytest.mark.parametrize("where", ["in the outbox", "on its way"])
async def test_an_end_that_is_not_written_yet_at_a_crash_is_written_as_what_it_was(
    scene: Scene, turns: Turns, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """I7: the crash hands back what runs; this has ended."""
    crash, worker = anyio.Event(), Worker(scene.docket, "crashes", 1)

    async def broken(*args: Any, **kwargs: Any) -> Any:
        await crash.wait()
        raise ZeroDivisionError("a bug")

    async def crashes() -> None:
        crash.set()
        assert worker._session is not None
        while not worker._session.stopping:
            await anyio.sleep(0)

    if where == "in the outbox":
        scene.at_the_end_of[4] = crash.set
    else:
        turns.before["4"] = crashes
    async with watched(scene.docket) as announced, at_most():
        executions = await scene.add(9)
        with monkeypatch.context() as patch:
            patch.setattr(DueTasks, "move", broken)
            with pytest.raises(ZeroDivisionError, match="a bug"):
                await worker.run_forever()
        assert await announced() == once(range(5))
        await Worker(scene.docket, "next", max_deliveries=1).run_until_finished()
        assert await announced() == once(range(9))
    await scene.all_well(executions)


@slow
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_an_end_without_an_answer_at_a_hard_cut_is_written_as_the_last_word(
    far: Far,
    turns: Turns,
    monkeypatch: pytest.MonkeyPatch,
    direction: Direction,
) -> None:
    """A second signal, and the server answers neither the turn, which it executes or not, nor what comes after it."""
    monkeypatch.setattr(drain, "CLOSING", 0.1)
    monkeypatch.setattr(reader, "LAST_ANSWER_SECONDS", 0.1)
    settle_cut_off = Drain.settle_cut_off
    worker = Worker(far.docket, "leaves", 1)

    async def cut() -> None:
        far.proxy.hang(direction)
        worker.stop()
        worker.hand_back()

    async def last_words(self: Drain) -> None:
        if self.runner.cut_off:
            far.proxy.resume()
        await settle_cut_off(self)

    monkeypatch.setattr(Drain, "settle_cut_off", last_words)
    turns.before["2"] = cut
    async with watched(far.scene.docket) as announced, at_most():
        await far.scene.add(5)
        await worker.run_forever()
        assert await announced() == once(range(3))
    assert turns.ends == [["0"], ["1"], ["2"]]
    assert far.scene.ran == Counter(range(3))


async def test_tasks_that_a_turn_brings_after_the_work_was_cut_off_are_handed_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "CLOSING", 0.05)
    take_settling, hand_back = Claims.take_settling, Claims.hand_back
    worker = Worker(scene.docket, "leaves", 3)

    async def slowly(claims: Claims, delivery: Delivery, **how: Any) -> Settled:
        await anyio.sleep(0.1)  # a worker that did not wait for this would be gone
        return await hand_back(claims, delivery, **how)

    async def late(claims: Claims, *args: Any, **options: Any) -> Any:
        reply = await take_settling(claims, *args, **options)
        if len(scene.ran) == 3:
            assert worker._session is not None
            worker.hand_back()
            while not worker._session.caller.tasks.cuts_off():
                await anyio.sleep(0.01)  # a cancelled scope notifies nobody
            for _ in range(10):  # by now all have ended who were cancelled with it
                await anyio.sleep(0)
        return reply

    executions = await scene.add(9)
    async with at_most():
        with monkeypatch.context() as patch:
            patch.setattr(Claims, "take_settling", late)
            patch.setattr(Claims, "hand_back", slowly)
            await worker.run_forever()
        async with scene.docket.redis() as client:
            assert (await client.xpending(scene.docket.stream_key, GROUP))["pending"] == 0
        await Worker(scene.docket, "next", max_deliveries=1).run_until_finished()
    await scene.all_well(executions)


PROGRAM = """
    import os, signal, sys, anyio
    from datetime import timedelta
    from docket import Docket, Worker
    async def task(number):
        print(number, flush=True)
        if number == 2 and "stops" in sys.argv:
            os.kill(os.getpid(), signal.SIGSTOP)
        return number
    async def main():
        async with Docket(sys.argv[1], sys.argv[2]) as docket:
            docket.register(task)
            await Worker(docket, "child", 1, redelivery_timeout=timedelta(seconds=0.4)).run_forever()
    anyio.run(main, backend=sys.argv[3])
"""


@contextmanager
def child(docket: Docket, url: str, backend: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), docket.name, url, backend, *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


async def said(process: subprocess.Popen[str], number: int) -> None:
    """Wait until the process has begun this task."""

    def read() -> None:
        assert process.stdout is not None
        while line := process.stdout.readline():
            if line.strip() == f"{number}":
                return
        raise AssertionError(f"ended without {number}")

    await anyio.to_thread.run_sync(read)


@slow
@pytest.mark.parametrize("is_executed", [True, False])
async def test_a_process_that_is_killed_in_a_turn_repeats_only_what_the_server_has_not_heard(
    far: Far, anyio_backend_name: str, is_executed: bool
) -> None:
    """What it was given is redelivered, and so is what has ended without the server's knowledge."""
    scene = far.scene
    executions = await scene.add(300)
    with child(scene.docket, far.proxy.url, anyio_backend_name) as process:
        await said(process, 5)
        if is_executed:
            far.proxy.lose_answer(TAKE)
            await anyio.to_thread.run_sync(far.proxy.answer_lost.wait, PATIENCE)
        else:
            far.proxy.hang("up")
        process.kill()
        await anyio.to_thread.run_sync(process.wait)
        assert process.stdout is not None
        begun = 6 + len(process.stdout.readlines())
        far.proxy.cut()
        far.proxy.resume()
    for execution in executions:
        await execution.sync()
    written = [int(execution.key) for execution in executions if execution.state is COMPLETED]
    assert written == list(range(len(written)))
    assert begun - len(written) in (0, 1)
    async with at_most():
        await Worker(scene.docket, "heir", redelivery_timeout=ms(400)).run_until_finished()
    assert scene.ran == Counter(range(len(written), 300))
    scene.ran.update(written)
    await scene.all_well(executions)


# Another worker has it by now -----------------------------------------------------------------------------------


async def record(docket: Docket, execution: Execution[Any]) -> dict[bytes, bytes]:
    async with docket.redis() as client:
        return await client.hgetall(docket.runs_key(execution.key))


@slow
async def test_an_end_that_arrives_after_its_delivery_was_taken_over_changes_nothing(
    far: Far, turns: Turns
) -> None:
    """I2."""
    scene = far.scene
    (execution,) = await scene.add(1)
    waits = anyio.Event()

    async def hang() -> None:
        far.proxy.hang("up")
        waits.set()

    turns.before["0"] = hang
    async with working(late := Worker(far.docket, "late", 1, redelivery_timeout=ms(400))):
        await waits.wait()
        async with working(Worker(scene.docket, "heir", redelivery_timeout=ms(400))):
            await execution.get_result()
        before = await record(scene.docket, execution)
        far.proxy.resume()
        assert late._session is not None
        await late._session.roster.wait_empty()
        assert before[b"worker"] == b"heir"
        assert await record(scene.docket, execution) == before
    await scene.all_well([execution], repeated=[0])


@slow
async def test_an_end_of_a_process_that_was_frozen_meanwhile_changes_nothing(
    far: Far, anyio_backend_name: str
) -> None:
    """I2."""
    scene = far.scene
    executions = await scene.add(3)
    with child(scene.docket, far.proxy.url, anyio_backend_name, "stops") as process:
        await said(process, 2)
        async with working(Worker(scene.docket, "heir", redelivery_timeout=ms(400))):
            await executions[2].get_result()
        before = await record(scene.docket, executions[2])
        process.send_signal(signal.SIGCONT)
        last = await scene.docket.add(scene.task)(3)
        await said(process, 3)
        await last.get_result()
        assert before[b"worker"] == b"heir"
        assert await record(scene.docket, executions[2]) == before
    assert scene.ran == Counter([2])


# The server or the way to it is in trouble ----------------------------------------------------------------------


@slow
async def test_ends_of_turns_that_arrive_by_half_are_written_once(far: Far, turns: Turns) -> None:
    async def cut() -> None:
        far.proxy.cut_within(TAKE)

    turns.before = {"1": cut, "4": cut, "6": cut}
    worker = Worker(far.docket, "w", 1, reconnection_delay=ms(20))
    async with watched(far.scene.docket) as announced:
        executions = await far.scene.add(9)
        async with working(worker):
            await far.scene.all_well(executions)
        assert await announced() == once(range(9))
    assert not turns.before
    assert far.proxy.answer_lost.is_set()


@pytest.fixture(scope="module")
def keeper() -> Iterator[Server]:
    """A server that keeps all writes when it is killed."""
    with Server("--appendonly", "yes", "--appendfsync", "always") as running:
        yield running


@pytest.fixture
async def kept(keeper: Server, anyio_backend: Any) -> AsyncGenerator[Scene]:
    async with Docket(f"turns-{next(_names)}", keeper.url, heartbeat_interval=ms(100)) as docket:
        it = Scene(docket)
        docket.register(it.task)
        yield it


@slow
@on_some_loop(REFUSALS)
async def test_ends_of_a_turn_that_the_server_refuses_are_written_when_it_does_not_any_more(
    keeper: Server, kept: Scene, turns: Turns, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    executions = await kept.add(20)
    with ExitStack() as trouble:
        kept.at_the_end_of[9] = lambda: trouble.enter_context(REFUSALS[name](keeper))
        async with working(Worker(kept.docket, "w", 2, reconnection_delay=ms(20))):
            while not re.search("is unavailable|refuses writes", caplog.text):
                await anyio.sleep(0.01)  # a log record notifies nobody
            trouble.close()
            await kept.all_well(executions)
    assert any("9" in ends for ends in turns.ends)


@slow
@pytest.mark.parametrize("name", ["scripts", "connections", "everything"])
async def test_ends_of_a_turn_survive_what_a_server_forgets(
    keeper: Server, kept: Scene, turns: Turns, name: str
) -> None:
    """The last is a restart, after which this server still has what it had written."""

    def lose() -> None:
        with LOSSES[name](keeper):
            pass

    executions = await kept.add(20)
    kept.at_the_end_of = {4: lose, 9: lose}
    async with at_most():
        await Worker(kept.docket, "w", 2, reconnection_delay=ms(20)).run_until_finished()
    await kept.all_well(executions)
    # The second loss may meet a worker that has not recovered from the first.
    assert any("4" in ends or "9" in ends for ends in turns.ends)


@slow
async def test_ends_of_a_turn_follow_a_slot_that_moves(
    cluster: Cluster, cluster_url: str, turns: Turns, caplog: pytest.LogCaptureFixture
) -> None:
    """In the midst of that, the record of the run is on one node and the stream on the other."""
    name = f"turns-{next(_names)}"
    async with Docket(name, cluster_url) as docket:
        it = Scene(docket)
        docket.register(it.task)
        await docket.strike("another")
        for key in (
            "later",
            "stream",
        ):  # so that all keys are there which a turn names: it gets as far as the record
            await docket.add(it.task, when=later(), key=key)(0)
        executions = await it.add(9)
        run = docket.runs_key("4")
        slot, source = key_slot(run.encode()), cluster.owner(run)
        target = next(cluster.others(source))

        def begin() -> None:
            cluster.begin_to_move(slot, source, target)
            cluster.move_key(run, source, target)

        it.at_the_end_of[4] = begin
        async with working(Worker(docket, "w", 1, reconnection_delay=ms(20))):
            while not re.search("is unavailable|refuses writes", caplog.text):
                await anyio.sleep(0.01)  # a log record notifies nobody
            cluster.move(slot, source, target)
            await it.all_well(executions)
    assert any("4" in ends for ends in turns.ends)

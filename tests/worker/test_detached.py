"""A body that swallows its cancellation, or shields itself, does not keep the worker: it is logged and detached."""

from __future__ import annotations

import logging
import sys
import textwrap
from pathlib import Path
from typing import Any

import anyio
import pytest

from docket import Docket, Worker
from docket.execution import ExecutionState
from docket.signals import Subscriber, signals
from docket.worker import drain
from tests.durations import ms
from tests.where import asyncio_and_trio, few_pairs, one_loop, slow
from tests.worker.conftest import PATIENCE

pytestmark = [pytest.mark.anyio, slow, asyncio_and_trio]

#: Seconds after the deadline after which the worker does not wait, and some more for a busy machine.
BOUND = 5 + 2


class Stubborn:
    """A body that does not end before it is released, in one of several ways."""

    def __init__(self, way: str) -> None:
        self.way, self.begun, self.released, self.ended = way, anyio.Event(), anyio.Event(), anyio.Event()
        self.cancelled = self.runs = 0

    async def __call__(self) -> None:
        self.runs += 1
        self.begun.set()
        try:
            await getattr(self, self.way)()
        finally:
            self.ended.set()

    async def swallows(self) -> None:
        while not self.released.is_set():
            try:
                await self.released.wait()
            except BaseException:  # this is the mistake
                self.cancelled += 1

    async def shields(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.released.wait()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tasks that are handed back get a tenth of the time, as in the programs below."""
    monkeypatch.setattr(drain, "CLOSING", drain.CLOSING / 10)
    monkeypatch.setattr(drain, "UNWINDING", drain.UNWINDING / 10)


@pytest.fixture(params=["swallows", "shields"])
async def stubborn(request: pytest.FixtureRequest, anyio_backend: Any) -> Stubborn:
    return Stubborn(request.param)


async def stop(worker: Worker, scope: anyio.CancelScope) -> None:
    worker.stop()


async def hand_back(worker: Worker, scope: anyio.CancelScope) -> None:
    worker.hand_back()


async def cancel(worker: Worker, scope: anyio.CancelScope) -> None:
    scope.cancel()


@pytest.mark.parametrize("end", [stop, hand_back, cancel])
@pytest.mark.usefixtures("hasty")
@few_pairs
async def test_a_worker_ends_although_a_body_does_not(
    docket: Docket, stubborn: Stubborn, end: Any, caplog: pytest.LogCaptureFixture
) -> None:
    other_ended = anyio.Event()

    async def holding_on() -> None:
        await stubborn()

    async def other() -> str:
        try:
            await anyio.sleep_forever()
        finally:
            other_ended.set()
        return "never"

    execution = await docket.add(holding_on, key="the-key")()
    innocent = await docket.add(other)()
    worker = Worker(docket, shutdown_timeout=ms(50))
    took = 0.0
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            scope = anyio.CancelScope()

            async def work() -> None:
                nonlocal took
                with scope:
                    await worker.run_forever()
                took = anyio.current_time() - began

            group.start_soon(work)
            await stubborn.begun.wait()
            began = anyio.current_time()
            await end(worker, scope)
        assert took < BOUND
        assert other_ended.is_set()
        said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        if stubborn.ended.is_set():  # asyncio's own cancellation goes through the shields of anyio
            assert (stubborn.way, said) == ("shields", [])
        else:
            assert ["holding_on" in text and "the-key" in text for text in said] == [True]
        # Both are queued for other workers, and no cancellation is delivered any more.
        for each in (execution, innocent):
            await each.sync()
            assert each.state is ExecutionState.QUEUED
        cancelled = stubborn.cancelled
        await anyio.sleep(0.1)
        assert stubborn.cancelled == cancelled
        stubborn.released.set()
        await stubborn.ended.wait()
        await anyio.sleep(0.05)
        await execution.sync()
        assert execution.state is ExecutionState.QUEUED  # how it ended after that is not written


@pytest.mark.usefixtures("hasty")
async def test_a_detached_run_is_logged_as_handed_back_and_ends_as_stopped(
    docket: Docket, anyio_backend: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "docket.worker")
    stubborn, ends = Stubborn("swallows"), list[tuple[str, str]]()

    class Recorder(Subscriber):
        def run_ended(
            self, docket: str, worker: str, task: str, *, seconds: float, ended: str, then: str
        ) -> None:
            ends.append((task, ended))

    async def endless() -> None:
        await stubborn()

    monkeypatch.setattr(signals, "subscribers", [Recorder()])
    execution = await docket.add(endless, key="the-key")()
    worker = Worker(docket, shutdown_timeout=ms(50))
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run_forever)
            await stubborn.begun.wait()
            worker.stop()
        assert [r.message for r in caplog.records if r.message.startswith("↫") and "the-key" in r.message]
        assert ends == []  # it still runs
        stubborn.released.set()
        await stubborn.ended.wait()
        await anyio.wait_all_tasks_blocked()
        assert ends == [("endless", "stopped")]
        await execution.sync()
        assert execution.state is ExecutionState.QUEUED


PROGRAM = """
    import sys, time, anyio
    from datetime import timedelta
    from docket import Docket, Worker
    from docket.worker import drain

    drain.CLOSING, drain.UNWINDING = drain.CLOSING / 10, drain.UNWINDING / 10

    async def holding_on() -> None:
        print("begun", flush=True)
        while True:
            try:
                await anyio.sleep(3600)
            except BaseException:
                pass

    async def main() -> None:
        async with Docket("holding-on", sys.argv[1]) as docket:
            docket.register(holding_on)
            await docket.add(holding_on)()
            worker = Worker(docket, shutdown_timeout=timedelta(seconds=0.1))
            async with anyio.create_task_group() as group:
                group.start_soon(worker.run_forever)
                await anyio.sleep(0.5)
                worker.stop()
            print("over", flush=True)
"""


@pytest.mark.parametrize("uvloop", [False, True], ids=["asyncio", "uvloop"])
@one_loop
async def test_a_program_ends_with_its_worker(redis_url: str, uvloop: bool, tmp_path: Path) -> None:
    """On trio it cannot end before the body: nurseries promise that."""
    program = tmp_path / "program.py"
    run = f"anyio.run(main, backend_options={{'use_uvloop': {uvloop}}})"
    program.write_text(f"{textwrap.dedent(PROGRAM)}\n{run}\n")
    with anyio.fail_after(PATIENCE):
        done = await anyio.run_process([sys.executable, str(program), redis_url], check=False)
    assert done.stdout.split() == [b"begun", b"over"]
    assert done.returncode == 0
    assert b"destroyed but it is pending" not in done.stderr

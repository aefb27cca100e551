"""Who hears what happens, from when on, and what it costs where nobody does."""

from __future__ import annotations

import json
import subprocess
import sys
import timeit
from collections.abc import Iterator
from typing import Any

import pytest

from docket import Docket, Execution, Worker, clock
from docket.signals import Signals, Subscriber, signals

pytestmark = pytest.mark.anyio


def printed(program: str) -> Any:
    """What a fresh process prints, as JSON."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


OPEN = """
import anyio, json, sys
{first}
import docket

async def task(): ...

async def main():
    async with docket.Docket("said", "memory://said") as said:
        await said.add(task)()
        async with said.redis() as redis:
            [(_, fields)] = await redis.xrange("said:stream")
    print(json.dumps([b"traceparent" in fields, "docket.instrumentation" in sys.modules]))

before = "docket.instrumentation" in sys.modules
anyio.run(main)
assert not before
"""

PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
"""


def test_a_program_with_opentelemetry_is_heard_of_without_a_line_more() -> None:
    assert printed(OPEN.format(first=PROVIDER)) == [True, True]


def test_without_a_tracer_provider_messages_carry_nothing() -> None:
    carries, _ = printed(OPEN.format(first="import opentelemetry.trace"))
    assert not carries


class Recorder(Subscriber):
    def __init__(self) -> None:
        self.said: list[Any] = []

    def placed(self, docket: str, task: str, *, replacing: bool, disposition: str) -> None:
        self.said.append(("placed", docket, task, replacing, disposition))

    def run_started(self, docket: str, worker: str, task: str, *, late: float, redelivered: bool) -> None:
        self.said.append(("started", docket, worker, task, redelivered))

    def run_ended(
        self, docket: str, worker: str, task: str, *, seconds: float, ended: str, then: str
    ) -> None:
        self.said.append(("ended", docket, worker, task, ended, then))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    signals.subscribers.append(recorder)
    yield recorder
    signals.subscribers.remove(recorder)


async def task(number: int = 0) -> None: ...


async def test_a_subscriber_hears_what_happens_in_order(docket: Docket, recorder: Recorder) -> None:
    await docket.add(task)(1)
    async with Worker(docket, "w") as worker:
        await worker.run_until_finished()
    assert recorder.said == [
        ("placed", docket.name, "task", False, "scheduled"),
        ("started", docket.name, "w", "task", False),
        ("ended", docket.name, "w", "task", "succeeded", ""),
    ]


class Recess(Recorder):
    """Listens or does not, as it is told."""

    listening = False

    def wants_runs(self) -> bool:
        return self.listening


async def test_who_does_not_listen_as_a_run_begins_does_not_hear_of_it(docket: Docket) -> None:
    recess = Recess()

    async def begin(begins: int) -> None:
        recess.listening = True

    await docket.add(begin)(1)
    signals.subscribers.append(recess)
    try:
        async with Worker(docket, "w") as worker:
            await worker.run_until_finished()
            assert not recess.said
            await docket.add(task)(2)
            recess.said.clear()
            await worker.run_until_finished()
    finally:
        signals.subscribers.remove(recess)
    assert [said[0] for said in recess.said] == ["started", "ended"]


async def test_who_hears_of_nothing_in_particular_may_subscribe_too(docket: Docket) -> None:
    silent = Subscriber()
    signals.subscribers.append(silent)
    try:
        await docket.add(task)(1)
        await docket.clear()
    finally:
        signals.subscribers.remove(silent)


async def test_what_nobody_hears_of_costs_less_than_writing_a_message(docket: Docket) -> None:
    unheard = Signals()
    execution = Execution(docket, task, (1,), {}, "k", clock.now(), 1)

    def say() -> None:
        with unheard.operation("docket.add", dict) as heard:
            heard.note("docket.disposition", "scheduled")
        for each in unheard.subscribers:
            each.cancelled(docket.name, 1)

    def seconds(act: Any) -> float:
        return min(timeit.repeat(act, number=2000, repeat=7))

    assert seconds(say) < seconds(execution.message)


LATE = """
import anyio, json
import opentelemetry.metrics
import docket.instrumentation
from docket import Docket, Worker
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

async def task(): ...

async def main():
    reader = InMemoryMetricReader()
    async with Docket("late", "memory://late") as late, Worker(late) as worker:
        await late.add(task)()
        await worker.run_until_finished()
        opentelemetry.metrics.set_meter_provider(MeterProvider([reader]))
        for _ in range(3):
            await late.add(task)()
        await worker.run_until_finished()
    counted = json.loads(reader.get_metrics_data().to_json())
    [[metrics]] = [[scope["metrics"] for scope in each["scope_metrics"]] for each in counted["resource_metrics"]]
    named = {metric["name"]: metric["data"]["data_points"] for metric in metrics}
    summed = {name: sum(point.get("value", 0) for point in points) for name, points in named.items()}
    print(json.dumps([summed[name] for name in ("docket_tasks_started", "docket_tasks_running")]))

anyio.run(main)
"""


def test_a_meter_provider_that_is_set_late_hears_of_what_begins_then() -> None:
    assert printed(LATE) == [3, 0]


IDLE = """
import anyio, json
from datetime import timedelta
{first}
from docket import Docket, Worker

async def main():
    async with Docket("idle", "memory://idle", timedelta(milliseconds=10)) as idle:
        async with anyio.create_task_group() as group:
            worker = Worker(idle)
            group.start_soon(worker.run_forever)
            while not await idle.workers():
                await anyio.sleep(0.01)
            await anyio.wait_all_tasks_blocked()
            steps, original = 0, idle.client.request

            async def counted(*args, **kwargs):
                nonlocal steps
                steps += 1
                return await original(*args, **kwargs)

            idle.client.request = counted
            await anyio.sleep(0.3)  # that nothing happens takes time
            idle.client.request = original
            worker.stop()
    print(json.dumps(steps))

anyio.run(main)
"""


def test_without_a_meter_provider_an_idle_worker_on_memory_polls_nothing() -> None:
    """I10."""
    assert printed(IDLE.format(first="import docket.instrumentation")) == 0


def test_with_a_meter_provider_it_looks_at_the_depths() -> None:
    first = "from opentelemetry import metrics; from opentelemetry.sdk.metrics import MeterProvider\n"
    assert printed(IDLE.format(first=first + "metrics.set_meter_provider(MeterProvider())")) > 3

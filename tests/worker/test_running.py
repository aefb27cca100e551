"""Workers run the tasks of the docket, up to their concurrency at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import pytest

from docket import CurrentDocket, CurrentExecution, CurrentWorker, Docket, Execution, Worker
from docket.errors import BadSetting
from docket.execution import ExecutionState
from tests.durations import ms
from tests.worker.conftest import at_most, working

pytestmark = pytest.mark.anyio


async def test_a_task_runs_with_its_arguments_and_its_result_is_kept(docket: Docket) -> None:
    async def add(left: int, *, right: int) -> int:
        return left + right

    execution = await docket.add(add)(2, right=3)
    async with at_most():
        await Worker(docket).run_until_finished()
        assert await execution.get_result() == 5


async def test_until_finished_returns_at_once_where_nothing_waits(docket: Docket) -> None:
    async with at_most():
        await Worker(docket).run_until_finished()


async def test_until_finished_waits_for_tasks_that_are_due_later(docket: Docket) -> None:
    ran = anyio.Event()

    async def later() -> None:
        ran.set()

    await docket.add(later, when=datetime.now(UTC) + ms(150))()
    async with at_most():
        await Worker(docket).run_until_finished()
    assert ran.is_set()


async def test_until_finished_waits_for_tasks_that_other_workers_run(docket: Docket) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def slow() -> None:
        begun.set()
        await go_on.wait()

    execution = await docket.add(slow)()
    async with working(Worker(docket, "other")):
        await begun.wait()
        async with anyio.create_task_group() as group:

            async def let_go() -> None:
                await wait_for_worker(docket, "waits")
                go_on.set()

            group.start_soon(let_go)
            await Worker(docket, "waits").run_until_finished()
    await execution.sync()
    assert execution.state is ExecutionState.COMPLETED


async def wait_for_worker(docket: Docket, name: str) -> None:
    """Wait for the first heartbeat of a worker, which notifies nobody."""
    while name not in {worker.name for worker in await docket.workers()}:
        await anyio.sleep(0.01)


async def test_until_finished_ends_when_the_last_task_is_cancelled(docket: Docket) -> None:
    async def never() -> None:
        raise AssertionError("was cancelled")

    execution = await docket.add(never, when=datetime.now(UTC) + timedelta(days=1))()
    async with at_most(), anyio.create_task_group() as group:
        group.start_soon(Worker(docket, "waits").run_until_finished)
        await wait_for_worker(docket, "waits")
        await docket.cancel(execution.key)


async def test_no_more_tasks_than_the_concurrency_run_at_a_time_and_each_end_makes_room(
    docket: Docket,
) -> None:
    running: set[int] = set()
    most = 0
    ended = anyio.Event()
    go_on = anyio.Event()

    async def quick(number: int) -> None:
        nonlocal most
        running.add(number)
        most = max(most, len(running))
        await anyio.lowlevel.checkpoint()
        running.discard(number)
        if number == 39:
            ended.set()

    async def slow() -> None:
        running.add(-1)
        await go_on.wait()
        running.discard(-1)

    await docket.add(slow)()
    await docket.add_many([docket.call(quick)(number) for number in range(40)])
    async with working(Worker(docket, concurrency=3)):
        await ended.wait()  # the slow task still runs; the other two have made room
        go_on.set()
    assert most == 3


async def test_concurrency_may_be_changed_while_the_worker_runs(docket: Docket) -> None:
    both = anyio.Event()
    begun: list[int] = []

    async def waits(number: int) -> None:
        begun.append(number)
        if len(begun) == 2:
            both.set()
        await both.wait()

    worker = Worker(docket, concurrency=1)
    async with working(worker):
        worker.concurrency = 2
        for number in range(2):
            await docket.add(waits)(number)
        await both.wait()


async def test_an_idle_worker_starts_a_new_task_at_once(docket: Docket) -> None:
    began = anyio.Event()

    async def now() -> None:
        began.set()

    async with working(Worker(docket, "idle")):
        await wait_for_worker(docket, "idle")
        with anyio.fail_after(1):  # far above what it takes, far below any poll or blocking read
            await docket.add(now)()
            await began.wait()


async def test_the_body_sees_its_docket_worker_and_execution(docket: Docket) -> None:
    seen: list[object] = []

    async def look(
        docket: Docket = CurrentDocket(),
        worker: Worker = CurrentWorker(),
        execution: Execution[None] = CurrentExecution(),
    ) -> None:
        seen.extend((docket, worker, execution.key, execution.state, execution.worker, execution.started_at))

    worker = Worker(docket, "w")
    execution = await docket.add(look)()
    async with at_most():
        await worker.run_until_finished()
    assert seen[:5] == [docket, worker, execution.key, ExecutionState.RUNNING, "w"]
    assert isinstance(seen[5], datetime)


async def test_a_worker_runs_once_at_a_time(docket: Docket) -> None:
    worker = Worker(docket, "once")
    async with working(worker):
        await wait_for_worker(docket, "once")
        with pytest.raises(RuntimeError, match="already running"):
            await worker.run_until_finished()


async def test_a_worker_may_run_again_after_it_ended(docket: Docket) -> None:
    async def task(number: int) -> int:
        return number

    worker = Worker(docket)
    for number in range(2):
        execution = await docket.add(task)(number)
        async with at_most():
            await worker.run_until_finished()
            assert await execution.get_result() == number


async def test_two_workers_share_a_docket_and_each_task_runs_once(docket: Docket) -> None:
    ran: list[int] = []

    async def task(number: int) -> None:
        ran.append(number)
        await anyio.lowlevel.checkpoint()

    await docket.add_many([docket.call(task)(number) for number in range(60)])
    async with at_most(), anyio.create_task_group() as group:
        for name in ("one", "two"):
            group.start_soon(Worker(docket, name, concurrency=4).run_until_finished)
    assert sorted(ran) == list(range(60))


async def test_two_workers_of_one_name_run_each_task_once_and_log_a_warning(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[int] = []

    async def task(number: int) -> None:
        ran.append(number)
        await anyio.lowlevel.checkpoint()

    docket.heartbeat_interval = ms(30)
    async with working(Worker(docket, "twin", concurrency=4), Worker(docket, "twin", concurrency=4)):
        for execution in await docket.add_many([docket.call(task)(number) for number in range(60)]):
            await execution.get_result()
        while not [record for record in caplog.records if "another worker named" in record.message]:
            await anyio.sleep(0.01)  # it comes with a heartbeat
    assert sorted(ran) == list(range(60))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("concurrency", 0),
        ("concurrency", 1.5),
        ("message_batch", 0),
        ("redelivery_timeout", timedelta(0)),
        ("reconnection_delay", 3),
        ("shutdown_timeout", timedelta(seconds=-1)),
    ],
)
async def test_a_setting_out_of_range_is_refused_by_name(
    memory_url: str, setting: str, value: object
) -> None:
    with pytest.raises(BadSetting, match=setting):
        Worker(Docket(url=memory_url), **{setting: value})  # type: ignore[arg-type]

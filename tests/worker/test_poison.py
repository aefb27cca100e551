"""A task that kills its workers, delivery after delivery, comes to an end: `DeliveryLimitExceeded`."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from docket import ConcurrencyLimit, Depends, Docket, Execution, ExecutionState, Perpetual, Retry, Worker
from docket.dependencies import FailureHandler, TaskOutcome
from docket.errors import BadSetting, DeliveryLimitExceeded
from docket.rules import SlotRule
from docket.store import GROUP, Delivery
from tests.durations import ms
from tests.where import asyncio_and_trio, virtual_time
from tests.worker.conftest import at_most, working

pytestmark = [pytest.mark.anyio, asyncio_and_trio]

#: Longer than a busy machine keeps a worker waiting: one that loses its lease counts a delivery more.
LEASE = timedelta(minutes=5)

#: Where a lease is waited for.
SHORT = ms(800)


async def deaths(docket: Docket, times: int) -> None:
    """Have the docket's one task begun by so many workers, one after the other, that are gone before its end.

    The lease of the last one has ended.
    """
    for number in range(times):
        dead = docket.store.claims(f"dead-{number}")
        if number == 0:
            await dead.create_group()
            taken = await dead.take(1)
        else:
            found = await dead.sweeping.look()
            taken = await dead.take_over([one.message_id for one in found], timedelta(0))
        assert [type(one) for one in taken] == [Delivery]
        await end_lease(docket, taken[0], dead.worker)


async def end_lease(docket: Docket, delivery: Any, holder: str) -> None:
    idle = round(LEASE.total_seconds() * 1000)
    async with docket.redis() as redis:
        await redis.xclaim(docket.stream_key, GROUP, holder, 0, [delivery.message_id], idle=idle, justid=True)


async def survive(docket: Docket, max_deliveries: int, lease: timedelta = LEASE) -> None:
    """Let a worker finish what is left."""
    async with at_most():
        worker = Worker(docket, "heir", redelivery_timeout=lease, max_deliveries=max_deliveries)
        await worker.run_until_finished()


async def test_after_the_limit_it_fails_with_the_reason_and_does_not_run(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []

    async def deadly(who: str) -> None:
        ran.append(who)

    execution = await docket.add(deadly)("me")
    await deaths(docket, 3)
    await survive(docket, 3)
    with pytest.raises(DeliveryLimitExceeded, match=r"'deadly' was begun 3 times.*max_deliveries=3"):
        await execution.get_result()
    assert execution.state is ExecutionState.FAILED
    assert str(execution.error).startswith("DeliveryLimitExceeded: ")
    assert ran == []
    depths = await docket.store.records.depths()
    assert (depths.due, depths.later, depths.waiting) == (0, 0, {})
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "deadly" in record.message


async def test_one_below_the_limit_it_runs_once_more(docket: Docket) -> None:
    async def unlucky() -> str:
        return "fine"

    execution = await docket.add(unlucky)()
    await deaths(docket, 2)
    await survive(docket, 3)
    assert await execution.get_result() == "fine"


async def test_five_deaths_are_enough_if_nothing_is_said(docket: Docket) -> None:
    async def deadly() -> None: ...

    execution = await docket.add(deadly)()
    assert Worker(docket).max_deliveries == 5
    await deaths(docket, 5)
    async with at_most():
        await Worker(docket, "heir", redelivery_timeout=LEASE).run_until_finished()
    with pytest.raises(DeliveryLimitExceeded):
        await execution.get_result()


opened: list[str] = []


class Bomb:
    """An argument whose unpickling may be what kills the worker."""

    def __reduce__(self) -> Any:
        return opened.append, ("argument",)


async def test_neither_its_arguments_nor_its_dependencies_are_opened_and_it_is_not_retried(
    docket: Docket,
) -> None:
    opened.clear()

    async def dependency() -> str:
        opened.append("dependency")
        return "opened"

    class Handler(FailureHandler):
        async def __aenter__(self) -> Handler:
            opened.append("handler")
            return self

        async def handle_failure(self, execution: Execution[Any], outcome: TaskOutcome) -> bool:
            opened.append("asked")
            return True

    async def deadly(bomb: Any, other: str = Depends(dependency), retry: Retry = Retry(attempts=9)) -> None:
        opened.append("body")

    async def handled(handler: Handler = Handler()) -> None:
        opened.append("body")

    execution = await docket.add(deadly)(Bomb())
    await deaths(docket, 1)
    await survive(docket, 1)
    with pytest.raises(DeliveryLimitExceeded):
        await execution.get_result()
    execution = await docket.add(handled)()
    await deaths(docket, 1)
    await survive(docket, 1)
    with pytest.raises(DeliveryLimitExceeded):
        await execution.get_result()
    assert opened == []


async def test_a_perpetual_task_goes_on_with_its_next_run_and_the_same_arguments(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []

    async def tick(who: str, perpetual: Perpetual = Perpetual(every=timedelta(minutes=1))) -> None:
        ran.append(who)
        perpetual.cancel()

    execution = await docket.add(tick, key="tick")("me")
    await deaths(docket, 2)
    async with working(Worker(docket, "heir", redelivery_timeout=LEASE, max_deliveries=2)):
        async with docket.redis() as redis:
            while await redis.xlen(docket.stream_key):  # nobody tells of it: a chain that goes on has no end
                await anyio.sleep(0.01)
    await execution.sync()
    assert execution.state is ExecutionState.SCHEDULED
    assert any("DeliveryLimitExceeded" in str(record.exc_text) for record in caplog.records)
    await docket.replace(tick, execution.when - timedelta(minutes=2), "tick")("me")
    await survive(docket, 2)
    assert ran == ["me"]


async def test_the_next_run_of_a_chain_has_all_its_deliveries_again(docket: Docket) -> None:
    ran: list[str] = []

    async def tick(who: str, perpetual: Perpetual = Perpetual()) -> None:
        ran.append(who)
        perpetual.cancel()

    await docket.add(tick)("me")
    await deaths(docket, 2)
    await survive(docket, 2)
    assert ran == ["me"]


async def test_the_slot_of_a_limited_task_is_free_again(docket: Docket) -> None:
    await slot_is_freed(docket, 0)


@virtual_time
async def test_a_slot_whose_lease_ends_later_than_that_of_its_delivery_is_free_again(docket: Docket) -> None:
    await slot_is_freed(docket, SHORT.total_seconds() / 2)


async def slot_is_freed(docket: Docket, late: float) -> None:
    async def limited(name: str, limit: ConcurrencyLimit = ConcurrencyLimit("name", max_concurrent=1)) -> str:
        return name

    first = await docket.add(limited)("x")
    claims = docket.store.claims("dead")
    await claims.create_group()
    [delivery] = await claims.take(1)
    assert isinstance(delivery, Delivery)
    rule = SlotRule(docket.keys.slots("name:x"), 1)
    await anyio.sleep(late)
    assert await claims.admissions.admit(delivery, [rule], SHORT) is None
    second = await docket.add(limited)("x")
    await survive(docket, 1, SHORT)
    with pytest.raises(DeliveryLimitExceeded):
        await first.get_result()
    assert await second.get_result() == "x"


async def test_what_is_handed_back_is_not_counted(docket: Docket) -> None:
    begun = [anyio.Event() for _ in range(4)]
    runs = 0

    async def patient() -> int:
        nonlocal runs
        runs += 1
        begun[runs - 1].set()
        if runs < 4:
            await anyio.sleep_forever()
        return runs

    execution = await docket.add(patient)()
    for number in range(3):
        async with working(Worker(docket, f"leaver-{number}", max_deliveries=1)):
            await begun[number].wait()
    await survive(docket, 1)
    assert await execution.get_result() == 4


async def test_a_retry_has_all_its_deliveries_again(docket: Docket) -> None:
    async def fails_once(retry: Retry = Retry(attempts=2)) -> int:
        if retry.attempt == 1:
            raise ValueError
        return retry.attempt

    execution = await docket.add(fails_once)()
    await deaths(docket, 1)
    await survive(docket, 2)
    assert await execution.get_result() == 2


@pytest.mark.parametrize("value", [0, -1, 2.5, "5", None])
async def test_a_limit_that_is_none_is_refused(docket: Docket, value: Any) -> None:
    with pytest.raises(BadSetting, match="max_deliveries must be at least 1"):
        Worker(docket, max_deliveries=value)
    with pytest.raises(BadSetting, match="max_deliveries"):
        await Worker.run(url="memory://", max_deliveries=value)


async def test_a_fallback_task_that_kills_its_process_is_no_exception(docket: Docket) -> None:
    async def mystery() -> None: ...

    async def fallback() -> str:
        return "ran"

    execution = await docket.add(mystery)()
    del docket.tasks["mystery"]
    await deaths(docket, 1)
    async with at_most():
        settings: dict[str, Any] = {"redelivery_timeout": LEASE, "max_deliveries": 1}
        await Worker(docket, "heir", fallback_task=fallback, **settings).run_until_finished()
    with pytest.raises(DeliveryLimitExceeded):
        await execution.get_result()


# In processes of their own ----------------------------------------------------------------------------------

MAIN = """
    import os, signal, sys
    from datetime import timedelta
    import anyio
    from docket import Docket, Worker

    async def deadly():
        print("dies", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    async def fine():
        return "fine"

    async def main():
        async with Docket("poison", sys.argv[1]) as docket:
            docket.register(deadly)
            docket.register(fine)
            worker = Worker(docket, redelivery_timeout=timedelta(milliseconds=300), max_deliveries=1, concurrency=1)
            await worker.run_until_finished()

    backend, uvloop = sys.argv[2], sys.argv[3] == "True"
    anyio.run(main, backend=backend, backend_options={"use_uvloop": uvloop} if backend == "asyncio" else {})
"""


async def test_a_task_that_kills_its_process_does_so_only_so_often(
    redis_url: str, tmp_path: Path, anyio_backend: Any
) -> None:
    async def deadly() -> None: ...

    async def fine() -> str:
        return "here"

    (tmp_path / "main.py").write_text(textwrap.dedent(MAIN))
    backend, options = anyio_backend
    command = [sys.executable, str(tmp_path / "main.py"), redis_url, backend, str(options.get("use_uvloop"))]
    async with Docket("poison", redis_url) as docket, at_most():
        execution, other = await docket.add(deadly)(), await docket.add(fine)()
        ends: list[int] = []
        said = ""
        while not ends or ends[-1]:
            ended = await anyio.to_thread.run_sync(
                lambda: subprocess.run(command, capture_output=True, text=True, timeout=20)
            )
            ends.append(ended.returncode)
            said += ended.stdout
        assert (ends, said) == ([-9, 0], "dies\n")
        with pytest.raises(DeliveryLimitExceeded):
            await execution.get_result()
        assert await other.get_result() == "fine"

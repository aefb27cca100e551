"""Failures: what is told of them, and how they are run again, discarded, or run now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import Cron, Disposition, Docket, Execution, ExecutionState, Perpetual, Retry, Worker, clock
from docket.errors import BadSetting, NothingKept, UsageError
from docket.operating import BulkResult
from docket.store import FailureKept, Failures
from tests.docket.conftest import LATER, later, refuse, work, working
from tests.where import asyncio_and_trio, few_pairs, one_loop

pytestmark = [pytest.mark.anyio, asyncio_and_trio, few_pairs]

broken = True
runs: list[Any] = []


async def charge(account: int) -> None:
    runs.append(account)
    if broken:
        raise TimeoutError(f"no answer for {account}")


async def fragile(retry: Retry = Retry(attempts=2, delay=timedelta(days=1))) -> None:
    runs.append(retry.attempt)
    if broken:
        raise KeyError("x")


async def tick(perpetual: Perpetual = Perpetual(every=timedelta(days=1))) -> None:
    runs.append("tick")
    if broken:
        raise OSError("no tick")


async def nightly(cron: Cron = Cron("0 3 * * *", automatic=False)) -> None:
    runs.append("nightly")


class Opened:
    def __reduce__(self) -> Any:
        return runs.append, ("opened",)


async def secret(what: Any) -> None:
    raise ValueError("secret")


@pytest.fixture(autouse=True)
def _anew() -> None:
    global broken
    broken = True
    runs.clear()


@pytest.fixture
async def operated(docket: Docket) -> Docket:
    for task in charge, fragile, tick, nightly, secret:
        docket.register(task)
    return docket


async def run(docket: Docket, execution: Execution[Any], *states: str) -> None:
    """Work until the execution is in one of these states."""
    async with working(docket):
        async for event in execution.subscribe():
            if event["type"] == "state" and event["state"] in states:
                break


async def keys(docket: Docket, **words: Any) -> list[str]:
    return [failure.key for failure in await docket.failures(**words)]


async def test_a_failure_says_what_happened(operated: Docket) -> None:
    before = clock.now()
    await operated.add(charge, key="c-1")(7)
    await work(operated)
    failure = await operated.failure("c-1")
    assert failure is not None
    assert (failure.function, failure.type, failure.error) == ("charge", "TimeoutError", "no answer for 7")
    assert (failure.attempt, failure.count, failure.final, failure.goes_on) == (1, 1, True, False)
    assert failure.started_at is not None
    assert before - timedelta(seconds=1) <= failure.started_at
    assert failure.first_failed_at == failure.failed_at
    assert failure.retryable
    assert failure.call_repr() == "charge(...){c-1}"
    first, *_, last = failure.traceback.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last == "TimeoutError: no answer for 7"
    assert "/docket/" not in failure.traceback.replace("/tests/docket/", "")
    assert await operated.failures() == [failure]
    assert await operated.failure("other") is None
    execution = await operated.get_execution("c-1")
    assert execution is not None
    with pytest.raises(TimeoutError) as raised:
        await execution.get_result()
    assert failure.traceback in raised.value.__notes__[0]


async def test_failures_are_found_by_task_error_and_time_page_by_page(operated: Docket) -> None:
    for n in range(5):
        await operated.add(charge, key=f"c-{n}")(n)
    await operated.add(refuse, key="r")("no")
    await work(operated)
    assert sorted(await keys(operated)) == ["c-0", "c-1", "c-2", "c-3", "c-4", "r"]
    assert await keys(operated, task=refuse) == await keys(operated, error="VALUEerror") == ["r"]
    assert await keys(operated, task="charge", error="for 3") == ["c-3"]
    assert await keys(operated, since=later()) == await keys(operated, until=clock.now() - LATER) == []
    everything = await operated.failures()
    assert [one.failed_at for one in everything] == sorted(
        (one.failed_at for one in everything), reverse=True
    )
    pages = list[str]()
    after: Any = None
    while page := await operated.failures(limit=2, after=after):
        pages += [one.key for one in page]
        after = page[-1].cursor if len(pages) == 2 else page[-1]
    assert pages == [one.key for one in everything]
    assert await operated.count_failures() == {("charge", "TimeoutError"): 5, ("refuse", "ValueError"): 1}
    first, _ = await operated.failure_groups()
    assert (first.function, first.type, first.count) == ("charge", "TimeoutError", 5)
    assert first.latest == max(one.failed_at for one in everything if one.function == "charge")


async def test_what_is_gone_hides_no_other_failure_of_its_page(operated: Docket) -> None:
    for n in range(6):
        await operated.add(charge, key=f"c-{n}")(n)
    await work(operated)
    listed = await keys(operated)
    async with operated.redis() as redis:
        await redis.delete(operated.keys.failure(listed[1]))
    assert await keys(operated, limit=3) == [listed[0], *listed[2:4]]


async def test_what_waits_long_for_its_next_attempt_is_listed_as_it_is_counted(url: str) -> None:
    async with Docket("d", url, failure_ttl=timedelta(milliseconds=20)) as docket:
        docket.register(fragile)
        await run(docket, await docket.add(fragile, key="f")(), "scheduled")
        await anyio.sleep(0.03)
        (group,) = await docket.failure_groups(retrying=True)
        assert group.count == len(await docket.retrying()) == 1


async def test_what_is_tried_again_is_listed_by_itself_and_can_be_tried_at_once(operated: Docket) -> None:
    global broken
    execution = await operated.add(fragile, key="f")()
    await run(operated, execution, "scheduled")
    (failure,) = await operated.retrying()
    assert (failure.key, failure.attempt, failure.final) == ("f", 1, False)
    assert failure.next_at is not None
    assert failure.next_at - failure.failed_at > timedelta(hours=23)
    assert await operated.failures() == []
    again = await operated.retry("f")
    assert (again.disposition, again.attempt) == (Disposition.SCHEDULED, 2)
    broken = False
    await run(operated, again, "completed")
    assert runs == [1, 2]
    assert await operated.failure("f") is None


async def test_a_retried_failure_runs_from_the_first_attempt(operated: Docket) -> None:
    execution = await operated.add(fragile, key="f")()
    await run(operated, execution, "scheduled")
    assert await operated.run_now("f")
    await run(operated, execution, "failed")
    failure = await operated.failure("f")
    assert failure is not None
    assert (failure.attempt, failure.count, failure.final) == (2, 2, True)
    again = await operated.retry("f")
    assert (again.disposition, again.attempt, again.generation > execution.generation) == (
        Disposition.SCHEDULED, 1, True,
    )  # fmt: skip
    assert await operated.failures() == []
    await run(operated, again, "scheduled")
    assert runs == [1, 2, 1]


@pytest.mark.parametrize("end", ["completed", "failed", "gone"])
async def test_what_was_tried_at_once_is_not_run_once_more_where_it_ends_meanwhile(
    operated: Docket, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    global broken
    execution = await operated.add(fragile, key="f")()
    await run(operated, execution, "scheduled")
    broken = end == "failed"
    read = operated.get_execution

    async def read_late(key: str) -> Execution[Any] | None:
        await run(operated, execution, "completed", "failed")
        if end == "gone":
            async with operated.redis() as redis:
                await redis.delete(operated.runs_key(key))
        return await read(key)

    monkeypatch.setattr(operated, "get_execution", read_late)
    again = await operated.retry("f")
    assert (again.disposition, again.attempt) == (Disposition.SCHEDULED, 2)
    await work(operated)
    assert runs == [1, 2]


async def test_a_failure_can_be_retried_later(operated: Docket) -> None:
    await operated.add(charge, key="c")(1)
    await work(operated)
    again = await operated.retry("c", when=later())
    assert again.state is ExecutionState.SCHEDULED
    assert again.args == (1,)
    assert await operated.failures() == []
    assert await operated.run_now("c")
    await run(operated, again, "failed")
    assert runs == [1, 1]


async def test_what_has_its_key_is_not_retried(operated: Docket) -> None:
    await operated.add(charge, key="c")(1)
    await work(operated)
    await operated.add(charge, when=later(), key="c")(2)
    again = await operated.retry("c")
    assert again.disposition is Disposition.ALREADY_SCHEDULED
    assert again.state is ExecutionState.SCHEDULED
    assert await operated.retry_all() == BulkResult(done=0, skipped={"already scheduled": 1})


async def test_a_struck_task_is_not_retried(operated: Docket) -> None:
    await operated.add(charge, key="c")(1)
    await work(operated)
    await operated.strike(charge, "account", "==", 1)
    assert (await operated.retry("c")).disposition is Disposition.STRUCK
    assert await operated.retry_all() == BulkResult(done=0, skipped={"struck": 1})
    assert await keys(operated) == ["c"]


async def test_all_that_match_are_retried_and_what_fails_meanwhile_is_not(
    operated: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("docket.operating.failures.BULK", 2)
    for n in range(5):
        await operated.add(charge, key=f"c-{n}")(n)
    await operated.add(refuse, key="r")("no")
    await work(operated)
    assert await operated.retry_all(charge, error="no answer") == BulkResult(done=5)
    assert await keys(operated) == ["r"]
    await work(operated)
    assert sorted(await keys(operated, task=charge)) == [f"c-{n}" for n in range(5)]
    assert len(runs) == 10
    assert await operated.discard_all(charge) == BulkResult(done=5)
    assert await keys(operated) == ["r"]
    assert await operated.retry_all(until=clock.now() - LATER) == BulkResult(done=0)


async def test_what_is_discarded_is_forgotten_and_not_tried_again(operated: Docket) -> None:
    await operated.add(charge, key="c")(1)
    await work(operated)
    assert await operated.discard("c")
    assert not await operated.discard("c")
    execution = await operated.add(fragile, key="f")()
    await run(operated, execution, "scheduled")
    assert await operated.discard("f")
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED
    assert (await operated.retrying(), await operated.failures()) == ([], [])


async def test_to_discard_what_has_succeeded_since_cancels_no_later_call(
    operated: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    execution = await operated.add(fragile, key="f")()
    await run(operated, execution, "scheduled")
    read, added = Failures.read, list[Execution[Any]]()

    async def read_early(failures: Failures, key: str) -> FailureKept | None:
        global broken
        kept = await read(failures, key)
        if not added:
            broken = False
            await operated.run_now(key)
            await run(operated, execution, "completed")
            added.append(await operated.add(charge, when=later(), key=key)(1))
        return kept

    monkeypatch.setattr(Failures, "read", read_early)
    assert not await operated.discard("f")
    await added[0].sync()
    assert added[0].state is ExecutionState.SCHEDULED


async def test_a_chain_that_fails_is_one_failure_until_it_succeeds(operated: Docket) -> None:
    global broken
    execution = await operated.add(tick, key="t")()
    await run(operated, execution, "scheduled")
    assert await operated.run_now("t")
    async with working(operated):
        while len(runs) < 2 or (await operated.failures())[0].count < 2:
            await anyio.sleep(0.01)
    (failure,) = await operated.failures()
    assert (failure.goes_on, failure.final, failure.count) == (True, True, 2)
    assert (await operated.retry("t")).disposition is Disposition.ALREADY_SCHEDULED
    broken = False
    assert await operated.run_now("t")
    async with working(operated):
        while await operated.failures():
            await anyio.sleep(0.01)
    assert runs == ["tick"] * 3


async def test_a_line_of_cron_runs_now_and_goes_on(operated: Docket) -> None:
    execution = await operated.add(nightly, when=later(), key="n")()
    assert await operated.run_now("n")
    async with working(operated):
        while not runs or (await operated.get_execution("n")).state is not ExecutionState.SCHEDULED:  # type: ignore[union-attr]
            await anyio.sleep(0.01)
    await execution.sync()
    assert (execution.when.hour, execution.when > clock.now()) == (3, True)
    assert not await operated.run_now("other")


async def test_nothing_is_unpickled_to_retry(operated: Docket) -> None:
    """What is unpickled in this test says so."""
    await operated.add(secret, key="s")(Opened())
    await work(operated)
    runs.clear()
    (failure,) = await operated.failures()
    assert "Opened" not in failure.call_repr()
    assert b"opened" in (failure.args or b"")
    await operated.retry_all(until=failure.first_failed_at - LATER)
    await operated.retry("s")
    assert (await operated.retry("s")).disposition is Disposition.ALREADY_SCHEDULED
    assert runs == []


async def test_without_a_failure_there_is_nothing_to_retry(operated: Docket) -> None:
    with pytest.raises(NothingKept, match="no failure is kept under the key 'k' on docket 'd'"):
        await operated.retry("k")
    await operated.add(charge, key="large")("x" * 70_000)  # type: ignore[arg-type]
    await work(operated)
    failure = await operated.failure("large")
    assert failure is not None
    assert (failure.retryable, failure.args) == (False, None)
    assert await operated.retry_all() == BulkResult(done=0, skipped={"arguments not kept": 1})
    assert (await operated.retry("large")).disposition is Disposition.SCHEDULED  # its record is still there
    await work(operated)
    async with operated.redis() as redis:
        await redis.delete(operated.runs_key("large"))
    with pytest.raises(NothingKept, match="they were too large, or its message could not be read"):
        await operated.retry("large")


@pytest.mark.parametrize("off", [{"failure_ttl": timedelta(0)}, {"failures_kept": 0}])
async def test_failures_can_be_switched_off(url: str, off: dict[str, Any]) -> None:
    async with Docket("d", url, history_ttl=timedelta(0), **off) as docket:
        execution = await docket.add(refuse, key="r")("no")
        docket.register(refuse)
        await work(docket)
        assert await docket.failures() == []
        again = await docket.retry("r")  # from its record
        assert again.generation == execution.generation + 1
        await work(docket)
        async with docket.redis() as redis:
            described = {b"d:ops:tasks", b"d:ops:seen", b"d:ops:recurrences"}
            assert set(await redis.keys("*ops*")) <= described


async def test_what_only_the_record_has_is_retried_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    global broken
    async with Docket("d", url, failures_kept=0) as docket:
        docket.register(charge)
        await docket.add(charge, key="c")(1)
        await work(docket)
        broken = False
        write = Failures.retry_many

        async def write_late(failures: Failures, *words: Any) -> Any:
            monkeypatch.undo()
            assert (await docket.retry("c")).disposition is Disposition.SCHEDULED
            await work(docket)
            return await write(failures, *words)

        monkeypatch.setattr(Failures, "retry_many", write_late)
        with pytest.raises(NothingKept):
            await docket.retry("c")
        await work(docket)
        assert runs == [1, 1]


@one_loop
@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        ({"since": datetime(2026, 1, 1)}, UsageError, "has no time zone"),
        ({"limit": 0}, UsageError, "limit takes a whole number from 1"),
        ({"limit": 1001}, UsageError, "up to 1000"),
        ({"after": "nonsense"}, UsageError, "after takes a failure, or the cursor of one"),
        ({"error": 3}, TypeError, "error takes a part of its text"),
        ({"task": ""}, UsageError, "name of a task may not be empty"),
    ],
)
async def test_bad_words_are_refused(
    operated: Docket, words: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await operated.failures(**words)


@one_loop
async def test_bad_settings_are_refused(url: str) -> None:
    for settings in {"failure_ttl": timedelta(-1)}, {"failures_kept": -1}, {"failure_ttl": 7}:
        with pytest.raises((BadSetting, TypeError)):
            Docket("d", url, **settings)  # type: ignore[arg-type]
    async with Docket("d", url) as docket:
        with pytest.raises(UsageError, match="no time zone"):
            await docket.retry("k", when=datetime(2026, 1, 1))
        for act in docket.retry, docket.failure, docket.discard, docket.run_now:
            with pytest.raises(TypeError, match="a task key is a str"):
                await act(3)  # type: ignore[operator]


def test_threads_have_the_same(url: str) -> None:
    with Docket("d", url).sync() as docket:
        docket.register(refuse)
        docket.add(refuse, key="r")("no")
        docket.run(Worker(docket.docket).run_until_finished)
        (failure,) = docket.failures(refuse, error="no")
        assert docket.failure("r") == failure
        assert docket.retrying() == []
        assert docket.count_failures() == {("refuse", "ValueError"): 1}
        assert docket.failure_groups()[0].latest_key == "r"
        assert docket.retry("r", when=later()).state is ExecutionState.SCHEDULED
        assert docket.run_now("r")
        docket.run(Worker(docket.docket).run_until_finished)
        assert docket.retry_all(until=datetime.now(UTC)).done == 1
        docket.run(Worker(docket.docket).run_until_finished)
        assert docket.discard("r")
        assert docket.discard_all().done == 0

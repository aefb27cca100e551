"""The tasks that workers know, and the schedules among them, for a program that has none of their code."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import anyio
import pytest

from docket import ConcurrencyLimit, Cron, Docket, Perpetual, Retry, Timeout, clock
from docket.errors import UsageError
from docket.operating import SchedulePage, TaskSchedule
from tests import where
from tests.docket.conftest import working

pytestmark = [pytest.mark.anyio, where.few_pairs]

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


async def charge(
    account: Annotated[str, ConcurrencyLimit(2)],
    retry: Retry = Retry(attempts=3),
    timeout: Timeout = Timeout(MINUTE),
) -> None:
    """Charge an account.

    Once a month.
    """


async def tidy(every: Perpetual = Perpetual(every=MINUTE, automatic=True)) -> None: ...


async def poll(customer: int, every: Perpetual = Perpetual(every=DAY)) -> None: ...


async def report(line: Cron = Cron("0 5 * * *", tz=ZoneInfo("Europe/Berlin"))) -> None: ...


@pytest.fixture
async def office(url: str) -> AsyncIterator[Docket]:
    """The docket as a program has it that knows none of its tasks."""
    async with Docket("d", url) as docket:
        yield docket


@pytest.fixture
async def docket(url: str) -> AsyncIterator[Docket]:
    async with Docket("d", url) as docket:
        for task in charge, tidy, poll, report:
            docket.register(task)
        yield docket


async def until(told: Callable[[], Awaitable[bool]]) -> None:
    """What a worker notes beside its work is told to nobody."""
    with anyio.fail_after(20):
        while not await told():
            await anyio.sleep(0.02)


async def described(office: Docket, name: str = "report") -> bool:
    return (known := await office.known_task(name)) is not None and known.description is not None


async def all_schedules(office: Docket, limit: int = 50, **filters: str) -> list[TaskSchedule]:
    page = SchedulePage(schedules=[], after=None, looked_at=0)
    found: list[TaskSchedule] = []
    while page.after is not None or not found:
        page = await office.schedules(limit=limit, after=page.after, **filters)  # type: ignore[arg-type]
        found += page.schedules
        assert len(page.schedules) <= limit
        if page.after is None:
            break
    return found


async def test_a_task_is_known_with_what_its_worker_says(docket: Docket, office: Docket) -> None:
    await docket.add(charge, key="c")("a-1")
    async with working(docket):
        await until(lambda: described(office))
        await until(lambda: _completed(office, "charge"))
        await office.pause("charge")
        known = await office.known_task("charge")
        assert known is not None
        assert (known.workers, known.paused, known.completed, known.failed) == (1, True, 1, 0)
        said = known.description
        assert said is not None
        assert (said.signature, said.doc) == (
            "account: Annotated[str, ConcurrencyLimit(2)], ...", "Charge an account.",
        )  # fmt: skip
        assert (said.attempts, said.timeout, said.limits) == (
            3, MINUTE, ("at most 2 at a time for each account",),
        )  # fmt: skip
        assert said.recurrence is None
    gone = await office.known_task("charge")
    assert gone is not None
    assert (gone.workers, gone.description) == (0, said)
    assert gone.described_at is not None
    assert await office.known_task("nobody") is None


async def _completed(office: Docket, name: str) -> bool:
    known = await office.known_task(name)
    return known is not None and known.completed > 0


async def test_known_tasks_come_page_by_page(docket: Docket, office: Docket) -> None:
    async with working(docket):
        await until(lambda: described(office))
        names: list[str] = []
        after: str | None = None
        for _ in range(4):
            page = await office.known_tasks(limit=2, after=after)
            names, after = [*names, *(each.name for each in page.tasks)], page.after
            assert page.total == 7
        assert after is None
        assert names == ["charge", "fail", "poll", "report", "sleep", "tidy", "trace"]
        found = await office.known_tasks(contains="OR")
        assert [each.name for each in found.tasks] == ["report"]


async def test_chains_are_listed_with_their_next_run_and_how_the_last_one_ended(
    docket: Docket, office: Docket
) -> None:
    for customer in range(3):
        await docket.add(poll, key=f"p:{customer}")(customer)
    async with working(docket):
        await until(lambda: described(office))
        await until(lambda: _rows(office, "poll", 3))
    found = {each.key: each for each in await all_schedules(office, limit=2)}
    assert list(found) == ["p:0", "p:1", "p:2", "report", "tidy"]
    daily = found["report"]
    assert (daily.recurrence.cron, daily.recurrence.tz) == ("0 5 * * *", "Europe/Berlin")
    assert daily.next_run is not None
    assert clock.now() < daily.next_run < clock.now() + DAY
    assert (daily.last_state, daily.is_live, daily.is_broken, daily.workers) == (None, True, False, 0)
    one = found["p:1"]
    assert (one.task, one.recurrence.every, one.recurrence.automatic) == ("poll", DAY, False)
    assert one.last_state is not None
    assert one.last_state.value == "completed"
    assert one.last_ended is not None
    assert one.next_run is not None
    assert one.next_run > clock.now()
    assert [each.key for each in await all_schedules(office, contains="P:2")] == ["p:2"]
    assert [each.key for each in (await office.schedules("report")).schedules] == ["report"]


async def _rows(office: Docket, task: str, count: int) -> bool:
    return len([each for each in (await office.schedules(task)).schedules if each.last_ended]) == count


async def test_a_chain_that_waits_for_its_first_run_comes_behind_the_others(
    docket: Docket, office: Docket
) -> None:
    tomorrow = clock.now() + DAY
    for customer in range(5):
        await docket.add(poll, key=f"p:{customer}", when=tomorrow)(customer)
    await docket.run_once(poll, key="once", when=tomorrow)(9)
    await docket.add(charge, key="c", when=tomorrow)("a")
    async with working(docket):
        await until(lambda: described(office))
        await until(lambda: _waits(office))
    found = await all_schedules(office, limit=2)
    assert [each.key for each in found] == ["report", "tidy", *(f"p:{customer}" for customer in range(5))]
    assert {each.next_run for each in found[2:]} == {tomorrow}
    page = await office.schedules(limit=50)
    assert (len(page.schedules), page.after) == (7, None)


async def _waits(office: Docket) -> bool:
    """Whether the worker has scheduled what is automatic."""
    return all(each.is_live for each in (await office.schedules()).schedules)


async def test_an_automatic_task_of_which_nothing_waits_is_broken(docket: Docket, office: Docket) -> None:
    async with working(docket):
        await until(lambda: described(office))
        await until(lambda: _waits(office))
    await office.cancel("tidy")
    (tidied,) = (await office.schedules("tidy")).schedules
    assert (tidied.is_broken, tidied.is_live, tidied.workers, tidied.next_run) == (True, False, 0, None)


async def test_a_chain_that_was_ended_is_over_and_not_broken(docket: Docket, office: Docket) -> None:
    await docket.add(poll, key="p")(1)
    async with working(docket):
        await until(lambda: _rows(office, "poll", 1))
    await office.cancel("p")
    (over,) = (await office.schedules("poll")).schedules
    assert over.state is not None
    assert (over.state.value, over.is_broken, over.is_live) == ("cancelled", False, False)


async def test_a_chain_says_that_it_runs_is_paused_or_tried_again(docket: Docket, office: Docket) -> None:
    begun, go = anyio.Event(), anyio.Event()

    async def watch(
        every: Perpetual = Perpetual(every=DAY), retry: Retry = Retry(attempts=2, delay=DAY)
    ) -> None:
        begun.set()
        await go.wait()
        raise ValueError("no rows")

    docket.register(watch)
    await docket.add(watch, key="w")()
    async with working(docket):
        await begun.wait()
        # It has not gone on yet, so only its record and the stream know of it.
        go.set()
        await until(lambda: described(office, "watch"))
        await until(lambda: _tried(office))
        await office.pause("watch")
        (each,) = (await office.schedules("watch")).schedules
        assert (each.attempt, each.paused, each.workers) == (2, True, 1)
        assert each.last_error == "ValueError: no rows"


async def _tried(office: Docket) -> bool:
    return any(each.attempt == 2 for each in (await office.schedules("watch")).schedules)


async def test_a_worker_that_may_not_publish_its_tasks_says_so_once_and_works(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    async with docket.redis() as redis:
        await redis.set("d:ops:seen", "mine")
    caplog.set_level(logging.WARNING)
    execution = await docket.add(charge, key="c")("a")
    async with working(docket):
        await execution.get_result(timeout=timedelta(seconds=20))
        await until(lambda: _warned(caplog))
    assert len([each for each in caplog.messages if "d:ops:seen" in each]) == 1


async def _warned(caplog: pytest.LogCaptureFixture) -> bool:
    return any("does not say which tasks it knows" in each for each in caplog.messages)


@pytest.mark.parametrize("after", ["x", "t:a", "q:x", "t:a:b:c"])
async def test_a_place_of_no_page_is_refused(docket: Docket, after: str) -> None:
    with pytest.raises(UsageError, match="is no place in a list"):
        await docket.schedules(after=after)


async def test_limits_and_names_are_checked(docket: Docket) -> None:
    for limit in 0, 1001:
        with pytest.raises(UsageError):
            await docket.schedules(limit=limit)
        with pytest.raises(UsageError):
            await docket.known_tasks(limit=limit)
    with pytest.raises(UsageError):
        await docket.known_task("")
    with pytest.raises(TypeError):
        await docket.schedules(contains=5)  # type: ignore[arg-type]


def test_a_task_that_refuses_to_be_described_is_described_as_far_as_it_goes() -> None:
    from docket.client import described

    class Odd:
        __name__ = "odd"

        @property
        def __doc__(self) -> str:  # type: ignore[override]
            raise RuntimeError("no")

        async def __call__(self, a: int) -> None: ...

    said = described(Odd())
    assert (said.doc, said.signature) == (None, "a: int")

"""`Agenda`: calls that are spread over a window of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from docket import Agenda, Disposition, Docket
from tests.docket.conftest import add, nothing

pytestmark = pytest.mark.anyio

START = datetime(2065, 1, 1, tzinfo=UTC)
SECONDS = timedelta(seconds=1)


def of(count: int) -> Agenda:
    agenda = Agenda()
    for number in range(count):
        agenda.add(add)(number)
    return agenda


def seconds(executions: list[Any]) -> list[float]:
    return [(execution.when - START) / SECONDS for execution in executions]


async def test_calls_are_spread_evenly_from_the_start_to_the_end(docket: Docket) -> None:
    executions = await of(5).scatter(docket, over=10 * SECONDS, start=START)
    assert seconds(executions) == [0, 2.5, 5, 7.5, 10]
    future = (await docket.snapshot()).future
    assert [(execution.args, execution.when) for execution in future] == [
        (execution.args, execution.when) for execution in executions
    ]


async def test_a_single_call_is_put_into_the_middle(docket: Docket) -> None:
    assert seconds(await of(1).scatter(docket, over=10 * SECONDS, start=START)) == [5]


async def test_nothing_is_scattered_to_nowhere(docket: Docket) -> None:
    assert await Agenda().scatter(docket, over=SECONDS) == []


async def test_without_a_start_it_begins_now(docket: Docket) -> None:
    before = datetime.now(UTC)
    first, last = await of(2).scatter(docket, over=60 * SECONDS)
    assert before <= first.when <= datetime.now(UTC)
    assert last.when - first.when == 60 * SECONDS


async def test_jitter_goes_both_ways_but_not_before_the_start(docket: Docket) -> None:
    agenda = of(3)
    jittered = [
        seconds(
            await agenda.scatter(
                docket, over=10 * SECONDS, start=START, jitter=4 * SECONDS, seed=Random(seed)
            )
        )
        for seed in range(30)
    ]
    first, middle, last = zip(*jittered, strict=True)
    assert min(first) == 0
    assert 0 < max(first) <= 4
    assert 1 <= min(middle) < 3
    assert 7 < max(middle) <= 9
    assert 6 <= min(last) < 8
    assert 12 < max(last) <= 14


async def test_a_seed_makes_the_jitter_the_same_each_time(docket: Docket) -> None:
    agenda = of(4)
    one, again, other = [
        seconds(await agenda.scatter(docket, over=9 * SECONDS, start=START, jitter=2 * SECONDS, seed=seed))
        for seed in (7, Random(7), 8)
    ]
    assert one == again != other


async def test_tasks_may_be_mixed_and_named_and_have_keys(docket: Docket) -> None:
    agenda = Agenda()
    agenda.add(add)(1, b=2)
    agenda.add("nothing")()
    agenda.add(nothing, key="mine")()
    assert list(agenda) == [(add, (1,), {"b": 2}, None), ("nothing", (), {}, None), (nothing, (), {}, "mine")]
    assert len(agenda) == 3
    executions = await agenda.scatter(docket, over=10 * SECONDS)
    assert [execution.function for execution in executions] == [add, nothing, nothing]
    assert executions[2].key == "mine"
    agenda.clear()
    assert len(agenda) == 0


async def test_an_agenda_may_be_scattered_again(docket: Docket) -> None:
    agenda = of(2)
    agenda.add(nothing, key="mine")()
    first = await agenda.scatter(docket, over=SECONDS, start=START)
    second = await agenda.scatter(docket, over=SECONDS, start=START)
    assert len({execution.key for execution in first + second}) == 5
    assert [execution.disposition for execution in second] == [
        Disposition.SCHEDULED, Disposition.SCHEDULED, Disposition.ALREADY_SCHEDULED,
    ]  # fmt: skip


async def test_a_function_that_nobody_registered_is_registered(url: str) -> None:
    async with Docket("fresh", url) as docket:
        await of(1).scatter(docket, over=SECONDS)
        assert docket.tasks["add"] is add


@pytest.mark.parametrize(
    ("name", "arguments", "error", "text"),
    [("nonexistent", ("x",), KeyError, "nonexistent"), ("nothing", (1, 2, 3), TypeError, "task 'nothing'")],
)
async def test_a_call_that_fails_keeps_those_after_it_from_being_scheduled(
    docket: Docket, name: str, arguments: tuple[Any, ...], error: type[Exception], text: str
) -> None:
    agenda = of(2)
    agenda.add(name)(*arguments)
    agenda.add(add)(4)
    with pytest.raises(error, match=text):
        await agenda.scatter(docket, over=10 * SECONDS, start=START)
    future = (await docket.snapshot()).future
    assert [(execution.args, execution.when) for execution in future] == [
        ((0,), START), ((1,), START + 10 * SECONDS / 3),
    ]  # fmt: skip


async def test_a_thousand_calls_go_in_one_round_trip(redis_url: str) -> None:
    async def reads(docket: Docket) -> int:
        return int((await docket.client.info("stats"))["total_reads_processed"])

    async with Docket("many", redis_url) as docket:
        await of(1).scatter(docket, over=SECONDS)  # so that the script is loaded
        before = await reads(docket)
        executions = await of(1000).scatter(docket, over=3600 * SECONDS, start=START)
        # The server reads what one write carries in pieces of 16 kB; calls of their own would be one each.
        assert await reads(docket) - before < 200
        assert {execution.disposition for execution in executions} == {Disposition.SCHEDULED}


@pytest.mark.parametrize("over", [timedelta(0), timedelta(-1)])
async def test_the_window_is_a_positive_duration(docket: Docket, over: timedelta) -> None:
    for agenda in of(1), Agenda():
        with pytest.raises(ValueError, match="'over' parameter must be a positive duration"):
            await agenda.scatter(docket, over=over)
    assert (await docket.snapshot()).total_tasks == 0


async def test_bad_times_are_refused(docket: Docket) -> None:
    agenda = of(1)
    with pytest.raises(ValueError, match="jitter takes a duration from zero"):
        await agenda.scatter(docket, over=SECONDS, jitter=-SECONDS)
    with pytest.raises(ValueError, match=r"start=2065-01-01T00:00:00 has no time zone"):
        await agenda.scatter(docket, over=SECONDS, start=START.replace(tzinfo=None))
    with pytest.raises(TypeError, match="over takes a timedelta, not int"):
        await agenda.scatter(docket, over=5)  # type: ignore[arg-type]
    assert (await docket.snapshot()).total_tasks == 0


def test_arguments_that_do_not_fit_are_refused_as_they_are_added() -> None:
    agenda = Agenda()
    with pytest.raises(TypeError, match="task 'add' cannot be called so"):
        agenda.add(add)()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="a task key is a str"):
        agenda.add(add, key=3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="no __name__"):
        agenda.add(3)  # type: ignore[call-overload]
    assert len(agenda) == 0

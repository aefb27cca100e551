"""What is tried again, when, and how often."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import (
    CurrentExecution,
    Docket,
    Execution,
    ExecutionState,
    ExponentialRetry,
    Retry,
    Worker,
    clock,
)
from docket.dependencies import ForcedRetry, TaskOutcome
from docket.errors import UsageError
from tests.durations import ms, s
from tests.where import virtual_time
from tests.worker.conftest import at_most, drained, working

pytestmark = pytest.mark.anyio


async def test_a_task_may_ask_for_another_attempt_for_as_long_as_there_are_any(docket: Docket) -> None:
    ran: list[int] = []

    async def asking(retry: Retry = Retry(attempts=3)) -> None:
        ran.append(retry.attempt)
        if retry.attempt == 1:
            retry.after(ms(1))
        if retry.attempt == 2:
            retry.at(clock.now() - s(3600))
        retry.in_(ms(1))

    execution = await drained(docket, await docket.add(asking)())
    assert ran == [1, 2, 3]
    assert execution.state is ExecutionState.FAILED
    assert str(execution.error).startswith("ForcedRetry: another attempt was asked for at ")


async def test_a_wish_of_a_child_task_counts(docket: Docket) -> None:
    ran: list[int] = []

    async def parent(retry: Retry = Retry(attempts=3, on=KeyError)) -> None:
        async def child() -> None:
            ran.append(retry.attempt)
            if retry.attempt < 3:
                retry.after(ms(1))

        async with anyio.create_task_group() as group:
            group.start_soon(child)

    execution = await drained(docket, await docket.add(parent)())
    assert ran == [1, 2, 3]
    assert execution.state is ExecutionState.COMPLETED


async def test_only_errors_of_the_given_types_are_retried(docket: Docket) -> None:
    ran: list[str] = []

    async def choosy(
        error: str, retry: Retry = Retry(attempts=2, on=(OSError, LookupError), never_on=ConnectionError)
    ) -> None:
        ran.append(error)
        errors = {
            "os": OSError(),
            "key": KeyError(),
            "refused": ConnectionRefusedError(),
            "value": ValueError(),
        }
        if error == "group":
            raise ExceptionGroup("both", [OSError(), IndexError()])
        raise errors[error]

    async with at_most():
        for error in ("os", "key", "refused", "value", "group"):
            await docket.add(choosy)(error)
        await Worker(docket).run_until_finished()
    assert {error: ran.count(error) for error in ran} == {
        "os": 2,
        "key": 2,
        "refused": 1,
        "value": 1,
        "group": 2,
    }


async def test_the_first_time_survives_the_retries(docket: Docket) -> None:
    """A field of the message tells it to the next attempt; without a maximum age there is none."""
    ran: list[tuple[int, bool]] = []

    async def aging(
        retry: Retry = Retry(3, maximum_age=s(3600)), me: Execution[Any] = CurrentExecution()
    ) -> None:
        ran.append((retry.attempt, b"first_when" in me.extra_fields))
        raise ValueError

    async def ageless(retry: Retry = Retry(2), me: Execution[Any] = CurrentExecution()) -> None:
        assert not me.extra_fields
        raise ValueError

    execution = await drained(docket, await docket.add(aging)())
    assert execution.error == "ValueError: "
    assert ran == [(1, False), (2, True), (3, True)]
    assert (await drained(docket, await docket.add(ageless)())).error == "ValueError: "


async def test_a_run_that_was_replaced_is_not_tried_again(docket: Docket) -> None:
    """I2."""
    ran: list[str] = []
    replaced = anyio.Event()

    async def task(text: str, retry: Retry = Retry(attempts=5)) -> None:
        ran.append(text)
        if text == "old":
            await docket.replace(task, clock.now(), "key")("new")
            await replaced.wait()
            raise ValueError

    async with working(Worker(docket)):
        await docket.add(task, key="key")("old")
        execution = await docket.get_execution("key")
        assert execution is not None
        while ran != ["old", "new"]:
            await anyio.sleep(0.005)  # the state events do not tell which of the two it is
        replaced.set()
    await Worker(docket).run_until_finished()
    assert ran == ["old", "new"]


class Counting(Retry):
    """Overrides what the worker asks, with and without asking the original."""

    def __init__(self, attempts: int, answer: bool | None) -> None:
        super().__init__(attempts)
        self.asked: list[str] = []
        self.answer = answer

    async def handle_failure(self, execution: Any, outcome: TaskOutcome) -> bool:
        self.asked.append(f"{self.attempt}: {outcome.exception!r}")
        handled = await super().handle_failure(execution, outcome)
        return handled if self.answer is None else self.answer


@pytest.mark.parametrize("answer", [None, True, False])
async def test_a_retry_of_ones_own_is_awaited(docket: Docket, answer: bool | None) -> None:
    """As in pydocket, what the original decides happens, whatever is answered after it."""
    handler = Counting(2, answer)

    async def task(retry: Retry = handler) -> None:
        raise ValueError(retry.attempt)

    execution = await drained(docket, await docket.add(task)())
    assert handler.asked == ["1: ValueError(1)", "2: ValueError(2)"]
    assert execution.error == "ValueError: 2"


class Refusing(Retry):
    async def handle_failure(self, execution: Any, outcome: TaskOutcome) -> bool:
        return False


async def test_a_retry_of_ones_own_may_refuse(docket: Docket) -> None:
    ran: list[int] = []

    async def task(retry: Retry = Refusing(attempts=5)) -> None:
        ran.append(retry.attempt)
        raise ValueError("no")

    assert (await drained(docket, await docket.add(task)())).error == "ValueError: no"
    assert ran == [1]


async def test_the_task_may_change_how_it_is_retried(docket: Docket) -> None:
    ran: list[int] = []

    async def task(retry: Retry = Retry(attempts=9, delay=s(3600))) -> None:
        ran.append(retry.attempt)
        retry.delay, retry.attempts = ms(1), 2
        raise ValueError

    await drained(docket, await docket.add(task)())
    assert ran == [1, 2]


class TestInVirtualTime:
    pytestmark = virtual_time

    async def times(self, url: str, retry: Retry, body: Any = None) -> list[float]:
        """When the attempts of a task begin that always fails, in seconds."""
        ran: list[datetime] = []

        async def task(retry: Retry = retry) -> None:
            ran.append(clock.now())
            if body is not None:
                body(retry)
            raise ValueError

        async with Docket("times", url) as docket:
            start = clock.now()
            await docket.add(task)()
            await Worker(docket).run_until_finished()
        return [round((at - start).total_seconds(), 2) for at in ran]

    @pytest.mark.parametrize(
        "retry",
        [
            ExponentialRetry(attempts=6, minimum_delay=s(2), maximum_delay=s(16)),
            Retry(attempts=6, minimum_delay=s(2), maximum_delay=s(16)),
        ],
    )
    async def test_pauses_double_up_to_the_longest(self, memory_url: str, retry: Retry) -> None:
        assert await self.times(memory_url, retry) == [0, 2, 6, 14, 30, 46]

    async def test_pauses_are_as_long_as_told(self, memory_url: str) -> None:
        assert await self.times(memory_url, Retry(attempts=3, delay=s(3))) == [0, 3, 6]

    async def test_jitter_shortens_the_pauses(self, memory_url: str) -> None:
        ran = await self.times(memory_url, Retry(attempts=20, delay=s(100), jitter=0.5))
        pauses = {round(b - a, 2) for a, b in itertools.pairwise(ran)}
        assert len(pauses) > 5
        assert all(50 <= pause <= 100 for pause in pauses)

    async def test_no_attempt_begins_after_the_maximum_age(self, memory_url: str) -> None:
        retry = ExponentialRetry.forever(s(10), s(1000), maximum_age=s(200))
        assert await self.times(memory_url, retry) == [0, 10, 30, 70, 150]

    async def test_what_is_asked_for_may_not_be_after_the_maximum_age_either(self, memory_url: str) -> None:
        def ask(retry: Retry) -> None:
            retry.after(s(30) if retry.attempt < 3 else s(300))

        assert await self.times(memory_url, Retry.forever(maximum_age=s(200)), ask) == [0, 30, 60]

    async def test_the_delay_shows_the_pause_that_follows(self, memory_url: str) -> None:
        seen: list[timedelta] = []
        await self.times(memory_url, ExponentialRetry(3, s(1)), lambda retry: seen.append(retry.delay))
        assert seen == [s(1), s(2), s(4)]

    async def test_the_millionth_attempt_is_like_any_other(self, memory_url: str) -> None:
        async def task(retry: Retry = ExponentialRetry.forever(s(1), s(64))) -> None:
            assert retry.attempt == 10**6
            raise ValueError

        async with Docket("million", memory_url) as docket:
            docket.register(task)
            execution = Execution(docket, task, (), {}, "key", clock.now(), 10**6)
            await execution.schedule()
            async with anyio.create_task_group() as group:
                worker = Worker(docket)
                group.start_soon(worker.run_forever)
                await anyio.sleep(32)
                worker.hand_back()
            found = await docket.get_execution("key")
            assert found is not None
            assert found.state is ExecutionState.SCHEDULED
            assert abs(found.when - clock.now() - s(32)) < s(1)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: Retry(attempts=0), UsageError, "attempts takes a whole number from 1"),
        (lambda: Retry(attempts=-1), UsageError, "not -1"),
        (lambda: Retry(attempts=1.5), TypeError, "attempts takes a whole number or None, not float"),  # type: ignore[arg-type]
        (lambda: Retry(attempts=True), TypeError, "not bool"),
        (lambda: Retry(delay=s(-1)), UsageError, "delay takes a duration from zero"),
        (lambda: Retry(delay=5), TypeError, "delay takes a timedelta, not int: 5"),  # type: ignore[arg-type]
        (lambda: Retry(delay=s(1), minimum_delay=s(1)), UsageError, "not both"),
        (lambda: Retry(maximum_delay=s(-1)), UsageError, "maximum_delay"),
        (lambda: ExponentialRetry(3, s(9), s(5)), UsageError, "maximum_delay=0:00:05 is shorter"),
        (lambda: Retry(jitter=1.5), UsageError, "jitter takes a fraction from 0 to 1"),
        (lambda: Retry(jitter="half"), TypeError, "not str: 'half'"),  # type: ignore[arg-type]
        (lambda: Retry(on=ValueError()), TypeError, "on takes types of exceptions"),  # type: ignore[arg-type]
        (lambda: Retry(never_on=(OSError, int)), TypeError, "never_on .* not <class 'int'>"),  # type: ignore[arg-type]
        (lambda: Retry(maximum_age=s(0)), UsageError, "maximum_age takes a duration above zero"),
        (lambda: Retry().after(s(-5)), UsageError, "delay takes a duration from zero"),
        (lambda: Retry().in_(5), TypeError, "timedelta"),  # type: ignore[arg-type]
        (lambda: Retry().at(datetime(2020, 1, 1)), UsageError, "when=2020-01-01T00:00:00 has no time zone"),
    ],
)  # fmt: skip
def test_bad_settings_are_refused_where_they_are_made(make: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        make()


def test_a_first_pause_beyond_the_default_maximum_raises_that() -> None:
    assert ExponentialRetry(2, s(120)).maximum_delay == s(120)


def test_a_wish_is_an_exception_that_says_what_is_wished() -> None:
    with pytest.raises(ForcedRetry, match="2030-01-01T00:00:00"):
        Retry().at(datetime.fromisoformat("2030-01-01T00:00:00+00:00"))

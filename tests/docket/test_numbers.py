"""Numbers that no message, no script and no server can hold are refused where they are given."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import anyio
import pytest

from docket import ConcurrencyLimit, Docket, ExponentialRetry, RateLimit, Retry, Worker, clock
from docket.execution import Execution
from docket.rules import SlotRule, pack
from tests.docket.conftest import nothing
from tests.where import one_loop, slow

pytestmark = [pytest.mark.anyio, one_loop, slow]

DAY = timedelta(days=1)
HUGE = 10**5000
NONE = [True, 1.5, math.nan, math.inf, "5", Decimal(3), object(), [1]]
TOO_LARGE = [2**63, 2**64, 2**200, HUGE]
TOO_SMALL = [0, -1, -(2**64), -HUGE]


def shown(number: Any) -> str:
    return f"{number.bit_length()} bits" if isinstance(number, int) else repr(number)[:12]


none = pytest.mark.parametrize("number", NONE, ids=shown)
too_large = pytest.mark.parametrize("number", TOO_LARGE, ids=shown)
too_small = pytest.mark.parametrize("number", TOO_SMALL, ids=shown)

COUNTS: dict[str, Callable[[Any], Any]] = {
    "max_concurrent": lambda number: ConcurrencyLimit("a", max_concurrent=number),
    "limit": lambda number: RateLimit(number, per=DAY),
    "attempts": lambda number: Retry(attempts=number),
    "attempts ": lambda number: ExponentialRetry(attempts=number),
    "missed_heartbeats": lambda number: Docket("d", "memory://", missed_heartbeats=number),
}
counts = pytest.mark.parametrize(("name", "make"), COUNTS.items(), ids=COUNTS)


@counts
@none
def test_what_is_no_whole_number_is_no_count(name: str, make: Callable[[Any], Any], number: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"{name.strip()} takes a whole number"):
        make(number)


@counts
@too_small
def test_counts_begin_at_one(name: str, make: Callable[[Any], Any], number: int) -> None:
    with pytest.raises(ValueError, match=f"{name.strip()} takes a whole number from 1"):
        make(number)


@pytest.mark.parametrize("name", ["max_concurrent", "limit"])
@too_large
def test_a_count_has_64_bits_at_most(name: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"{name} takes a whole number up to 9223372036854775807, not"):
        COUNTS[name](number)


@none
async def test_a_chunk_has_a_whole_size(docket: Docket, number: Any) -> None:
    with pytest.raises(TypeError, match="chunk_size takes a whole number, or None, not"):
        await docket.add_many([docket.call(nothing)()], chunk_size=number)
    assert (await docket.snapshot()).total_tasks == 0


@pytest.mark.parametrize("number", [*NONE, -1, 10**15, 2**64, HUGE, -HUGE], ids=shown)
@pytest.mark.parametrize("field", ["attempt", "generation", "expected_generation"])
async def test_a_number_that_no_message_holds_is_refused(docket: Docket, field: str, number: Any) -> None:
    """Of an execution that was made by hand."""
    numbers: dict[str, Any] = {"attempt": 1, "generation": 0, field: number}
    expected = numbers.pop("expected_generation", 0)
    if field == "expected_generation" and number == 10**15:
        pytest.skip("no generation is as large, which is no mistake")
    execution: Execution[Any] = Execution(docket, nothing, (), {}, "k", clock.now(), **numbers)
    with pytest.raises((TypeError, ValueError), match=f"{field} takes a whole number"):
        await execution.schedule(expected_generation=expected)
    assert (await docket.snapshot()).total_tasks == 0


@pytest.mark.parametrize("number", [*NONE, *TOO_LARGE, *TOO_SMALL], ids=shown)
async def test_progress_takes_what_the_server_counts(docket: Docket, number: Any) -> None:
    execution = await docket.add(nothing, key="k")()
    for report in (execution.progress.increment, execution.progress.set_total):
        with pytest.raises((TypeError, ValueError), match=r"Amount|Total"):
            await report(number)
    await execution.progress.set_total(2**63 - 1)
    await execution.progress.increment(2**63 - 1)
    await execution.sync()
    assert (execution.progress.current, execution.progress.total) == (2**63 - 1, 2**63 - 1)


@pytest.mark.parametrize("most", [sys.maxsize, 2**53, 2**31])
async def test_a_limit_as_large_as_can_be_is_none(docket: Docket, most: int) -> None:
    """People write so what they do not want to limit; scripts count with fifteen digits."""
    ran: list[int] = []

    async def task(
        a: int,
        limit: ConcurrencyLimit = ConcurrencyLimit("a", max_concurrent=most),
        rate: RateLimit = RateLimit(most, per=DAY),
    ) -> None:
        [in_use] = await docket.concurrency()
        assert in_use.limit == min(most, 10**15 - 1)
        await docket.store.admissions.sweep()
        ran.append(a)

    for number in range(5):
        await docket.add(task, key=f"k{number}")(1)
    with anyio.fail_after(20):
        await Worker(docket).run_until_finished()
    assert ran == [1] * 5


def test_limits_travel_in_numbers_that_scripts_can_count() -> None:
    assert pack([SlotRule("n", 2**63 - 1)], DAY) == f"86400000 {10**15 - 1}:1:n"


class Silent(float):
    def __repr__(self) -> str:
        raise RuntimeError("no text")


BY_HAND: dict[str, dict[str, Any]] = {
    "attempt": {"attempt": HUGE},
    "generation": {"generation": HUGE},
    "message_id": {"message_id": HUGE},
    "silent": {"message_id": Silent(1)},
    "key": {"key": HUGE},
    "function_name": {"function_name": HUGE},
}


@pytest.mark.parametrize("given", BY_HAND.values(), ids=BY_HAND)
async def test_nothing_that_is_given_by_hand_ends_the_process(docket: Docket, given: dict[str, Any]) -> None:
    """What docket's own scripts are given is not looked at again when it is packed."""
    words: dict[str, Any] = {"key": "k", "attempt": 1, **given}
    execution: Execution[Any] = Execution(docket, nothing, (), {}, when=clock.now(), **words)
    calls = {
        "schedule": lambda: docket.schedule(execution),
        "claim": lambda: execution.claim("w"),
        "complete": execution.mark_as_completed,
        "cancel": execution.mark_as_cancelled,
        "sync": execution.sync,
        "reschedule": lambda: execution.schedule(reschedule_message=given.get("message_id")),
    }
    for call in calls.values():
        try:
            await call()
        except (TypeError, ValueError) as error:
            assert str(error)  # noqa: PT017 - where it goes, that is no harm either
    execution = Execution(docket, nothing, (), {}, "k2", clock.now(), 1)
    execution.extra_fields = {b"mine": HUGE}  # type: ignore[dict-item] # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError, match="a field of a message is bytes"):
        await execution.schedule()

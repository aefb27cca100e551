"""Whom a limit, a rate, a cooldown or a debouncing counts together: any value of an argument."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pytest

from docket import ConcurrencyLimit, Cooldown, Debounce, Docket, RateLimit, Worker
from docket.errors import UsageError
from docket.execution import Execution, ExecutionState
from tests.durations import ms
from tests.where import one_loop, slow
from tests.worker.conftest import at_most

pytestmark = [pytest.mark.anyio, one_loop, slow]

ran: list[Any] = []


@pytest.fixture(autouse=True)
def empty() -> None:
    ran.clear()


async def limited(who: Annotated[Any, ConcurrencyLimit(1)]) -> None:
    ran.append(who)


async def named(who: Any, limit: ConcurrencyLimit = ConcurrencyLimit("who", 1)) -> None:
    ran.append(who)


async def scoped(who: Any, limit: ConcurrencyLimit = ConcurrencyLimit("who", 1, scope="zone")) -> None:
    ran.append(who)


async def collected(limit: ConcurrencyLimit = ConcurrencyLimit("who", 1), **others: Any) -> None:
    ran.append(others["who"])


async def rated(who: Annotated[Any, RateLimit(2, per=timedelta(minutes=1), drop=True)]) -> None:
    ran.append(who)


async def cooled(who: Annotated[Any, Cooldown(timedelta(minutes=1))]) -> None:
    ran.append(who)


async def settled(who: Annotated[Any, Debounce(ms(20))]) -> None:
    ran.append(who)


async def rated_in_scope(who: Annotated[Any, RateLimit(2, per=timedelta(minutes=1), scope="zone")]) -> None:
    ran.append(who)


async def innocent() -> str:
    return "unharmed"


COUNTED = [limited, named, scoped, collected, rated, cooled, settled, rated_in_scope]
counted = pytest.mark.parametrize("task", COUNTED, ids=lambda task: task.__name__)


async def run_all(docket: Docket) -> None:
    async with at_most():
        await Worker(docket, minimum_check_interval=ms(10), scheduling_resolution=ms(10)).run_until_finished()


async def placed(docket: Docket, task: Callable[..., Any], who: Any, key: str) -> Execution[Any]:
    return await docket.add(task, key=key)(who=who)


TEXTS = [
    "\udcff",
    "a\udcffb" * 10,
    "\ud800\udc00",
    "nul\0nul",
    "x" * 5000,
    "",
    "é",
    "%[]*?\\",
    "{",
    "}{",
    "\n\r",
]


@counted
@pytest.mark.parametrize("text", TEXTS, ids=[f"text{at}" for at in range(len(TEXTS))])
async def test_a_task_runs_whatever_the_text_of_the_value(docket: Docket, task: Any, text: str) -> None:
    await placed(docket, task, text, "k")
    other = await docket.add(innocent)()
    await run_all(docket)
    assert ran == [text]
    assert await other.get_result() == "unharmed"


@counted
async def test_values_are_told_apart_behind_a_nul(docket: Docket, task: Any) -> None:
    """Lua's own formats end at a NUL."""
    for at, who in enumerate(["a\0b", "a\0c", "a"]):
        await placed(docket, task, who, f"k{at}")
    await run_all(docket)
    assert sorted(ran) == ["a", "a\0b", "a\0c"]


async def test_keys_are_told_apart_behind_a_nul_as_a_rate_counts_them(docket: Docket) -> None:
    for at in range(6):
        await placed(docket, rated, "x", f"k\0{at}")
    await run_all(docket)
    assert ran == ["x", "x"]


async def test_surrogates_count_as_their_escapes(docket: Docket) -> None:
    first = await placed(docket, cooled, "\udcff", "a")
    second = await placed(docket, cooled, "\\udcff", "b")
    await run_all(docket)
    await first.sync()
    await second.sync()
    assert {first.state, second.state} == {ExecutionState.COMPLETED, ExecutionState.CANCELLED}


class Hostile:
    """A value whose text is asked for in vain."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error("no text")


class NoText:
    def __str__(self) -> str:
        return 7  # type: ignore[return-value] # pyright: ignore[reportReturnType]


class Huge:
    def __str__(self) -> str:
        return "x" * 10_000_000


class Nested(str):
    """A text with a mind of its own."""

    def __str__(self) -> str:
        return self

    def __len__(self) -> int:
        raise SystemExit

    def encode(self, *args: Any, **kwargs: Any) -> bytes:
        raise SystemExit

    def isascii(self) -> bool:
        raise SystemExit


def leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]


class Formatted:
    def __format__(self, spec: str) -> str:
        raise SystemExit("no text")


CULPRITS: list[tuple[Any, str]] = [
    (Hostile(ValueError), "raised ValueError: no text"),
    (Hostile(SystemExit), "raised SystemExit: no text"),
    (Hostile(GeneratorExit), "raised GeneratorExit: no text"),
    (Hostile(RecursionError), "raised RecursionError: no text"),
    (Hostile(BaseException), "raised BaseException: no text"),
    (Formatted(), "it raised SystemExit: no text"),
    (NoText(), "raised TypeError"),
    (Huge(), "is 10000000 characters long"),
]


@counted
@pytest.mark.parametrize(("value", "said"), CULPRITS, ids=[said.replace(" ", "-") for _, said in CULPRITS])
async def test_a_value_without_a_text_fails_its_task_alone(
    docket: Docket, task: Any, value: Any, said: str
) -> None:
    culprit = await placed(docket, task, value, "culprit")
    others = [await placed(docket, task, "fine", "fine"), await docket.add(innocent)()]
    await run_all(docket)
    with pytest.raises(Exception) as raised:
        await culprit.get_result()
    errors = leaves(raised.value)
    assert any(
        isinstance(error, UsageError) and "counts per value of 'who'" in str(error) for error in errors
    )
    assert any(said in str(error) for error in errors)
    assert ran == ["fine"]
    for other in others:
        await other.sync()
        assert other.state is ExecutionState.COMPLETED


@counted
async def test_a_text_with_a_mind_of_its_own_is_taken_as_it_is(docket: Docket, task: Any) -> None:
    culprit = await placed(docket, task, Nested("text"), "culprit")
    await run_all(docket)
    await culprit.sync()
    assert culprit.state is ExecutionState.COMPLETED

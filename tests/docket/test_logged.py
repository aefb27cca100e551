"""`Logged`: which arguments a call shows, and how; signatures as the worker lists them."""

from __future__ import annotations

import inspect
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from docket import CurrentDocket, Docket, Execution, Logged, Retry, TaskKey
from docket.annotations import Annotation
from docket.execution import compact_signature, get_signature

if TYPE_CHECKING:
    from somewhere import Else


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def shown(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    return Execution(Docket("d", "memory://shown"), function, args, kwargs, "k", NOW, 1).call_repr()


async def process_payment(
    customer_id: Annotated[str, Logged],
    credit_card: str,
    amount: Annotated[float, Logged()] = 0.0,
    trace_id: Annotated[str, Logged] = "unknown",
) -> None: ...


def test_only_what_is_marked_is_shown() -> None:
    assert (
        shown(process_payment, "12345", credit_card="4111", amount=150.0, trace_id="abc-123")
        == "process_payment('12345', credit_card=..., amount=150.0, trace_id='abc-123'){k}"
    )


def test_arguments_are_shown_in_the_order_in_which_they_were_given() -> None:
    assert (
        shown(process_payment, credit_card="4", customer_id="1")
        == "process_payment(credit_card=..., customer_id='1'){k}"
    )
    assert shown(process_payment, "1", "4", 2.5) == "process_payment('1', ..., 2.5){k}"


def test_defaults_and_dependencies_that_were_not_given_are_not_shown() -> None:
    async def task(a: Annotated[int, Logged], d: Any = CurrentDocket(), b: int = 3) -> None: ...

    assert shown(task, 1) == "task(1){k}"
    assert shown(task, 1, b=5, d=6) == "task(1, b=..., d=...){k}"


def test_without_marks_nothing_is_shown() -> None:
    async def task(a: int, *rest: int, k: int = 1, **named: int) -> None: ...

    assert shown(task, 1, 2, 3, k=4, x=5) == "task(..., ..., ..., k=..., x=...){k}"


def test_a_mark_on_the_rest_shows_all_of_it_and_no_more() -> None:
    async def task(
        a: int, *rest: Annotated[int, Logged], k: Annotated[int, Logged], **named: Annotated[int, Logged]
    ) -> None: ...

    async def secret_rest(a: int, *rest: int, k: Annotated[int, Logged] = 1) -> None: ...

    assert shown(task, 1, 2, 3, k=4, x=5) == "task(..., 2, 3, k=4, x=5){k}"
    assert shown(secret_rest, 1, 2, 3, 4, k=5) == "secret_rest(..., ..., ..., ..., k=5){k}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, 2], "[len 2]"), ((1, 2), "(len 2)"), ({1: 2}, "{len 1}"), (OrderedDict(a=1), "{len 1}"), ({1}, "{len 1}"),
        (frozenset({1}), "[len 1]"), ("abc", "[len 3]"), (deque([1]), "[len 1]"), (range(3), "[len 3]"),
        (7, "7"), (None, "None"),
    ],
)  # fmt: skip
def test_of_a_collection_only_the_length_may_be_shown(value: Any, text: str) -> None:
    async def task(
        a: Annotated[Any, Logged(length_only=True)], b: Annotated[Any, Logged(True)] = 0
    ) -> None: ...

    assert shown(task, value, b=value) == f"task({text}, b={text}){{k}}"
    assert Logged(length_only=True).format(value) == text


def test_what_cannot_show_itself_is_named_by_its_type() -> None:
    assert (
        shown(process_payment, Broken()) == "process_payment(<Broken that cannot be shown: RuntimeError>){k}"
    )


def test_a_name_that_only_the_type_checker_knows_hides_no_mark() -> None:
    async def task(a: Annotated[int, Logged], b: Else, c: Annotated[int, Logged]) -> None: ...

    assert shown(task, 1, 2, 3) == "task(1, ..., 3){k}"


def test_a_signature_tells_which_parameters_are_marked() -> None:
    async def task(a, b, c, d): ...  # type: ignore[no-untyped-def]

    marks = (Annotated[int, "x", Logged], Annotated[int, Logged, Logged(length_only=True)], int, str)
    task.__annotations__ = dict(zip("abcd", marks, strict=True))
    found = Logged.annotated_parameters(inspect.signature(task))
    assert {name: mark.length_only for name, mark in found.items()} == {"a": False, "b": True}
    assert Annotation.annotated_parameters(inspect.signature(task)).keys() == {"a", "b"}


def test_a_signature_is_listed_without_what_dependencies_supply() -> None:
    async def task(a, /, b, *rest, c=1, key=TaskKey(), retry=Retry()) -> dict[str, int]: ...  # type: ignore[no-untyped-def]

    task.__annotations__ = {"a": int, "rest": Annotated[list[str], Logged], "c": int | None, "return": int}
    assert compact_signature(get_signature(task)) == "a: int, b, rest: list, c: int | None = 1, ..."
    assert compact_signature(inspect.signature(lambda: None)) == ""
    assert "cannot be shown" in compact_signature(inspect.signature(lambda a=Broken(): None))
    assert compact_signature(get_signature(process_payment)).startswith(
        "customer_id: Annotated[str, Logged], "
    )

"""Calls and results of tasks as JSON: their annotations say what fits, however they are written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import pytest

from docket import Depends, Logged, Perpetual, Retry, TaskKey, remote_task
from docket.serializers import Json, Misfit
from docket.store import About
from tests.serializers.typed import Account, Card, Page, Row

if TYPE_CHECKING:
    from somewhere import Unknown

T = TypeVar("T", bound=Decimal)
ONE = Decimal(1)


def about(kind: Any, function: Callable[..., Any] | None) -> About:
    return About(kind=kind, docket="d", task="t", key="k", function=function)


def sent(function: Callable[..., Any] | None, *args: Any, **kwargs: Any) -> tuple[bytes, bytes]:
    json = Json()
    return json.dumps(args, about("args", function)), json.dumps(kwargs, about("kwargs", function))


def received(function: Callable[..., Any] | None, args: bytes, kwargs: bytes) -> Any:
    json = Json()
    return json.loads(args, about("args", function)), json.loads(kwargs, about("kwargs", function))


async def typed(
    row: Row, /, card: Card | Account, *rest: Decimal, at: datetime, **more: list[int]
) -> Page[Decimal]:
    raise NotImplementedError


async def untyped(a, b=3, *args, **kwargs):
    raise NotImplementedError


async def supplied(
    number: int,
    key: str = TaskKey(),
    retry: Retry = Retry(attempts=3),
    connection: Callable[[], int] = Depends(lambda: print),
    marked: Annotated[str, Depends(lambda: "x"), Logged()] = "",
    perpetual: Perpetual = Perpetual(),
) -> None:
    raise NotImplementedError


def test_every_kind_of_parameter_is_directed_by_its_annotation() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    args, kwargs = (Row(ONE), Account("x"), ONE, ONE), {"at": at, "numbers": [1, 2]}
    bytes_ = sent(typed, *args, **kwargs)
    assert bytes_ == (
        b'[{"price":"1","name":"row","children":[]},{"Account":{"iban":"x"}},"1","1"]',
        b'{"at":"2026-01-01T00:00:00+00:00","numbers":[1,2]}',
    )
    assert received(typed, *bytes_) == (args, kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs", "said"),
    [
        ((Row([]),), {}, "row.price: expected Decimal, got list"),
        ((Row(ONE), 3), {}, "card: expected Card | Account, got int"),
        ((Row(ONE), Account("a"), ONE, 1), {}, "args[1]: expected Decimal, got int"),
        ((), {"at": "now"}, "at: expected datetime, got str"),
        ((), {"numbers": [1, "a"]}, "numbers[1]: expected int, got str"),
        ((), {"card": Card("x")}, "card.number: expected int, got str"),
    ],
)  # fmt: skip
def test_an_argument_that_does_not_fit_is_named(args: Any, kwargs: Any, said: str) -> None:
    with pytest.raises(Misfit) as refused:
        sent(typed, *args, **kwargs)
    assert str(refused.value) == said


def test_what_has_no_annotation_is_plain_json() -> None:
    bytes_ = sent(untyped, 1, {"a": [None, 1.5]}, "b", c=True)
    assert bytes_ == (b'[1,{"a":[null,1.5]},"b"]', b'{"c":true}')
    assert received(untyped, *bytes_) == ((1, {"a": [None, 1.5]}, "b"), {"c": True})
    for function in (untyped, None, remote_task("by_its_name")):
        with pytest.raises(Misfit, match="JSON cannot hold Decimal as it is: give it an annotation"):
            sent(function, ONE)


def test_a_program_that_knows_the_name_alone_sends_what_a_worker_with_the_annotations_reads() -> None:
    bytes_ = sent(remote_task("typed"), {"price": "1"}, {"Card": {"number": 1}}, at="2026-01-01T00:00:00Z")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    assert received(typed, *bytes_) == ((Row(ONE), Card(1)), {"at": at})


def test_a_stub_directs_as_its_function_would() -> None:
    assert sent(remote_task(typed), Row(ONE)) == sent(typed, Row(ONE))


def test_what_dependencies_supply_may_be_given_where_it_has_a_structure_and_is_no_dependency() -> None:
    Json().check(supplied, "supplied")
    assert sent(supplied, 1, "k", marked="y") == (b'[1,"k"]', b'{"marked":"y"}')
    with pytest.raises(Misfit, match=r"retry: a dependency \(Retry\) cannot travel as JSON"):
        sent(supplied, 1, retry=Retry(attempts=2))
    with pytest.raises(Misfit, match="connection: a dependency supplies it"):
        sent(supplied, 1, connection=print)


def test_methods_partials_and_type_variables_are_read_through() -> None:
    class Shop:
        async def sell(self, price: T, *, also: list[T]) -> T:
            raise NotImplementedError

    bytes_ = sent(Shop().sell, ONE, also=[ONE])
    assert received(Shop().sell, *bytes_) == ((ONE,), {"also": [ONE]})
    assert received(partial(typed, Row(ONE)), b'[{"Account":{"iban":"x"}}]', b"{}") == ((Account("x"),), {})


def test_a_result_is_directed_by_what_the_task_returns() -> None:
    def promised() -> Awaitable[Decimal]:
        raise NotImplementedError

    json = Json()
    assert json.dumps(Page([ONE]), about("result", typed)) == b'{"items":["1"],"more":null}'
    assert json.loads(b'{"items":["1"],"more":null}', about("result", typed)) == Page([ONE])
    assert json.loads(b'{"items":["1"],"more":null}', about("result", None)) == {"items": ["1"], "more": None}
    assert json.loads(b'"1"', about("result", promised)) == ONE
    with pytest.raises(Misfit, match="expected Page"):
        json.dumps({"items": []}, about("result", typed))


def test_values_of_strikes_are_plain_and_a_pair_stays_one() -> None:
    json = Json()
    for value in (None, 1, "a", True, (1, 5)):
        assert json.loads(json.dumps(value, about("strike", None)), about("strike", None)) == value
    with pytest.raises(Misfit, match="JSON cannot hold Decimal"):
        json.dumps(ONE, about("strike", None))


@pytest.mark.parametrize(
    "payload", [b"", b"\x80\x04.", b"{", b"[1", b"\xff", b"NaN", b"[Infinity]", b"[" * 100_000, b"9" * 5000]
)
def test_bytes_that_are_no_json_are_refused(payload: bytes) -> None:
    with pytest.raises(Misfit):
        Json().loads(payload, about("result", None))


@pytest.mark.parametrize(
    ("args", "kwargs"), [(b"{}", b"{}"), (b"[]", b"[]"), (b"1", b"{}"), (b"[]", b"null")]
)
def test_json_that_is_no_call_is_refused(args: bytes, kwargs: bytes) -> None:
    with pytest.raises(Misfit, match="expected a"):
        received(typed, args, kwargs)


def nested(value: Any) -> Any:
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "make", [lambda: 10**5000, lambda: [float("inf")], lambda: nested(0)], ids=["digits", "infinity", "depth"]
)
def test_what_json_has_no_number_or_no_depth_for_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(Misfit):
        sent(untyped, make())


def test_a_task_that_json_has_no_structure_for_is_told_once_and_for_all() -> None:
    async def takes(callback: list[Callable[[], int]]) -> None: ...
    async def gives() -> Callable[[], int]: ...
    async def names_nothing(value: Unknown) -> None: ...

    for task, said in (
        (
            takes,
            "task 't' cannot be used with the serializer json: callback: JSON has no structure for Callable",
        ),
        (gives, "its result: JSON has no structure for Callable"),
        (names_nothing, "value: its annotation 'Unknown' cannot be evaluated .NameError"),
    ):
        with pytest.raises(TypeError, match=said):
            Json().check(task, "t")

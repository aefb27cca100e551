"""Annotations that are evaluated lazily, as Python 3.14 does: a type for the checker alone costs nothing."""

import functools
import inspect
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated, Any, Optional, Self, Union

import pytest
from uncalled_for import Provided

from docket import Agenda, ConcurrencyLimit, CurrentDocket, Depends, Docket, Logged, Perpetual, Retry, TaskKey
from docket.annotations import logged_parameters
from docket.client import compact_signature
from docket.dependencies import (
    get_annotation_dependencies,
    get_dependency_parameters,
    get_signature,
    resolve,
)
from docket.errors import UsageError

if TYPE_CHECKING:
    from somewhere import Missing, OnlyLimit

ONE = ConcurrencyLimit(1)
type Limited[T] = Annotated[T, ONE]
type OfMissing = Annotated[Missing, ONE]
type Maybe = Missing | OfMissing | None


class NoGeneric:
    """Subscriptable for the type checker alone."""


def ways() -> Iterator[Any]:
    async def bare(x: Annotated[int, ONE], y: Missing) -> None: ...
    async def inside(x: Annotated[Missing, ONE]) -> None: ...
    async def attribute(x: Annotated[int, ONE], y: inspect.Missing) -> Missing: ...
    async def subscript(x: Annotated[NoGeneric[int], ONE], y: NoGeneric[int]) -> None: ...
    async def optional(x: Annotated[int, ONE] | None, y: Missing) -> None: ...
    async def optional_inside(x: Annotated[Missing, ONE] | None) -> None: ...
    async def union(x: Missing | Annotated[Missing, ONE]) -> None: ...
    async def old(x: Optional[Annotated[Missing, ONE]], y: Union[Missing, int]) -> None: ...
    async def quoted(x: "Annotated[Missing, ONE]", y: "Missing") -> None: ...
    async def quoted_inside(x: Annotated["Missing", ONE], y: Missing) -> None: ...
    async def alias(x: Limited[int], y: Missing) -> None: ...
    async def alias_of_missing(x: Limited[Missing], y: Missing) -> None: ...
    async def alias_inside(x: OfMissing) -> None: ...
    async def alias_union(x: Maybe | None, y: Missing) -> None: ...
    async def generic[T: Missing](x: Annotated[T, ONE], y: Missing) -> T: ...
    async def rest(*x: Annotated[Missing, ONE], **y: Missing) -> None: ...
    def plain(x: Annotated[int, ONE], y: Missing) -> None: ...

    yield from (
        bare, inside, attribute, subscript, optional, optional_inside, union, old, quoted, quoted_inside, alias,
        alias_of_missing, alias_inside, alias_union, generic, rest, plain,
    )  # fmt: skip

    class Local: ...

    local = ONE

    async def closure(x: Annotated[Local, local], y: Missing) -> None: ...

    yield closure

    class Owner:
        limit = ONE

        async def method(self, x: Annotated[Self, limit], y: Missing) -> None: ...
        @classmethod
        async def of_class(cls, x: Annotated[Owner, limit], y: Missing) -> None: ...
        @staticmethod
        async def static(x: Annotated[int, limit], y: Missing) -> None: ...
        async def __call__(self, x: Annotated[int, limit], y: Missing) -> None: ...

    yield from (Owner().method, Owner.of_class, Owner.static, Owner())

    def decorated(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any: ...

        return wrapper

    yield decorated(bare)
    yield functools.partial(bare, y=1)
    yield functools.update_wrapper(functools.partial(bare, y=1), bare)


@pytest.mark.parametrize("function", [*ways()], ids=lambda f: getattr(f, "__qualname__", type(f).__name__))
def test_a_limit_is_found_beside_and_around_types_for_the_checker_alone(function: Any) -> None:
    docket = Docket("d", "memory://")
    docket.register(function, names=["task"])
    assert get_annotation_dependencies(function) == {"x": [ONE]}


async def task(
    customer: Missing, amount: Annotated[Missing, Logged], note: list[Missing] | None = None
) -> Missing: ...
async def automatic(y: Missing | None = None, perpetual: Perpetual = Perpetual(automatic=True)) -> None: ...


def test_a_task_with_types_for_the_checker_alone_is_registered_called_and_shown() -> None:
    docket = Docket("d", "memory://")
    docket.register(task)
    docket.register(automatic)
    assert docket.call(task)(1, amount=2).args == (1,)
    docket.add(task)
    Agenda().add(task)(1, 2)
    with pytest.raises(TypeError, match="missing a required argument: 'amount'"):
        docket.call(task)(1)
    assert [*logged_parameters(task)] == ["amount"]
    assert compact_signature(get_signature(task)).startswith("customer: Missing, amount: ")


async def lost(customer: Annotated[int, OnlyLimit(1)]) -> None: ...
async def lost_inside(customer: Annotated[Missing, OnlyLimit(1)] | None) -> None: ...
async def lost_argument(customer: Annotated[int, ConcurrencyLimit(Missing)]) -> None: ...
async def lost_supplier(customer: Annotated[int, Depends(Missing)]) -> None: ...


@pytest.mark.parametrize("function", [lost, lost_inside, lost_argument, lost_supplier])
def test_a_dependency_that_cannot_be_evaluated_is_refused_by_name(function: Any) -> None:
    for _ in range(2):
        with pytest.raises(UsageError, match=f"'customer' of {function.__name__} cannot be evaluated"):
            Docket("d", "memory://").register(function)


def supply(of: Missing | None = None, key: str = TaskKey()) -> Missing:
    return "supplied"


def supply_more(of: Annotated[Missing, Depends(supply)] = Provided) -> Missing:
    return of


def test_dependencies_are_resolved_whose_functions_have_such_types() -> None:
    async def task(
        y: Missing,
        x: Annotated[Missing, Depends(supply_more)] = Provided,
        retry: Retry = Retry(),
        docket=CurrentDocket(),
    ) -> None: ...

    assert [*get_dependency_parameters(task)] == ["x", "retry", "docket"]

    async def resolved() -> Any:
        async with AsyncExitStack() as stack:
            return await resolve(stack, only, {"y": 1}, {})

    def alone(of: Missing | None = None) -> Missing:
        return "supplied"

    async def only(y: Missing, x: Annotated[Missing, Depends(alone)] = Provided) -> None: ...

    Docket("d", "memory://").register(only)
    coroutine = resolved()  # it waits for nothing, so it needs no event loop
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value.supplied == {"x": "supplied"}
    assert not ended.value.value.failed

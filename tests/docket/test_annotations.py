"""What the annotations of a task carry holds in every way of writing them; types for the checker alone hide nothing."""

# ruff: noqa: UP007, UP037, UP045, F722, F821 - every spelling, also wrong ones

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import sys
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Generic, NewType, Optional, Self, TypeVar, Union

import anyio
import pytest
from uncalled_for import Provided

from docket import ConcurrencyLimit, Cooldown, Depends, Docket, Logged, RateLimit, Timeout
from docket.annotations import logged_parameters
from docket.dependencies import (
    get_annotation_dependencies,
    get_dependency_parameters,
    get_signature,
)
from docket.errors import UsageError
from tests.docket.conftest import work
from tests.where import one_loop

if TYPE_CHECKING:
    from decimal import Decimal

    from tests.docket.checker_only import ConcurrencyLimit as OnlyLimit
    from tests.docket.checker_only import Customer

pytestmark = [pytest.mark.anyio, one_loop]

ONE = ConcurrencyLimit(1)
T = TypeVar("T")
Limited = Annotated[T, ONE]
Number = NewType("Number", Annotated[int, ONE])


def ways() -> Iterator[Any]:
    """Functions with a limit on ``x``, by how it is written; most have a parameter of a type for the checker alone."""

    async def text(x: Annotated[int, ONE], y: Decimal) -> None: ...
    async def text_inside(x: Annotated[Decimal, ONE]) -> None: ...
    async def quoted(x: "Annotated[int, ONE]", y: "Decimal") -> None: ...
    async def quoted_inside(x: Annotated["Decimal", ONE]) -> None: ...
    async def dotted(x: typing.Annotated[Decimal, ONE]) -> None: ...
    async def optional(x: Annotated[int, ONE] | None, y: Decimal) -> None: ...
    async def optional_type(x: Annotated[int, ONE] | Decimal | None) -> None: ...
    async def optional_old(x: Optional[Annotated[int, ONE]]) -> None: ...
    async def union_old(x: Union[Decimal, Annotated[int, ONE]]) -> None: ...
    async def quoted_member(x: "Annotated[Decimal, ONE] | None") -> None: ...
    async def nested(x: Annotated[Annotated[Decimal, ONE], "doc"]) -> None: ...
    async def generic(x: Limited[int], y: Decimal) -> None: ...
    async def generic_of_unknown(x: Limited[Decimal]) -> None: ...
    async def generic_optional(x: Limited[Decimal] | None) -> None: ...
    async def new_type(x: Number, y: Decimal) -> None: ...
    async def rest(*x: Annotated[Decimal, ONE]) -> None: ...
    async def named(**x: Annotated[Decimal, ONE]) -> None: ...
    def plain(x: Annotated[int, ONE], y: Decimal) -> None: ...

    yield from (
        text, text_inside, quoted, quoted_inside, dotted, optional, optional_type, optional_old, union_old,
        quoted_member, nested, generic, generic_of_unknown, generic_optional, new_type, rest, named, plain,
    )  # fmt: skip

    def evaluated(annotation: Any) -> Any:
        async def as_value(x: int) -> None: ...

        as_value.__annotations__["x"] = annotation
        return as_value

    for annotation in (
        Annotated[int, ONE],
        Annotated["Decimal", ONE],
        Annotated[int, ONE] | None,
        Optional[Annotated[int, ONE]],
        Optional["Annotated[Decimal, ONE]"],
        Union["Decimal", Annotated[int, ONE]],
        Limited[int],
        Limited[int] | None,
        Number,
        Annotated[list[T], ONE],
    ):
        yield evaluated(annotation)

    class Local:
        pass

    def around(value: Any) -> Any:
        async def closure(x: Annotated[Local, value], y: Decimal) -> None:
            print(Local, value)

        return closure

    yield around(ONE)

    class Owner(Generic[T]):
        limit = ONE

        async def method(self, x: Annotated[Self, Owner.limit], y: Decimal) -> None: ...
        async def of_class_scope(self, x: Annotated[T, limit], y: Decimal) -> None: ...
        @classmethod
        async def of_class(cls, x: Annotated[int, ONE], y: Decimal) -> None: ...
        @staticmethod
        async def static(x: Annotated[int, ONE], y: Decimal) -> None: ...

    yield from (Owner().of_class_scope, Owner.of_class, Owner().static)

    class Callable_:
        async def __call__(self, x: Annotated[int, ONE], y: Decimal | None = None) -> None: ...

    yield Callable_()

    def decorator(function: Any) -> Any:
        @functools.wraps(function)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await function(*args, **kwargs)

        return wrapper

    yield decorator(text)
    yield decorator(decorator(optional))
    yield functools.partial(text, y=1)
    yield functools.update_wrapper(functools.partial(text, y=1), text)
    yield decorator(functools.update_wrapper(functools.partial(text, y=1), text))
    yield functools.partial(Callable_(), y=1)
    yield functools.partial(Owner().of_class_scope, y=1)

    def signed(function: Any, signature: inspect.Signature) -> Any:
        async def wrapper(**kwargs: Any) -> None: ...

        wrapper.__signature__ = signature  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess]
        wrapper.__name__ = wrapper.__qualname__ = "signed"
        return wrapper

    keyword = inspect.Parameter("x", inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[int, ONE])
    yield signed(text, inspect.Signature([keyword]))
    yield signed(text, inspect.Signature([keyword.replace(annotation="Annotated[Decimal, ONE] | None")]))
    bare = signed(text, inspect.Signature([keyword.replace(annotation=inspect.Parameter.empty)]))
    bare.__annotations__ = {"x": "Annotated[Decimal, ONE]"}
    yield bare


@pytest.mark.parametrize("function", [*ways()], ids=lambda f: getattr(f, "__name__", type(f).__name__))
def test_a_limit_is_found_however_its_annotation_is_written(function: Any) -> None:
    assert get_annotation_dependencies(function) == {"x": [ONE]}
    assert not get_dependency_parameters(function)
    tasks = Docket("d", "memory://")
    tasks.register(function, names=["task"])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is of Python 3.12")
@pytest.mark.parametrize(
    "alias",
    [
        "type A = Annotated[int, ONE]",
        "type A = Annotated[Decimal, ONE]",
        "type A = Decimal | Annotated[int, ONE]",
        "type A[T] = Annotated[T, ONE]",
        "type B = Annotated[int, ONE]; type A = B | None",
        "type A = Annotated[int, ONE] | list[A]",
        "type A = Annotated[int, ONE] | A",
    ],
)
@pytest.mark.parametrize(
    "annotation", ["A", "A | None", "Annotated[A, 'doc']", "'A'", "A | Decimal", "A[Decimal]"]
)
def test_a_limit_is_found_behind_an_alias(
    alias: str, annotation: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if annotation.startswith("A[") and "A[T]" not in alias:
        return
    header = "from typing import Annotated\nfrom tests.docket.test_annotations import ONE\n"
    for future in "", "from __future__ import annotations\n":
        (tmp_path / "aliased.py").write_text(
            f"{future}{header}{alias.replace('; ', chr(10))}\nasync def task(x: {annotation!r}, y: 'Decimal'): ...\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "aliased", raising=False)
        importlib.invalidate_caches()
        task = importlib.import_module("aliased").task
        assert get_annotation_dependencies(task) == {"x": [ONE]}


async def lost(customer: Annotated[int, OnlyLimit(1)]) -> None: ...
async def lost_inside(customer: Annotated[Decimal, OnlyLimit(1)] | None) -> None: ...
async def lost_alias(customer: Customer[OnlyLimit, ConcurrencyLimit(1)]) -> None: ...  # type: ignore
async def lost_call(customer: Decimal.of(ConcurrencyLimit(1))) -> None: ...  # type: ignore
async def lost_syntax(customer: "Annotated[int, ConcurrencyLimit(1)") -> None: ...  # type: ignore
async def lost_supplier(customer: Annotated[int, Depends(missing)]) -> None: ...  # type: ignore
async def for_the_checker(customer: Customer, a: list[Decimal], b: "Decimal.x | None" = None) -> None: ...
async def nothing_lost(a: list[Annotated[Decimal, OnlyLimit(1)]], b: "OnlyLimit | None" = None) -> None: ...


@pytest.mark.parametrize("function", [lost, lost_inside, lost_alias, lost_call, lost_syntax, lost_supplier])
@pytest.mark.parametrize("how", ["register", "add", "as a supplier"])
def test_an_annotation_whose_dependency_would_be_lost_is_refused_by_name(
    function: Callable[..., Any], how: str
) -> None:
    docket = Docket("d", "memory://")

    async def task(value: Any = Depends(function)) -> None: ...

    attempts = {
        "register": lambda: docket.register(function),
        "add": lambda: docket.add(function),
        "as a supplier": lambda: docket.register(task),
    }
    for _ in range(2):  # and again, though it was looked at before
        with pytest.raises(
            UsageError, match=f"'customer' of {function.__name__} cannot be evaluated"
        ) as caught:
            attempts[how]()
    assert "TYPE_CHECKING" in str(caught.value)


@pytest.mark.parametrize("function", [for_the_checker, nothing_lost])
def test_a_type_for_the_checker_alone_costs_nothing(function: Callable[..., Any]) -> None:
    Docket("d", "memory://").register(function)


async def test_the_limit_of_a_task_with_a_type_for_the_checker_alone_holds(docket: Docket) -> None:
    now, most = 0, 0

    async def charge(customer: Annotated[int, ONE] | None, amount: Decimal) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.sleep(0.02)
        now -= 1

    for amount in range(3):
        await docket.add(charge)(1, amount=amount)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    await work(docket)
    assert most == 1


def opened(log: list[str]) -> Callable[[], contextlib.AbstractAsyncContextManager[str]]:
    @contextlib.asynccontextmanager
    async def connection(name: Annotated[str, Depends(lambda: "db")] = Provided) -> AsyncIterator[str]:
        log.append(name)
        yield name

    return connection


async def test_a_supplier_in_metadata_and_those_of_its_own_are_found(docket: Docket) -> None:
    log: list[str] = []
    got: list[str] = []
    connection = opened(log)

    async def task(
        y: Decimal | None = None,  # a type for the checker alone
        x: Annotated[str, Depends(connection)] | None = None,
        z: Annotated[str, Depends(connection)] = Provided,
    ) -> None:
        got.append(z)
        connection  # noqa: B018 - else the closure does not have it

    await docket.add(task, key="k")()
    await work(docket)
    execution = await docket.get_execution("k")
    assert execution is not None
    assert execution.error is None, execution.error
    assert got == ["db"]
    assert log == ["db"]


def test_all_marks_of_a_parameter_are_found_in_order() -> None:
    a, b, c = ConcurrencyLimit(1), Cooldown(timedelta(1)), RateLimit(1, per=timedelta(1))

    async def task(
        x: Annotated[Annotated[Decimal, a] | Annotated[int, b, Logged], c, Logged(length_only=True)],
    ) -> None:
        print(a, b, c)

    assert get_annotation_dependencies(task) == {"x": [a, b, c]}
    assert logged_parameters(task)["x"].length_only


async def add(a: int, b: int, *, c: int = 0) -> None: ...


class Adder:
    async def add(self, a: int, b: int) -> None: ...

    async def signed(self, a: int, b: int) -> None: ...

    signed.__signature__ = inspect.signature(signed)  # type: ignore[attr-defined]


dressed = functools.update_wrapper(functools.partial(add, 1), add)


@pytest.mark.parametrize(
    ("function", "signature"),
    [
        (functools.partial(add, 1), "(b, *, c=0)"),
        (functools.partial(add, b=1), "(a, *, b=1, c=0)"),
        (dressed, "(b, *, c=0)"),
        (functools.update_wrapper(functools.partial(dressed, c=2), add), "(b, *, c=2)"),
        (functools.wraps(dressed)(lambda *a, **k: dressed(*a, **k)), "(b, *, c=0)"),
        (functools.update_wrapper(functools.partial(Adder().add, 1), Adder.add), "(b)"),
        (Adder().add, "(a, b)"),
        (Adder().signed, "(a, b)"),
        (Adder.add, "(self, a, b)"),
    ],
)
def test_the_signature_is_that_of_the_call(function: Any, signature: str) -> None:
    parameters = get_signature(function).parameters.values()
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    assert str(inspect.Signature(bare)) == signature


async def test_a_partial_that_is_dressed_as_its_function_runs(docket: Docket) -> None:
    got: list[tuple[int, int]] = []

    async def pair(a: int, b: int) -> None:
        got.append((a, b))

    docket.register(functools.update_wrapper(functools.partial(pair, 1), pair))
    await docket.add("pair")(2)
    with pytest.raises(TypeError, match="too many positional arguments"):
        await docket.add("pair")(2, 3)
    await work(docket)
    assert got == [(1, 2)]


def test_a_function_that_the_engine_was_asked_about_before_is_looked_at_anew() -> None:
    import uncalled_for

    async def task(
        x: Annotated[int, ONE] | None, y: Decimal, t: "Timeout" = Timeout(timedelta(1))
    ) -> None: ...

    assert uncalled_for.get_annotation_dependencies(task) == {}
    uncalled_for.get_dependency_parameters(task)
    Docket("d", "memory://").register(task)
    assert get_annotation_dependencies(task) == {"x": [ONE]}


def test_a_signature_that_was_replaced_is_read_again() -> None:
    """FastMCP writes a ``__signature__``, and drops what was known of the function."""
    from uncalled_for.introspection import _parameter_cache, _signature_cache

    async def task(x: Annotated[int, ONE]) -> None: ...

    assert get_annotation_dependencies(task) == {"x": [ONE]}
    docket = Docket("d", "memory://")
    task.__signature__ = inspect.Signature()  # type: ignore[attr-defined] # pyright: ignore[reportFunctionMemberAccess]
    _signature_cache.pop(task)
    _parameter_cache.pop(task)
    docket.register(task)
    assert get_annotation_dependencies(task) == {}


def test_a_callable_that_cannot_be_hashed_is_refused_by_name() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]

        async def __call__(self) -> None: ...

    with pytest.raises(TypeError, match="cannot be hashed"):
        Docket("d", "memory://").register(Unhashable(), names=["task"])


def test_a_function_of_a_module_that_is_gone_is_read_all_the_same() -> None:
    module = ModuleType("gone")
    exec(
        "from __future__ import annotations\nfrom typing import Annotated\n"
        "from tests.docket.test_annotations import ONE\nasync def task(x: Annotated[Nope, ONE]): ...",
        module.__dict__,
    )
    assert get_annotation_dependencies(module.task) == {"x": [ONE]}

"""The arguments of a call, by parameter, are those that ``inspect.Signature.bind_partial`` finds."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from docket.dependencies import arguments_of, get_signature


def plain(a: int, b: int = 2, *, c: int = 3) -> None: ...


def with_rest(a: int, *rest: int, **named: int) -> None: ...


def by_position(a: int, /, b: int) -> None: ...


class Bound:
    def method(self, a: int, b: int = 2) -> None: ...


FUNCTIONS: list[Callable[..., Any]] = [
    plain, with_rest, by_position, Bound().method, functools.partial(plain, b=5), functools.partial(plain, 1),
    lambda: None,
]  # fmt: skip
CALLS: list[tuple[tuple[int, ...], dict[str, int]]] = [
    ((), {}), ((1,), {}), ((1, 2), {}), ((1, 2, 3), {}), ((), {"a": 1}), ((1,), {"a": 1}), ((1,), {"b": 2, "c": 3}),
    ((1,), {"x": 1}), ((), {"c": 3, "a": 1}), ((1, 2), {"b": 2}),
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("args", "kwargs"), CALLS)
def test_a_call_is_bound_as_its_signature_binds_it(
    function: Callable[..., Any], args: tuple[int, ...], kwargs: dict[str, int]
) -> None:
    def tried(bind: Callable[[], dict[str, Any]]) -> object:
        try:
            return bind()
        except TypeError as error:
            return str(error)

    bound = tried(lambda: dict(get_signature(function).bind_partial(*args, **kwargs).arguments))
    assert tried(lambda: arguments_of(function, args, kwargs)) == bound

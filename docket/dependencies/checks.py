"""Checks of the numbers, scopes and functions that dependencies take."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR, CO_ITERABLE_COROUTINE
from types import MethodType
from typing import Any, cast

from ..numbers import check_whole
from ..text import check_encodable
from .introspection import get_dependency_parameters
from .signatures import shown_name

__all__ = ["check_count", "check_scope", "check_supplier", "check_suppliers", "is_generator_function"]


def check_count(name: str, given: Any) -> int:
    """Return ``given`` if it is a whole number from 1, of 64 bits at most with its sign.

    Raises: TypeError - it is no whole number; UsageError (a ValueError) - it is below 1, or too large.
    """
    return check_whole(name, given)


def check_scope(given: Any) -> str | None:
    """Return ``given`` if it can stand in the name of a key, or is None.

    Raises: TypeError - it is no text; UsageError (a ValueError) - UTF-8 cannot hold it.
    """
    if given is None:
        return None
    if not isinstance(given, str):
        raise TypeError(f"scope takes a str, not {type(given).__name__}: {given!r}")
    check_encodable(given, "scope")
    return str.__str__(given)


def is_generator_function(function: Any) -> bool:
    """Whether a call of ``function`` makes a generator, sync or async, and runs nothing of its body.

    Also through `functools.partial` and an object's ``__call__``. A decorated function counts as what the decorator
    made of it: `contextlib.contextmanager` makes something else.
    """
    function = _innermost(function)
    if not hasattr(function, "__code__"):
        function = _innermost(getattr(cast("Any", type(function)), "__call__", None))  # noqa: B004 - not whether, but how
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    # A generator of types.coroutine can be awaited.
    return bool(flags & (CO_GENERATOR | CO_ASYNC_GENERATOR)) and not flags & CO_ITERABLE_COROUTINE


def _innermost(function: Any) -> Any:
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, MethodType | staticmethod | classmethod):
            function = cast("Any", function).__func__
        else:
            return function


def check_supplier(what: str, function: Any) -> None:
    """Refuse an undecorated generator function as the supplier of a dependency.

    Raises: TypeError.
    """
    if is_generator_function(function):
        raise TypeError(
            f"{what} takes a function or a context manager, and {shown_name(function)} is a generator function, which "
            "would supply a generator that nobody runs; decorate it with "
            "@contextlib.contextmanager or @contextlib.asynccontextmanager"
        )


def check_suppliers(dependencies: Iterable[Any]) -> None:
    """`check_supplier` for these dependencies and for all that they depend on. Raises: TypeError."""
    left, seen = list(dependencies), set[int]()
    while left:
        dependency = left.pop()
        supplier = getattr(dependency, "factory", None)
        if supplier is not None and id(supplier) not in seen:
            seen.add(id(supplier))
            check_supplier(type(dependency).__name__.lstrip("_"), supplier)
            left += get_dependency_parameters(supplier).values()

"""Whether two functions are the same task: a task is known by its name alone, and each name stands for one function."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, cast

from ..dependencies import content_of_cell

__all__ = ["are_alike", "is_same", "origin_of", "share_origin"]


def is_same(one: Callable[..., Any] | None, other: Callable[..., Any]) -> bool:
    """Whether this is one function. A bound method is made anew at each access."""
    return one is other or (type(one) is MethodType and type(other) is MethodType and one == other)


def origin_of(function: object) -> str:
    """Where a function was written, for people: ``package.module.Class.method``."""
    module, qualified = _origin(function)
    return f"{module}.{qualified}"


def share_origin(one: object, other: object) -> bool:
    """Whether both were written in one place: the same qualified name, in the same module.

    A module that was imported by two names is the same: a script is ``__main__``, and a worker imports its file.
    """
    (module, qualified), (other_module, other_qualified) = _origin(one), _origin(other)
    if qualified != other_qualified:
        return False
    return module == other_module or ((path := _path(module)) is not None and path == _path(other_module))


def are_alike(one: Any, other: Any) -> bool:
    """Whether two functions of one origin do the same, as those do that a reload has made anew.

    Not alike are closures over different values, methods of different objects, partials with different arguments.
    """
    if is_same(one, other):
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, MethodType):
        return one.__self__ is other.__self__
    if isinstance(one, functools.partial):
        first, second = cast("functools.partial[Any]", one), cast("functools.partial[Any]", other)
        bound, bound_there = (first.args, first.keywords), (second.args, second.keywords)
        return share_origin(first.func, second.func) and bound == bound_there
    if not isinstance(one, FunctionType):
        return False
    if (
        "<" not in one.__qualname__
    ):  # neither in a function (<locals>) nor a <lambda>: there is one of that name
        return True
    return one.__code__ == other.__code__ and _captured(one) == _captured(other)


def _origin(function: object) -> tuple[str, str]:
    qualified = getattr(function, "__qualname__", None)
    if isinstance(qualified, str):
        return str(getattr(function, "__module__", None)), qualified
    if isinstance(function, functools.partial):
        return _origin(cast("functools.partial[Any]", function).func)
    return _origin(type(function))


def _path(module: str) -> str | None:
    path = getattr(sys.modules.get(module), "__file__", None)
    return os.path.realpath(path) if isinstance(path, str) else None


def _captured(function: FunctionType) -> list[int]:
    """The identities of what a function has captured: by its closure, and as defaults. Itself counts as the same."""
    values = [content_of_cell(cell) for cell in function.__closure__ or ()]
    values += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    return [0 if value is function else id(value) for value in values]

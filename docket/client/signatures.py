"""Calls of task functions: their signatures, whether arguments fit, new keys."""

from __future__ import annotations

import inspect
import os
import types
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from .. import clock
from ..dependencies import (
    PerFunction,
    check_given,
    get_dependency_parameters,
    get_signature,
    given_among,
    is_generator_function,
    signature_cache,
)
from ..errors import UsageError
from ..moments import Expires, TimeToLive
from ..rules import IfRunning, Level
from ..text import checked_name, text_of
from ..values import define, frozen
from .levels import LevelParameter

__all__ = [
    "AnyFunction",
    "PerFunction",
    "R",
    "TaskCall",
    "TaskFunction",
    "Unreadable",
    "check_arguments",
    "check_function",
    "check_key",
    "check_returned",
    "forget_shape",
    "get_signature",
    "level_parameter",
    "new_key",
    "signature_cache",
]

TaskFunction: TypeAlias = Callable[..., Any]
"""``async def``, or ``def``, which runs in a thread."""


class AnyFunction(Protocol):
    """What functions of several signatures have in common for mypy, which gives a list of them this type."""

    @property
    def __name__(self) -> str: ...
    @property
    def __code__(self) -> types.CodeType: ...


_GENERATORS = frozenset({types.GeneratorType, types.AsyncGeneratorType})


def check_function(function: Any, what: str = "a task") -> None:
    """Refuse a generator function: a call of it runs nothing, and nothing would iterate what it makes.

    Raises: TypeError.
    """
    if is_generator_function(function):
        name = getattr(function, "__qualname__", None) or text_of(function, repr)
        raise TypeError(
            f"{what} is a function that runs when it is called, `async def` or `def`; {name} is a generator function "
            "(it has a `yield`)"
        )


def check_returned(value: Any, name: str) -> None:
    """Refuse a generator that a task returns: its function was not known to be a generator function.

    A decorator has hidden it, or it was not registered (``docket.tasks[name] = function``).
    Raises: TypeError.
    """
    if type(value) in _GENERATORS and not inspect.isawaitable(value):
        raise TypeError(
            f"task {name!r} returned a {type(value).__name__}, of which nothing has run; a task returns what it has "
            "made, and is no generator function"
        )


@frozen
class _Shape:
    """What most signatures come down to: enough to accept a call without binding it."""

    positional: int
    """How many arguments may be given by position."""
    names: tuple[str, ...]
    """The names of these, in order, then those of keyword-only parameters."""
    required: frozenset[str]
    known: frozenset[str]
    supplied: frozenset[str]
    """The names of those whose values dependencies supply."""
    before: int
    """How many may be given by position without one of these."""
    alone: range
    """How many may be given by position where none is given by name, as far as no dependency is asked about it."""


#: None where the signature has *args, **kwargs or positional-only parameters.
_shapes: PerFunction[tuple[_Shape | None, LevelParameter | None]] = PerFunction()
"""And the parameter whose default is a level, if there is one: each call that is added asks for both."""


def _shape(function: Callable[..., Any]) -> _Shape | None:
    supplied = get_dependency_parameters(function)
    names: list[str] = []
    positional = 0
    required: set[str] = set()
    for name, parameter in get_signature(function).parameters.items():
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD:
            positional += 1
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            return None
        names.append(name)
        if parameter.default is parameter.empty and name not in supplied:
            required.add(name)
    before = min((names.index(name) for name in supplied), default=positional)
    least = max((names.index(name) for name in required), default=-1) + 1
    alone = range(least, min(positional, before) + 1)
    return _Shape(
        positional, tuple(names), frozenset(required), frozenset(names), frozenset(supplied), before, alone
    )


def check_arguments(
    function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> LevelParameter | None:
    """Refuse arguments that the function could not be called with; return the parameter that says its level, if any.

    Parameters whose value a dependency supplies may be left out.
    Raises: TypeError - they do not fit; worded as by a direct call; UsageError (a ValueError) - two say a level.
    """
    shape, level = _shapes.get(function) or _looked_at(function)
    if shape is not None and not kwargs and len(args) in shape.alone:
        return level
    if shape is None or (
        shape.supplied and (len(args) > shape.before or not shape.supplied.isdisjoint(kwargs))
    ):
        check_given(function, name, given_among(function, args, kwargs))
    if shape is not None and len(args) <= shape.positional:
        given = shape.names[: len(args)]
        if not kwargs:
            if shape.required.issubset(given):
                return level
        elif (
            shape.known.issuperset(kwargs)
            and kwargs.keys().isdisjoint(given)
            and shape.required.issubset((*given, *kwargs))
        ):
            return level
    _bind(function, name, args, kwargs)
    return level


def _looked_at(function: Callable[..., Any]) -> tuple[_Shape | None, LevelParameter | None]:
    known = _shapes[function] = (_shape(function), LevelParameter.of(function))
    return known


def level_parameter(function: Callable[..., Any]) -> LevelParameter | None:
    """The parameter of a function that says its level, if any. Raises: UsageError (a ValueError) - two do."""
    return (_shapes.get(function) or _looked_at(function))[1]


def forget_shape(function: Callable[..., Any]) -> None:
    """Look at a function anew."""
    _shapes.discard(function)


def _bind(function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    signature = get_signature(function)
    supplied = get_dependency_parameters(function)
    # A parameter that a dependency supplies through Annotated metadata has no default of its own; and whatever
    # stands behind it needs one for the list to be valid. Which are required was already checked.
    optional: list[inspect.Parameter] = []
    for p in signature.parameters.values():
        lenient = p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        optional.append(p.replace(default=None) if lenient else p)
    try:
        bound = signature.replace(parameters=optional).bind(*args, **kwargs)
        missing = [
            repr(p.name)
            for p in signature.parameters.values()
            if p.default is p.empty
            and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            and p.name not in bound.arguments
            and p.name not in supplied
        ]
        if missing:
            raise TypeError(
                f"missing {'arguments' if len(missing) > 1 else 'a required argument:'} {', '.join(missing)}"
            )
    except TypeError as error:
        raise TypeError(
            f"task {name!r} cannot be called so: {error}; its signature is {name}{signature}"
        ) from None


def check_key(key: object) -> str:
    """The text of a task key, as a plain string.

    Raises: TypeError - it is no string; UsageError (a ValueError) - it is empty, or UTF-8 cannot hold it.
    """
    if key == "":
        raise UsageError("a task key may not be empty; leave it out to get a unique one")
    return checked_name(key, "a task key")


def new_key() -> str:
    """A unique key that sorts by time: a version 7 UUID.

    Source: https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-7
    """
    ms = int(clock.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    noise = os.urandom(10).hex()
    variant = "89ab"[int(noise[3], 16) & 3]
    digits = f"{ms:012x}"
    return f"{digits[:8]}-{digits[8:]}-7{noise[:3]}-{variant}{noise[4:7]}-{noise[8:]}"


@frozen(repr=False)
class Unreadable:
    """Stands for the arguments of a call that cannot be unpickled in this process."""

    reason: str

    def __repr__(self) -> str:
        return f"<unreadable: {self.reason}>"


if TYPE_CHECKING:
    from typing_extensions import TypeVar as _TypeVar  # every type checker brings it; nothing is imported

    R = _TypeVar("R", covariant=True, default=Any)
else:
    R = TypeVar("R", covariant=True)


@define
class TaskCall(Generic[R]):
    """A call that `Docket.call` has prepared and checked, for `Docket.add_many` and `Docket.replace_many`.

    ``R`` is what its task returns.
    """

    function: TaskFunction
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    key: str
    when: datetime
    function_name: str | None = None
    ttl: TimeToLive = ...
    expires: Expires = None
    priority: Level = None
    if_running: IfRunning = "skip"

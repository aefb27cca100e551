"""The arguments and the result of a task as JSON, directed by its annotations, which are read once per task."""

from __future__ import annotations

import collections.abc
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol, cast, get_args, get_origin

from uncalled_for import Dependency

from ..dependencies import Evaluator, get_dependency_parameters, get_signature
from ..text import error_text
from ..values import frozen
from .leaves import PLAIN, Shape
from .misfit import Misfit, NoStructure

__all__ = ["ANY_CALL", "CallShape", "MakesShapes", "shape_of_call"]

Turn = Callable[[Any], Any]

#: What a function returns that is awaited first: it returns what that gives.
_AWAITED = frozenset({collections.abc.Awaitable, collections.abc.Coroutine})


class MakesShapes(Protocol):
    def of(self, kind: Any) -> Shape: ...


@frozen
class CallShape:
    """How the calls of one task travel, and its results."""

    names: tuple[str, ...]
    """Of the parameters that can be given by position."""
    dumps: tuple[Turn, ...]
    loads: tuple[Turn, ...]
    rest: Shape
    """Of further ones that are given by position."""
    named: Mapping[str, Shape]
    further: Shape
    """Of further ones that are given by name."""
    result: Shape

    def dump_args(self, args: tuple[Any, ...]) -> list[Any]:
        """Raises: Misfit."""
        return self._turned(args, self.dumps, self.rest.dump)

    def load_args(self, args: Any) -> tuple[Any, ...]:
        """Raises: Misfit."""
        if type(args) is not list:
            raise Misfit(f"expected a list of positional arguments, got {type(args).__name__}")
        return tuple(self._turned(args, self.loads, self.rest.load))

    def dump_kwargs(self, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Raises: Misfit."""
        return {name: self._named(name, value, "dump") for name, value in kwargs.items()}

    def load_kwargs(self, kwargs: Any) -> dict[str, Any]:
        """Raises: Misfit."""
        if type(kwargs) is not dict:
            raise Misfit(f"expected an object of named arguments, got {type(kwargs).__name__}")
        return {
            name: self._named(name, value, "load") for name, value in cast("dict[str, Any]", kwargs).items()
        }

    def _turned(self, args: Any, turns: tuple[Turn, ...], rest: Turn) -> list[Any]:
        turned: list[Any] = []
        try:
            for turn, value in zip(turns, args, strict=False):
                turned.append(turn(value))
            for value in args[len(turns) :]:
                turned.append(rest(value))
        except Misfit as found:
            at = len(turned)
            name = self.names[at] if at < len(self.names) else f"args[{at - len(self.names)}]"
            raise found.under(name) from found.__cause__
        return turned

    def _named(self, name: str, value: Any, how: str) -> Any:
        try:
            return getattr(self.named.get(name, self.further), how)(value)
        except Misfit as found:
            raise found.under(name) from found.__cause__


ANY_CALL = CallShape((), (), (), PLAIN, {}, PLAIN, PLAIN)
"""Of a task of which nothing but its name is known."""


def shape_of_call(function: Callable[..., Any], shapes: MakesShapes) -> CallShape:
    """How the calls of a function travel.

    Raises: NoStructure - a parameter, or what it returns, has an annotation that cannot be evaluated, or a type that
    JSON has no structure for. What a dependency supplies may have any: it cannot be given then.
    """
    signature = get_signature(function)
    supplied = get_dependency_parameters(function)
    evaluator = Evaluator(function)
    names: list[str] = []
    by_position: list[Shape] = []
    named: dict[str, Shape] = {}
    rest = further = PLAIN
    for name, parameter in signature.parameters.items():
        shape = _of_parameter(shapes, evaluator, parameter, is_supplied=name in supplied)
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest = shape
        elif parameter.kind is parameter.VAR_KEYWORD:
            further = shape
        else:
            if parameter.kind is not parameter.KEYWORD_ONLY:
                names.append(name)
                by_position.append(shape)
            if parameter.kind is not parameter.POSITIONAL_ONLY:
                named[name] = shape
    return CallShape(
        tuple(names),
        tuple(_late(each, "dump") for each in by_position),
        tuple(_late(each, "load") for each in by_position),
        rest,
        named,
        further,
        _of_result(shapes, evaluator, signature.return_annotation),
    )


def _late(shape: Shape, how: str) -> Turn:
    return getattr(shape, how)


def _of_parameter(
    shapes: MakesShapes, evaluator: Evaluator, parameter: inspect.Parameter, *, is_supplied: bool
) -> Shape:
    if parameter.annotation is parameter.empty:
        return _not_a_dependency(PLAIN) if is_supplied else PLAIN
    try:
        shape = shapes.of(_evaluated(evaluator, parameter.annotation))
    except NoStructure as found:
        if is_supplied:
            return _UNGIVEN
        raise found.under(parameter.name) from found.__cause__
    return _not_a_dependency(shape) if is_supplied else shape


def _evaluated(evaluator: Evaluator, annotation: Any) -> Any:
    try:
        return evaluator.resolved(annotation)
    except Exception as error:
        raise NoStructure(
            f"its annotation {annotation!r} cannot be evaluated ({error_text(error)})"
        ) from error


def _of_result(shapes: MakesShapes, evaluator: Evaluator, annotation: Any) -> Shape:
    if annotation is inspect.Signature.empty:
        return PLAIN
    try:
        kind = _evaluated(evaluator, annotation)
        if get_origin(kind) in _AWAITED:
            kind = get_args(kind)[-1]
        return PLAIN if getattr(kind, "__name__", "") in ("Never", "NoReturn") else shapes.of(kind)
    except NoStructure as found:
        raise found.under("its result") from found.__cause__


def _no_dependency(value: Any) -> NoReturn:
    raise Misfit(f"a dependency ({type(value).__name__}) cannot travel as JSON: declare it where the task is")


def _not_a_dependency(shape: Shape) -> Shape:
    """Of a parameter whose value a dependency supplies, where the call gives none."""

    def dump(value: Any) -> Any:
        return _no_dependency(value) if isinstance(value, Dependency) else shape.dump(value)

    return Shape(dump, shape.load)


def _ungiven(value: Any) -> NoReturn:
    if isinstance(value, Dependency):
        _no_dependency(value)
    raise Misfit("a dependency supplies it, and JSON has no structure for its type: leave it out")


_UNGIVEN = Shape(_ungiven, _ungiven)

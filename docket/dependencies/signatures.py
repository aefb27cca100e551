"""The signature of any callable: function, method, partial, object with ``__call__``, what a decorator made."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import typing
from collections.abc import Callable, Iterator, Mapping
from types import CellType, MethodType
from typing import Any, cast

from uncalled_for.introspection import _signature_cache  # pyright: ignore[reportPrivateUsage]

from ..errors import UsageError
from ..text import error_text, text_of
from .per_function import PerFunction

__all__ = [
    "Evaluator",
    "arguments_of",
    "content_of_cell",
    "forget_signature",
    "get_signature",
    "read_signature",
    "shown_name",
    "signature_cache",
    "simple_parameters",
]

signature_cache = _signature_cache

#: Since Python 3.14 annotations are evaluated when somebody asks for them, all of one function at a time.
_LAZY = sys.version_info >= (3, 14)


def get_signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function, computed once per function. Annotations may be text, or have parts that are.

    Raises: TypeError, ValueError - it has none.
    """
    found = signature_cache.get(function)
    if found is None:
        found = signature_cache[function] = read_signature(function)
    return found


_simple: PerFunction[tuple[tuple[str, ...], frozenset[str]]] = PerFunction()


def arguments_of(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by parameter, without defaults: a new dictionary, as ``bind_partial`` makes it.

    Raises: TypeError - the function cannot be called so; TypeError, ValueError - it has no signature.
    """
    by_position, by_name = simple_parameters(function)
    if len(args) <= len(by_position) and by_name.issuperset(kwargs):
        given = dict(zip(by_position, args, strict=False))
        if not kwargs:
            return given
        if given.keys().isdisjoint(kwargs):
            given.update(kwargs)
            return given
    return get_signature(function).bind_partial(*args, **kwargs).arguments


def simple_parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The parameters of a function that can be given by position, in order, and all, which can be given by name.

    Where it has parameters of other kinds, both are empty.
    """
    simple = _simple.get(function)
    if simple is None:
        simple = _simple[function] = _read_parameters(function)
    return simple


def _read_parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], frozenset[str]]:
    parameters = get_signature(function).parameters.values()
    by_position = tuple(each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD)
    by_name = frozenset((*by_position, *(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)))
    return (by_position, by_name) if len(by_name) == len(parameters) else ((), frozenset())


def forget_signature(function: Callable[..., Any]) -> None:
    """Look at a function anew."""
    _simple.discard(function)
    signature_cache.pop(function, None)


def read_signature(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function, computed anew. Raises: as `get_signature`."""
    try:
        return _signature(function, {})
    except Exception:
        if not _LAZY:
            raise
    # One of the annotations cannot be evaluated: each by itself then, from its text.
    import annotationlib  # pyright: ignore[reportMissingImports]

    how = {"annotation_format": cast("Any", annotationlib).Format.STRING}
    try:
        texts = _signature(function, how)
    except (TypeError, ValueError):
        raise
    except Exception as error:
        raise UsageError(
            f"the annotations of {shown_name(function)} cannot be read: {error_text(error)}"
        ) from error
    evaluator = Evaluator(function)
    parameters = [
        parameter.replace(annotation=evaluator.value_or(parameter.annotation, parameter.annotation))
        for parameter in texts.parameters.values()
    ]
    return texts.replace(parameters=parameters)


def shown_name(function: object) -> str:
    """The qualified name of a function, or of what stands for one, for people."""
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else text_of(function, repr)


def _signature(function: Any, how: Mapping[str, Any]) -> inspect.Signature:
    """`inspect.signature`, but a partial that is dressed as its function takes what the partial takes.

    ``inspect`` follows ``__wrapped__`` past the partial, to a signature with the arguments that this has bound.
    """
    layer: Any = inspect.unwrap(function, stop=_takes_its_own)
    if isinstance(layer, MethodType):
        inner = _Signed(_signature(layer.__func__, how))
        return inspect.signature(MethodType(inner, layer.__self__))
    partial = _as_partial(layer)
    if partial is not None and not _is_signed(partial):
        inner = _Signed(_signature(partial.func, how))
        return inspect.signature(functools.partial(inner, *partial.args, **partial.keywords))
    return inspect.signature(layer, **how)


def _as_partial(layer: object) -> functools.partial[Any] | None:
    return cast("functools.partial[Any]", layer) if isinstance(layer, functools.partial) else None


def _takes_its_own(layer: object) -> bool:
    return isinstance(layer, MethodType | functools.partial) or _is_signed(layer)


def _is_signed(layer: object) -> bool:
    return isinstance(getattr(layer, "__signature__", None), inspect.Signature)


class _Signed:
    """Stands for a callable with a known signature."""

    def __init__(self, signature: inspect.Signature) -> None:
        self.__signature__ = signature

    def __call__(self) -> None:
        """Never called."""


class Evaluator:
    """Evaluates text where a function was written: among its module's names, its closure's, its class's.

    Raises: whatever the text raises, for its author may have written anything.
    """

    def __init__(self, function: Any) -> None:
        self._function = function
        self._names: list[dict[str, Any]] | None = None

    def value(self, expression: str | ast.expr) -> Any:
        """The value of an expression, from the first namespace that has all of its names."""
        text = expression if isinstance(expression, str) else ast.unparse(expression)
        return self._first(lambda names: eval(text, names))

    def resolved(self, annotation: Any) -> Any:
        """An annotation without text: that of the whole, or of its parts, is evaluated."""

        def holder() -> None: ...

        holder.__annotations__ = {"it": annotation}
        return self._first(lambda names: typing.get_type_hints(holder, names, include_extras=True)["it"])

    def _first(self, evaluate: Callable[[dict[str, Any]], Any]) -> Any:
        if self._names is None:
            self._names = [*_namespaces(self._function)]
        failed: Exception | None = None
        for names in self._names:
            try:
                return evaluate(names)
            except Exception as error:  # noqa: BLE001 - is raised below
                failed = failed or error
        raise failed or NameError("it has no names")

    def value_or(self, expression: str | ast.expr, otherwise: Any) -> Any:
        """The value of an expression, or ``otherwise`` where it has none."""
        try:
            return self.value(expression)
        except Exception:  # noqa: BLE001 - a name may exist for the type checker only
            return otherwise


def _namespaces(function: Any) -> Iterator[dict[str, Any]]:
    """Where the text of annotations may have been written, the most likely place first."""
    layers = [*_layers(function)]
    classes = [_content_of(kind) for layer in layers for kind in _classes(layer)]
    for layer in reversed(layers):
        names = getattr(layer, "__globals__", None) or _names_of_module(layer)
        near = {**_closure(layer), **{T.__name__: T for T in getattr(layer, "__type_params__", ())}}
        yield {**names, **near}
        for of_class in classes:
            yield {**names, **near, **of_class}


def _content_of(kind: Any) -> dict[str, Any]:
    return {**vars(kind)}


def _names_of_module(layer: Any) -> Mapping[str, Any]:
    module = sys.modules.get(str(getattr(layer, "__module__", None)))
    return {} if module is None else vars(module)


def _layers(function: Any) -> Iterator[Any]:
    """A callable, and what it calls in the end: through methods, partials, decorators and ``__call__``."""
    seen = set[int]()
    while function is not None and id(function) not in seen:
        seen.add(id(function))
        yield function
        if isinstance(function, MethodType | staticmethod | classmethod):
            function = cast("Any", function).__func__
        elif (partial := _as_partial(function)) is not None:
            function = partial.func
        elif (wrapped := getattr(function, "__wrapped__", None)) is not None:
            function = wrapped
        elif isinstance(function, type):
            function = cast("Any", function).__init__
        elif hasattr(function, "__code__"):
            return
        else:
            function = getattr(cast("Any", type(function)), "__call__", None)  # noqa: B004 - not whether, but how


def _classes(layer: Any) -> Iterator[Any]:
    """The classes in whose bodies a function may have been written."""
    if isinstance(layer, MethodType):
        bound: Any = layer.__self__
        owner: Any = bound if isinstance(bound, type) else type(bound)
        yield from owner.__mro__[:-1]
        return
    *path, _ = str(getattr(layer, "__qualname__", "")).split(".")
    place: Any = sys.modules.get(str(getattr(layer, "__module__", None)))
    for name in path:
        place = getattr(place, name, None)
    if path and isinstance(place, type):
        yield place


def _closure(layer: Any) -> dict[str, Any]:
    """The names around a function that it refers to, itself or in its annotations."""
    found: dict[str, Any] = {}
    for function in (getattr(layer, "__annotate__", None), layer):
        code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
        if code is None or not cells:
            continue
        for name, cell in zip(code.co_freevars, cells, strict=True):
            if name == "__classdict__":
                found = {**content_of_cell(cell, {}), **found}
            elif (value := content_of_cell(cell, _EMPTY)) is not _EMPTY:
                found[name] = value
    return found


_EMPTY = object()


def content_of_cell(cell: CellType, otherwise: Any = None) -> Any:
    """What a closure has captured in a cell, or ``otherwise`` where that is not assigned yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return otherwise

"""Calls and signatures as people see them in logs and on the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sized
from types import UnionType
from typing import Any, ForwardRef, Union, get_origin

from uncalled_for import Dependency

from ..store import NotPlain, fits
from ..text import printable
from .annotations import Logged, logged_parameters
from .packed import Packed
from .signatures import get_signature

__all__ = ["compact_signature", "show_call", "show_packed"]


_anything = Logged()


def show_call(
    function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], key: str
) -> str:
    """A call and its key: ``name('shown', b=..., c=[len 2]){key}``. Only what is `Logged` is shown."""
    marks = logged_parameters(function)
    if not marks:
        dots = [*("..." for _ in args), *(f"{parameter}=..." for parameter in kwargs)]
        return printable(f"{name}({', '.join(dots)}){{{key}}}")
    shown = _arguments(function, marks, args, kwargs, Logged.format)
    return f"{printable(name)}({', '.join(shown)}){{{printable(key)}}}"


def show_packed(function: Callable[..., Any], name: str, packed: Packed, key: str) -> str:
    """A call whose arguments stay pickled, ``name(...){key}``; what is `Logged` of them is shown if it is plain."""
    marks = logged_parameters(function)
    if packed.is_empty:
        shown = []
    elif not marks:
        shown = ["..."]
    else:
        try:
            args, kwargs = packed.look()
        except NotPlain as why:
            shown = [f"(not shown: {why})"]
        else:
            shown = _arguments(function, marks, args, kwargs, _in_bounds)
    return f"{printable(name)}({', '.join(shown)}){{{printable(key)}}}"


def _in_bounds(mark: Logged, value: object) -> str:
    """The text of a plain value; those of others may have no end."""
    counted = mark.length_only and isinstance(value, Sized)
    return printable(mark.format(value)) if counted or fits(value) else "(not shown: too long)"


def _arguments(
    function: Callable[..., Any],
    marks: Mapping[str, Logged],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    spell: Callable[[Logged, object], str],
) -> list[str]:
    """The arguments of a call: as ``spell`` has those with a mark, three dots for the others."""

    def shown(mark: Logged | None, value: object) -> str:
        return "..." if mark is None else spell(mark, value)

    parameters = get_signature(function).parameters
    names = _positional(parameters)
    rest = next((p.name for p in parameters.values() if p.kind is p.VAR_KEYWORD), None)
    texts = [shown(marks.get(next(names, "")), value) for value in args]
    for parameter, value in kwargs.items():
        mark = marks.get(parameter if parameter in parameters else rest or "")
        texts.append(f"{printable(parameter)}={shown(mark, value)}")
    return texts


def _positional(parameters: Mapping[str, inspect.Parameter]) -> Iterator[str]:
    """Whose values the positional arguments are, one after the other."""
    for parameter in parameters.values():
        while parameter.kind is parameter.VAR_POSITIONAL:
            yield parameter.name
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            yield parameter.name


def compact_signature(signature: inspect.Signature) -> str:
    """A task's parameters, without what dependencies supply: ``a: int, b: str = 'x', ...``."""
    shown: list[str] = []
    supplied = False
    for parameter in signature.parameters.values():
        if isinstance(parameter.default, Dependency):
            supplied = True
            continue
        text = parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {_type_name(parameter.annotation)}"
        if parameter.default is not parameter.empty:
            text += f" = {_anything.format(parameter.default)}"
        shown.append(text)
    return ", ".join([*shown, "..."] if supplied else shown)


def _type_name(annotation: Any) -> str:
    if hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    if isinstance(annotation, ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        return annotation
    if get_origin(annotation) in (Union, UnionType):  # from Python 3.14 on each has the name "Union"
        return str(annotation)
    return getattr(annotation, "__name__", str(annotation))

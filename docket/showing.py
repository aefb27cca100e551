"""Calls and signatures as people see them in logs and on the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from uncalled_for import Dependency

from .annotations import Logged, logged_parameters
from .calls import get_signature

__all__ = ["compact_signature", "show_call"]


_anything = Logged()


def show_call(
    function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], key: str
) -> str:
    """A call and its key: ``name('shown', b=..., c=[len 2]){key}``. Only what is `Logged` is shown."""
    marks = logged_parameters(function)
    if not marks:
        shown = [*("..." for _ in args), *(f"{parameter}=..." for parameter in kwargs)]
    else:
        parameters = get_signature(function).parameters
        names = _positional(parameters)
        rest = next((p.name for p in parameters.values() if p.kind is p.VAR_KEYWORD), None)
        shown = [_shown(marks.get(next(names, "")), value) for value in args]
        for parameter, value in kwargs.items():
            mark = marks.get(parameter if parameter in parameters else rest or "")
            shown.append(f"{parameter}={_shown(mark, value)}")
    return f"{name}({', '.join(shown)}){{{key}}}"


def _positional(parameters: Mapping[str, inspect.Parameter]) -> Iterator[str]:
    """Whose values the positional arguments are, one after the other."""
    for parameter in parameters.values():
        while parameter.kind is parameter.VAR_POSITIONAL:
            yield parameter.name
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            yield parameter.name


def _shown(mark: Logged | None, value: object) -> str:
    return "..." if mark is None else mark.format(value)


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
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))

"""The fields of classes that have some: attrs classes, dataclasses, NamedTuple and TypedDict."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, TypeVar, get_args, get_origin

import attrs

from ..text import error_text
from ..values import frozen
from .misfit import NoStructure, type_name

__all__ = ["Fields", "fields_of", "with_arguments"]


@frozen
class Fields:
    """The fields of a class, each by its name in JSON with its type; ``required`` are those that must be there."""

    types: dict[str, Any]
    required: frozenset[str]
    is_mapping: bool = False
    """Whether it is a TypedDict."""
    is_tuple: bool = False


def fields_of(kind: Any) -> Fields | None:
    """The fields of a class, also of a generic one with its arguments; None of one that has none of these.

    Raises: NoStructure - its annotations cannot be read, or one of its fields has none.
    """
    origin: Any = get_origin(kind) or kind
    if not isinstance(origin, type):
        return None
    return _fields_of(kind, origin)


def _fields_of(kind: Any, origin: Any) -> Fields | None:
    names: list[str]
    parents: tuple[type, ...] = origin.__mro__
    if typing.is_typeddict(origin) or type(origin).__name__ == "_TypedDictMeta":
        return Fields(_of_generic(kind, _hints(origin)), _required(origin), True)
    if tuple in parents and hasattr(origin, "_fields"):
        names, defaults = [*origin._fields], origin._field_defaults
        annotations = _hints(origin)
        types = {name: annotations.get(name, Any) for name in names}
        return Fields(_of_generic(kind, types), frozenset(types) - frozenset(defaults), False, True)
    if attrs.has(origin):
        names = [field.name for field in attrs.fields(origin) if field.init]
    elif dataclasses.is_dataclass(origin):
        names = [field.name for field in dataclasses.fields(origin) if field.init]
    else:
        return None
    annotations = _hints(origin)
    for name in names:
        if name not in annotations:
            raise NoStructure("it has no annotation", f".{name}")
    return Fields(_of_generic(kind, {name: annotations[name] for name in names}), frozenset())


def _hints(origin: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(origin)
    except Exception as error:
        raise NoStructure(
            f"the annotations of {type_name(origin)} cannot be evaluated ({error_text(error)})"
        ) from error


def _required(origin: Any) -> frozenset[str]:
    """The keys that a TypedDict must have. Its class did not see marks that are text (PEP 563)."""
    required = set[str](origin.__required_keys__)
    for name, each in typing.get_type_hints(origin, include_extras=True).items():
        mark = getattr(get_origin(each), "_name", None)
        if mark == "Required":
            required.add(name)
        elif mark == "NotRequired":
            required.discard(name)
    return frozenset(required)


def _of_generic(kind: Any, types: dict[str, Any]) -> dict[str, Any]:
    origin = get_origin(kind)
    if origin is None:
        return types
    given = dict(zip(origin.__parameters__, get_args(kind), strict=False))
    return {name: with_arguments(each, given) for name, each in types.items()}


def with_arguments(kind: Any, given: dict[Any, Any]) -> Any:
    """A type, with what its type variables stand for."""
    if isinstance(kind, TypeVar):
        return given.get(kind, kind)
    parameters = getattr(kind, "__parameters__", ())
    if not parameters or isinstance(kind, type):
        return kind
    return kind[tuple(given.get(each, each) for each in parameters)]

"""Containers: lists, tuples, sets and dictionaries."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterator
from typing import Any, cast

from .leaves import Shape
from .misfit import Misfit, refuse, step_to, type_name

__all__ = ["ABSTRACT", "fill_mapping", "fill_sequence", "fill_tuple", "fill_unordered"]

_ARRAY, _OBJECT = frozenset({"array"}), frozenset({"object"})

#: What arrives where an annotation does not say of which class a container is.
ABSTRACT: dict[Any, type] = {
    **dict.fromkeys(
        (
            collections.abc.Sequence,
            collections.abc.MutableSequence,
            collections.abc.Iterable,
            collections.abc.Collection,
            collections.abc.Reversible,
        ),
        list,
    ),
    **dict.fromkeys((collections.abc.Set, collections.abc.MutableSet), set),
    **dict.fromkeys((collections.abc.Mapping, collections.abc.MutableMapping), dict),
}


def _parts(turn: Callable[[Any], Any], values: Any) -> list[Any]:
    """Each of some values turned; a misfit says which it was."""
    turned: list[Any] = []
    try:
        for value in values:
            turned.append(turn(value))
    except Misfit as found:
        raise found.under(f"[{len(turned)}]") from found.__cause__
    return turned


def fill_sequence(shape: Shape, kind: Any, origin: Any, item: Shape) -> None:
    """The shape of a list, or of what is only said to be a sequence: that arrives as a list."""
    exact = origin is list
    taken = frozenset({list}) if exact else frozenset({list, tuple})
    name = type_name(kind)

    def dump(value: Any) -> list[Any]:
        return _parts(item.dump, value) if type(value) in taken else refuse(value, name)

    def load(value: Any) -> list[Any]:
        return _parts(item.load, value) if type(value) is list else refuse(value, name)

    shape.dump, shape.load, shape.kinds, shape.classes = dump, load, _ARRAY, taken


def fill_unordered(shape: Shape, kind: Any, origin: Any, item: Shape) -> None:
    """The shape of a set or frozenset; what is only said to be a set arrives as a set."""
    made: Any = ABSTRACT.get(origin, origin)
    taken = frozenset[type]({origin} if made is origin else {set, frozenset})
    name = type_name(kind)

    def dump(value: Any) -> list[Any]:
        if type(value) not in taken:
            refuse(value, name)
        dumped: list[Any] = []
        for each in value:
            try:
                dumped.append(item.dump(each))
            except Misfit as found:
                raise found.under("[...]") from found.__cause__
        return dumped

    def load(value: Any) -> Any:
        parts = _parts(item.load, value) if type(value) is list else refuse(value, f"{name} as a list")
        try:
            return made(parts)
        except TypeError as error:
            raise Misfit("expected parts that can be hashed") from error

    shape.dump, shape.load, shape.kinds, shape.classes = dump, load, _ARRAY, taken


def fill_tuple(shape: Shape, kind: Any, items: tuple[Shape, ...], rest: Shape | None) -> None:
    """The shape of a tuple: of these ``items``, or of any number of ``rest``."""
    name = type_name(kind)

    def each(value: Any, turns: list[Callable[[Any], Any]]) -> list[Any]:
        if len(value) != len(turns):
            raise Misfit(f"expected {name}, got {len(value)} values")
        turned: list[Any] = []
        try:
            for turn, part in zip(turns, value, strict=True):
                turned.append(turn(part))
        except Misfit as found:
            raise found.under(f"[{len(turned)}]") from found.__cause__
        return turned

    def dump(value: Any) -> list[Any]:
        if type(value) is not tuple:
            refuse(value, name)
        return each(value, [item.dump for item in items]) if rest is None else _parts(rest.dump, value)

    def load(value: Any) -> tuple[Any, ...]:
        if type(value) is not list:
            refuse(value, f"{name} as a list")
        return tuple(each(value, [item.load for item in items]) if rest is None else _parts(rest.load, value))

    shape.dump, shape.load, shape.kinds, shape.classes = dump, load, _ARRAY, frozenset({tuple})


def _pairs(value: Any) -> Iterator[tuple[str, Any, Any]]:
    """The keys and values of what was read, with the step to each."""
    if type(value) is dict:
        for name, held in cast("dict[str, Any]", value).items():
            yield step_to(name), name, held
        return
    for at, pair in enumerate(value):
        if type(pair) is not list or len(cast("list[Any]", pair)) != 2:
            raise Misfit("expected a pair of a key and a value", f"[{at}]")
        yield f"[{at}]", *cast("list[Any]", pair)


def fill_mapping(shape: Shape, kind: Any, origin: Any, key: Shape, item: Shape) -> None:
    """The shape of a dictionary: an object where all keys are text in JSON, else an array of pairs."""
    name, exact = type_name(kind), origin is dict
    by_text = key.kinds == frozenset({"string"})

    def dump(value: Any) -> Any:
        if not (type(value) is dict or (not exact and isinstance(value, collections.abc.Mapping))):
            refuse(value, name)
        pairs: list[Any] = []
        for each, held in cast("dict[Any, Any]", value).items():
            try:
                pairs.append([key.dump(each), item.dump(held)])
            except Misfit as found:
                raise found.under(step_to(each)) from found.__cause__
        return dict(pairs) if by_text else pairs

    def load(value: Any) -> dict[Any, Any]:
        if type(value) is not (dict if by_text else list):
            refuse(value, name if by_text else f"{name} as a list of pairs")
        loaded: dict[Any, Any] = {}
        for step, each, held in _pairs(value):
            try:
                loaded[key.load(each)] = item.load(held)
            except Misfit as found:
                raise found.under(step) from found.__cause__
            except TypeError as error:
                raise Misfit("expected a key that can be hashed", step) from error
        return loaded

    shape.dump, shape.load = dump, load
    shape.kinds, shape.classes = (
        (_OBJECT if by_text else _ARRAY),
        (frozenset({dict}) if exact else frozenset()),
    )

"""Values of which there are a few, or of one of several types: enumerations, Literal, unions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, cast

from ..text import class_name
from .leaves import LEAVES, Shape, kind_of
from .misfit import Misfit, NoStructure, refuse, type_name

__all__ = ["fill_enumeration", "fill_literal", "fill_union"]

_OF_VALUES = {int: frozenset({"number"}), str: frozenset({"string"})}


def fill_enumeration(shape: Shape, kind: type[Enum]) -> None:
    """By their values, where all are text or all are whole numbers; else by their names."""
    classes: set[Any] = {type(member.value) for member in kind.__members__.values()}
    kinds = _OF_VALUES.get(next(iter(classes))) if len(classes) == 1 else None
    name, members = type_name(kind), cast("Any", kind)
    taken = int if kinds == _OF_VALUES[int] else str

    def dump(value: Any) -> Any:
        if type(value) is not kind:
            refuse(value, name)
        return value.value if kinds else value.name

    def load(value: Any) -> Any:
        if type(value) is not taken:
            refuse(value, f"{name} as {'its value' if kinds else 'its name'}")
        try:
            return kind(value) if kinds else members[value]
        except (ValueError, KeyError) as error:
            raise Misfit(f"expected {name}, which has no such {'value' if kinds else 'name'}") from error

    shape.dump, shape.load = dump, load
    shape.kinds, shape.classes = kinds or _OF_VALUES[str], frozenset({kind})


def fill_literal(shape: Shape, values: Sequence[Any], enumerations: Mapping[type, Shape]) -> None:
    """One of some values; ``enumerations`` are the shapes of those that are members of one."""
    there: dict[Any, Any] = {}
    back: dict[Any, Any] = {}
    for value in values:
        of = LEAVES.get(type(value)) or enumerations[type(value)]
        written = of.dump(value)
        there[type(value), value] = written
        if back.setdefault((type(written), written), value) is not value:
            raise NoStructure(f"JSON cannot tell apart {value!r} and {back[type(written), written]!r}")
    name = " or ".join(repr(value) for value in values)

    def dump(value: Any) -> Any:
        try:
            return there[type(value), value]
        except (KeyError, TypeError):
            raise Misfit(f"expected {name}, got another {class_name(value)}") from None

    def load(value: Any) -> Any:
        try:
            return back[type(value), value]
        except (KeyError, TypeError):
            raise Misfit(f"expected {name}, got another {class_name(value)}") from None

    shape.dump, shape.load = dump, load
    shape.kinds = frozenset(kind_of(written) for written in there.values())
    shape.classes = frozenset[Any](map(type, values))


def fill_union(shape: Shape, kind: Any, members: Mapping[str, Shape], *, with_none: bool) -> None:
    """One of several, each by the name of its type. Where JSON tells them apart they are written as they are.

    Else as an object with one key, the name of the type: ``{"Card": {...}}``. None is always null.
    """
    names, shapes = list(members), list(members.values())
    kinds = [each for member in shapes for each in member.kinds] + ["null"] * with_none
    apart = len(kinds) == len(set(kinds))
    by_kind = {each: member for member in shapes for each in member.kinds} if apart else {}
    name = type_name(kind)

    def dump(value: Any) -> Any:
        if value is None and with_none:
            return None
        maybe = [at for at, each in enumerate(shapes) if not each.classes or type(value) in each.classes]
        for at in maybe:
            try:
                written = shapes[at].dump(value)
            except Misfit:
                if len(maybe) == 1:
                    raise
                continue
            return written if apart else {names[at]: written}
        return refuse(value, name)

    def load(value: Any) -> Any:
        if value is None and with_none:
            return None
        if apart:
            member = by_kind.get(kind_of(value))
            return refuse(value, name) if member is None else member.load(value)
        given: Any = value
        tagged: list[Any] = [*given.items()] if type(given) is dict else []
        if len(tagged) != 1 or tagged[0][0] not in members:
            said = " or ".join(f'{{"{each}": ...}}' for each in names)
            raise Misfit(f"expected {said}, got another {class_name(value)}")
        return members[tagged[0][0]].load(tagged[0][1])

    shape.dump, shape.load = dump, load
    shape.kinds = frozenset(kinds) if apart else frozenset({"object", *(["null"] * with_none)})
    if all(each.classes for each in shapes):
        none = {type(None)} if with_none else set[type]()
        shape.classes = frozenset[type]().union(none, *(each.classes for each in shapes))

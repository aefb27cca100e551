"""How the values of a type travel as JSON: one shape for every type that has a structure.

cattrs makes those of attrs classes and dataclasses. What it would let pass is refused here: a value of another class,
of which a part would be lost; a union that JSON cannot tell apart.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from threading import RLock
from typing import Annotated, Any, Literal, NoReturn, TypeAlias, TypeVar, Union, get_args, get_origin

import attrs
from cattrs import Converter

from ..text import error_text
from ..values import define
from .choices import fill_enumeration, fill_literal, fill_union
from .classes import fill_class, fill_fields, fill_model, is_model
from .collected import ABSTRACT, fill_mapping, fill_sequence, fill_tuple, fill_unordered
from .fields import fields_of, with_arguments
from .leaves import LEAVES, PLAIN, Shape, plain
from .misfit import Misfit, NoStructure, refuse, type_name

__all__ = ["Shapes", "Turns"]

Turns: TypeAlias = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""What makes of a value something that JSON has, and what makes the value of that again."""

#: Say nothing about the values.
_ANYTHING = (Any, object)
#: Say something about a field, not about its values.
_QUALIFIERS = frozenset({"Required", "NotRequired", "ReadOnly", "Final"})
_IN_LITERAL = frozenset({type(None), bool, int, str, bytes})


def _nothing(value: Any) -> NoReturn:
    raise AssertionError("this shape is not made yet")


@define(eq=False)
class Shapes:
    """The shapes of all types that somebody has asked for. May be used in any thread.

    ``own`` has how classes travel that have no structure, or shall have another.
    """

    own: Mapping[type, Turns] = attrs.field(factory=dict[type, Turns])
    _made: dict[Any, Shape] = attrs.field(init=False, factory=dict[Any, Shape])
    _lock: RLock = attrs.field(init=False, factory=RLock)
    _converter: Converter = attrs.field(init=False, factory=Converter)

    def of(self, kind: Any) -> Shape:
        """The shape of a type. Raises: NoStructure - it has none."""
        kind = _bare(kind)
        with self._lock:
            try:
                made = self._made.get(kind)
            except TypeError:  # a mark somewhere in it cannot be hashed
                return self._filled(Shape(_nothing, _nothing, is_made=False), kind)
            if made is not None:
                return made
            before = len(self._made)
            shape = self._made[kind] = Shape(_nothing, _nothing, is_made=False)  # it may be a part of itself
            try:
                return self._filled(shape, kind)
            except BaseException:
                while len(self._made) > before:  # what was made of it meanwhile
                    self._made.popitem()
                raise

    def _filled(self, shape: Shape, kind: Any) -> Shape:
        try:
            self._fill(shape, kind)
        except RecursionError:
            raise NoStructure(f"{type_name(kind)} leads to itself without an end") from None
        shape.is_made = True
        return shape

    def _fill(self, shape: Shape, kind: Any) -> None:
        origin: Any = get_origin(kind) or kind
        if isinstance(origin, type) and origin in self.own:
            _fill_by(shape, kind, origin, self.own[origin])
        elif (leaf := _leaf(kind)) is not None:
            _copy(leaf, shape)
        elif isinstance(kind, TypeVar):
            _copy(self.of(_bound(kind)), shape)
        elif origin is Union or origin is types.UnionType:
            self._fill_union(shape, kind)
        elif origin is Literal:
            self._fill_literal(shape, kind, get_args(kind))
        elif _is_enumeration(kind):
            fill_enumeration(shape, kind)
        elif is_model(kind):
            fill_model(shape, kind)
        elif not self._fill_container(shape, kind, origin) and not self._fill_class(shape, kind):
            raise NoStructure(f"JSON has no structure for {type_name(kind)}")

    def _fill_container(self, shape: Shape, kind: Any, origin: Any) -> bool:
        arguments = get_args(kind)
        made = ABSTRACT.get(origin, origin)
        if made is list:
            fill_sequence(shape, kind, origin, self._part(arguments, 0))
        elif made in (set, frozenset):
            fill_unordered(shape, kind, origin, self._part(arguments, 0))
        elif made is dict:
            key = self._part(arguments, 0) if arguments else LEAVES[str]
            fill_mapping(shape, kind, origin, key, self._part(arguments, 1))
        elif origin is tuple:
            self._fill_tuple(shape, kind, arguments)
        else:
            return False
        return True

    def _part(self, arguments: tuple[Any, ...], at: int) -> Shape:
        return self.of(arguments[at]) if arguments else PLAIN

    def _fill_tuple(self, shape: Shape, kind: Any, arguments: tuple[Any, ...]) -> None:
        if kind is tuple or kind is typing.Tuple:  # noqa: UP006 - without arguments
            fill_tuple(shape, tuple, (), PLAIN)
        elif len(arguments) == 2 and arguments[1] is ...:
            fill_tuple(shape, kind, (), self.of(arguments[0]))
        else:
            items: list[Shape] = []
            for at, each in enumerate(arguments):
                with _inside(f"[{at}]"):
                    items.append(self.of(each))
            fill_tuple(shape, kind, tuple(items), None)

    def _fill_class(self, shape: Shape, kind: Any) -> bool:
        fields = fields_of(kind)
        if fields is None:
            return False
        parts: dict[str, Shape] = {}
        for name, each in fields.types.items():
            with _inside(f".{name}"):
                parts[name] = self.of(each)
        if fields.is_mapping or fields.is_tuple:
            fill_fields(shape, kind, fields, parts)
        else:
            fill_class(shape, kind, self._converter, parts)
        return True

    def _fill_union(self, shape: Shape, kind: Any) -> None:
        members = [*_members(kind)]
        if any(each in _ANYTHING for each in members):
            _copy(PLAIN, shape)
            return
        values = [value for each in members if get_origin(each) is Literal for value in get_args(each)]
        members = [each for each in members if get_origin(each) is not Literal]
        if float in members and int in members:
            members.remove(int)  # a float may be one
        shapes = {each: self.of(each) for each in members if each is not type(None)}
        named: dict[str, Shape] = {}
        for each, member in shapes.items():
            name = type_name(each)
            if name in named:
                name = f"{getattr(each, '__module__', '')}.{name}"
            named[name] = member
        if values:
            named["Literal"] = Shape(_nothing, _nothing)
            self._fill_literal(named["Literal"], kind, values)
        fill_union(shape, kind, named, with_none=type(None) in members)

    def _fill_literal(self, shape: Shape, kind: Any, values: Any) -> None:
        enumerations: dict[type, Shape] = {
            type(value): self.of(type(value)) for value in values if type(value) not in _IN_LITERAL
        }
        fill_literal(shape, values, enumerations)


def _fill_by(shape: Shape, kind: Any, origin: type, turns: Turns) -> None:
    """The shape of a class by functions of the program's."""
    name, (write, read) = type_name(kind), turns

    def dump(value: Any) -> Any:
        if type(value) is not origin:
            refuse(value, name)
        return plain(_by_others(write, value, name))

    shape.dump, shape.load = dump, lambda value: _by_others(read, value, name)
    shape.classes = frozenset({origin})


def _by_others(turn: Callable[[Any], Any], value: Any, name: str) -> Any:
    try:
        return turn(value)
    except Misfit:
        raise
    except Exception as error:
        raise Misfit(f"expected {name}: {error_text(error)}") from error


def _is_enumeration(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _leaf(kind: Any) -> Shape | None:
    if kind in _ANYTHING:
        return PLAIN
    try:
        return LEAVES.get(kind)
    except TypeError:
        return None


def _copy(known: Shape, shape: Shape) -> None:
    shape.dump, shape.load, shape.kinds, shape.classes = known.dump, known.load, known.kinds, known.classes
    if not known.is_made:
        shape.dump, shape.load = (lambda value: known.dump(value)), (lambda value: known.load(value))


def _bare(kind: Any) -> Any:
    """A type without what says nothing of its values: Annotated, NewType, aliases, qualifiers."""
    while True:
        origin = get_origin(kind)
        if kind is None:
            return type(None)
        if origin is Annotated or getattr(origin, "_name", None) in _QUALIFIERS:
            kind = get_args(kind)[0]
        elif isinstance(kind, typing.NewType):
            kind = kind.__supertype__
        elif type(kind).__name__ == "TypeAliasType":
            kind = _value_of(kind)
        elif type(origin).__name__ == "TypeAliasType":
            given = dict(zip(origin.__type_params__, get_args(kind), strict=False))
            kind = with_arguments(_value_of(origin), given)
        else:
            return kind


def _value_of(alias: Any) -> Any:
    try:
        return alias.__value__
    except Exception as error:
        raise NoStructure(f"the alias {alias} cannot be evaluated ({error_text(error)})") from error


def _bound(variable: TypeVar) -> Any:
    """What a type variable may stand for, where nothing says what it does."""
    if variable.__constraints__:
        return Union[variable.__constraints__]  # noqa: UP007 - of a tuple
    return Any if variable.__bound__ is None else variable.__bound__


def _members(kind: Any) -> Iterator[Any]:
    """The members of a union, also those of unions in it."""
    for each in get_args(kind):
        bare = _bare(each)
        if get_origin(bare) in (Union, types.UnionType):
            yield from _members(bare)
        else:
            yield bare


class _inside:
    """Tells of a part without structure where it is."""

    def __init__(self, step: str) -> None:
        self._step = step

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, NoStructure):
            raise error.under(self._step) from error.__cause__

"""Classes with fields: attrs classes and dataclasses by cattrs, NamedTuple and TypedDict, models of pydantic."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, cast, get_origin

from cattrs import Converter
from cattrs.errors import ClassValidationError
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from ..text import error_text
from .fields import Fields
from .leaves import ALL_KINDS, Shape
from .misfit import Misfit, refuse, type_name

__all__ = ["fill_class", "fill_fields", "fill_model", "is_model"]

_OBJECT = frozenset({"object"})


def fill_class(shape: Shape, kind: Any, converter: Converter, parts: Mapping[str, Shape]) -> None:
    """The shape of an attrs class or dataclass, of exactly this class: what a subclass adds would be lost."""
    origin = get_origin(kind) or kind
    hooks = {
        field: override(unstruct_hook=_writer(part), struct_hook=_reader(part))
        for field, part in parts.items()
    }
    write = make_dict_unstructure_fn(kind, converter, **cast("Any", hooks))
    read = make_dict_structure_fn(kind, converter, **cast("Any", hooks))
    name = type_name(kind)

    def dump(value: Any) -> Any:
        if type(value) is not origin:
            refuse(value, name)
        try:
            return write(value)
        except Misfit:
            # cattrs does not say in which field that was: look again, one by one.
            _look_for_misfit(lambda field: parts[field].dump(getattr(value, field)), parts)
            raise

    def load(value: Any) -> Any:
        if type(value) is not dict:
            refuse(value, f"{name} as an object")
        try:
            return read(cast("Any", value), kind)
        except ClassValidationError as error:
            raise _first(error, name) from error

    shape.dump, shape.load, shape.kinds, shape.classes = dump, load, _OBJECT, frozenset({origin})


def _writer(part: Shape) -> Callable[[Any], Any]:
    return part.dump if part.is_made else lambda value: part.dump(value)


def _reader(part: Shape) -> Callable[[Any, Any], Any]:
    return lambda value, _: part.load(value)


def _look_for_misfit(turn: Callable[[str], Any], fields: Mapping[str, Any]) -> None:
    for field in fields:
        try:
            turn(field)
        except Misfit as found:
            raise found.under(f".{field}") from found.__cause__


def _first(error: BaseException, name: str) -> Misfit:
    """The first of what cattrs has found wrong in a class."""
    if not isinstance(error, ClassValidationError):
        return error if isinstance(error, Misfit) else Misfit(f"expected {name}: {error_text(error)}")
    one: Any = error.exceptions[0]
    fields = [str(note.name) for note in getattr(one, "__notes__", ()) if hasattr(note, "name")]
    if isinstance(one, KeyError) and not fields:
        return Misfit(f"expected {name}, which has a field {one.args[0]!r}")
    if isinstance(one, KeyError) and one.args == (fields[0],):
        return Misfit("it is missing", f".{fields[0]}")
    found = _first(one, name)
    return found if not fields else cast("Misfit", found.under(f".{fields[0]}"))


def fill_fields(shape: Shape, kind: Any, fields: Fields, parts: Mapping[str, Shape]) -> None:
    """The shape of a NamedTuple or a TypedDict: an object, too."""
    origin: Any = get_origin(kind) or kind
    name, taken = type_name(kind), dict if fields.is_mapping else origin

    def dump(value: Any) -> Any:
        if type(value) is not taken:
            refuse(value, name)
        given = value if fields.is_mapping else value._asdict()
        return _turned(given, "dump")

    def load(value: Any) -> Any:
        if type(value) is not dict:
            refuse(value, f"{name} as an object")
        known = {each: part for each, part in cast("dict[str, Any]", value).items() if each in parts}
        loaded = _turned(known, "load")
        return loaded if fields.is_mapping else origin(**loaded)

    def _turned(given: Mapping[str, Any], how: str) -> dict[str, Any]:
        for missing in sorted(fields.required.difference(given)):
            raise Misfit("it is missing", f".{missing}")
        turned: dict[str, Any] = {}
        for each, part in given.items():
            if each not in parts:
                raise Misfit(
                    f"{name} has no key {each!r}" if type(each) is str else f"{name} has no such key"
                )
            try:
                turned[each] = getattr(parts[each], how)(part)
            except Misfit as found:
                raise found.under(f".{each}") from found.__cause__
        return turned

    shape.dump, shape.load, shape.kinds, shape.classes = dump, load, _OBJECT, frozenset({taken})


# pydantic ----------------------------------------------------------------------------------------------------


def is_model(kind: object) -> bool:
    """Whether this is a model of pydantic; where that is not loaded, nothing is."""
    pydantic: Any = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def fill_model(shape: Shape, kind: Any) -> None:
    """The shape of a model, by pydantic itself, under the names of its fields.

    What it writes is read again at once: a model may hide a part (SecretStr), or write it in a way of its own.
    """
    import json

    name = type_name(kind)
    root = sys.modules["pydantic"].RootModel

    def dump(value: Any) -> Any:
        if type(value) is not kind:
            refuse(value, name)
        try:
            text = value.model_dump_json(by_alias=False, round_trip=True)
            same = _read(text) == value
        except Misfit:
            raise
        except Exception as error:
            raise Misfit(f"pydantic cannot write {name}: {error_text(error)}") from error
        if not same:
            raise Misfit(f"what pydantic writes of {name} makes another one: JSON would lose a part")
        return json.loads(text)

    def _read(text: str) -> Any:
        try:
            return kind.model_validate_json(text, by_alias=False, by_name=True)
        except Exception as error:
            raise _of_model(error, name) from error

    shape.dump, shape.load = dump, lambda value: _read(json.dumps(value))
    shape.kinds, shape.classes = ALL_KINDS if issubclass(kind, root) else _OBJECT, frozenset({kind})


def _of_model(error: Exception, name: str) -> Misfit:
    """The first of what pydantic has found wrong. Its own text shows values."""
    errors: Any = getattr(error, "errors", None)
    if errors is None:
        return Misfit(f"pydantic cannot read {name}: {error_text(error)}")
    one = errors(include_url=False, include_context=False, include_input=False)[0]
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in one["loc"])
    return Misfit(f"{name}: {one['msg']}", path)

"""Values without parts: how JSON has them, so that what comes out is equal to what went in."""

from __future__ import annotations

import math
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from ..values import define
from .misfit import Misfit, refuse, step_to

__all__ = ["ALL_KINDS", "LEAVES", "PLAIN", "Shape", "kind_of", "plain"]

Turn = Callable[[Any], Any]

#: What JSON tells apart.
_KINDS: dict[type, str] = {
    type(None): "null", bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object",
}  # fmt: skip
ALL_KINDS = frozenset(_KINDS.values())


@define(eq=False)
class Shape:
    """How the values of one type travel: `dump` makes of one what JSON has, `load` makes it of that again.

    Both raise Misfit. ``kinds`` are what JSON may have of it, ``classes`` the classes of its values, where they are
    known.
    """

    dump: Turn
    load: Turn
    kinds: frozenset[str] = ALL_KINDS
    classes: frozenset[type] = frozenset()
    is_made: bool = True
    """False while its parts are looked for, of which it may be one."""


def kind_of(value: object) -> str:
    """What a value that was read from JSON is there."""
    return _KINDS[type(value)]


def _exactly(kind: type) -> Turn:
    name = "None" if kind is type(None) else kind.__name__

    def check(value: Any) -> Any:
        return value if type(value) is kind else refuse(value, name)

    return check


def _number(value: Any) -> Any:
    """A float; a whole number is one for type checkers, and stays what it is."""
    if type(value) is float:
        if math.isfinite(value):
            return value
        raise Misfit("JSON has no number for infinity and NaN")
    return value if type(value) is int else refuse(value, "float")


def _text_leaf(kind: type, write: Callable[[Any], str], read: Callable[[str], Any]) -> Shape:
    """Of a type whose values travel as text."""
    name = kind.__name__

    def dump(value: Any) -> str:
        return write(value) if type(value) is kind else refuse(value, name)

    def load(value: Any) -> Any:
        if type(value) is not str:
            refuse(value, f"{name} as text")
        try:
            return read(value)
        except Misfit:
            raise
        except Exception as error:
            raise Misfit(f"expected {name} as text, got a str that is none") from error

    return Shape(dump, load, frozenset({"string"}), frozenset({kind}))


def _base64(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode("ascii")


def _from_base64(text: str) -> bytes:
    return a2b_base64(text, strict_mode=True)


def _moment(value: datetime) -> str:
    """ISO 8601; of a zone with a name, that as RFC 9557 has it: ``2026-03-01T09:00:00+01:00[Europe/Berlin]``."""
    zone = value.tzinfo
    if zone is None:
        return value.isoformat()
    if value.utcoffset() is None:
        raise Misfit("its zone has no offset at this moment")
    name = zone.key if isinstance(zone, ZoneInfo) else None
    return f"{value.isoformat()}[{name}]" if name else value.isoformat()


def _from_moment(text: str) -> datetime:
    bare, bracket, name = text.partition("[")
    moment = datetime.fromisoformat(bare)
    if not bracket:
        return moment
    if not name.endswith("]") or moment.tzinfo is None:
        raise Misfit("expected datetime as text, got a str that is none")
    try:
        zone = ZoneInfo(name[:-1])
    except Exception as error:
        raise Misfit(f"the zone {name[:-1]!r} is not known here") from error
    offset, there = moment.utcoffset(), moment.replace(tzinfo=zone)
    for fold in (0, 1):
        there = there.replace(fold=fold)
        if there.utcoffset() == offset:
            return there
    return moment.astimezone(zone)  # the zone has other rules here: the moment counts


def _time(value: time) -> str:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise Misfit("a time of day in a zone without a fixed offset: JSON would lose the zone")
    return value.isoformat()


#: ISO 8601, without years and months, which have no length.
_DURATION = re.compile(
    r"(-?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:[.,](\d{1,6}))?S)?)?", re.ASCII
)


def _duration(value: timedelta) -> str:
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    return f"{sign}P{value.days}DT{value.seconds}{fraction}S"


def _from_duration(text: str) -> timedelta:
    found = _DURATION.fullmatch(text)
    if found is None or not any(part is not None for part in found.groups()[1:]):
        raise ValueError(text)
    sign, *numbers, fraction = found.groups()
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in numbers)
    length = timedelta(days, seconds, int((fraction or "0").ljust(6, "0")), 0, minutes, hours, weeks)
    return -length if sign else length


def _bare(kind: type, *kinds: str) -> Shape:
    check = _exactly(kind)
    return Shape(check, check, frozenset(kinds), frozenset({kind}))


LEAVES: dict[Any, Shape] = {
    type(None): _bare(type(None), "null"),
    bool: _bare(bool, "boolean"),
    int: _bare(int, "number"),
    str: _bare(str, "string"),
    float: Shape(_number, _number, frozenset({"number"}), frozenset({float, int})),
    bytes: _text_leaf(bytes, _base64, _from_base64),
    Decimal: _text_leaf(Decimal, str, Decimal),
    UUID: _text_leaf(UUID, str, UUID),
    datetime: _text_leaf(datetime, _moment, _from_moment),
    date: _text_leaf(date, date.isoformat, date.fromisoformat),
    time: _text_leaf(time, _time, time.fromisoformat),
    timedelta: _text_leaf(timedelta, _duration, _from_duration),
}

_SIMPLE = frozenset({type(None), bool, int, str})


def plain(value: Any) -> Any:
    """A value without an annotation: what JSON has, as it is.

    Raises: Misfit - JSON would change it silently (a tuple, a number as a key), or cannot hold it.
    """
    kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType]
    if kind in _SIMPLE:
        return value
    if kind is float:
        return _number(value)
    if kind is list:
        return _plain_parts(value, enumerate(cast("list[Any]", value)))
    if kind is not dict:
        raise Misfit(f"JSON cannot hold {kind.__name__} as it is: give it an annotation")
    named = cast("dict[Any, Any]", value)
    for key in named:
        if type(key) is not str:
            raise Misfit(f"a dictionary with a key that is {type(key).__name__}: give it an annotation")
    return _plain_parts(value, named.items())


def _plain_parts(value: Any, parts: Any) -> Any:
    for step, part in parts:
        kind: Any = type(part)  # pyright: ignore[reportUnknownVariableType]
        if kind not in _SIMPLE:
            try:
                plain(part)
            except Misfit as found:
                raise found.under(step_to(step)) from None
            except RecursionError:
                raise Misfit("it is nested too deeply") from None
    return value


def _as_it_is(value: Any) -> Any:
    return value


PLAIN = Shape(plain, _as_it_is)
"""Of what has no annotation, or Any."""

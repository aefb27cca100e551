"""What a pickle may make where nothing foreign is run, and what stands in for the rest. See `docket.store.plain`."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from itertools import chain
from typing import Any, cast
from uuid import UUID

from ..text import printable
from ..values import frozen

__all__ = ["NotPlain", "NotShown", "called", "check_key", "fits", "strange", "uuid_of"]

#: Characters of what is shown, and of what is hashed (equal hashes are compared with each other, one by one).
MOST_SHOWN, MOST_HASHED = 10_000, 300

MOST_DEEP = 50
LONGEST_NAME = 100


class NotPlain(ValueError):
    """A pickle that is broken, breaks a bound, or makes more than plain values; the message says which."""


@frozen(eq=False, repr=False)
class NotShown:
    """Stands for a class or a function that a pickle names, and for whatever would be made with it."""

    module: str
    name: str

    def __repr__(self) -> str:
        named = f"{self.module}.{self.name}".lstrip(".")
        if len(named) > LONGEST_NAME:
            named = f"{named[:LONGEST_NAME]}..."
        return f"(not shown: {printable(named)})"


class _Zone(tzinfo):
    """Stands for a time zone whose rules are in a file: it looks the same, and knows no offset."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __repr__(self) -> str:
        return f"zoneinfo.ZoneInfo(key={self._key!r})"

    def utcoffset(self, dt: datetime | None, /) -> None:
        return None

    dst = tzname = utcoffset


# What is called ------------------------------------------------------------------------------------------------


def _bytes(state: object, length: int) -> bytes:
    if type(state) is not bytes or len(state) != length:
        raise ValueError
    return state


def _zone(zone: object) -> tzinfo | None:
    if zone is not None and type(zone) not in (timezone, _Zone):
        raise ValueError
    return cast("tzinfo | None", zone)


def _date(state: object) -> date:
    high, low, month, day = _bytes(state, 4)
    return date(high << 8 | low, month, day)


def _time(state: object, zone: object = None) -> time:
    hour, minute, second, *micro = _bytes(state, 6)
    return time(hour & 127, minute, second, int.from_bytes(micro), _zone(zone), fold=hour >> 7)


def _datetime(state: object, zone: object = None) -> datetime:
    high, low, month, day, hour, minute, second, *micro = _bytes(state, 10)
    return datetime(
        high << 8 | low, month & 127, day, hour, minute, second, int.from_bytes(micro), _zone(zone),
        fold=month >> 7,
    )  # fmt: skip


def _whole(*numbers: object) -> tuple[int, ...]:
    if not all(type(number) is int and number.bit_length() < 64 for number in numbers):
        raise ValueError
    return cast("tuple[int, ...]", numbers)


def _name(text: object) -> str:
    if type(text) is not str or len(text) > LONGEST_NAME:
        raise ValueError
    return text


def _timezone(offset: object, *name: object) -> timezone:
    if type(offset) is not timedelta:
        raise ValueError
    return timezone(offset, *map(_name, name))


def _zone_named(key: object, cached: object) -> tzinfo:
    return _Zone(_name(key))


def _decimal(digits: object) -> Decimal:
    if type(digits) is not str or len(digits) > MOST_SHOWN:
        raise ValueError
    return Decimal(digits)


def _complex(real: object, imaginary: object) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise ValueError
    return complex(real, imaginary)


def _deque(items: object = (), longest: object = None) -> deque[Any]:
    if items != ():
        raise ValueError
    return deque(maxlen=None if longest is None else _whole(longest)[0])


def _ordered() -> OrderedDict[Any, Any]:
    return OrderedDict()


def _default(factory: object = None) -> dict[Any, Any]:
    return {}  # what makes the defaults is not asked: it is shown as what it holds


def uuid_of(state: object) -> UUID | None:
    number = cast("dict[object, object]", state).get("int") if type(state) is dict else None
    return UUID(int=number) if type(number) is int and 0 <= number < 2**128 else None


#: What may be called with the arguments of a pickle, by module and name. Each looks at what it is given.
_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("datetime", "date"): _date,
    ("datetime", "time"): _time,
    ("datetime", "datetime"): _datetime,
    ("datetime", "timedelta"): lambda *parts: timedelta(*_whole(*parts)),
    ("datetime", "timezone"): _timezone,
    ("zoneinfo", "ZoneInfo._unpickle"): _zone_named,
    ("decimal", "Decimal"): _decimal,
    ("builtins", "complex"): _complex,
    ("builtins", "range"): lambda *parts: range(*_whole(*parts)),
    ("collections", "deque"): _deque,
    ("collections", "OrderedDict"): _ordered,
    ("collections", "defaultdict"): _default,
}

#: Ways to name a class that is the first of the arguments.
_ABOUT_ANOTHER = {("builtins", "getattr"), ("copyreg", "__newobj__"), ("copyreg", "_reconstructor")}


def called(function: object, arguments: object) -> object:
    """What is made of a call; a stand-in where it is not known, or has other arguments than it is pickled with."""
    if not isinstance(function, NotShown) or type(arguments) is not tuple:
        raise NotPlain("it calls what is no function")
    given = cast("tuple[Any, ...]", arguments)
    named = function.module, function.name
    if named in _ABOUT_ANOTHER and given and isinstance(given[0], NotShown):
        if given[1:] == ("_unpickle",):
            return NotShown(given[0].module, f"{given[0].name}._unpickle")
        return given[0]
    if (make := _KNOWN.get(named)) is None:
        return NotShown(*named)
    try:
        return make(*given)
    except (ValueError, TypeError, ArithmeticError):
        return NotShown(*named)


# What it costs -------------------------------------------------------------------------------------------------

_CONTAINERS = frozenset({list, tuple, dict, set, frozenset, deque, OrderedDict})


def fits(value: Any, most: int = MOST_SHOWN) -> bool:
    """Whether showing, hashing or comparing a value of `read_plain` is so little work; one that holds itself is not."""
    return _left(value, most, MOST_DEEP) >= 0


def _left(value: Any, budget: int, depth: int) -> int:
    """What is left of a budget after a value with all that it holds, as often as it holds it."""
    kind = cast("type[object]", type(value))
    if kind in _CONTAINERS:
        if not depth:
            return -1
        budget -= 2
        for part in _parts(value):
            if (budget := _left(part, budget, depth - 1)) < 0:
                break
        return budget
    if kind in (str, bytes, bytearray):
        return budget - 2 - len(value)
    if kind is int:
        return budget - 8 - value.bit_length() // 3
    if kind is Decimal:
        return budget - 8 - len(value.as_tuple().digits)
    return budget - 8


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return chain.from_iterable(cast("dict[Any, Any]", value).items())
    return cast("Iterable[Any]", value)


def strange(value: Any) -> Iterator[object]:
    """What of a value, which fits, only looks like what was pickled."""
    if isinstance(value, NotShown):
        yield value
    elif isinstance(value, datetime | time) and isinstance(value.tzinfo, _Zone):
        yield value.tzinfo
    elif type(value) in _CONTAINERS:
        for part in _parts(value):
            yield from strange(part)


def check_key(key: Any) -> Any:
    """A member of a set or a key, if it is no work to hash it and to compare it with others."""
    if type(key) is not str and not fits(key, MOST_HASHED):
        raise NotPlain("a key that is too long")
    return key

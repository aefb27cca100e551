"""Types that have a structure, and for each of them values: for tests that generate both."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, StrEnum
from typing import Any, Generic, Literal, NamedTuple, NotRequired, Required, TypedDict, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel

T = TypeVar("T")


class Colour(StrEnum):
    RED = "r"
    GREEN = "g"


class Level(Enum):
    LOW = 1
    HIGH = 2


class Odd(Enum):
    NUMBER = 1
    TEXT = "1"
    PAIR = (1, 2)


class Rights(Flag):
    READ = 1
    WRITE = 2


@dataclass
class Row:
    price: Decimal
    name: str = "row"
    children: list[Row] = field(default_factory=list)


@dataclass(kw_only=True, frozen=True)
class Measured:
    at: datetime
    lasted: timedelta | None
    what: Colour | int


@attrs.define
class Card:
    number: int
    _owner: str = "nobody"
    seen: set[UUID] = attrs.field(factory=set)
    length: int = attrs.field(init=False, default=3)


@attrs.frozen
class Account:
    iban: str


@dataclass
class Page(Generic[T]):
    items: list[T]
    more: T | None = None


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Options(TypedDict, total=False):
    name: Required[str]
    limit: int
    until: NotRequired[date]


class Model(BaseModel):
    identity: UUID
    at: datetime
    tags: list[str] = []


class Names(RootModel[list[str]]):
    pass


ZONES = st.sampled_from(
    [
        UTC,
        timezone(timedelta(hours=-3, minutes=30)),
        ZoneInfo("Europe/Berlin"),
        ZoneInfo("UTC"),
        None,
    ]
)
MOMENTS = st.datetimes(timezones=ZONES, allow_imaginary=False)
DECIMALS = st.decimals(allow_nan=False)

LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    bool: st.booleans(),
    str: st.text(),
    float: st.floats(allow_nan=False, allow_infinity=False) | st.integers(),
    bytes: st.binary(),
    type(None): st.none(),
    Decimal: DECIMALS,
    UUID: st.uuids(),
    datetime: MOMENTS,
    date: st.dates(),
    time: st.times(timezones=st.sampled_from([None, UTC])),
    timedelta: st.timedeltas(),
    Colour: st.sampled_from(Colour),
    Level: st.sampled_from(Level),
    Odd: st.sampled_from(Odd),
    Rights: st.sampled_from([Rights(0), Rights.READ, Rights.READ | Rights.WRITE]),
    Literal["a", 2, None, Level.LOW, b"x"]: st.sampled_from(["a", 2, None, Level.LOW, b"x"]),
    Any: st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=5,
    ),
}

ROWS = st.recursive(
    st.builds(Row, DECIMALS, st.text()),
    lambda inner: st.builds(Row, DECIMALS, st.text(), st.lists(inner, max_size=2)),
    max_leaves=4,
)

CLASSES: dict[Any, st.SearchStrategy[Any]] = {
    Row: ROWS,
    Measured: st.builds(
        Measured, at=MOMENTS, lasted=st.none() | st.timedeltas(), what=st.sampled_from(Colour) | st.integers()
    ),
    Card: st.builds(Card, st.integers(), st.text(), st.sets(st.uuids(), max_size=2)),
    Account: st.builds(Account, st.text()),
    Page[Decimal]: st.builds(Page, st.lists(DECIMALS, max_size=2), st.none() | DECIMALS),
    Point: st.builds(Point, LEAVES[float], LEAVES[float]),
    Options: st.fixed_dictionaries(
        {"name": st.text()}, optional={"limit": st.integers(), "until": st.dates()}
    ),
    Model: st.builds(
        Model, identity=st.uuids(), at=st.datetimes(timezones=st.just(UTC)), tags=st.lists(st.text())
    ),
    Names: st.builds(Names, st.lists(st.text(), max_size=2)),
    Card | Account: st.builds(Card, st.integers()) | st.builds(Account, st.text()),
    Card | Account | None: st.none() | st.builds(Account, st.text()),
    datetime | str: MOMENTS | st.text(),
    int | str | None: st.integers() | st.text() | st.none(),
    list[int] | dict[str, int]: st.lists(st.integers()) | st.dictionaries(st.text(), st.integers()),
    list[int] | list[str]: st.lists(st.integers()) | st.lists(st.text()),
    int | float | Decimal: st.integers() | DECIMALS,
}

#: Whose values can be hashed.
KEYS = [int, bool, str, bytes, Decimal, UUID, date, timedelta, Colour, Level, Odd]


@st.composite
def typed(draw: st.DrawFn, depth: int = 2) -> tuple[Any, Any]:
    """A type, and a value of it."""
    containers = ["list", "tuple", "many", "dict", "set", "frozenset", "optional"] if depth else []
    what = draw(st.sampled_from([*LEAVES, *CLASSES, *containers]))
    if what not in containers:
        return what, draw((LEAVES | CLASSES)[what])
    key = draw(st.sampled_from(KEYS))
    if what in ("set", "frozenset"):
        kind: Any = set if what == "set" else frozenset
        return kind[key], kind(draw(st.lists(LEAVES[key], max_size=3)))
    inner, value = draw(typed(depth - 1))
    match what:
        case "list":
            return list[inner], [value] * draw(st.integers(0, 2))
        case "tuple":
            return tuple[key, inner], (draw(LEAVES[key]), value)
        case "many":
            return tuple[inner, ...], (value,) * draw(st.integers(0, 2))
        case "dict":
            return dict[key, inner], {draw(LEAVES[key]): value}
        case _:
            return inner | None, draw(st.sampled_from([None, value]))


def alike(one: Any, other: Any) -> bool:
    """Whether two values are equal, and of the same classes in all of their parts."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, Mapping):
        return all(alike(one[key], other[key]) for key in one) and all(
            any(alike(key, each) for each in other) for key in one
        )
    if isinstance(one, Sequence) and not isinstance(one, str | bytes):
        return all(map(alike, one, other))
    if dataclasses.is_dataclass(one):
        return alike(vars(one), vars(other))
    if isinstance(one, datetime):
        return alike(one.tzinfo, other.tzinfo) if one.tzinfo is not UTC else True
    return True

"""What has a structure and what has none; what does not fit is refused, with the path to the wrong part."""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any, Literal, NewType, Optional, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import pytest
from pydantic import BaseModel, SecretStr

from docket.serializers.misfit import Misfit, NoStructure
from docket.serializers.shapes import Shapes
from tests.serializers.typed import Account, Card, Colour, Level, Model, Options, Page, Point, Row

shapes = Shapes()
ONE = Decimal(1)


class Sub(Row):
    pass


class HasSecret(BaseModel):
    word: SecretStr


@dataclass
class Calls:
    listed: list[Callable[[], int]]


@attrs.define
class Bare:
    number = attrs.field()


class Talks(Protocol):
    def talk(self) -> None: ...


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (list[Row], [Row(ONE), Row([])], "[1].price: expected Decimal, got list"),
        (list[Row], [Row(ONE, children=[Row(3)])], "[0].children[0].price: expected Decimal, got int"),
        (dict[str, list[int]], {"a": [1, "b"]}, "['a'][1]: expected int, got str"),
        (dict[UUID, int], {1: 1}, "[1]: expected UUID, got int"),
        (tuple[int, str], (1,), "expected tuple[int, str], got 1 values"),
        (tuple[int, ...], [1], "expected tuple[int, ...], got list"),
        (set[int], {"a"}, "[...]: expected int, got str"),
        (list[str], "abc", "expected list[str], got str"),
        (Card | Account, 3, "expected Card | Account, got int"),
        (Card | Account | None, Card("x"), "number: expected int, got str"),
        (Row, Sub(ONE), "expected Row, got Sub"),
        (Options, {"limit": 1}, "name: it is missing"),
        (Options, {"name": "a", "other": 1}, "Options has no key 'other'"),
        (Point, Point("x"), "x: expected float, got str"),
        (Page[Decimal], Page([1]), "items[0]: expected Decimal, got int"),
        (Literal["a", "b"], "c", "expected 'a' or 'b', got another str"),
        (Colour, "r", "expected Colour, got str"),
        (Level, 1, "expected Level, got int"),
        (int, True, "expected int, got bool"),
        (str, Colour.RED, "expected str, got Colour"),
        (float, float("nan"), "JSON has no number for infinity and NaN"),
        (time, time(1, tzinfo=ZoneInfo("Europe/Berlin")), "a time of day in a zone without a fixed offset"),
        (Model, 3, "expected Model, got int"),
        (HasSecret, HasSecret(word="a"), "what pydantic writes of HasSecret makes another one"),
        (Any, (1,), "JSON cannot hold tuple as it is: give it an annotation"),
        (Any, {"a": [{1: 2}]}, "['a'][0]: a dictionary with a key that is int: give it an annotation"),
        (None, 0, "expected None, got int"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_with_the_path_to_it(kind: Any, value: Any, said: str) -> None:
    with pytest.raises(Misfit) as refused:
        shapes.of(kind).dump(value)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("kind", "read", "said"),
    [
        (list[Row], [{"price": "1"}, {"price": []}], "[1].price: expected Decimal as text, got list"),
        (list[Row], [{"price": "secret"}], "[0].price: expected Decimal as text, got a str that is none"),
        (list[Row], [{"name": "a"}], "[0].price: it is missing"),
        (Row, [], "expected Row as an object, got list"),
        (Card, {"number": 1, "_owner": 2}, "_owner: expected str, got int"),
        (Card | Account, {"Car": 3}, 'expected {"Card": ...} or {"Account": ...}, got another dict'),
        (Card | Account, {"Card": {"number": "x"}}, "number: expected int, got str"),
        (int | str | None, [], "expected int | str | None, got list"),
        (Options, {"limit": "x", "name": "a"}, "limit: expected int, got str"),
        (tuple[int, str], [1, 2], "[1]: expected str, got int"),
        (dict[int, str], [[1, "a"], [2]], "[1]: expected a pair of a key and a value"),
        (set[Any], [[]], "expected parts that can be hashed"),
        (datetime, "2026-01-01T00:00+01:00[Nowhere/Land]", "the zone 'Nowhere/Land' is not known here"),
        (Colour, "x", "expected Colour, which has no such value"),
        (Model, {"identity": "x", "at": 1}, "identity: Model: Input should be a valid UUID"),
    ],
)  # fmt: skip
def test_what_is_read_and_does_not_fit_is_refused_likewise(kind: Any, read: Any, said: str) -> None:
    with pytest.raises(Misfit) as refused:
        shapes.of(kind).load(read)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Calls, "listed: JSON has no structure for Callable"),
        (dict[str, Calls], "listed: JSON has no structure for Callable"),
        (Bare, "number: it has no annotation"),
        (Talks, "JSON has no structure for Talks"),
        (PurePosixPath, "JSON has no structure for PurePosixPath"),
        (Iterator[int], "JSON has no structure for Iterator[int]"),
        (type[int], "JSON has no structure for type[int]"),
        (Literal[1, Level.LOW], "JSON cannot tell apart <Level.LOW: 1> and 1"),
        (tuple[int, Talks], "[1]: JSON has no structure for Talks"),
    ],
)  # fmt: skip
def test_a_type_without_a_structure_is_told_with_the_path_to_it(kind: Any, said: str) -> None:
    for _ in range(2):  # nothing half-made is kept
        with pytest.raises(NoStructure) as refused:
            shapes.of(kind)
        assert str(refused.value).startswith(said)


def test_no_value_is_shown_since_it_may_be_secret() -> None:
    for turn in (shapes.of(list[int]).dump, shapes.of(list[Decimal]).load):
        with pytest.raises(Misfit) as refused:
            turn(["hunter2"])
        assert "hunter2" not in str(refused.value)


def test_json_tells_members_of_a_union_apart_or_their_names_do() -> None:
    assert shapes.of(int | str | None).dump("a") == "a"
    assert shapes.of(Optional[Row]).dump(None) is None  # noqa: UP045
    assert shapes.of(Row | list[int]).dump([1]) == [1]
    assert shapes.of(Card | Account).dump(Account("x")) == {"Account": {"iban": "x"}}
    assert shapes.of(datetime | str | None).dump("a") == {"str": "a"}


def test_keys_are_those_of_an_object_where_they_are_text() -> None:
    assert shapes.of(dict[UUID, int]).dump({UUID(int=0): 1}) == {str(UUID(int=0)): 1}
    assert shapes.of(dict[int, str]).dump({1: "a"}) == [[1, "a"]]


def test_what_an_annotation_leaves_open_arrives_as_the_usual_class() -> None:
    assert shapes.of(Sequence[int]).load(shapes.of(Sequence[int]).dump((1, 2))) == [1, 2]
    assert shapes.of(Mapping[str, int]).load({"a": 1}) == {"a": 1}


def test_names_for_types_are_looked_through() -> None:
    Price = NewType("Price", Decimal)
    assert shapes.of(typing.Annotated[Price, ["a mark"]]).dump(ONE) == "1"


def test_a_zone_travels_by_its_name_also_in_the_hour_that_comes_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for fold, offset in ((0, "+02:00"), (1, "+01:00")):
        moment = datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=berlin)
        written = shapes.of(datetime).dump(moment)
        assert written == f"2026-10-25T02:30:00{offset}[Europe/Berlin]"
        read = shapes.of(datetime).load(written)
        assert (read, read.fold, read.tzinfo) == (moment, fold, berlin)


def test_a_class_of_which_the_program_says_how_it_travels() -> None:
    own = Shapes({PurePosixPath: (str, PurePosixPath), Enum: (str, str)})
    path = PurePosixPath("/a")
    assert own.of(list[PurePosixPath]).dump([path]) == ["/a"]
    assert own.of(list[PurePosixPath]).load(["/a"]) == [path]
    with pytest.raises(Misfit, match="expected PurePosixPath"):
        own.of(PurePosixPath).load([1])

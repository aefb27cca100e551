"""Classes of `docket.values` show, compare and hash as those of attrs do."""

from __future__ import annotations

import ast
from typing import Any

import attrs
import pytest

from docket import values
from tests.house.tree import label, parsed, sources


def classes(decorators: Any) -> dict[str, Any]:
    """The same classes, made by one of the two modules."""

    @decorators.frozen
    class Value:
        name: str
        secret: str = attrs.field(default="", repr=False)
        note: str = attrs.field(default="", eq=False)
        more: Any = None

    @decorators.frozen
    class Other(Value):
        most: int = 0

    @decorators.define
    class Changing:
        name: str

    @decorators.define(eq=False)
    class Thing:
        name: str

    @decorators.frozen(order=True)
    class Ordered:
        name: str

    @decorators.frozen(repr=False)
    class Own:
        name: str

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 7

    return {name: kind for name, kind in locals().items() if name != "decorators"}


OURS, THEIRS = classes(values), classes(attrs)


@pytest.mark.parametrize("name", OURS)
def test_a_class_shows_compares_and_hashes_as_one_of_attrs(name: str) -> None:
    seen: list[Any] = []
    for kind in (OURS[name], THEIRS[name]):
        one, same, other = kind("a"), kind("a"), kind("b")
        seen.append((one == same, one != same, one == other, one == "a", one is one))
        seen[-1] += tuple(hash(each) == hash(one) for each in (same, other)) if kind.__hash__ else ()
        seen[-1] += (repr(one).partition(" object at ")[0],)
    assert seen[0] == seen[1]


def test_what_is_not_shown_and_not_compared_is_neither() -> None:
    ours, theirs = (kind["Value"]("a", "password", "note") for kind in (OURS, THEIRS))
    assert repr(ours) == repr(theirs)
    assert ours == OURS["Value"]("a", "password", "another note") != OURS["Value"]("a", "another", "note")


def test_values_of_two_classes_differ() -> None:
    assert OURS["Value"]("a") != OURS["Other"]("a")


def test_a_value_that_holds_itself_can_be_shown() -> None:
    shown = [repr(kind["Value"]("a", more=held)) for kind in (OURS, THEIRS) for held in [list[Any]()]]
    assert shown[0] == shown[1]
    held = list[Any]()
    held.append(OURS["Value"]("a", more=held))
    assert "..." in repr(held[0])


#: What few programs load, or only those that run for long.
ROOF = ("docket/cli/", "docket/web/", "docket/testing/")


def test_every_class_is_made_by_the_decorators_that_cost_less_to_import() -> None:
    wrong = [
        f"{label(path)}:{node.lineno}"
        for path in sources()
        if label(path) != "docket/values.py" and not label(path).startswith(ROOF)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"attrs.define", "attrs.frozen"}
    ]
    assert not wrong, "take `define` and `frozen` from docket.values"

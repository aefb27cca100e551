"""What instructions come down to, and which calls they concern."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from docket.errors import UsageError
from docket.rules import Condition, Operator, StrikesInEffect, checked_condition

Seen = list[tuple[Operator, object, object]]


def condition(
    function: str | None, parameter: str | None = None, operator: str = "==", value: Any = None
) -> Condition:
    return checked_condition(function, parameter, operator, value)


def struck(*conditions: Condition) -> StrikesInEffect:
    effect = StrikesInEffect()
    for each in conditions:
        effect.strike(each)
    return effect


def forbids(effect: StrikesInEffect, function: str, complaints: Seen | None = None, **arguments: Any) -> bool:
    seen: Seen = [] if complaints is None else complaints
    return effect.forbids(function, lambda: arguments, lambda *complaint: seen.append(complaint))


NAN = float("nan")


@pytest.mark.parametrize(
    ("operator", "value", "matching", "others"),
    [
        ("==", 1, [1, 1.0, True], [2, "1", None, [1], NAN]),
        ("==", None, [None], [0, ""]),
        ("!=", 1, [2, "1", None, [1]], [1, True]),
        (">", 10, [11, 10.5], [10, 9, NAN]),
        (">=", 10, [10, 11], [9]),
        ("<", 10, [9], [10, 11]),
        ("<=", "low", ["high", "low"], ["medium"]),
        ("between", (5, 10), [5, 7.5, 10], [4, 11]),
        ("between", ("a", "m"), ["a", "k", "m"], ["z"]),
        ("between", (5, 5), [5], [4, 6]),
    ],
)
def test_an_operator_compares_the_argument_with_the_value(
    operator: str, value: Any, matching: list[Any], others: list[Any]
) -> None:
    for effect in struck(condition("f", "p", operator, value)), struck(condition(None, "p", operator, value)):
        complaints: Seen = []
        for argument in matching:
            assert forbids(effect, "f", complaints, p=argument), argument
        for argument in others:
            assert not forbids(effect, "f", complaints, p=argument), argument
        assert complaints == []


class Angry:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("do not compare me")

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("operator", "value", "argument"),
    [
        (">", 10, "k"),
        ("<=", 10, None),
        ("between", (5, 10), "k"),
        ("<", datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC)),
        ("==", 1, Angry()),
    ],
)
def test_what_cannot_be_compared_does_not_match_and_is_told(operator: str, value: Any, argument: Any) -> None:
    complaints: Seen = []
    assert not forbids(struck(condition("f", "p", operator, value)), "f", complaints, p=argument)
    ((told, strike, given),) = complaints
    assert (told, strike) == (operator, value)
    assert given is argument


class Interrupting:
    def __gt__(self, other: object) -> bool:
        raise KeyboardInterrupt


def test_ctrl_c_gets_out_of_a_comparison() -> None:
    with pytest.raises(KeyboardInterrupt):
        forbids(struck(condition("f", "p", ">", 1)), "f", p=Interrupting())


def test_a_strike_concerns_what_it_names() -> None:
    whole, own, every = condition("f"), condition("f", "p", "==", 1), condition(None, "p", "==", 1)
    assert forbids(struck(whole), "f")
    assert not forbids(struck(whole), "g")
    assert forbids(struck(own), "f", p=1)
    assert not forbids(struck(own), "g", p=1)
    assert not forbids(struck(own), "f", q=1)
    assert forbids(struck(every), "f", p=1)
    assert forbids(struck(every), "g", p=1)
    assert not forbids(struck(every), "g", q=1)
    for effect, expected in (struck(every), True), (struck(whole, own), False):
        assert effect.forbids_values({"p": 1, "q": 2}, lambda *_: None) is expected


def test_the_arguments_are_asked_for_only_if_a_value_decides() -> None:
    def never() -> dict[str, Any]:
        raise AssertionError("nobody needs them")

    effect = struck(condition("f"), condition("g", "p", "==", 1))
    assert effect.forbids("f", never, lambda *_: None)
    assert not effect.forbids("h", never, lambda *_: None)


def test_restoring_takes_back_the_very_same_and_nothing_else() -> None:
    whole, first, second = condition("f"), condition("f", "p", "==", 1), condition("f", "p", ">", 1)
    effect = struck(whole, first, second)
    effect.restore(condition("f", "p", "==", 2))
    effect.restore(condition(None, "p", "==", 1))
    effect.restore(condition("g"))
    assert effect.tasks == {"f": {"p": {("==", 1), (">", 1)}}}
    effect.restore(condition("f", "p", "==", 1.0))
    effect.restore(second)
    assert effect.tasks == {"f": {}}, "still struck as a whole"
    assert forbids(effect, "f", p=5)
    effect.strike(first)
    effect.restore(whole)
    assert effect.tasks == {"f": {"p": {("==", 1)}}}
    assert not forbids(effect, "f", p=5)
    assert forbids(effect, "f", p=1)
    effect.restore(first)
    assert not effect
    effect.strike(condition(None, "p", "==", 1))
    assert effect.parameters == {"p": {("==", 1)}}
    effect.restore(condition(None, "p", "==", 1))
    assert not effect


def test_whatever_is_struck_makes_it_true() -> None:
    assert not struck()
    for each in condition("f"), condition("f", "p", "==", 1), condition(None, "p", "==", 1):
        assert struck(each)


def test_a_value_that_cannot_be_hashed_is_refused_and_changes_nothing() -> None:
    for function, parameter in ("f", None), ("f", "p"), (None, "p"):
        unhashable = Condition(function, parameter, Operator.EQUAL, [1])
        effect = struck(condition("g"))
        for change in effect.strike, effect.restore:
            with pytest.raises(TypeError, match="unhashable"):
                change(unhashable)
        assert (effect.tasks, effect.parameters) == ({"g": {}}, {})


def test_a_task_struck_by_a_parameter_is_not_listed_as_a_whole() -> None:
    assert [each.parameter for each in struck(condition("f", "p", "==", 1)).conditions()] == ["p"]


def test_what_is_struck_can_be_listed() -> None:
    every = [condition("f"), condition("f", "p", ">", 1), condition("g"), condition(None, "p", "==", 1)]
    effect = struck(*every)

    def shown(conditions: list[Condition]) -> set[Any]:
        return {(c.function, c.parameter, c.operator, c.value) for c in conditions}

    assert shown(effect.conditions()) == shown(every)
    assert all(effect.has(each) for each in every)
    assert not effect.has(condition("f", "p", ">", 2))


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (
            ("f", "p", "~", 1),
            UsageError,
            "'~' is not a valid Operator; use one of ==, !=, >, >=, <, <=, between",
        ),
        (("f", "p", None, 1), UsageError, "None is not a valid Operator"),
        ((None, None, "==", None), UsageError, "names a function, a parameter, or both"),
        (("f", None, ">", 5), UsageError, "> 5 has no parameter to be compared with: name it"),
        (("f", None, "==", 5), UsageError, "== 5 has no parameter to be compared with: name it"),
        (("f", "p", "between", 5), UsageError, r"takes a pair \(lower, upper\), not 5"),
        (("f", "p", "between", (1, 2, 3)), UsageError, r"takes a pair \(lower, upper\), not \(1, 2, 3\)"),
        (("f", "p", "between", (2, 1)), UsageError, r"\(2, 1\) is the wrong way round"),
        (("f", "p", "between", (1, "a")), TypeError, r"a pair that can be ordered, not \(1, 'a'\)"),
        (("f", "p", "between", [1, 2]), TypeError, "takes a hashable value .a tuple instead of a list"),
        (("f", "p", "==", [1]), TypeError, r"takes a hashable value .*, not \[1\]"),
        (("f", "p", ">", None), TypeError, "takes a value that can be compared so, not None"),
        (("f", "p", "<=", 1j), TypeError, "with <= takes a value that can be compared so, not 1j"),
        ((print, "p", "==", 1), TypeError, "the function of a strike is named by a str"),
        (("f", 1, "==", 1), TypeError, "the parameter of a strike is named by a str, not by 1"),
        (("\ud800", "p", "==", 1), UsageError, "the function of a strike"),
        (("f", "\ud800", "==", 1), UsageError, "the parameter of a strike"),
    ],
)
def test_a_strike_that_could_never_work_is_refused(
    words: tuple[Any, Any, Any, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        checked_condition(*words)


def test_an_operator_is_the_text_that_users_write() -> None:
    assert list(Operator) == ["==", "!=", ">", ">=", "<", "<=", "between"]
    assert Operator("between") is Operator.BETWEEN
    assert {("==", 1)} == {(Operator.EQUAL, 1)}

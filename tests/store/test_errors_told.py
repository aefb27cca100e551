"""Exceptions that are told instead of pickled: of a type that is known again that, of others all that is known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from docket.errors import DeliveryLimitExceeded, ExecutionFailed
from docket.store import Told, name_of_exception, tell


class OutOfStock(Exception):
    def __init__(self, what: str, left: int = 0) -> None:
        super().__init__(f"{what}: {left} left")
        self.left = left


KNOWN = {name_of_exception(OutOfStock): OutOfStock}


def told(error: BaseException, known: Any = KNOWN) -> BaseException:
    return Told(json.loads(json.dumps(tell(error, "a note")))).made(known)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        ValueError(),
        KeyError("x"),
        TimeoutError(1, "two"),
        FileNotFoundError(2, "No such file", "/a"),
        ZeroDivisionError("division by zero"),
        DeliveryLimitExceeded("too often"),
        OutOfStock("tea", 2),
        SystemExit(3),
    ],
)
def test_an_exception_of_python_docket_or_the_program_is_one_of_its_type_again(error: BaseException) -> None:
    again = told(error)
    assert (type(again), str(again), again.args) == (type(error), str(error), error.args)
    assert again.__notes__ == ["a note"]


def test_attributes_of_a_known_type_come_back_without_running_its_code() -> None:
    assert vars(told(OutOfStock("tea", 2)))["left"] == 2


def test_of_another_type_all_is_told_that_is_known() -> None:
    again = told(OutOfStock("tea", 2), {})
    assert type(again) is ExecutionFailed
    assert str(again) == f"{__name__}.OutOfStock: tea: 2 left"


def test_what_it_is_made_of_may_be_nothing_that_json_has() -> None:
    again = told(ValueError({1}))
    assert (type(again), str(again)) == (ValueError, "{1}")
    try:
        b"\xff".decode()
    except UnicodeDecodeError as error:
        again = told(error)
    assert type(again) is UnicodeDecodeError
    assert any("invalid start byte" in note for note in again.__notes__)


def test_causes_notes_and_groups_are_told() -> None:
    error = ExceptionGroup("several", [ValueError("a"), ExceptionGroup("more", [OutOfStock("tea")])])
    error.add_note("mine")
    error.__cause__ = KeyError("why")
    again = told(error)
    assert isinstance(again, ExceptionGroup)
    assert repr(again.exceptions) == repr(error.exceptions)
    assert again.__notes__ == ["mine", "a note"]
    assert repr(again.__cause__) == "KeyError('why')"


def test_a_circle_of_causes_and_a_group_of_very_many_have_an_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    assert str(told(one)) == "one"
    assert len(json.dumps(tell(ExceptionGroup("many", [ValueError("x" * 1000)] * 100_000), ""))) < 300_000


@pytest.mark.parametrize(
    "read",
    [
        None,
        1,
        [],
        {},
        {"type": 1, "text": "a"},
        {"type": "ValueError"},
        {"type": "V", "text": "a", "cause": 3},
    ],
)
def test_what_tells_of_no_exception_is_refused(read: Any) -> None:
    with pytest.raises(ValueError, match="it tells of no exception"):
        Told(read).made({})


@pytest.mark.parametrize(
    "name", ["print", "object", "os.system", "builtins.ValueError", "docket.errors.DocketErrors"]
)
def test_nothing_but_exceptions_is_looked_up_by_its_name(name: str) -> None:
    assert type(Told({"type": name, "text": "a", "args": ["x"]}).made({})) is ExecutionFailed

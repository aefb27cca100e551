"""What the exception of a failed task tells who awaits its result in another process."""

from __future__ import annotations

import base64
import pickle
from typing import Any

import pytest

from docket import Docket, Retry
from docket.execution import ExecutionFailed
from tests.docket.conftest import refuse, work
from tests.where import asyncio_and_trio, few_pairs

pytestmark = [pytest.mark.anyio, asyncio_and_trio, few_pairs]


class Unpicklable(Exception):
    def __reduce__(self) -> Any:
        raise TypeError("no pickle")


class WithSetters(Exception):
    """Setting attributes of it does more than that."""

    def __setattr__(self, name: str, value: object) -> None:
        if name == "__notes__":
            raise AttributeError("frozen")
        super().__setattr__(name, value)


def deeper(kind: type[Exception]) -> None:
    try:
        {}["missing"]
    except KeyError as error:
        raise LookupError("second") from error


async def fails(kind: str, retry: Retry = Retry(attempts=2)) -> None:
    match kind:
        case "caused":
            try:
                deeper(LookupError)
            except LookupError as error:
                error.add_note("a note of the task's own")
                raise ValueError("first") from error
        case "unpicklable cause":
            raise ValueError("first") from Unpicklable("hidden")
        case "unpicklable":
            raise Unpicklable("said so")
        case "large":
            raise ValueError("x" * 1_000_000)
        case "grouped":
            raise ExceptionGroup("several", [ValueError("one")])
        case _:
            raise WithSetters("frozen")


async def error_of(docket: Docket, kind: str) -> Exception:
    docket.register(fails)
    execution = await docket.add(fails)(kind)
    await work(docket)
    with pytest.raises(Exception) as raised:
        await execution.get_result()
    return raised.value


async def test_an_exception_has_the_worker_s_traceback_as_a_note(docket: Docket) -> None:
    error = await error_of(docket, "caused")
    (note,) = error.__notes__
    head, *lines = note.splitlines()
    assert head.endswith("in attempt 2 of 'fails':")
    assert lines[0] == "Traceback (most recent call last):"
    assert 'raise LookupError("second") from error' in note
    assert "a note of the task's own" in note
    assert lines[-1] == "ValueError: first"
    assert "site-packages" not in note
    assert "/docket/worker/" not in note


async def test_its_causes_come_along(docket: Docket) -> None:
    error = await error_of(docket, "caused")
    assert isinstance(error, ValueError)
    assert isinstance(error.__cause__, LookupError)
    assert error.__cause__.__notes__ == ["a note of the task's own"]
    assert repr(error.__cause__.__cause__) == "KeyError('missing')"


async def test_a_cause_that_cannot_be_pickled_is_only_in_the_traceback(docket: Docket) -> None:
    error = await error_of(docket, "unpicklable cause")
    assert error.__cause__ is None
    assert "Unpicklable: hidden" in error.__notes__[0]


async def test_an_exception_that_cannot_be_pickled_has_the_traceback_too(docket: Docket) -> None:
    error = await error_of(docket, "unpicklable")
    assert type(error) is ExecutionFailed
    assert str(error) == "Unpicklable: said so"
    assert 'raise Unpicklable("said so")' in error.__notes__[0]


async def test_a_traceback_is_bounded(docket: Docket) -> None:
    error = await error_of(docket, "large")
    assert 10_000 < len(error.__notes__[0]) < 17_000


@pytest.mark.parametrize("kind", ["grouped", "frozen"])
async def test_other_exceptions_are_as_they_were(docket: Docket, kind: str) -> None:
    error = await error_of(docket, kind)
    assert type(error) is {"grouped": ExceptionGroup, "frozen": WithSetters}[kind]


async def test_who_knows_nothing_of_docket_can_read_it(docket: Docket) -> None:
    """pydocket's clients have no class of ours, and no code to restore anything."""
    execution = await docket.add(refuse)("no")
    await work(docket)
    await execution.sync()
    assert execution.result_key is not None
    text = await docket.store.records.result(execution.result_key)
    assert text is not None
    pickled = base64.b64decode(text)
    assert b"docket.errors" not in pickled
    assert b"docket.store" not in pickled
    assert "ValueError: no" in pickle.loads(pickled).__notes__[0]

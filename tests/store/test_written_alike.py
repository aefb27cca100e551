"""What has a quick way of its own is written as the general way writes it, byte for byte."""

from __future__ import annotations

import decimal
import io
import json
import re
import sys
import traceback
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import anyio
import cloudpickle  # pyright: ignore[reportMissingTypeStubs]
import pytest

from docket.errors import ExecutionFailed
from docket.store import codec, errors_kept, pickles
from docket.worker.runs import traced
from docket.worker.runs.traced import traceback_text

NOW = datetime.now(UTC)


class Mine(Exception):
    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Reduced(Exception):
    def __reduce__(self) -> Any:
        return ValueError, ("reduced",)


class Silent(Exception):
    def __str__(self) -> str:
        raise ValueError


def in_a_circle() -> None:
    one, two = ValueError(1), ValueError(2)
    one.__cause__, two.__cause__ = two, one
    raise one


class LocalZone(tzinfo):
    __module__ = "no.such.module"


def again(depth: int) -> None:
    if depth:
        again(depth - 1)
    raise RuntimeError("deep")


def caused() -> None:
    try:
        again(0)
    except RuntimeError as error:
        raise Mine(3) from error


def meanwhile() -> None:
    try:
        caused()
    except Mine:
        raise KeyError("second")  # noqa: B904


def raised(error: BaseException) -> Callable[[], None]:
    def body() -> None:
        raise error

    return body


class Local(Exception):
    __module__ = "no.such.module"


BODIES: list[Callable[[], Any]] = [
    raised(ValueError("one\ntwo")), raised(ValueError()), raised(KeyboardInterrupt()),
    raised(OSError(2, "none", "file")), raised(ExecutionFailed("said")), raised(Mine(1)), raised(Reduced()),
    raised(Local("x")), raised(Silent("x")), in_a_circle,
    raised(ValueError([1, {"a": (1, None)}])), raised(ValueError(object)),
    raised(ExceptionGroup("group", [KeyError(1)])),
    lambda: again(1), lambda: again(30), caused, meanwhile, lambda: json.loads("{"), lambda: no_such_name,  # noqa: F821
    lambda: 1 / 0, lambda: compile("1 +", "code", "eval"),
]  # fmt: skip


def error_of(body: Callable[[], Any]) -> BaseException:
    try:
        body()
    except BaseException as error:
        return error
    raise AssertionError("it raises nothing")


@pytest.mark.parametrize("body", BODIES)
def test_a_traceback_has_the_text_that_python_gives_it(body: Callable[[], Any]) -> None:
    error = error_of(body)
    shown = "".join(traceback.format_exception(error)).rstrip()
    assert traceback_text(error) == shown
    assert traceback_text(error) == shown  # now from what is remembered


@pytest.mark.parametrize(
    ("name", "value"), [("sys.tracebacklimit", 1), (f"{traced.__name__}.MOST_PLACES", 1)]
)
def test_so_it_has_where_little_is_shown_or_remembered(
    name: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(name, value, raising=False)
    for body in (lambda: again(1), meanwhile):
        error = error_of(body)
        assert traceback_text(error) == "".join(traceback.format_exception(error)).rstrip()
    assert len(traced._places) <= 1 or name == "sys.tracebacklimit"  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("more", [{"__notes__": ["a note"]}, {}])
def test_an_error_is_pickled_as_cloudpickle_would(body: Callable[[], Any], more: dict[str, Any]) -> None:
    error = error_of(body)
    error.extra = 7  # type: ignore[attr-defined]
    pickled_as_cloudpickle_would(error, more)


def test_so_is_one_whose_class_is_of_the_program_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "Mine", Mine, raising=False)
    monkeypatch.setattr(Mine, "__module__", "__main__")
    pickled_as_cloudpickle_would(Mine(1), {})


def test_so_is_one_of_a_module_that_travels_with_its_code() -> None:
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)  # pyright: ignore[reportUnknownMemberType]
    try:
        pickled_as_cloudpickle_would(Mine(1), {})
    finally:
        cloudpickle.unregister_pickle_by_value(module)  # pyright: ignore[reportUnknownMemberType]


def pickled_as_cloudpickle_would(error: BaseException, more: dict[str, Any]) -> None:
    file = io.BytesIO()
    slow: Any = errors_kept._ErrorPickler(file, {id(error): more} if more else {})  # pyright: ignore[reportPrivateUsage]
    slow.dump(error)
    written = errors_kept._pickled(error, {id(error): more} if more else {})  # pyright: ignore[reportPrivateUsage]
    assert written == file.getvalue()


@pytest.mark.parametrize(
    "value",
    [
        None, 2**70, "text", [1, "a", {"x": (1, 2.0)}], {"a": b"x" * 70_000, "s": "y" * 70_000}, NOW, [NOW] * 3,
        (NOW.replace(tzinfo=None), NOW.astimezone(timezone(timedelta(hours=1), "x"))), NOW.replace(tzinfo=LocalZone()),
        uuid.UUID(int=7), decimal.Decimal("1.5"), {1: 2}, {1, 2}, [[[[[[1]]]]]], Mine,
        error_of(raised(ValueError(1))),
    ],
)  # fmt: skip
def test_a_value_is_pickled_as_cloudpickle_would(value: Any) -> None:
    assert pickles.dump_any(value) == cloudpickle.dumps(value)  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.parametrize("ttl", [None, timedelta(minutes=15)])
def test_the_envelope_of_a_result_is_that_of_any_value(ttl: timedelta | None) -> None:
    written = codec.result_envelope('of "d"', "k\u1234:1", "aGk=", now=NOW, ttl=ttl)
    assert written == codec.envelope('of "d"', "k\u1234:1", {"data": "aGk="}, now=NOW, ttl=ttl)
    assert codec.bare_result("aGk=") == json.dumps({"data": "aGk="})


async def late() -> None:
    with anyio.fail_after(0):
        await anyio.sleep(1)


async def grouped() -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(late)


@pytest.mark.parametrize("body", [late, grouped])
def test_frames_of_anyio_are_left_out_of_a_traceback(body: Any) -> None:
    with pytest.raises((TimeoutError, BaseExceptionGroup)) as raised:
        anyio.run(body)
    text = traceback_text(raised.value)
    assert f", in {body.__name__}\n" in text
    assert ", in late\n" in text
    assert not re.search(r'File "[^"]*[/\\\\]anyio[/\\\\]', text)

"""What the worker's log says of runs. That the words are pydocket's is compared in tests/interop/test_logs.py."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import anyio
import pytest

from docket import Docket, Execution, Logged, Perpetual, Retry, Worker
from docket.dependencies import format_duration
from tests.planted import Planted, opened
from tests.worker.conftest import at_most, working

pytestmark = pytest.mark.anyio


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Generator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "docket"):
        yield caplog


def lines(said: pytest.LogCaptureFixture) -> list[str]:
    """What was said of runs, without their durations."""
    texts = [
        record.getMessage()
        for record in said.records
        if not record.getMessage().startswith(("*", "Starting", "Worker", "Cancel", "Shutdown"))
    ]
    return [re.sub(r"\[[ \d]{6}ms\] ", "", text) for text in texts]


async def task(a: Annotated[int, Logged], secret: str = "") -> None: ...


async def test_a_run_is_logged_as_it_begins_and_as_it_ends(
    docket: Docket, said: pytest.LogCaptureFixture
) -> None:
    await docket.add(task, key="k")(1, secret="s")
    async with at_most():
        await Worker(docket, "w").run_until_finished()
    assert lines(said) == ["↪ task(1, secret=...){k}", "↩ task(1, secret=...){k}"]
    listed = [text for text in said.messages if text.startswith(("Starting worker", "* task"))]
    assert listed == [
        "Starting worker 'w' with the following tasks:",
        "* task(a: Annotated[int, Logged], secret: str = '')",
    ]


async def test_a_record_says_what_it_is_about(docket: Docket, said: pytest.LogCaptureFixture) -> None:
    when = datetime.now(UTC) - timedelta(hours=1)
    await docket.add(task, key="k", when=when)(1)
    async with at_most():
        await Worker(docket, "w").run_until_finished()
    for record in said.records[-2:]:
        known = vars(record)
        assert known["docket.name"] == docket.name
        assert (known["docket.worker"], known["docket.task"], known["docket.key"]) == ("w", "task", "k")
        assert (known["docket.when"], known["docket.attempt"]) == (when.isoformat(), 1)
        assert 3600 <= known["punctuality"] < 3660
    assert 0 <= vars(said.records[-1])["duration"] < 60
    assert re.match(r"↪ \[  36[0-5]\ds \] task\(1\)\{k\}", said.records[-2].getMessage())


async def test_a_failure_that_is_repeated_tells_so_with_its_traceback(
    docket: Docket, said: pytest.LogCaptureFixture
) -> None:
    async def fails(retry: Retry = Retry(attempts=2)) -> None:
        raise ValueError(retry.attempt)

    await docket.add(fails, key="k")()
    async with at_most():
        await Worker(docket).run_until_finished()
    assert lines(said) == ["↪ fails(){k}", "↩ fails(){k}", "↫ fails(){k}", "↬ fails(){k}", "↩ fails(){k}"]
    errors = [record for record in said.records if record.exc_info]
    assert [str(record.exc_info and record.exc_info[1]) for record in errors] == ["1", "2"]
    assert [record.levelname for record in errors] == ["WARNING", "ERROR"]


async def test_a_failed_run_of_a_perpetual_task_is_an_error_since_no_attempt_of_it_follows(
    docket: Docket, said: pytest.LogCaptureFixture
) -> None:
    async def fails(perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=1))) -> None:
        raise ValueError("each time")

    await docket.add(fails, key="k")()
    async with at_most():
        await Worker(docket).run_at_most({"k": 2})
    assert [record.levelname for record in said.records if record.exc_info] == ["ERROR", "ERROR"]


async def test_the_log_says_what_waited_and_was_cancelled_and_that_the_worker_has_stopped(
    docket: Docket, said: pytest.LogCaptureFixture
) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    await docket.add(task, key="queued")(1)
    for number in range(3):
        await docket.add(task, when=later, key=f"later-{number}")(1)
    await docket.cancel("queued")
    await docket.cancel("later-0")
    await docket.cancel("nothing")
    await docket.clear()
    async with working(Worker(docket, "w")):
        await (await docket.add(task)(1)).get_result()
    assert [text for text in said.messages if text.startswith("Cancel")] == [
        "Cancelled waiting task 'queued'",
        "Cancelled waiting task 'later-0'",
        f"Cancelled all 2 waiting tasks of docket {docket.name!r}",
    ]
    assert said.messages[-1] == "Worker 'w' stopped"


async def test_a_perpetual_run_tells_that_it_goes_on(docket: Docket, said: pytest.LogCaptureFixture) -> None:
    async def ticks(perpetual: Perpetual = Perpetual(every=timedelta(milliseconds=1))) -> None: ...

    await docket.add(ticks, key="k")()
    async with at_most():
        await Worker(docket).run_at_most({"k": 2})
    assert lines(said)[:3] == ["↪ ticks(){k}", "↫ ticks(){k}", "↪ ticks(){k}"]


async def test_what_is_cancelled_or_handed_back_tells_so(
    docket: Docket, said: pytest.LogCaptureFixture
) -> None:
    began = {key: anyio.Event() for key in ("a", "b")}

    async def waits(key: Annotated[str, Logged]) -> None:
        began[key].set()
        await anyio.sleep_forever()

    cancelled = await docket.add(waits, key="a")("a")
    await docket.add(waits, key="b")("b")
    async with working(Worker(docket)):
        for event in began.values():
            await event.wait()
        await docket.cancel("a")
        async for _ in cancelled.subscribe():
            pass
    assert "Cancelling running task 'a'" in said.messages
    assert {"✗ waits('a'){a} (cancelled)", "↫ waits('b'){b} (handed back)"} <= set(lines(said))


@pytest.mark.parametrize(
    ("state", "line"), [("cancelled", "✗ task(1){k} (cancelled)"), (None, "↬ task(1){k} (superseded)")]
)
async def test_what_may_not_begin_tells_why(
    docket: Docket, said: pytest.LogCaptureFixture, state: str | None, line: str
) -> None:
    """As it is found where another implementation has changed the record of a task on the stream."""
    await docket.add(task, key="k")(1)
    async with docket.redis() as redis:
        await redis.hset(docket.runs_key("k"), mapping={"state": state} if state else {"generation": 7})
    async with at_most():
        await Worker(docket).run_until_finished()
    assert lines(said) == [line]


async def test_a_line_whose_level_is_off_costs_nothing(
    docket: Docket, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []

    def call_repr(self: Execution[Any]) -> str:
        shown.append(self.key)
        return "shown"

    monkeypatch.setattr(Execution, "call_repr", call_repr)
    with caplog.at_level(logging.WARNING, "docket"):
        await docket.add(task, key="quiet")(1)
        async with at_most():
            await Worker(docket).run_until_finished()
    with caplog.at_level(logging.INFO, "docket"):
        await docket.add(task, key="told")(1)
        async with at_most():
            await Worker(docket).run_until_finished()
    assert set(shown) == {"told"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "     0ms"), (0.0123, "    12ms"), (1, "  1000ms"), (99.9, " 99900ms"), (100, "   100s "),
        (1234.5, "  1234s "), (-0.5, "  -500ms"),
    ],
)  # fmt: skip
def test_durations_are_shown_as_wide_as_each_other(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("state", "said_of_it"), [("cancelled", "✗ {} (cancelled)"), (None, "↬ {} (superseded)")]
)
async def test_what_may_not_begin_is_told_without_opening_it(
    docket: Docket, said: pytest.LogCaptureFixture, state: str | None, said_of_it: str
) -> None:
    calls: dict[str, tuple[Any, ...]] = {"plain": (1, "s"), "planted": (Planted("a"), Planted("b"))}
    for key, args in calls.items():
        await docket.add(task, key=key)(*args)
    await docket.add("trace", key="trace\n\x1b[2J")(Planted("c"))
    async with docket.redis() as redis:
        for key in [*calls, "trace\n\x1b[2J"]:
            await redis.hset(docket.runs_key(key), mapping={"state": state} if state else {"generation": 7})
    opened.clear()
    async with at_most():
        await Worker(docket).run_until_finished()
    assert lines(said) == [
        said_of_it.format(call)
        for call in (
            "task(1, ...){plain}",
            "task((not shown: tests.planted.note), ...){planted}",
            r"trace(...){trace\n\x1b[2J}",
        )
    ]
    assert opened == []

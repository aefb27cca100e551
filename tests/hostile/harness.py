"""One trial: a culprit beside three innocents on one worker, and what must be so at the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import sys
import threading
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Any, TypeAlias

import anyio
import attrs
import pytest
import redis.exceptions
from opentelemetry.trace import StatusCode
from prometheus_client import REGISTRY

from docket import Depends, Docket, Execution, ExecutionState, Worker
from docket.errors import ExecutionCancelled, ExecutionFailed
from docket.text import error_text, readable, text_of
from tests.instrumentation.spans import Heard

__all__ = [
    "ASYNCIO", "DOCKET", "EVERY", "KEY", "NAME", "PATIENCE", "TRIO", "End", "Function", "Log", "Row", "Witness",
    "cancelled", "chain_goes_on", "ends", "fails", "goes_on", "refused", "returns", "rows", "set_aside", "trial",
    "two_runs", "waits",
]  # fmt: skip

#: No trial takes longer; all of its waits are for events.
PATIENCE = 15

DOCKET, NAME, KEY = "hostile", "culprit", "the-culprits-key"

ASYNCIO, TRIO = ("asyncio", "uvloop"), ("trio",)
EVERY = ASYNCIO + TRIO

Function: TypeAlias = Callable[..., Any]


# How it must end --------------------------------------------------------------------------------------------


@attrs.frozen
class End:
    """``failed`` and ``succeeded`` are how many runs are counted so, ``errors`` how many lines with a traceback."""

    state: ExecutionState | None = None
    failed: int = 0
    succeeded: int = 0
    errors: int = 0

    async def came(self, execution: Execution[Any]) -> None:
        """Wait for it; assert that it is this one."""
        raise NotImplementedError

    def seen(self, execution: Execution[Any]) -> End | None:
        """What is to be reported of it; None where nobody can rely on the report."""
        return self


@attrs.frozen(kw_only=True)
class _Fails(End):
    kind: str
    match: str

    async def came(self, execution: Execution[Any]) -> None:
        try:
            value = await execution.get_result()
        except Exception as error:
            assert execution.state is ExecutionState.FAILED
            assert execution.error is not None
            execution.error.encode()  # anybody can show it
            name = type.__dict__["__name__"].__get__(type(error))
            assert self.kind in ("", name), f"{name} {execution.error}"
            assert re.search(self.match, execution.error), execution.error
        else:
            raise AssertionError(f"it returned {value!r}")


@attrs.frozen(kw_only=True)
class _ChainGoesOn(_Fails):
    async def came(self, execution: Execution[Any]) -> None:
        await super().came(execution)
        following = await execution.docket.get_execution(execution.key)
        assert following is not None
        assert following.generation > execution.generation
        execution.function.first_was_seen.set()
        assert await following.get_result() == "went on"


@attrs.frozen(kw_only=True)
class _Returns(End):
    value: Any

    async def came(self, execution: Execution[Any]) -> None:
        assert await execution.get_result() == self.value


@attrs.frozen
class _Cancelled(End):
    async def came(self, execution: Execution[Any]) -> None:
        with pytest.raises(ExecutionCancelled):
            await execution.get_result()


@attrs.frozen
class _Ends(End):
    async def came(self, execution: Execution[Any]) -> None:
        with contextlib.suppress(Exception):
            await execution.get_result()

    def seen(self, execution: Execution[Any]) -> End | None:
        failed, succeeded = (
            execution.state is ExecutionState.FAILED,
            execution.state is ExecutionState.COMPLETED,
        )
        return End(execution.state, int(failed), int(succeeded), int(failed))


@attrs.frozen
class _Waits(End):
    async def came(self, execution: Execution[Any]) -> None:
        found = await execution.docket.get_execution(execution.key)
        assert found is not None
        assert found.state is ExecutionState.SCHEDULED
        assert abs(found.when - execution.when) < timedelta(seconds=1)  # the server counts in doubles
        await execution.docket.cancel(execution.key)


@attrs.frozen(kw_only=True)
class _SetAside(End):
    match: str

    async def came(self, execution: Execution[Any]) -> None:
        with pytest.raises(ExecutionFailed, match=self.match or None):
            await execution.get_result()
        async with execution.docket.redis() as client:
            [(_, fields)] = await client.xrange(execution.docket.keys.dead)
        assert re.search(self.match, fields[b"dead:reason"].decode())

    def seen(self, execution: Execution[Any]) -> End | None:
        return None  # it is not known to be any task's


@attrs.frozen(kw_only=True)
class _Refused(End):
    kind: type[Exception]
    match: str


def fails(kind: type[BaseException] | str = "", match: str = "", *, times: int = 1) -> End:
    """Fails after so many attempts; `get_result` raises a ``kind``, if it is given, and the recorded text matches."""
    name = kind if isinstance(kind, str) else kind.__name__
    return _Fails(ExecutionState.FAILED, times, 0, times, kind=name, match=match)


def returns(value: Any) -> End:
    """Returns a value."""
    return _Returns(ExecutionState.COMPLETED, 0, 1, 0, value=value)


def goes_on(*, failed: int = 1) -> End:
    """Fails so often, and runs again each time; the last run returns "went on"."""
    return _Returns(ExecutionState.COMPLETED, failed, 1, failed, value="went on")


def chain_goes_on(kind: type[BaseException], match: str) -> End:
    """The first of `two_runs` fails, as `fails` says; the second one, which ends the chain, returns "went on"."""
    return _ChainGoesOn(ExecutionState.COMPLETED, 1, 1, 1, kind=kind.__name__, match=match)


def two_runs(culprit: Function, first_was_seen: anyio.Event) -> Function:
    """A perpetual culprit whose second run waits for an event: how the first one ended is kept until then."""
    culprit.first_was_seen = first_was_seen  # type: ignore[attr-defined]
    return culprit


def cancelled() -> End:
    """Ends as a task does that somebody cancelled."""
    return _Cancelled(ExecutionState.CANCELLED)


def ends() -> End:
    """Comes to an end of whichever kind, of which log, metrics and spans tell the same."""
    return _Ends()


def waits() -> End:
    """Waits for a moment that will not come, and is cancelled."""
    return _Waits(ExecutionState.CANCELLED)


def set_aside(match: str = "") -> End:
    """Is put aside before it becomes a run, and recorded as failed, with a reason that matches."""
    return _SetAside(ExecutionState.FAILED, match=match)


def refused(kind: type[Exception], match: str = "") -> End:
    """Is refused where it is asked for; nothing is placed."""
    return _Refused(kind=kind, match=match)


# What is tried ----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Row:
    """One trial. ``make`` makes the culprit anew for each; ``args`` are what it is called with.

    ``prepare`` is awaited before anything is placed, ``place`` instead of adding the culprit; ``during`` is around
    all of it.
    """

    said: str
    make: Callable[[], Function]
    end: End
    args: tuple[Any, ...] = ()
    on: tuple[str, ...] = EVERY
    prepare: Callable[[Docket], Awaitable[object]] | None = None
    place: Callable[[Docket, Function], Awaitable[Execution[Any]]] | None = None
    during: Callable[[], AbstractContextManager[object]] = nullcontext
    settings: Mapping[str, Any] = attrs.field(factory=dict)
    """Of the docket."""
    worker: Mapping[str, Any] = attrs.field(factory=dict)
    """Of the worker."""
    reported: bool = True
    """Whether log, metrics and spans are in a condition to tell of it."""
    traced: str = ""
    """What the log says among other things, in the traceback say."""
    warns: bool = False
    """Whether Python itself complains of what the culprit leaves behind."""

    slow: bool = False
    """Whether others of its kind will do where time is short."""

    def marks(self) -> list[pytest.MarkDecorator]:
        """What pytest is to know of it."""
        quiet = [pytest.mark.filterwarnings("ignore")] if self.warns else []
        return quiet + ([pytest.mark.slow] if self.slow else [])


def rows(tables: Iterable[Iterable[Row]], *, slow: bool) -> list[Any]:
    """The rows that are so, as parameters of a test, by what they say."""
    every = [row for table in tables for row in table]
    twice = [said for said, count in Counter(row.said for row in every).items() if count > 1]
    assert not twice, twice
    return [
        pytest.param(row, id=readable(row.said)[:80], marks=row.marks()) for row in every if row.slow is slow
    ]


# What is seen of it -----------------------------------------------------------------------------------------


class Log(logging.Handler):
    """What docket's loggers are told, written as a strict file would; pytest, which would show it, hears nothing."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.errors: list[logging.LogRecord] = []
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(self.format(record).encode("utf-8", "strict").decode())
        # A failed attempt is a warning of this logger where another one follows.
        if record.levelno >= (logging.WARNING if record.name == "docket.dependencies" else logging.ERROR):
            self.errors.append(record)

    def handleError(self, record: logging.LogRecord) -> None:
        self.written.append(f"LOST: {record.msg!r}: {sys.exception()!r}")

    @contextmanager
    def listening(self) -> Generator[None]:
        logger = logging.getLogger("docket")
        propagate, level = logger.propagate, logger.level
        logger.propagate = False
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.propagate = propagate
            logger.setLevel(level)  # which the loggers below it hear of


@attrs.frozen
class Witness:
    """What log, metrics and spans say."""

    heard: Heard
    log: Log = attrs.field(factory=Log)

    def counted(self) -> Counter[str]:
        """What is counted of the culprit, and of whoever else has its name, in this process."""
        found: Counter[str] = Counter()
        for family in REGISTRY.collect():
            for sample in family.samples:
                labels = sample.labels
                if (labels.get("docket_name"), labels.get("docket_task")) == (DOCKET, NAME):
                    found[sample.name.removeprefix("docket_").removesuffix("_total")] += int(sample.value)
        return found

    def check(self, end: End, before: Counter[str]) -> None:
        """Assert that an end was reported."""
        lost = [line for line in self.log.written if line.startswith("LOST")]
        assert not lost, lost
        assert len(self.log.errors) == end.errors, self.log.written
        for one in self.log.errors:
            first, *trace = one.getMessage().split("\n")
            assert one.exc_info or trace, first  # what no handler can write is written out
            assert NAME in first
            assert KEY in first
        counted = self.counted() - before
        assert (counted["tasks_failed"], counted["tasks_succeeded"]) == (end.failed, end.succeeded)
        assert counted["tasks_running"] == 0
        spans = [span for span in self.heard.of(DOCKET) if span.name == NAME]
        assert len([span for span in spans if span.status.status_code is StatusCode.ERROR]) == end.failed
        assert len([span for span in spans if span.status.status_code is StatusCode.OK]) >= end.succeeded


class _Innocents:
    """Three tasks that run while the culprit does what it does: one on the loop, one in a thread, one after another."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self._over, self._over_there = anyio.Event(), threading.Event()
        self.begun = anyio.Event()

    def release(self) -> None:
        self._over.set()
        self._over_there.set()

    async def place(self, docket: Docket) -> list[Execution[Any]]:
        async def supplied() -> str:
            return "supplied"

        async def waits() -> str:
            self.begun.set()
            try:
                await self._over.wait()
            finally:
                self._over_there.set()  # a worker that dies waits for its threads
            self.ran.append("waits")
            return "waits"

        def in_a_thread() -> str:
            self._over_there.wait(PATIENCE)
            self.ran.append("in a thread")
            return "in a thread"

        async def is_quick(what: str = Depends(supplied)) -> str:
            self.ran.append("is quick")
            return what

        return [await docket.add(task)() for task in (waits, in_a_thread, is_quick)]

    async def check(self, executions: list[Execution[Any]]) -> None:
        values = [await execution.get_result() for execution in executions]
        assert values == ["waits", "in a thread", "supplied"]
        assert sorted(self.ran) == ["in a thread", "is quick", "waits"]


@attrs.define
class _Ward:
    """A worker that runs, and how it ended."""

    worker: Worker
    asked: bool = False
    ended: BaseException | str | None = None
    over: anyio.Event = attrs.field(factory=anyio.Event)
    waiting: anyio.CancelScope = attrs.field(factory=anyio.CancelScope)

    async def run(self) -> None:
        try:
            await self.worker.run_forever()
            self.ended = "returned"
        except BaseException as error:
            self.ended = error
            if isinstance(error, anyio.get_cancelled_exc_class()):
                raise
        finally:
            self.over.set()
            if not self.asked:
                self.waiting.cancel()

    def check(self) -> None:
        if isinstance(self.ended, BaseException):
            where = "".join(traceback.format_tb(self.ended.__traceback__))
            raise AssertionError(f"the worker has ended by {error_text(self.ended)}\n{where}")
        assert not self.over.is_set(), "the worker has ended by itself"


@contextmanager
def _unheard_by_the_loop() -> Generator[None]:
    """Let nobody hear of what goes wrong in tasks of asyncio's own: those that close generators, say."""
    if anyio.get_cancelled_exc_class() is not asyncio.CancelledError:
        yield
        return
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda loop, context: None)
    try:
        yield
    finally:
        loop.set_exception_handler(before)


async def trial(row: Row, url: str, witness: Witness) -> None:
    """Run the culprit of a row beside three innocents on one worker; assert what must be so at the end.

    Raises: AssertionError, of plain text: what is hostile to workers is so to who reports tests, too.
    """
    said = ""
    try:
        with witness.log.listening(), _unheard_by_the_loop() if row.warns else nullcontext():
            await _trial(row, url, witness)
    except AssertionError as error:
        said = text_of(error)
    except Exception as error:
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        said = f"{error_text(error)}\n{''.join(traceback.format_tb(error.__traceback__))}"
    if said:
        raise AssertionError(readable("\n".join([said, "", "log:", *witness.log.written])[:20_000]))


async def _trial(row: Row, url: str, witness: Witness) -> None:
    innocents, before = _Innocents(), witness.counted()
    with row.during(), anyio.fail_after(PATIENCE):
        async with Docket(DOCKET, url, **row.settings) as docket:
            ward = _Ward(Worker(docket, "worker", **row.worker))
            async with anyio.create_task_group() as group:
                if row.prepare is not None:
                    await row.prepare(docket)
                executions = await innocents.place(docket)
                culprit = await _placed(row, docket)
                group.start_soon(ward.run)
                try:
                    with ward.waiting:
                        await innocents.begun.wait()
                        if culprit is not None:
                            await row.end.came(culprit)
                        innocents.release()
                        await innocents.check(executions)
                        await _still_works(docket)
                    ward.check()
                    await _nothing_is_left(docket)
                    ward.asked = True
                    ward.worker.stop()
                    await ward.over.wait()
                    assert ward.ended == "returned"
                finally:
                    innocents.release()
                    group.cancel_scope.cancel()
            if culprit is not None:
                await culprit.sync()
                assert row.end.state in (None, culprit.state)
    end = row.end if culprit is None else row.end.seen(culprit)
    if row.reported and end is not None:
        witness.check(end, before)
    assert row.traced in "\n".join(witness.log.written)


async def _placed(row: Row, docket: Docket) -> Execution[Any] | None:
    async def place() -> Execution[Any]:
        function = row.make()
        function.__name__ = NAME
        if row.place is not None:
            return await row.place(docket, function)
        return await docket.add(function, key=KEY)(*row.args)

    if not isinstance(row.end, _Refused):
        return await place()
    with pytest.raises(row.end.kind, match=row.end.match or None):
        await place()
    return None


async def _still_works(docket: Docket) -> None:
    async def further() -> str:
        return "further"

    assert await (await docket.add(further)()).get_result() == "further"


async def _nothing_is_left(docket: Docket) -> None:
    depths = await docket.store.records.depths()
    assert (depths.due, depths.later, depths.waiting) == (0, 0, {})
    async with docket.redis() as redis_client:
        try:
            pending = await redis_client.xpending(docket.stream_key, docket.worker_group_name)
        except redis.exceptions.ResponseError:
            return
    assert pending["pending"] == 0

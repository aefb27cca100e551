"""How far an execution is: reporting it, reading it, following it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextvars import ContextVar
from datetime import datetime
from typing import Protocol, Self

import anyio
from anyio.lowlevel import checkpoint
from redis.exceptions import RedisError

from .. import clock
from ..errors import UsageError
from ..moments import read_moment
from ..numbers import LARGEST, spelled
from ..store import DocketStore, Fence, ProgressEvent, ProgressRecord, ProgressReports, Report
from ..text import readable
from .signatures import check_key
from .subscription import ProgressEvents, Settable

__all__ = ["ExecutionProgress", "Keeper", "Opened", "keepers"]

#: How many seconds a running task waits for the answer to a report; then it goes on, and its worker sees to the report.
PATIENCE = 0.5


class Opened(Protocol):
    """A docket."""

    @property
    def store(self) -> DocketStore: ...


class Keeper(Protocol):
    """Sees to it that the reports of a running task are written, as soon as that is possible."""

    def takes(self, error: RedisError) -> bool:
        """Whether this keeps a report from being written for now, and is no mistake."""
        ...

    def has(self, progress: ExecutionProgress) -> bool:
        """Whether it waits to be written."""
        ...

    def keep(self, progress: ExecutionProgress) -> None:
        """See to what of it was not answered for."""
        ...


keepers: ContextVar[Keeper] = ContextVar("docket_progress_keeper")


class _Said:
    """What one claim has reported, and how much of that was answered for."""

    __slots__ = ("_before", "_said", "answered", "number", "sum")

    def __init__(self) -> None:
        self.number = self.answered = 0
        """The last report, and the last one that the server has answered for."""
        self.sum = self._before = 0
        self._said: dict[str, tuple[int, str | int | None]] = {}

    def say(self, amount: int, said: dict[str, str | int | None]) -> None:
        self.number += 1
        self.sum += amount
        for field, value in said.items():
            self._said[field] = self.number, value

    def take_back(self, amount: int, said: dict[str, str | int | None]) -> None:
        """Forget what somebody was told of that it failed: he may say it again."""
        self.sum -= amount
        for field, value in said.items():
            if self._said.get(field, (0, None))[1] == value:
                self._said.pop(field, None)

    def report(self, at: datetime) -> Report:
        """All that was not answered for."""
        said = {field: value for field, (number, value) in self._said.items() if number > self.answered}
        amount = self.sum - self._before
        return Report(
            at=at, number=self.number, amount=amount, before=self._before, after=self.sum, said=said
        )

    def answer(self, report: Report) -> None:
        if report.number > self.answered:
            self.answered, self._before = report.number, report.after

    def claimed_again(self) -> None:
        """Nothing of it is known under the new claim."""
        self.answered = self._before = 0


class ExecutionProgress:
    """The progress of what runs under a key: ``current`` of ``total``, a ``message``, when it was last reported.

    The attributes are as of the last call; ``current`` is None, ``total`` 1 before anything is known. The progress
    of the running task (`Progress`, or its execution's ``progress``) speaks for that run alone: once the run was
    replaced or taken over, or has ended, what it reports is not written, and counts on in its attributes only. One
    that is made by hand speaks for whatever has the key, until that has ended.

    While Redis is away a running task is not kept from its work: a report waits half a second at most, its worker
    keeps the latest of all, and writes that when Redis is back. By hand, a report raises.
    """

    __slots__ = ("_at", "_fence", "_said", "current", "docket", "key", "message", "total", "updated_at")

    def __init__(self, docket: Opened, key: str, fence: Fence | None = None) -> None:
        self.docket, self.key = docket, key
        self._fence, self._said = fence, _Said()
        self._at: datetime | None = None
        self.current: int | None = None
        self.total = 1
        self.message: str | None = None
        self.updated_at: datetime | None = None
        if fence is not None:  # a claim begins with this
            self.current, self.total = 0, 100

    def __repr__(self) -> str:
        said = "" if self.message is None else f" {self.message!r}"
        return f"<ExecutionProgress of {self.key!r}: {self.current}/{self.total}{said}>"

    @classmethod
    async def create(cls, docket: Opened, key: str) -> Self:
        """The progress of a key, as it is recorded."""
        progress = cls(docket, key)
        await progress.sync()
        return progress

    async def set_total(self, total: int) -> None:
        """Say how much there is to do: a whole number from 1. One round trip, as each report.

        Raises: ValueError, TypeError - no such number; by hand, redis.exceptions.RedisError.
        """
        _check_count(total, "Total")
        record = await self._tell(0, {"total": total})
        self.total = total
        self._take_up(record)

    async def increment(self, amount: int = 1) -> None:
        """Add to what is done: a whole number from 1. It may exceed the total. Raises as `set_total`.

        However much of an outage it falls into, it counts once. By hand, nobody knows whether one counts that raised.
        """
        _check_count(amount, "Amount")
        if self._said.sum + amount > LARGEST:
            raise UsageError(f"Amount may not take what is done beyond {LARGEST}, as {amount} does")
        record = await self._tell(amount, {})
        self.current = (self.current or 0) + amount
        self._take_up(record)

    async def set_message(self, message: str | None) -> None:
        """Say what is being done; None takes the message back.

        What UTF-8 cannot hold is written as backslash escapes.
        Raises: TypeError - no text; by hand, redis.exceptions.RedisError.
        """
        if message is not None:
            message = _readable(message)
        record = await self._tell(0, {"message": message})
        self.message = message
        self._take_up(record)

    async def _tell(self, amount: int, said: dict[str, str | int | None]) -> ProgressRecord | None:
        """Report something; None where that was not written, or not yet."""
        at = clock.now()
        if self._fence is None:
            return await self._reports.write(self.key, Report(at=at, amount=amount, said=said), None)
        self._at = at
        self._said.say(amount, said)
        keeper = keepers.get(None)
        if keeper is None:  # it was claimed by hand
            try:
                return await self._write()
            except RedisError:
                self._said.take_back(amount, said)
                raise
        if keeper.has(self):
            await checkpoint()
            return None
        try:
            with anyio.move_on_after(PATIENCE):
                return await self._write()
        except RedisError as error:
            if not keeper.takes(error):
                self._said.take_back(amount, said)
                raise
        keeper.keep(self)
        return None

    async def _write(self) -> ProgressRecord | None:
        report = self._said.report(self._at or clock.now())
        record = await self._reports.write(self.key, report, self._fence)
        self._said.answer(report)
        return record

    @property
    def is_written(self) -> bool:
        """Whether the server has answered for everything that the running task has reported."""
        return self._said.answered == self._said.number

    async def write(self) -> None:
        """Write what the server has not answered for. Raises: redis.exceptions.RedisError."""
        self._take_up(await self._write())

    def claimed(self, fence: Fence) -> None:
        """Speak for the same run under another claim of it."""
        if fence != self._fence:
            self._fence = fence
            self._said.claimed_again()

    async def sync(self) -> None:
        """Read what is recorded; where nothing is, ``current`` is None and ``total`` 100."""
        self.apply(await self._reports.read(self.key))

    def subscribe(self, *, ready: Settable | None = None) -> AsyncGenerator[ProgressEvent, None]:
        """Yield every report from now on, until the execution has ended.

        ``ready`` is set once the subscription is in force. Raises and Cancel: as `Execution.subscribe`.
        """
        check_key(self.key)
        return ProgressEvents(self.docket.store, self, ready)

    def apply(self, record: ProgressRecord) -> None:
        """Take over what is recorded."""
        self.current, self.total = record.current, record.total
        self.message, self.updated_at = record.message, record.updated_at

    def take_over(self, event: ProgressEvent) -> None:
        """Take over what an event says."""
        self.current, self.total, self.message = event["current"], event["total"], event["message"]
        self.updated_at = read_moment(event["updated_at"])

    def _take_up(self, record: ProgressRecord | None) -> None:
        if record is not None:
            self.apply(record)

    @property
    def _reports(self) -> ProgressReports:
        if self._fence is None:
            check_key(self.key)
        return self.docket.store.progress


def _check_count(number: object, name: str) -> None:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{name} takes a whole number from 1, not {number!r}")
    if number < 1:
        raise UsageError(f"{name} must be at least 1, not {spelled(number)}")
    if number > LARGEST:
        raise UsageError(f"{name} must be at most {LARGEST}, not {spelled(number)}")


def _readable(message: object) -> str:
    if not isinstance(message, str):
        raise TypeError(f"a progress message is a str or None, not {type(message).__name__}: {message!r}")
    return readable(message)

"""The progress of an execution: reporting, reading and following it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextvars import ContextVar
from datetime import datetime
from typing import Protocol, Self

import anyio
from anyio.lowlevel import checkpoint

from .. import clock
from ..errors import UsageError
from ..moments import read_moment
from ..numbers import LARGEST, spelled
from ..standins import redis_errors
from ..store import DocketStore, Fence, ProgressEvent, ProgressRecord, ProgressReports, Report
from ..text import readable
from .signatures import check_key
from .subscription import ProgressEvents, Settable

__all__ = ["ExecutionProgress", "Keeper", "Opened", "keepers"]

#: How many seconds a running task waits for the answer to a report; then it continues, and its worker writes it.
PATIENCE = 0.5


class Opened(Protocol):
    """A docket."""

    @property
    def store(self) -> DocketStore: ...


class Keeper(Protocol):
    """Writes the reports of a running task later, as soon as that is possible."""

    def takes(self, error: redis_errors.RedisError) -> bool:
        """Whether this error is an outage: the report can be written later."""
        ...

    def has(self, progress: ExecutionProgress) -> bool:
        """Whether reports of it wait to be written."""
        ...

    def keep(self, progress: ExecutionProgress) -> None:
        """Write its unanswered reports later."""
        ...


keepers: ContextVar[Keeper] = ContextVar("docket_progress_keeper")


class _Reports:
    """The reports of one claim, and which of them the server has answered."""

    __slots__ = ("_before", "_fields", "answered", "number", "sum")

    def __init__(self) -> None:
        self.number = self.answered = 0
        """The number of the last report, and of the last one that the server has answered."""
        self.sum = self._before = 0
        self._fields: dict[str, tuple[int, str | int | None]] = {}

    def add(self, amount: int, fields: dict[str, str | int | None]) -> None:
        self.number += 1
        self.sum += amount
        for field, value in fields.items():
            self._fields[field] = self.number, value

    def take_back(self, amount: int, fields: dict[str, str | int | None]) -> None:
        """Forget a report whose failure was raised to the task, which may repeat it."""
        self.sum -= amount
        for field, value in fields.items():
            if self._fields.get(field, (0, None))[1] == value:
                self._fields.pop(field, None)

    def report(self, at: datetime) -> Report:
        """Everything that is unanswered, as one report."""
        fields = {field: value for field, (number, value) in self._fields.items() if number > self.answered}
        amount = self.sum - self._before
        return Report(
            at=at, number=self.number, amount=amount, before=self._before, after=self.sum, said=fields
        )

    def answer(self, report: Report) -> None:
        if report.number > self.answered:
            self.answered, self._before = report.number, report.after

    def claimed_again(self) -> None:
        """The server knows none of it under the new claim."""
        self.answered = self._before = 0


class ExecutionProgress:
    """The progress of what runs under a key: ``current`` of ``total``, a ``message``, when it was last reported.

    The attributes are as of the last call; ``current`` is None, ``total`` 1 before anything is known. The progress
    of the running task (`Progress`, or its execution's ``progress``) belongs to that run alone: once the run was
    replaced or taken over, or has ended, its reports are not written, and only change its attributes. One that is
    made by hand reports for the run that has the key, until that has ended.

    While Redis is away a running task does not wait for it: a report takes half a second at most; its worker keeps
    the latest one, and writes it when Redis is back. A report by hand raises.
    """

    __slots__ = (
        "__dict__", "__weakref__",  # programs keep what is theirs on it
        "_at", "_fence", "_unanswered", "current", "docket", "key", "message", "total", "updated_at",
    )  # fmt: skip

    def __init__(self, docket: Opened, key: str, fence: Fence | None = None) -> None:
        self.docket, self.key = docket, key
        self._fence, self._unanswered = fence, _Reports()
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
        """Report how much there is to do: a whole number from 1. One round trip, as each report.

        Raises: ValueError, TypeError - no such number; by hand, redis.exceptions.RedisError.
        """
        _check_count(total, "Total")
        record = await self._report(0, {"total": total})
        self.total = total
        self._take_up(record)

    async def increment(self, amount: int = 1) -> None:
        """Add to what is done: a whole number from 1. It may exceed the total. Raises as `set_total`.

        It counts once, also in an outage. By hand, one that raised may or may not have counted.
        """
        _check_count(amount, "Amount")
        if self._unanswered.sum + amount > LARGEST:
            raise UsageError(f"Amount may not take what is done beyond {LARGEST}, as {amount} does")
        record = await self._report(amount, {})
        self.current = (self.current or 0) + amount
        self._take_up(record)

    async def set_message(self, message: str | None) -> None:
        """Report what is being done; None takes the message back.

        What UTF-8 cannot hold is written as backslash escapes.
        Raises: TypeError - no text; by hand, redis.exceptions.RedisError.
        """
        if message is not None:
            message = _readable(message)
        record = await self._report(0, {"message": message})
        self.message = message
        self._take_up(record)

    async def _report(self, amount: int, fields: dict[str, str | int | None]) -> ProgressRecord | None:
        """Report a change; None if it was not written, or not yet."""
        at = clock.now()
        if self._fence is None:
            return await self._reports.write(self.key, Report(at=at, amount=amount, said=fields), None)
        self._at = at
        self._unanswered.add(amount, fields)
        keeper = keepers.get(None)
        if keeper is None:  # it was claimed by hand
            try:
                return await self._write()
            except redis_errors.RedisError:
                self._unanswered.take_back(amount, fields)
                raise
        if keeper.has(self):
            await checkpoint()
            return None
        try:
            with anyio.move_on_after(PATIENCE):
                return await self._write()
        except redis_errors.RedisError as error:
            if not keeper.takes(error):
                self._unanswered.take_back(amount, fields)
                raise
        keeper.keep(self)
        return None

    async def _write(self) -> ProgressRecord | None:
        report = self._unanswered.report(self._at or clock.now())
        record = await self._reports.write(self.key, report, self._fence)
        self._unanswered.answer(report)
        return record

    @property
    def is_written(self) -> bool:
        """Whether the server has answered every report of the running task."""
        return self._unanswered.answered == self._unanswered.number

    async def write(self) -> None:
        """Write the unanswered reports. Raises: redis.exceptions.RedisError."""
        self._take_up(await self._write())

    def claimed(self, fence: Fence) -> None:
        """Report for the same run under another claim of it."""
        if fence != self._fence:
            self._fence = fence
            self._unanswered.claimed_again()

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
        """Take over a record."""
        self.current, self.total = record.current, record.total
        self.message, self.updated_at = record.message, record.updated_at

    def take_over(self, event: ProgressEvent) -> None:
        """Take over an event."""
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

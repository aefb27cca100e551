"""How far an execution is: reporting it, reading it, following it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import TYPE_CHECKING, Self

from .errors import UsageError
from .events import ProgressEvent
from .following import ProgressEvents, Settable
from .moments import read_moment
from .store import Fence, ProgressRecord, ProgressReports

if TYPE_CHECKING:
    from .docket import Docket

__all__ = ["ExecutionProgress"]


class ExecutionProgress:
    """The progress of what runs under a key: ``current`` of ``total``, a ``message``, when it was last reported.

    The attributes are as of the last call; ``current`` is None, ``total`` 1 before anything is known. The progress
    of the running task (`Progress`, or its execution's ``progress``) speaks for that run alone: once the run was
    replaced or taken over, or has ended, what it reports is not written, and counts on in its attributes only. One
    that is made by hand speaks for whatever has the key, until that has ended.
    """

    __slots__ = ("_fence", "current", "docket", "key", "message", "total", "updated_at")

    def __init__(self, docket: Docket, key: str, fence: Fence | None = None) -> None:
        self.docket, self.key = docket, key
        self._fence = fence
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
    async def create(cls, docket: Docket, key: str) -> Self:
        """The progress of a key, as it is recorded."""
        progress = cls(docket, key)
        await progress.sync()
        return progress

    async def set_total(self, total: int) -> None:
        """Say how much there is to do: a whole number from 1. One round trip, as each report.

        Raises: ValueError, TypeError - no such number; redis.exceptions.RedisError.
        """
        _check_count(total, "Total")
        record = await self._reports.set_total(self.key, total, self._fence)
        self.total = total
        self._take_up(record)

    async def increment(self, amount: int = 1) -> None:
        """Add to what is done: a whole number from 1. It may exceed the total. Raises as `set_total`."""
        _check_count(amount, "Amount")
        record = await self._reports.increment(self.key, amount, self._fence)
        self.current = (self.current or 0) + amount
        self._take_up(record)

    async def set_message(self, message: str | None) -> None:
        """Say what is being done; None takes the message back.

        Raises: TypeError - no text; ValueError - text without a UTF-8 form; redis.exceptions.RedisError.
        """
        if message is not None:
            _check_text(message)
        record = await self._reports.set_message(self.key, message, self._fence)
        self.message = message
        self._take_up(record)

    async def sync(self) -> None:
        """Read what is recorded; where nothing is, ``current`` is None and ``total`` 100."""
        self.apply(await self._reports.read(self.key))

    def subscribe(self, *, ready: Settable | None = None) -> AsyncGenerator[ProgressEvent, None]:
        """Yield every report from now on, until the execution has ended.

        ``ready`` is set once the subscription is in force. Raises and Cancel: as `Execution.subscribe`.
        """
        return ProgressEvents(self, ready)

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
        return ProgressReports(self.docket.client, self.docket.keys, self.docket.execution_ttl)


def _check_count(number: object, name: str) -> None:
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f"{name} takes a whole number from 1, not {number!r}")
    if number < 1:
        raise UsageError(f"{name} must be at least 1, not {number}")


def _check_text(message: object) -> None:
    if not isinstance(message, str):
        raise TypeError(f"a progress message is a str or None, not {type(message).__name__}: {message!r}")
    try:
        message.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"a progress message has a UTF-8 form, unlike {message!r}: {error.reason}") from None

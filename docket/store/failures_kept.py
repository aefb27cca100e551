"""What is kept of a failure: what a worker says of it, and what is read of it again."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import attrs

from ..moments import TimeToLive, iso_text, read_moment
from ..values import frozen
from .codec import EXPIRES, HELD_LIMITS, Message, further_fields
from .foreign import is_whole, text
from .schedule import milliseconds

__all__ = ["FailureKept", "FailureReport", "FailuresKept", "Wanted", "epoch_ms"]

#: Pickled arguments of more bytes are not kept with a failure (lib/failures.lua has the same number).
LARGEST_CALL = 64 * 1024

#: A traceback of fewer bytes is kept as it is: to compress it takes longer than it saves.
SHORT = 800

#: The most bytes that a traceback is unpacked to; anybody may have written it.
LONGEST = 1024 * 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def epoch_ms(at: datetime) -> int:
    """A moment in whole milliseconds of the epoch."""
    return (at - _EPOCH) // _MS


#: Runs that are taken, or end, together have these moments in common.
_epoch_ms_again, _iso_text_again = functools.lru_cache(8)(epoch_ms), functools.lru_cache(8)(iso_text)


@frozen
class FailuresKept:
    """How many failures a docket keeps, and for how long. Zero of either: none."""

    ttl: timedelta = timedelta(days=7)
    most: int = 10_000

    @property
    def any(self) -> bool:
        """Whether it keeps some."""
        return self.most > 0 and bool(self.ttl)

    def oldest(self, now: datetime) -> int:
        """Since when failures are kept (`epoch_ms`); since ever where none are, for those that others keep."""
        return max(epoch_ms(now) - milliseconds(self.ttl), 0) if self.any else 0

    def bounds(self, now: datetime) -> Mapping[str, int]:
        """What scripts are told that may keep one (lib/failures.lua)."""
        most = self.most if self.any else 0
        return {"failures_kept": most, "failure_ttl": milliseconds(self.ttl), "failed_at": epoch_ms(now)}


@frozen
class FailureReport:
    """What a worker says of an attempt that has failed: the class of the error, its text, and the traceback."""

    kind: str
    error: str
    traceback: str
    started_at: datetime | None

    @property
    def size(self) -> int:
        """About how many bytes there are to write."""
        return len(self.error) + len(self.traceback)

    def sent(self, message: Message, kept: FailuresKept, now: datetime) -> list[str | bytes | int]:
        """As scripts take it (lib/failures.lua, from ``with_call`` on)."""
        return [
            int(len(message.args) + len(message.kwargs) <= LARGEST_CALL), milliseconds(kept.ttl), kept.most,
            _epoch_ms_again(now), message.attempt, self.kind, self.error, _packed(self.traceback),
            "" if self.started_at is None else _iso_text_again(self.started_at),
        ]  # fmt: skip


@frozen(kw_only=True)
class FailureKept:
    """The last failure of a key as it is kept. ``next_at`` is when its next attempt is, None if there is none.

    ``args`` and ``kwargs`` stay pickled, and are None where they were too large.
    """

    key: str
    function: str
    kind: str
    error: str
    failed_at: datetime
    failed_ms: bytes
    """``failed_at`` as it is kept, which tells it from a later failure of its key."""
    first_failed_at: datetime
    traceback: str
    attempt: int = 1
    count: int = 1
    worker: str | None = None
    started_at: datetime | None = None
    goes_on: bool = False
    next_at: datetime | None = None
    when: datetime | None = None
    args: bytes | None = attrs.field(default=None, repr=False)
    kwargs: bytes | None = attrs.field(default=None, repr=False)
    extra: Mapping[bytes, bytes] = attrs.field(factory=dict[bytes, bytes], repr=False)

    @classmethod
    def of(cls, key: str, fields: Mapping[bytes, bytes]) -> FailureKept | None:
        """Read a hash; None where there is none, or none of ours."""
        get = fields.get
        failed_at = _moment(get(b"failed_at"))
        if failed_at is None:
            return None
        message = {name[2:]: value for name, value in fields.items() if name.startswith(b"m:")}
        return cls(
            key=key,
            function=text(message.get(b"function", b"")),
            kind=text(get(b"type", b"")),
            error=text(get(b"error", b"")),
            traceback=_unpacked(get(b"traceback", b"")),
            failed_at=failed_at,
            failed_ms=fields[b"failed_at"],
            first_failed_at=_moment(get(b"first_failed_at")) or failed_at,
            attempt=_number(get(b"attempt")),
            count=_number(get(b"count")),
            worker=text(get(b"worker", b"")) or None,
            started_at=read_moment(get(b"started_at")),
            goes_on=get(b"goes_on") == b"1",
            next_at=_moment(get(b"next_at")),
            when=read_moment(message.get(b"when")),
            args=message.get(b"args"),
            kwargs=message.get(b"kwargs"),
            extra=further_fields(message),
        )

    def message(self, when: datetime, ttl: TimeToLive = ...) -> Message | None:
        """Its call, to be made anew at ``when``; None where its arguments are not kept."""
        if self.args is None or self.kwargs is None or not self.function:
            return None
        extra = {
            name: value for name, value in self.extra.items() if name not in (HELD_LIMITS, EXPIRES)
        }  # it is nobody's child now, and has begun once
        failed = Message(self.key, when, self.function, self.args, self.kwargs, extra=extra, ttl=ttl)
        return failed.again(when, 1)


@frozen(kw_only=True)
class Wanted:
    """Which failures are wanted: of a task, with a part of the text or of the class of the error, in a span of time."""

    task: str | None = None
    error: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def looks(self) -> bool:
        """Whether the time alone does not say it."""
        return self.task is not None or self.error is not None

    def admits(self, failure: FailureKept) -> bool:
        """Whether a failure is wanted."""
        return (
            (self.task is None or failure.function == self.task)
            and (self.error is None or self.error.casefold() in f"{failure.kind}: {failure.error}".casefold())
            and (self.since is None or failure.failed_at >= self.since)
            and (self.until is None or failure.failed_at <= self.until)
        )


def _packed(traceback: str) -> bytes:
    raw = traceback.encode()
    return b"z" + zlib.compress(raw, 1) if len(raw) > SHORT else b"t" + raw


def _unpacked(kept: bytes) -> str:
    """The inverse; empty where it cannot be read."""
    if kept[:1] != b"z":
        return text(kept[1:])
    try:
        return text(zlib.decompressobj().decompress(kept[1:], LONGEST))
    except zlib.error:
        return ""


def _moment(ms: bytes | None) -> datetime | None:
    if ms is None or not is_whole(ms):
        return None
    try:
        return _EPOCH + int(ms) * _MS
    except OverflowError:
        return None


def _number(raw: bytes | None) -> int:
    return int(raw) if raw is not None and is_whole(raw) else 1

"""Failures: look at them, run them again, discard them; run now what waits for its time."""

from __future__ import annotations

import abc
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import attrs

from .. import clock
from ..client import TaskFunction, check_key, retry_many
from ..errors import NothingKept, Untrusted, UsageError
from ..execution import Execution
from ..moments import LAST, check_moment
from ..numbers import check_whole
from ..rules import Cancellation, Disposition, ExecutionState, Level, check_level
from ..signals import Labels, signals
from ..store import (
    DocketStore,
    FailureKept,
    FailureRow,
    Keys,
    Message,
    Wanted,
    Written,
    epoch_ms,
    with_level,
    written_of,
)
from ..text import text_of
from ..values import frozen
from .named import asked_task

__all__ = ["BulkResult", "DocketFailures", "Failure", "FailureGroup"]

LIMIT, MOST = 100, 1000
"""How many failures are returned unless a caller says so, and how many at most."""

BULK = 100
"""How many failures are retried or discarded in one write."""

_REASONS = {
    Disposition.ALREADY_SCHEDULED: "already scheduled",
    Disposition.STRUCK: "struck",
    Disposition.SUPERSEDED: "failed again, or gone",
    Disposition.FAILED: "refused by the server",
}
_NO_ARGUMENTS, _NOT_TRUSTED = "arguments not kept", "not trusted"


@frozen(kw_only=True)
class Failure:
    """The last failure under a key, as it is kept for ``failure_ttl``. All times are aware, in UTC.

    ``type`` is the class of the error (``KeyError``, ``package.module.MyError``), ``error`` the beginning of its text,
    ``traceback`` begins at the task's own code. ``count`` attempts of the key have failed since ``first_failed_at``.
    """

    key: str
    function: str
    type: str
    error: str
    traceback: str = attrs.field(repr=False)
    attempt: int
    worker: str | None
    """None where no worker ran it: its message was lost."""
    when: datetime | None
    """When it was due."""
    started_at: datetime | None
    failed_at: datetime
    first_failed_at: datetime
    count: int
    next_at: datetime | None
    """When the next attempt is; None where there is none. It may have begun."""
    goes_on: bool
    """Whether the next run of a perpetual task follows."""
    args: bytes | None = attrs.field(repr=False)
    """The pickled positional arguments; None where they were too large or unreadable. Nothing here unpickles them."""
    kwargs: bytes | None = attrs.field(repr=False)
    """The pickled named arguments."""
    cursor: str = attrs.field(repr=False)
    """Where the next page begins: for ``after``, in another process or a URL."""
    _execution: Execution[Any] = attrs.field(repr=False, eq=False, alias="execution")

    @property
    def final(self) -> bool:
        """Whether it is over; else it is tried again."""
        return self.next_at is None

    @property
    def retryable(self) -> bool:
        """Whether its arguments are kept."""
        return self.args is not None and self.kwargs is not None

    @property
    def written(self) -> Written:
        """How its arguments are written, as they say: by which serializer, signed and sealed with which keys."""
        return written_of(self.args)

    def call_repr(self) -> str:
        """The call for people. Values may be secret: only those that the task marks as `Logged` are shown."""
        return self._execution.call_repr()


@frozen(kw_only=True)
class FailureGroup:
    """Failures of one task by errors of one class: how many, and the latest."""

    function: str
    type: str
    count: int
    latest: datetime
    latest_key: str


@frozen(kw_only=True)
class BulkResult:
    """What became of many failures: how many were ``done``, and how many ``skipped``, by the reason."""

    done: int
    skipped: Mapping[str, int] = attrs.field(factory=dict[str, int])


Task: TypeAlias = TaskFunction | str | None

_OVER = frozenset({ExecutionState.COMPLETED, ExecutionState.FAILED, ExecutionState.CANCELLED})
_MOVED = {True: Disposition.SCHEDULED, False: Disposition.ALREADY_SCHEDULED}


class DocketFailures(abc.ABC):
    """The part of a `Docket` that is about failures.

    A ``task`` is a function or its name, which need not be registered; ``error`` is a part of the error's text or
    class, in any case of letters; ``since`` and ``until`` are aware moments, both included.
    """

    @property
    @abc.abstractmethod
    def keys(self) -> Keys: ...

    @property
    @abc.abstractmethod
    def store(self) -> DocketStore:
        """Everything that reads and writes the docket."""

    @abc.abstractmethod
    def labels(self) -> Labels:
        """The attributes that telemetry gives to this docket."""

    @abc.abstractmethod
    async def get_execution(self, key: str) -> Execution[Any] | None: ...

    @abc.abstractmethod
    async def _cancel(self, key: str, failed_at: bytes = b"") -> Cancellation:
        """Cancel what has a key: with ``failed_at`` only the next attempt of the failure that is kept with it."""

    # reading ---------------------------------------------------------------------------------------------

    async def failures(
        self,
        task: Task = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = LIMIT,
        after: Failure | str | None = None,
    ) -> list[Failure]:
        """What has failed, the newest first: of each key the last failure.

        That is each run that failed for good, and each of a perpetual task that goes on, until it succeeds, is
        retried or discarded, or for ``failure_ttl``. ``after`` is the last one of the page before, or its ``cursor``.
        Raises: UsageError (a ValueError) - a naive moment, a ``limit`` outside 1..1000, a text that is no cursor;
        redis.exceptions.RedisError.
        """
        return await self._page(_wanted(task, error, since, until), limit, after, final=True)

    async def retrying(
        self,
        task: Task = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = LIMIT,
        after: Failure | str | None = None,
    ) -> list[Failure]:
        """What has failed and is tried again, the soonest next attempt first; otherwise as `failures`.

        An entry stays while its next attempt runs, and goes with its success.
        """
        return await self._page(_wanted(task, error, since, until), limit, after, final=False)

    async def failure(self, key: str) -> Failure | None:
        """The last failure of a key, be it over or tried again; None where none is kept. Raises: as `cancel`."""
        kept = await self.store.failures.read(check_key(key))
        return None if kept is None else self._shown(kept)

    async def failure_groups(
        self,
        task: Task = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        retrying: bool = False,
    ) -> list[FailureGroup]:
        """All `failures` - or what is ``retrying`` - by task and class of the error, the largest groups first."""
        groups: dict[tuple[str, str], FailureGroup] = {}
        for one in await self._summaries(_wanted(task, error, since, until), final=not retrying):
            before = groups.get((one.function, one.kind))
            latest = one if before is None or before.latest < one.failed_at else None
            groups[one.function, one.kind] = FailureGroup(
                function=one.function,
                type=one.kind,
                count=1 if before is None else before.count + 1,
                latest=before.latest if latest is None and before is not None else one.failed_at,
                latest_key=before.latest_key if latest is None and before is not None else one.key,
            )
        return sorted(groups.values(), key=lambda group: (-group.count, group.function, group.type))

    async def count_failures(
        self,
        task: Task = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> dict[tuple[str, str], int]:
        """How many `failures` there are, by task and class of the error."""
        groups = await self.failure_groups(task, error=error, since=since, until=until)
        return {(group.function, group.type): group.count for group in groups}

    # acting ----------------------------------------------------------------------------------------------

    async def retry(self, key: str, *, when: datetime | None = None) -> Execution[Any]:
        """Run what failed under ``key`` again: the same call under the same key, from attempt 1, now or at ``when``.

        Of what is tried again anyway the next attempt is moved there. Its ``disposition`` says what happened:
        SCHEDULED, ALREADY_SCHEDULED - the key waits or runs, as that of a chain that goes on does - or STRUCK. What
        failed on a worker that keeps no failures (pydocket's) is retried from its record, for its ``execution_ttl``.
        Nothing is unpickled for it, unless a strike concerns the task. A docket with signing keys signs the call anew
        if its signature holds, however old that is; one without keys leaves the signature as it is.
        Raises: NothingKept (a KeyError) - there is no failure, or its arguments are not kept; Untrusted - the docket
        has signing keys, and the signature of what is kept does not hold; UsageError (a ValueError) - a naive ``when``;
        redis.exceptions.RedisError. Cancel: it may have been placed.
        """
        key = check_key(key)
        if when is not None:
            check_moment("when", when)
        with signals.operation("docket.retry", lambda: {**self.labels(), "docket.key": key}):
            while True:
                at = when or clock.now()
                kept = await self.store.failures.read(key)
                if kept is None or kept.next_at is not None:
                    execution = await self._tried_at_once(key, kept, at)
                    if execution is not None:
                        return execution
                message = await self._message_of(key, kept, at)
                execution = Execution.to_show(self._docket, self.store.payloads.retried(message))
                await retry_many(self.store, [execution], [b"" if kept is None else kept.failed_ms])
                if execution.schedule_exception is not None:
                    raise execution.schedule_exception
                if execution.disposition is Disposition.ALREADY_SCHEDULED:
                    await execution.sync()
                if execution.disposition is not Disposition.SUPERSEDED:
                    return execution  # else it has failed again, or somebody else has retried it

    async def retry_all(
        self,
        task: Task = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> BulkResult:
        """Retry all `failures` that there are now, the oldest first, a hundred in one write.

        What fails after the call has begun is left alone, also where it was retried by it. What is tried again anyway
        is left alone, too. Raises: as `failures`. Cancel: earlier hundreds are retried.
        """
        wanted = _wanted(task, error, since, until)
        with signals.operation("docket.retry_all", self.labels):
            return await self._each(wanted, self._retry_some)

    async def discard(self, key: str) -> bool:
        """Forget the failure of a key; whether there was one. The next attempt of what is tried again is cancelled.

        A call that has got the key meanwhile is left alone. Raises: as `cancel`.
        """
        key = check_key(key)
        with signals.operation("docket.discard", lambda: {**self.labels(), "docket.key": key}):
            found = False
            while kept := await self.store.failures.read(key):
                found = (kept.next_at is not None and bool(await self._cancel(key, kept.failed_ms))) or found
                if any(await self.store.failures.discard_many([(key.encode(), kept.failed_ms)])):
                    return True  # else it went as its next attempt was cancelled, or it has failed again
            return found

    async def discard_all(
        self,
        task: Task = None,
        *,
        error: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> BulkResult:
        """Forget all `failures` that there are now; otherwise as `retry_all`."""
        wanted = _wanted(task, error, since, until)
        with signals.operation("docket.discard_all", self.labels):
            return await self._each(wanted, self._discard_some)

    async def run_now(self, key: str, *, priority: Level = None) -> bool:
        """Let what waits for its time under ``key`` run now; whether anything did.

        That is a task for later, the next attempt of one that failed, the next run of a perpetual task, whose chain
        goes on from there. With a ``priority`` that is its level from now on.
        Raises: UsageError (a ValueError) - there is no such level; else as `cancel`.
        """
        key = check_key(key)
        level = check_level(priority)
        with signals.operation("docket.run_now", lambda: {**self.labels(), "docket.key": key}):
            return await self.store.failures.promote(key, clock.now(), level=level)

    # inside ----------------------------------------------------------------------------------------------

    @property
    def _docket(self) -> Any:
        """The Docket of which this is a part."""
        return self

    async def _page(
        self, wanted: Wanted, limit: int, after: Failure | str | None, *, final: bool
    ) -> list[Failure]:
        check_whole("limit", limit, 1, MOST)
        last, found, failures = _place(after), list[Failure](), self.store.failures
        while len(found) < limit:
            rows = await failures.page(wanted, final=final, after=last)
            if not rows:
                break
            last = rows[-1]
            chosen = await failures.select(rows, wanted, final=final)
            while chosen and (lacking := limit - len(found)):  # what is gone since takes no place
                some, chosen = chosen[:lacking], chosen[lacking:]
                found += [
                    self._shown(one) for one in await failures.read_all([row.key for row in some]) if one
                ]
        return found

    async def _summaries(self, wanted: Wanted, *, final: bool) -> list[FailureKept]:
        failures, last, found = self.store.failures, None, list[FailureKept]()
        while rows := await failures.page(wanted, final=final, after=last):
            found += [one for one in await failures.summaries(rows) if one is not None and wanted.admits(one)]
            last = rows[-1]
        return found

    def _shown(self, kept: FailureKept) -> Failure:
        at = clock.now() if kept.when is None else kept.when
        listed = kept.failed_at if kept.next_at is None else kept.next_at
        return Failure(
            key=kept.key,
            function=kept.function,
            type=kept.kind,
            error=kept.error,
            traceback=kept.traceback,
            attempt=kept.attempt,
            worker=kept.worker,
            when=kept.when,
            started_at=kept.started_at,
            failed_at=kept.failed_at,
            first_failed_at=kept.first_failed_at,
            count=kept.count,
            next_at=kept.next_at,
            goes_on=kept.goes_on,
            args=kept.args,
            kwargs=kept.kwargs,
            cursor=f"{epoch_ms(listed)}:{kept.key}",
            execution=Execution.to_show(self._docket, _call(kept, at, kept.attempt)),
        )

    async def _tried_at_once(self, key: str, kept: FailureKept | None, at: datetime) -> Execution[Any] | None:
        """Move the next attempt of what is tried again; the execution that has the key, None where none has it."""
        moved = kept is not None and await self.store.failures.promote(key, at, kept.failed_ms)
        execution = await self.get_execution(key)
        if execution is not None and execution.state not in _OVER:
            execution.disposition = _MOVED[moved]
            return execution
        if not moved or kept is None:
            return None
        # What was moved has ended since. It was the retry: a call that is placed now would be one more.
        execution = execution or Execution.to_show(self._docket, _call(kept, at, kept.attempt + 1))
        execution.disposition = Disposition.SCHEDULED
        return execution

    async def _message_of(self, key: str, kept: FailureKept | None, when: datetime) -> Message:
        """The call of a failure, from what is kept of it or else from the record. Raises: NothingKept; RedisError."""
        message = None if kept is None else kept.message(when)
        if message is not None:
            return message
        record, _ = await self.store.records.read(key)
        if (
            record is not None
            and record.state is ExecutionState.FAILED
            and record.function is not None
            and record.args is not None
            and record.kwargs is not None
        ):
            return Message(
                key, when, record.function, record.args, record.kwargs,
                generation=max(record.generation, 0), extra=with_level({}, record.level), ttl=record.ttl,
            )  # fmt: skip
        docket = self.keys.name
        if kept is None:
            raise NothingKept(f"no failure is kept under the key {key!r} on docket {docket!r}")
        raise NothingKept(
            f"the arguments of {key!r} on docket {docket!r} are not kept with its failure: they were too large, "
            "or its message could not be read; add the task again"
        )

    async def _each(
        self, wanted: Wanted, act: Callable[[Sequence[FailureKept], dict[str, int]], Coroutine[Any, Any, int]]
    ) -> BulkResult:
        """Act on all failures that there are, the oldest first, `BULK` of them at a time."""
        failures, last, rows = self.store.failures, None, list[FailureRow]()
        wanted = attrs.evolve(wanted, until=min(wanted.until or LAST, clock.now()))
        while page := await failures.page(wanted, final=True, after=last, oldest_first=True):
            rows += await failures.select(page, wanted, final=True)
            last = page[-1]
        done, skipped = 0, dict[str, int]()
        for at in range(0, len(rows), BULK):
            chunk = await failures.read_all([row.key for row in rows[at : at + BULK]])
            there = [kept for kept in chunk if kept is not None and wanted.admits(kept)]
            _count(skipped, _REASONS[Disposition.SUPERSEDED], len(rows[at : at + BULK]) - len(there))
            done += await act(there, skipped)
        return BulkResult(done=done, skipped=skipped)

    async def _retry_some(self, kept: Sequence[FailureKept], skipped: dict[str, int]) -> int:
        now = clock.now()
        calls = [(one.message(now), one.failed_ms) for one in kept]
        known = list[tuple[Execution[Any], bytes]]()
        for call, at in calls:
            if call is None:
                _count(skipped, _NO_ARGUMENTS, 1)
                continue
            try:
                known.append((Execution.to_show(self._docket, self.store.payloads.retried(call)), at))
            except Untrusted:
                _count(skipped, _NOT_TRUSTED, 1)
        executions = [execution for execution, _ in known]
        if executions:
            await retry_many(self.store, executions, [at for _, at in known])
        for execution in executions:
            if execution.disposition is not Disposition.SCHEDULED:
                _count(skipped, _REASONS[execution.disposition], 1)
        return sum(execution.disposition is Disposition.SCHEDULED for execution in executions)

    async def _discard_some(self, kept: Sequence[FailureKept], skipped: dict[str, int]) -> int:
        there = await self.store.failures.discard_many([(one.key.encode(), one.failed_ms) for one in kept])
        _count(skipped, _REASONS[Disposition.SUPERSEDED], there.count(False))
        return there.count(True)


def _call(kept: FailureKept, when: datetime, attempt: int) -> Message:
    """The call of a failure, to be shown: its arguments may not be kept."""
    return Message(kept.key, when, kept.function, kept.args or b"", kept.kwargs or b"", attempt=attempt)


def _count(skipped: dict[str, int], reason: str, number: int) -> None:
    if number:
        skipped[reason] = skipped.get(reason, 0) + number


def _wanted(task: Task, error: str | None, since: datetime | None, until: datetime | None) -> Wanted:
    """Raises: TypeError, UsageError (a ValueError) - one of them is none that can be."""
    name = asked_task(task)
    if error is not None and not isinstance(error, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"error takes a part of its text, not {type(error).__name__}")
    for what, moment in ("since", since), ("until", until):
        if moment is not None:
            check_moment(what, moment)
    return Wanted(task=name, error=error, since=since, until=until)


def _place(after: Failure | str | None) -> FailureRow | None:
    """The row behind which a page begins. Raises: UsageError - it is no cursor."""
    if after is None:
        return None
    text = after.cursor if isinstance(after, Failure) else after
    at, colon, key = text.partition(":") if isinstance(text, str) else ("", "", "")  # pyright: ignore[reportUnnecessaryIsInstance]
    if not colon or not key or not at.isascii() or not at.isdigit() or len(at) > 15:
        raise UsageError(f"after takes a failure, or the cursor of one, not {text_of(after, repr)}")
    return FailureRow(int(at), key.encode())

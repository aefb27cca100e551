"""Prepares what is written about the end of a claim: which script, and with which pickles."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypedDict

import attrs

from ... import clock
from ...client import TaskFunction
from ...dependencies import cut_to_the_users_code, share_of_call, takes_turns
from ...errors import DeliveryLimitExceeded, DeliveryUnreadable, ResultNotStored
from ...execution import ExecutionFailed
from ...moments import moved
from ...rules import (
    Abandon,
    AwaitSlot,
    AwaitTurn,
    Blocked,
    Cancel,
    Complete,
    Defer,
    Drop,
    Expired,
    Fail,
    HandBack,
    Outcome,
    PassOn,
    Raised,
    Reschedule,
    Returned,
    Verdict,
    decide,
    unfolds,
)
from ...store import (
    Again,
    Claims,
    DocketStore,
    Ended,
    FailureReport,
    Message,
    PassedOn,
    Settled,
    Unreadable,
    having_had_its_turn,
    share_field,
    waiting_anew,
    why_expired,
    with_share,
    without_expiry,
)
from ...text import class_name, class_path, error_text, readable, shortened, text_of
from ...values import define
from ..roster import End, Running, write_nothing
from .following import due_of_chain, fail_unhandled
from .traced import traceback_text

__all__ = ["Endings"]

logger = logging.getLogger("docket.worker")

NOT_KEPT = timedelta(0)

_COMPLETED, _CANCELLED = Ended("completed"), Ended("cancelled")

#: A server closes the connection of a client that sends more (proto-max-bulk-len), which looks like an outage.
LONGEST = 500 * 1024 * 1024

#: How many characters a traceback has that is kept, and how many of these are its first: the last ones say more.
LONGEST_TRACEBACK, FIRST_OF_TRACEBACK = 16_000, 4_000

#: Errors of docket whose texts show no value of a task.
_TELL_NOTHING = frozenset({DeliveryLimitExceeded, DeliveryUnreadable})

#: How many characters of its error the record of a task that is tried again keeps, and what is kept for operators.
LONGEST_TEXT, LONGEST_REASON = 2000, 1000


class _About(TypedDict):
    task: str
    key: str
    generation: int
    function: TaskFunction


@define(eq=False)
class Endings:
    """Prepares how the claims of one worker end (I1, I2)."""

    store: DocketStore
    claims: Claims

    def at_once(
        self, running: Running, outcome: Outcome, verdict: Verdict, seconds: float | None
    ) -> End | None:
        """The end of a run that returned nothing, as most do; None for others, which `prepare` prepares."""
        if type(verdict) is Complete and verdict.value is None:
            return self._final(running, outcome, verdict, seconds, _COMPLETED)
        return None

    async def prepare(
        self, running: Running, outcome: Outcome, verdict: Verdict, seconds: float | None = None
    ) -> End:
        """Prepare what is to be written: pickle it, and put it into the user's result storage.

        What cannot be pickled or stored fails the run; a perpetual task goes on with its next run.
        """
        delivery, again = running.delivery, None
        if isinstance(outcome, Raised) and not unfolds(outcome.error):
            outcome, verdict = _showable(outcome.error, verdict)
        match verdict:
            case Complete(value):
                return await self._completed(running, outcome, verdict, value, seconds)
            case Fail(error):
                failed = await self._has_failed(running, error, _result_key(running))
                return self._final(running, outcome, verdict, seconds, failed)
            case Reschedule():
                try:
                    following = self._following(running, verdict)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001 - pickling runs the arguments' own code
                    name = running.execution.function_name
                    reason = f"the next arguments of task {name!r} {self._refused(error)}"
                    return await self._failed(running, _because(error, TypeError(reason)), seconds)
                retries = verdict.retries(running.execution.attempt)
                again = await self._again(running, outcome, following, retries=retries)
                write = partial(self._reschedule, running, again)
            case Cancel() | Drop():
                return self._final(running, outcome, verdict, seconds, _cancelled(outcome))
            case HandBack():
                write = partial(self._hand_back, running)
            case Abandon() | AwaitSlot() | AwaitTurn():
                write = write_nothing
            case Defer() | PassOn():
                begun = delivery.had_begun or (running.has_begun and not isinstance(outcome, Blocked))
                later = _put_off(delivery.message, verdict, due_of_chain(running.execution), begun=begun)
                later = self._written_anew(running, later)
                again = Again(later, same=True, tried=_unknown(running, verdict))
                write = partial(self._reschedule, running, again)
        return End(outcome, verdict, write, seconds, again)

    def set_aside(self, running: Running, reason: str) -> Callable[[], Awaitable[Settled]]:
        """What moves the delivery to the dead letters, where people can look at it, and fails its run."""
        dead = Unreadable.of(running.delivery, DeliveryUnreadable(readable(reason)))

        async def write() -> Settled:
            await self.claims.set_aside(dead)
            return Settled.LOST

        return write

    def _following(self, running: Running, verdict: Reschedule) -> Message:
        message = running.delivery.message
        following = message.again(verdict.when, verdict.attempt, verdict.first)
        if following.extra:
            extra = with_share(without_expiry(following.extra), _share_of(running, verdict))
            following = attrs.evolve(following, extra=extra)
        if verdict.call is None:
            return self._written_anew(running, following)
        args, kwargs = self.store.payloads.call(
            *verdict.call,
            task=message.function,
            key=message.key,
            when=verdict.when,
            function=running.execution.function,
        )
        return attrs.evolve(following, args=args, kwargs=kwargs)

    def _written_anew(self, running: Running, following: Message) -> Message:
        """What follows with the same arguments. What was not opened here is not signed here."""
        is_open = running.broken is None and not running.unknown
        if not is_open:
            return following
        return self.store.payloads.written_anew(following, running.execution.function)

    async def _failed(self, running: Running, error: BaseException, seconds: float | None) -> End:
        """Prepare the end of a run that failed by something else than its body."""
        outcome, following = fail_unhandled(running.execution, error)
        return await self.prepare(running, outcome, decide(outcome, following), seconds)

    # What is written is written under the claim that is ours by then: it may be a second one.

    async def _settle(self, running: Running, ended: Ended) -> Settled:
        return await self.claims.settle(running.delivery, ended)

    async def _reschedule(self, running: Running, again: Again) -> Settled:
        return await self._unless_asked(running, await self.claims.reschedule(running.delivery, again))

    async def _hand_back(self, running: Running) -> Settled:
        return await self._unless_asked(
            running, await self.claims.hand_back(running.delivery, begun=running.has_begun)
        )

    async def _unless_asked(self, running: Running, settled: Settled) -> Settled:
        if settled is Settled.ASKED:
            # Nobody can tell a body that ignored its cancellation from one that was about to return.
            cancelled = await self.claims.settle(running.delivery, _CANCELLED)
            return settled if cancelled is Settled.OK else cancelled
        return settled

    async def _again(self, running: Running, outcome: Outcome, following: Message, *, retries: bool) -> Again:
        """How a call ended that another one follows, or an attempt that the next one ``retries``."""
        if not retries:
            return Again(following, ended=await self._over(running, outcome))
        if not isinstance(outcome, Raised):
            return Again(following)
        said = self._said(outcome.error)
        tried = shortened(_reason(outcome.error, said), LONGEST_TEXT)
        return Again(following, tried=tried, failure=self._report(running, outcome.error, said))

    async def _over(self, running: Running, outcome: Outcome) -> Ended:
        """How a call ended that another one follows. Results that cannot be kept do not end a chain."""
        last = f"{running.delivery.message.key}:last"  # a chain keeps one result
        match outcome:
            case Raised(error):
                return await self._has_failed(running, error, last)
            case Returned(None):
                return Ended("completed")
            case Returned(value):
                result = await self._result(running, value, last)
                if isinstance(result, Exception):
                    logger.warning("%s; its next run follows all the same", result)
                    result = None
                return Ended("completed", result=result)
            case _:
                return _cancelled(outcome)  # it was not admitted

    async def _completed(
        self, running: Running, outcome: Outcome, verdict: Verdict, value: Any, seconds: float | None
    ) -> End:
        result = await self._result(running, value, _result_key(running))
        if isinstance(result, Exception):
            return await self._failed(running, result, seconds)
        return self._final(running, outcome, verdict, seconds, Ended("completed", result=result))

    def _final(
        self, running: Running, outcome: Outcome, verdict: Verdict, seconds: float | None, ended: Ended
    ) -> End:
        return End(outcome, verdict, partial(self._settle, running, ended), seconds, ended)

    async def _result(
        self, running: Running, value: Any, key: str
    ) -> tuple[str, str | None] | Exception | None:
        """What is kept of a result, or why it cannot be kept."""
        if self.claims.kept_for(running.delivery) == NOT_KEPT:
            return None
        name = running.execution.function_name
        try:
            text = self.store.payloads.result(value, **_about(running))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - pickling runs the value's own code: it may raise anything
            reason = f"the result of task {name!r} {self._refused(error)}"
            return _because(error, TypeError(reason))
        try:
            return await self._kept(running, text, key)
        except Exception as error:  # noqa: BLE001 - a result storage of the user's may raise anything
            reason = f"the result of task {name!r} cannot be stored: {text_of(error)}"
            return _because(error, ResultNotStored(reason))

    def _refused(self, error: BaseException) -> str:
        return f"cannot be {self.store.payloads.written}: {text_of(error)}"

    async def _has_failed(self, running: Running, error: BaseException, key: str) -> Ended:
        """The end of a call that has failed: what who awaits its result gets is kept under ``key``."""
        said = self._said(error)
        report = self._report(running, error, said)
        exception = await self._exception(running, error, key, report)
        return Ended("failed", _reason(error, said), exception, report)

    def _said(self, error: BaseException) -> str | None:
        """The text of an error where anybody reads it; None where that may not be: it may show what is sealed."""
        hidden = not self.store.payloads.shows_errors and type(error) not in _TELL_NOTHING
        return None if hidden else text_of(error)

    def _report(self, running: Running, error: BaseException, said: str | None) -> FailureReport | None:
        """What is kept for operators, if anything is, of a failure whose error ``said`` this."""
        if not self.claims.failures_kept.any:
            return None
        started_at = running.execution.started_at
        if said is None:
            return FailureReport(class_path(error), "", "", started_at)
        return FailureReport(
            class_path(error), shortened(said, LONGEST_REASON), traceback_of(error), started_at
        )

    async def _exception(
        self, running: Running, error: BaseException, key: str, report: FailureReport | None
    ) -> tuple[str, str | None] | None:
        """What is kept of an exception; of one that cannot be pickled its text."""
        if self.claims.kept_for(running.delivery) == NOT_KEPT or isinstance(error, ResultNotStored):
            return None
        note = _note(running, (report and report.traceback) or traceback_of(error))
        text = self.store.payloads.exception(error, note, **_about(running))
        try:
            return await self._kept(running, text, key)
        except Exception as problem:  # a result storage of the user's may raise anything
            logger.error("Could not store the exception of %r", running.execution, exc_info=problem)
            return None

    async def _kept(self, running: Running, text: str, key: str) -> tuple[str, str | None]:
        """Where a result goes: its key, and its text where Redis is to keep it (else it is in another storage now)."""
        running.execution.result_key = key
        storage = self.store.result_storage
        if storage is None:
            if len(text) > LONGEST:
                raise ValueError(
                    f"pickled it has {len(text)} bytes, and Redis takes {LONGEST}: keep it elsewhere"
                )
            return key, text
        kept = self.claims.kept_for(running.delivery)
        await storage.put(key, {"data": text}, ttl=None if kept is None else kept.total_seconds())
        return key, None


def _about(running: Running) -> _About:
    message = running.delivery.message
    return {
        "task": message.function,
        "key": message.key,
        "generation": message.generation,
        "function": running.execution.function,
    }


def _result_key(running: Running) -> str:
    message = running.delivery.message
    return f"{message.key}:{message.generation}"


def traceback_of(error: BaseException) -> str:
    """The traceback of an error as it is kept: from the user's code on, and not longer than anybody reads."""
    cut_to_the_users_code(error)
    return readable(shortened(traceback_text(error), LONGEST_TRACEBACK, FIRST_OF_TRACEBACK))


def _reason(error: BaseException, said: str | None) -> str:
    """What the record of a run has of its error."""
    return class_name(error) if said is None else f"{class_name(error)}: {said}"


def _note(running: Running, traceback: str) -> str:
    """What a failed attempt says to who awaits the result in another process."""
    execution = running.execution
    head = f"On worker {execution.worker!r}, in attempt {execution.attempt} of {execution.function_name!r}"
    return f"{readable(head)}:\n{traceback}"


def _showable(error: BaseException, verdict: Verdict) -> tuple[Raised, Verdict]:
    """A plain error with its text, for one that neither our log nor the caller of `get_result` could show."""
    shown = ExecutionFailed(f"{error_text(error)}: a group with more errors in it than can be shown")
    return Raised(shown), Fail(shown) if isinstance(verdict, Fail) else verdict


def _unknown(running: Running, verdict: Defer | PassOn) -> str:
    """Why a run was put back, for its record; empty where it was only put off."""
    if isinstance(verdict, Defer):
        return ""
    execution = running.execution
    return shortened(
        f"UnknownTask: worker {execution.worker!r} does not know task {execution.function_name!r}, and has put it back "
        "for one that does",
        LONGEST_TEXT,
    )


def _cancelled(outcome: Outcome) -> Ended:
    return Ended("cancelled", why_expired(outcome.moment)) if isinstance(outcome, Expired) else _CANCELLED


def _put_off(message: Message, verdict: Defer | PassOn, due: datetime | None, *, begun: bool) -> Message:
    later = message.again(moved(clock.now(), verdict.wait), message.attempt, due)
    if later.extra:
        extra = without_expiry(later.extra) if begun else later.extra
        later = attrs.evolve(later, extra=having_had_its_turn(extra))
    if isinstance(verdict, Defer):
        return later
    return attrs.evolve(later, passed_on=PassedOn(verdict.times, verdict.waited, verdict.deliveries))


def _share_of(running: Running, verdict: Reschedule) -> bytes | None:
    """Whose turn the next run waits for: that of its arguments, where these are others."""
    if verdict.call is not None and takes_turns(running.execution.function):
        share = share_of_call(running.execution.function, *verdict.call)
        return None if share is None else share_field(*share)
    return waiting_anew(running.delivery.message.extra)


def _because(error: BaseException, problem: Exception) -> Exception:
    """``problem``, caused by ``error``. No variable of the frames that raised that may lead to it: a circle."""
    cut_to_the_users_code(error)
    problem.__cause__ = error
    return problem

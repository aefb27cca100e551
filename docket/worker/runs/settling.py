"""Prepares and writes how a claim ended, for as long as its lease can be trusted to be ours."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import attrs
from redis.exceptions import NoPermissionError, ResponseError

from ... import clock
from ...dependencies import cut_to_the_users_code
from ...errors import DeliveryUnreadable, ResultNotStored
from ...execution import ExecutionFailed
from ...moments import moved
from ...rules import (
    Abandon,
    AwaitSlot,
    Cancel,
    Complete,
    Defer,
    Drop,
    Fail,
    HandBack,
    Outcome,
    PassOn,
    Raised,
    Reschedule,
    Verdict,
    unfolds,
)
from ...store import Claims, Message, PassedOn, Settled, Unreadable, dump, dump_value
from ...text import error_text, readable, text_of
from ..roster import End, Running
from ..upkeep.outages import Outages
from .leased import retry_while_leased
from .outcome import fail_unhandled

if TYPE_CHECKING:
    from ...docket import Docket

__all__ = ["Settling"]

logger = logging.getLogger("docket.worker")

NOT_KEPT = timedelta(0)

#: A server closes the connection of who sends it a longer value (proto-max-bulk-len), which looks like an outage.
LONGEST = 500 * 1024 * 1024


@attrs.define(eq=False)
class Settling:
    """Prepares how claims of one worker end, and settles them (I1, I2)."""

    docket: Docket
    claims: Claims
    outages: Outages

    async def settle(self, running: Running, end: End) -> Settled:
        """Write how a claim ended. What the server refuses to write is set aside with the reason (I9).

        Raises: LeaseOver - nothing is known to be written; the delivery is left to redelivery.
        """
        running.settling = True  # what is acknowledged meanwhile is not held any more, and not lost
        try:
            return await retry_while_leased(self.outages, running, end.write)
        except NoPermissionError:
            raise  # the worker's user is to blame, not this delivery
        except ResponseError as error:
            logger.exception("How %r ended cannot be written; it is set aside", running.execution)
            return await retry_while_leased(
                self.outages, running, self.set_aside(running, f"how it ended cannot be written: {error}")
            )

    def set_aside(self, running: Running, reason: str) -> Callable[[], Awaitable[Settled]]:
        """What keeps the delivery where people can look at it, and fails its run."""
        delivery = running.delivery
        aside = Unreadable(
            message_id=delivery.message_id,
            key=delivery.message.key,
            reason=DeliveryUnreadable(readable(reason)),
            generation=delivery.message.generation,
            slots=delivery.slots,
        )

        async def write() -> Settled:
            await self.claims.set_aside(aside)
            return Settled.LOST

        return write

    async def prepare(
        self, running: Running, outcome: Outcome, verdict: Verdict, seconds: float | None = None
    ) -> End:
        """Prepare what is to be written: pickle it, and put it into the user's result storage.

        What cannot be pickled or stored fails the run; a task that repeats itself goes on with its next one.
        """
        delivery, claims = running.delivery, self.claims
        running.settling = True
        if isinstance(outcome, Raised):
            outcome = Raised(_showable(outcome.error))
        match verdict:
            case Complete(value):
                return await self._completed(running, outcome, verdict, value, seconds)
            case Fail(error):
                error = _showable(error)
                return End(Raised(error), Fail(error), await self._failure(running, error), seconds)
            case Cancel() | Drop():
                return End(outcome, verdict, lambda: claims.settle(delivery, state="cancelled"), seconds)
            case HandBack():
                return End(outcome, verdict, lambda: claims.hand_back(delivery), seconds)
            case Abandon() | AwaitSlot():
                return End(outcome, verdict, _nothing, seconds)
            case Defer(wait) | PassOn(wait):
                message = delivery.message
                later = message.again(moved(clock.now(), wait), message.attempt)
                if isinstance(verdict, PassOn):
                    passed_on = PassedOn(verdict.times, verdict.waited, verdict.deliveries)
                    later = attrs.evolve(later, passed_on=passed_on)
                return End(outcome, verdict, lambda: self._followed(running, later, same=True), seconds)
            case Reschedule():
                try:
                    following = _following(delivery.message, verdict)
                except KeyboardInterrupt:
                    raise
                except BaseException as error:  # noqa: BLE001 - pickling runs the arguments' own code
                    name = running.execution.function_name
                    said = f"the next arguments of task {name!r} cannot be pickled: {text_of(error)}"
                    return await self.failed(running, _because(error, TypeError(said)), seconds)
                return End(outcome, verdict, lambda: self._followed(running, following), seconds)

    async def failed(self, running: Running, error: BaseException, seconds: float | None = None) -> End:
        """Prepare the end of a run that failed by something else than its body."""
        verdict = fail_unhandled(running.execution, error)
        return await self.prepare(running, Raised(error), verdict, seconds)

    async def _followed(self, running: Running, later: Message, *, same: bool = False) -> Settled:
        settled = await self.claims.reschedule(running.delivery, later, same=same)
        if settled is Settled.ASKED:
            # Nobody can tell a body that ignored its cancellation from one that was about to return.
            return await self.claims.settle(running.delivery, state="cancelled")
        return settled

    async def _completed(
        self, running: Running, outcome: Outcome, verdict: Verdict, value: Any, seconds: float | None
    ) -> End:
        delivery, claims = running.delivery, self.claims
        if value is None or self.docket.execution_ttl == NOT_KEPT:
            return End(outcome, verdict, lambda: claims.settle(delivery, state="completed"), seconds)
        name = running.execution.function_name
        try:
            text = dump_value(value)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - pickling runs the value's own code: it may raise anything
            said = f"the result of task {name!r} cannot be pickled: {text_of(error)}"
            return await self.failed(running, _because(error, TypeError(said)), seconds)
        try:
            result = await self._kept(running, text)
        except Exception as error:  # noqa: BLE001 - a result storage of the user's may raise anything
            said = f"the result of task {name!r} cannot be stored: {text_of(error)}"
            return await self.failed(running, _because(error, ResultNotStored(said)), seconds)
        write = lambda: claims.settle(delivery, state="completed", result=result)  # noqa: E731
        return End(outcome, verdict, write, seconds)

    async def _failure(self, running: Running, error: BaseException) -> Callable[[], Awaitable[Settled]]:
        delivery, claims = running.delivery, self.claims
        said = error_text(error)
        if self.docket.execution_ttl == NOT_KEPT or isinstance(error, ResultNotStored):
            return lambda: claims.settle(delivery, state="failed", error=said)
        try:
            text = dump_value(error)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - an exception that cannot be pickled is kept as what it said
            text = dump_value(ExecutionFailed(said))
        result: tuple[str, str | None] | None = None
        try:
            result = await self._kept(running, text)
        except Exception as problem:  # a result storage of the user's may raise anything
            logger.error("The exception of %r cannot be stored", running.execution, exc_info=problem)
        return lambda: claims.settle(delivery, state="failed", error=said, result=result)

    async def _kept(self, running: Running, text: str) -> tuple[str, str | None]:
        """Where the result goes: its key, and the text if Redis is to keep it (else it was put elsewhere)."""
        message = running.delivery.message
        result_key = f"{message.key}:{message.generation}"
        running.execution.result_key = result_key
        storage = self.docket.result_storage
        if storage is None:
            if len(text) > LONGEST:
                raise ValueError(
                    f"pickled it has {len(text)} bytes, and Redis takes {LONGEST}: keep it elsewhere"
                )
            return result_key, text
        kept = self.docket.execution_ttl
        await storage.put(result_key, {"data": text}, ttl=None if kept is None else kept.total_seconds())
        return result_key, None


def _showable(error: BaseException) -> BaseException:
    """The error, or a plain one with its text where nobody could ever show it: not our log, nor who gets the result."""
    if unfolds(error):
        return error
    return ExecutionFailed(f"{error_text(error)}: a group with more errors in it than can be shown")


async def _nothing() -> Settled:
    return Settled.LOST


def _following(message: Message, verdict: Reschedule) -> Message:
    following = message.again(verdict.when, verdict.attempt, verdict.first)
    if verdict.call is None:
        return following
    args, kwargs = verdict.call
    return attrs.evolve(following, args=dump(args), kwargs=dump(kwargs))


def _because(error: BaseException, problem: Exception) -> Exception:
    """``problem`` with its cause. No variable of the frames that this came out through may lead to it: a circle."""
    cut_to_the_users_code(error)
    problem.__cause__ = error
    return problem

"""Writes how a claim ended, for as long as its lease can be trusted to be ours."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from .. import clock
from ..clock import monotonic
from ..errors import DeliveryUnreadable
from ..execution import ExecutionFailed
from ..moments import moved
from ..rules import (
    Abandon,
    Cancel,
    Complete,
    Defer,
    Drop,
    Fail,
    HandBack,
    Parked,
    PassOn,
    Reschedule,
    Verdict,
)
from ..store import Claims, Message, PassedOn, Settled, Unreadable, dump, dump_value, is_about_a_key
from .outage import Outages
from .roster import Running

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["LeaseOver", "Settling"]

logger = logging.getLogger("docket.worker")

T = TypeVar("T")

NOT_KEPT = timedelta(0)


class LeaseOver(Exception):
    """Redis stayed away until the lease could no longer be trusted."""


@attrs.define(eq=False)
class Settling:
    """Settles claims of one worker (I1, I2)."""

    docket: Docket
    claims: Claims
    outages: Outages

    async def insist(self, running: Running, act: Callable[[], Awaitable[T]]) -> T:
        """Do something on the server for a claim, again while that is away and the lease can be trusted.

        Raises: LeaseOver; RedisError - it is no disruption.
        """
        attempt, doubted = 0, False
        while True:
            try:
                done = await act()
            except RedisError as error:
                if (outage := await self.outages.concerns_all(error)) is None:
                    if is_about_a_key(error) and not doubted:
                        doubted = True  # the key that is to blame may have been removed since
                        continue
                    self.outages.given_up(running)
                    raise
                self.outages.noted(running, outage)
                if monotonic() >= running.trusted_until:
                    self.outages.given_up(running)
                    raise LeaseOver from error
                attempt += 1
                await self.outages.pause(attempt)
            else:
                if attempt:
                    self.outages.over(running)
                return done

    async def settle(self, running: Running, verdict: Verdict) -> Settled:
        """Write a verdict. What the server refuses to write is set aside with the reason (I9).

        Raises: LeaseOver - nothing is known to be written; the delivery is left to redelivery.
        """
        running.settling = True  # what is acknowledged meanwhile is not held any more, and not lost
        try:
            write = await self._prepared(running, verdict)
            return await self.insist(running, write)
        except NoPermissionError:
            raise  # the worker's user is to blame, not this delivery
        except ResponseError as error:
            logger.exception("How %r ended cannot be written; it is set aside", running.execution)
            delivery = running.delivery
            reason = DeliveryUnreadable(f"how it ended cannot be written: {error}")
            aside = Unreadable(
                message_id=delivery.message_id,
                key=delivery.message.key,
                reason=reason,
                generation=delivery.message.generation,
                slots=delivery.slots,
            )
            await self.insist(running, lambda: self.claims.set_aside(aside))
            return Settled.LOST

    async def _prepared(self, running: Running, verdict: Verdict) -> Callable[[], Awaitable[Settled]]:
        delivery, claims = running.delivery, self.claims
        match verdict:
            case Complete(value):
                return await self._prepared_result(running, value)
            case Fail(error):
                return await self._prepared_failure(running, error)
            case Cancel() | Drop():
                return lambda: claims.settle(delivery, state="cancelled")
            case HandBack():
                return lambda: claims.hand_back(delivery)
            case Abandon() | Parked():
                return _nothing
            case Defer(wait) | PassOn(wait):
                message = delivery.message
                later = message.again(moved(clock.now(), wait), message.attempt)
                if isinstance(verdict, PassOn):
                    passed_on = PassedOn(verdict.times, verdict.waited, verdict.deliveries)
                    later = attrs.evolve(later, passed_on=passed_on)
                return lambda: self._followed(running, later, same=True)
            case Reschedule():
                try:
                    following = _following(delivery.message, verdict)
                except Exception as error:  # noqa: BLE001 - pickling runs the arguments' own code
                    name = running.execution.function_name
                    problem = TypeError(f"the next arguments of task {name!r} cannot be pickled: {error}")
                    return await self._prepared_failure(running, problem)
                return lambda: self._followed(running, following)

    async def _followed(self, running: Running, later: Message, *, same: bool = False) -> Settled:
        settled = await self.claims.reschedule(running.delivery, later, same=same)
        if settled is Settled.ASKED:
            # Nobody can tell a body that ignored its cancellation from one that was about to return.
            return await self.claims.settle(running.delivery, state="cancelled")
        return settled

    async def _prepared_result(self, running: Running, value: Any) -> Callable[[], Awaitable[Settled]]:
        delivery, claims = running.delivery, self.claims
        if value is None or self.docket.execution_ttl == NOT_KEPT:
            return lambda: claims.settle(delivery, state="completed")
        name = running.execution.function_name
        try:
            text = dump_value(value)
        except Exception as error:  # noqa: BLE001 - pickling runs the value's own code: it may raise anything
            return await self._prepared_failure(
                running, TypeError(f"the result of task {name!r} cannot be pickled: {error}")
            )
        try:
            result = await self._kept(running, text)
        except Exception as error:  # noqa: BLE001 - a result storage of the user's may raise anything
            _log_not_stored(running, error)
            said = f"{type(error).__name__}: the result of task {name!r} cannot be stored: {error}"
            return lambda: claims.settle(delivery, state="failed", error=said)
        return lambda: claims.settle(delivery, state="completed", result=result)

    async def _prepared_failure(
        self, running: Running, error: BaseException
    ) -> Callable[[], Awaitable[Settled]]:
        delivery, claims = running.delivery, self.claims
        said = f"{type(error).__name__}: {_text(error)}"
        if self.docket.execution_ttl == NOT_KEPT:
            return lambda: claims.settle(delivery, state="failed", error=said)
        try:
            text = dump_value(error)
        except Exception:  # noqa: BLE001 - an exception that cannot be pickled is kept as what it said
            text = dump_value(ExecutionFailed(said))
        result: tuple[str, str | None] | None = None
        try:
            result = await self._kept(running, text)
        except Exception as problem:  # noqa: BLE001 - a result storage of the user's may raise anything
            _log_not_stored(running, problem)
        return lambda: claims.settle(delivery, state="failed", error=said, result=result)

    async def _kept(self, running: Running, text: str) -> tuple[str, str | None]:
        """Where the result goes: its key, and the text if Redis is to keep it (else it was put elsewhere)."""
        message = running.delivery.message
        result_key = f"{message.key}:{message.generation}"
        running.execution.result_key = result_key
        storage = self.docket.result_storage
        if storage is None:
            return result_key, text
        kept = self.docket.execution_ttl
        await storage.put(result_key, {"data": text}, ttl=None if kept is None else kept.total_seconds())
        return result_key, None


def _log_not_stored(running: Running, error: Exception) -> None:
    logger.error("What came of %r cannot be stored", running.execution, exc_info=error)


async def _nothing() -> Settled:
    return Settled.LOST


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the user's class; its name has to do
        return "(its text cannot be read)"


def _following(message: Message, verdict: Reschedule) -> Message:
    following = message.again(verdict.when, verdict.attempt, verdict.first)
    if verdict.call is None:
        return following
    args, kwargs = verdict.call
    return attrs.evolve(following, args=dump(args), kwargs=dump(kwargs))

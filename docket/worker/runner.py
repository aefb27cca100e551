"""Runs one claim: asks whether it may run, calls the body, has settled what follows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs
from anyio import get_cancelled_exc_class

from ..dependencies import current_execution
from ..rules import Abandon, Cancel, Defer, HandBack, Reschedule, Stopped, StopReason, Verdict, decide
from .calling import Caller
from .gate import Gate
from .journal import log_end, log_settled, log_start
from .reporting import reported
from .roster import Roster, Running
from .settling import LeaseOver, Settling
from .struck import struck
from .unknown import Unknown
from .upkeep import Listener

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["Runner"]

logger = logging.getLogger("docket.worker")


@attrs.define(eq=False)
class Runner:
    """Runs claims for one worker; one child of the work group per claim."""

    docket: Docket
    roster: Roster
    settling: Settling
    listener: Listener
    limits: dict[str, int]
    """How often each of these keys may still run; the others without limit."""
    caller: Caller
    gate: Gate
    unknown: Unknown
    cut_off: list[tuple[Running, Verdict]] = attrs.field(init=False, factory=list[tuple[Running, Verdict]])
    """What was cancelled before it was settled, and what is to be written of it."""

    async def run(self, running: Running) -> None:
        """Run one claim to its end. Leaves it to redelivery if Redis stays away past the lease (I3).

        Cancel: once nobody can wait for it any longer; it is then in `cut_off`.
        """
        execution = running.execution
        verdict: Verdict | None = None
        try:
            current_execution.set(execution)
            if self.listener.must_recheck(running):
                await self.settling.insist(running, lambda: self.listener.recheck(running))
            seconds: float | None = None
            if (verdict := await self._refused(running)) is None:
                verdict, seconds = await self._called(running)
            settled = await self.settling.settle(running, verdict)
            log_settled(running, verdict, settled, seconds)
            if running.last and not isinstance(verdict, HandBack | Abandon):
                await self.settling.insist(running, lambda: self.docket.cancel(execution.key))
        except LeaseOver:
            logger.warning("%r ended, but Redis stayed away; it will be redelivered", execution)
        except get_cancelled_exc_class():
            stopped = Stopped(running.reason or StopReason.DRAIN)
            self.cut_off.append((running, decide(stopped) if verdict is None else verdict))
            raise
        finally:
            self.gate.leave(running)
            self.roster.remove(running)

    async def _refused(self, running: Running) -> Verdict | None:
        """What is to be done instead of running it, if it may not run."""
        verdict: Verdict | None = None
        if self.docket.strike_list.may_concern(self.settling.claims.newest_strike):
            verdict = await struck(self.settling, running)
        if verdict is not None:
            return verdict
        if running.unknown and running.reason is None:
            verdict = await self.unknown.verdict(running)
            if verdict is not None:
                return verdict
        if (verdict := await self.gate.admit(running)) is not None:
            return verdict
        if self.limits and not self._may_run(running):
            return Cancel()
        return None

    async def _called(self, running: Running) -> tuple[Verdict, float]:
        with reported(running) as report:
            log_start(running)
            outcome, verdict, seconds = await self.caller.call(running)
            if running.last and isinstance(verdict, Reschedule):
                verdict = decide(outcome)
            if isinstance(verdict, Defer):  # it has not run
                self._may_run_after_all(running)
            log_end(running, outcome, verdict, seconds)
            report.ended(outcome, verdict, seconds)
        return verdict, seconds

    def _may_run_after_all(self, running: Running) -> None:
        """Take back that a run was counted."""
        if running.execution.key in self.limits:
            self.limits[running.execution.key] += 1
            running.last = False

    def _may_run(self, running: Running) -> bool:
        """Count a run of a limited key; whether there was one left."""
        key = running.execution.key
        left = self.limits.get(key)
        if left is None:
            return True
        self.limits[key] = max(left - 1, 0)
        running.last = left <= 1
        return left > 0

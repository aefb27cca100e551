"""Runs one claim: asks whether it may run, calls the body, has settled what follows."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs
from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError

from ...dependencies import clear_calls, current_execution
from ...rules import (
    Abandon,
    Blocked,
    Cancel,
    Defer,
    Fail,
    HandBack,
    Outcome,
    Raised,
    Reschedule,
    Stopped,
    StopReason,
    Verdict,
    decide,
    is_a,
)
from ...text import error_text
from ..reports import journal
from ..reports.reporting import Report, reported
from ..roster import Detached, End, Roster, Running
from ..upkeep.listener import Listener
from .calling import Caller
from .gate import AdmissionGate
from .leased import LeaseOver, retry_while_leased
from .outcome import fail_unhandled
from .settling import Settling
from .struck import refuse_if_struck
from .unknown import Unknown

if TYPE_CHECKING:
    from ...docket import Docket

__all__ = ["Runner"]

#: How often another task goes on with a claim whose own was cancelled. With more, it cancels itself, and always will.
MOST_INTERRUPTIONS = 10


@attrs.define(eq=False)
class Runner:
    """Runs claims for one worker, each in a task of its own, behind a firewall (`run`)."""

    docket: Docket
    roster: Roster
    settling: Settling
    listener: Listener
    limits: dict[str, int]
    """How often each of these keys may still run; the others without limit."""
    caller: Caller
    gate: AdmissionGate
    unknown: Unknown
    crash: Callable[[Exception], None]
    """Ends the worker, in order, by an error that is its own."""
    cut_off: list[Running] = attrs.field(init=False, factory=list[Running])
    """What was cancelled before it was settled."""

    async def run(self, running: Running) -> None:
        """Run one claim to its end, or go on with one. Leaves it to redelivery if Redis stays away past the lease (I3).

        The firewall of the claim: whatever goes wrong in here, by code of the task's or of ours, is the end of this
        claim and of nothing else (I9). What comes out is Ctrl-C and the worker's own cancellation, once nobody can
        wait for the claim any longer; it is then in `cut_off`.
        """
        running.begins_in = None
        goes_on = False
        try:
            current_execution.set(running.execution)
            end = running.end
            if end is None:
                end = running.end = await self._end_of(running)
            if running.left_open is not None:  # what is open in this task may cancel it at any time
                goes_on = self._go_on(running)
                return
            await self._settle(running, end)
        except LeaseOver:
            journal.log_given_up(running, "but Redis stayed away")
            self.listener.expect_redelivery()
        except BaseException as error:
            if running.detached:
                return
            if self.caller.tasks.concerns_the_worker(error):
                self.cut_off.append(running)
                self._leave(running)
                goes_on = True  # with its last words
                raise
            goes_on = self._contain(running, error)
        finally:
            clear_calls(running.errors(), inspect.currentframe())
            if not goes_on:
                running.forget()
                self._leave(running)

    def _leave(self, running: Running) -> None:
        self.gate.leave(running)
        self.roster.remove(running)

    async def _end_of(self, running: Running) -> End:
        """Run it, unless it may not; prepare what is to be written."""
        if running.decided is not None:
            return await self._concluded(running, *running.decided)
        if self.listener.must_recheck(running):
            await retry_while_leased(self.settling.outages, running, lambda: self.listener.recheck(running))
        verdict = await self._refused(running)
        if isinstance(verdict, Fail):  # whether it may run could not be found out
            return await self._concluded(
                running, Raised(verdict.error), fail_unhandled(running.execution, verdict.error)
            )
        if verdict is not None:
            end = await self.settling.prepare(running, Blocked(verdict), verdict)
            if not isinstance(end.outcome, Raised):
                return end
            return await self._concluded(running, end.outcome, end.verdict)
        with reported(running) as report:
            journal.log_start(running)
            outcome, verdict, seconds = await self.caller.call(running)
            if running.detached:
                raise Detached
            running.decided = (outcome, verdict)
            if isinstance(verdict, Defer):  # it has not run
                self._may_run_after_all(running)
            return await self._prepared(running, report, outcome, verdict, seconds)

    async def _concluded(self, running: Running, outcome: Outcome, verdict: Verdict) -> End:
        """The end of a run that could not begin, or of which something else went wrong than its body."""
        with reported(running) as report:
            return await self._prepared(running, report, outcome, verdict, 0.0)

    async def _prepared(
        self, running: Running, report: Report, outcome: Outcome, verdict: Verdict, seconds: float
    ) -> End:
        if running.last and isinstance(verdict, Reschedule):
            verdict = decide(outcome)
        end = await self.settling.prepare(running, outcome, verdict, seconds)
        journal.log_end(running, end)
        report.ended(end)
        return end

    def detach(self, holding_on: Sequence[Running]) -> None:
        """Wait no longer for these claims, which are to be settled as cut off, whatever their bodies do."""
        for running in holding_on:
            running.detached = True
            self.cut_off.append(running)
            self._leave(running)
        self.caller.tasks.detach(holding_on)

    async def settle_cut_off(self, running: Running) -> None:
        """Settle what was cut off; what has not ended is handed back. Raises: LeaseOver, RedisError."""
        end = running.end
        if end is None:
            stopped = Stopped(running.reason or StopReason.DRAIN)
            end = await self.settling.prepare(running, *(running.decided or (stopped, decide(stopped))))
        await self.settling.settle(running, end)

    async def _settle(self, running: Running, end: End) -> None:
        settled = await self.settling.settle(running, end)
        journal.log_settled(running, end, settled)
        if isinstance(
            end.verdict, Abandon
        ):  # nothing was written: it is redelivered, to us if nobody else is there
            self.listener.expect_redelivery()
        if running.last and not isinstance(end.verdict, HandBack | Abandon):
            await retry_while_leased(
                self.settling.outages, running, lambda: self.docket.cancel(running.execution.key)
            )

    # what goes wrong ---------------------------------------------------------------------------------------

    def _contain(self, running: Running, error: BaseException) -> bool:
        """Decide what becomes of a claim that went wrong; whether another task goes on with it."""
        if is_a(error, (NoPermissionError, AuthenticationError, AuthorizationError)):
            self.crash(error)  # the worker's user is to blame, not this delivery
            return False
        running.interruptions += 1
        interrupted = running.left_open is None and self.caller.tasks.is_cancellation(error)
        if interrupted and running.interruptions <= MOST_INTERRUPTIONS:
            # Somebody has cancelled the task from outside, as a callback of the body's that comes late does.
            if running.decided is None:
                stopped = Stopped(running.reason or StopReason.ASKED)
                running.decided = (stopped, decide(stopped))
            return self._go_on(running)
        running.mishaps += 1
        if running.mishaps > 2:
            journal.log_mishap(running, error, "it is left to redelivery")
            self.listener.expect_redelivery()
            return False
        if running.mishaps == 2 or running.end is not None:
            journal.log_mishap(running, error, "it is set aside")
            write = self.settling.set_aside(running, f"how it ended cannot be written: {error_text(error)}")
            running.mishaps, running.end = 2, End(Raised(error), Fail(error), write)
        else:
            error = running.left_open or error
            running.decided = (Raised(error), fail_unhandled(running.execution, error))
        return self._go_on(running)

    def _go_on(self, running: Running) -> bool:
        """Have another task finish a claim: what this one is in may be cancelled again, or is not what it seems."""
        running.left_open = None
        self.caller.tasks.start(self.run, running)
        return True

    async def _refused(self, running: Running) -> Verdict | None:
        """What is to be done instead of running it, if it may not run."""
        verdict: Verdict | None = None
        if self.docket.strike_list.may_concern(self.settling.claims.newest_strike):
            verdict = await refuse_if_struck(self.settling, running)
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

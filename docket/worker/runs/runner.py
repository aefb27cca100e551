"""Runs the claims of one worker, each to its end, and contains whatever goes wrong in one of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import attrs

from ...clock import monotonic
from ...dependencies import clear_calls, current_execution
from ...rules import (
    Abandon,
    AwaitSlot,
    AwaitTurn,
    Blocked,
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
    decide_last,
    is_a,
)
from ...standins import redis_errors
from ...store import Claims, Settled, Unreadable
from ...text import error_text
from ...values import define
from ..intake.outbox import Outbox
from ..reports import journal
from ..reports.ledger import Ledger
from ..reports.reporting import emit_end, emit_unreadable, report_of
from ..roster import Detached, End, Roster, Running
from ..upkeep.listener import Listener
from ..upkeep.outages import Outages, is_wrong_user
from .calling import Caller
from .endings import Endings
from .following import fail_unhandled
from .hooks import Hooks
from .leased import LeaseOver, retry_while_leased
from .refusals import Refusals

if TYPE_CHECKING:
    from ...docket import Docket

__all__ = ["Runner"]

#: How often another task continues a claim whose own was cancelled. With more, it cancels itself, and always will.
MOST_INTERRUPTIONS = 10


@define(eq=False)
class Runner:
    """Runs claims for one worker, each in a task of its own, behind a firewall (`run`)."""

    docket: Docket
    claims: Claims
    roster: Roster
    outages: Outages
    listener: Listener
    refusals: Refusals
    caller: Caller
    endings: Endings
    hooks: Hooks
    outbox: Outbox
    ledger: Ledger
    crash: Callable[[Exception], None]
    """Ends the worker, in order, with an error that is its own."""
    cut_off: list[Running] = attrs.field(init=False, factory=list[Running])
    """The claims that were cancelled before they were settled."""

    def hold(self, running: Running) -> None:
        """Keep a claim from now on, which `start` begins: its lease, and its place among those that ask for slots."""
        self.roster.add(running)
        self.refusals.gate.line_up(running)

    def start(self, running: Running) -> None:
        """Start the task of a claim. It may begin, and end, in here."""
        self.caller.tasks.start(self.run, running)

    async def run(self, running: Running) -> None:
        """Run one claim to its end, or continue one; leave it to redelivery if Redis stays away past the lease (I3).

        The firewall of the claim: whatever goes wrong in here, in the task's code or in ours, ends this claim and
        nothing else (I9). What comes out is Ctrl-C and the worker's own cancellation, once nobody can wait for the
        claim any longer; it is then in `cut_off`.
        """
        place, tasks, failed = running.begins_in, self.caller.tasks, None
        running.begins_in = None
        continues = False
        try:
            current_execution.set(running.execution)
            if running.end is not None:
                await self._settle(running, running.end)
            elif running.decided is not None:
                continues = await self.finish(running, *running.decided, 0.0)
            else:
                continues = await self._begin(running)
            if running.left_open is not None:  # what is open in this task may cancel it at any time
                continues = self._continue(running)
        except LeaseOver:
            journal.log_lease_over(running)
            self.listener.sweep.look_again()
        except BaseException as error:
            if running.detached:
                return
            if tasks.concerns_the_worker(error):
                failed = error
                continues = self._cut(running)
                raise
            continues = self._contain(running, error)
        finally:
            try:
                if not running.has_succeeded:
                    clear_calls(running.errors())  # no variable: it would lead from this frame to itself
                if not continues:
                    self._forget(running)
            finally:
                tasks.ended(
                    place, failed or sys.exc_info()[1]
                )  # what the firewall itself raises is the worker's, too
                failed = None

    def _cut(self, running: Running) -> bool:
        """Leave a claim to `settle_cut_off`; False: it was settled, and one of its hooks was cut off."""
        if running.settled:
            return False
        self.cut_off.append(running)
        self._leave(running)
        return True

    def _forget(self, running: Running) -> None:
        running.forget()
        self._leave(running)

    def _leave(self, running: Running) -> None:
        self.refusals.gate.leave(running)
        self.roster.remove(running)

    async def _begin(self, running: Running) -> bool:
        """Run the body, unless it may not begin, and `finish`."""
        if running.place is not None:
            await self.roster.places.come_back(running.place)
        if self.listener.must_recheck(running):
            await retry_while_leased(self.outages, running, lambda: self.listener.recheck(running))
        if self.refusals.may_refuse(running):
            refusal = await self.refusals.refuse(running)
            self.refusals.gate.leave(running)  # it may never have asked, and others wait for that
            if refusal is not None:
                seconds = 0.0 if isinstance(refusal[0], Raised) else None
                return await self.finish(running, *refusal, seconds)
        with report_of(running):
            journal.log_start(running)
            outcome, following, seconds = await self.caller.call(running)
            if running.detached:
                raise Detached
            running.decided = outcome, following
            if _is_put_off(outcome):  # it has not run, or not to its end
                self.refusals.count_back(running)
            return await self.finish(running, outcome, following, seconds)

    # the door out of a run -----------------------------------------------------------------------------------

    async def finish(
        self, running: Running, outcome: Outcome, following: Reschedule | None, seconds: float | None
    ) -> bool:
        """End a claim: decide what is written, prepare it, log and report it, write it or leave that to the outbox.

        Every end passes here, whether the body returned, was stopped, never began, or something around it failed. So
        what is reported is what is written. ``following`` is the next run that the task's dependencies ask for;
        ``seconds`` is how long the body ran, None where it did not begin. Returns whether the claim continues without
        this task.
        Raises: LeaseOver - nothing is known to be written; the delivery is left to redelivery. RedisError.
        """
        # A delivery that is acknowledged from now on is not held any more, and not lost.
        running.settling = True
        if running.last:
            verdict = decide_last(outcome, following, running.execution.attempt)
        else:
            verdict = decide(outcome, following)
        end = self.endings.at_once(running, outcome, verdict, seconds)
        if end is None:
            end = await self.endings.prepare(running, outcome, verdict, seconds)
        running.end = end
        journal.log_end(running, end)
        emit_end(running, end)
        if running.left_open is not None:  # another task writes it
            return False
        # After the last run of a key, and with hooks, there is more to do than to write.
        is_all = not running.last and not self.hooks.hooks
        if is_all and end.ended is not None and self.outbox.put(running, end.ended):
            return True
        await self._settle(running, end)
        return False

    async def _settle(self, running: Running, end: End) -> None:
        try:
            settled = await retry_while_leased(self.outages, running, end.write)
        except redis_errors.NoPermissionError:
            raise  # the worker's user is to blame, not this delivery
        except redis_errors.ResponseError as error:
            journal.log_unwritten(running, error, "it is set aside")
            write = self.endings.set_aside(running, f"how it ended cannot be written: {error}")
            settled = await retry_while_leased(self.outages, running, write)
        journal.log_settled(running, end, settled)
        self.ledger.note(running, end, settled)
        if isinstance(end.verdict, Abandon):  # it is redelivered, to us if nobody else is there
            self.listener.sweep.look_again()
        elif _is_the_last(running, end.verdict):
            await retry_while_leased(self.outages, running, lambda: self.docket.cancel(running.execution.key))
        if self.hooks.hooks:
            running.settled = True
            await self.hooks.call(running, end, settled, self.caller.tasks)

    def settled(self, running: Running, settled: Settled) -> None:
        """The outbox has written how a claim ended."""
        if (end := running.end) is not None:
            journal.log_settled(running, end, settled)
            self.ledger.note(running, end, settled)
        self._forget(running)

    def settle_alone(self, running: Running) -> None:
        """The outbox gives a claim back, whose end may be written or not."""
        if self.caller.tasks.cuts_off():
            self.cut_off.append(running)
            self._leave(running)
        else:
            self._continue(running)

    def detach(self, endless: Sequence[Running]) -> None:
        """Stop waiting for these claims, whose bodies do not end; they are to be settled as cut off."""
        for running in endless:
            running.detached = True
            self.cut_off.append(running)
            self._leave(running)
        self.caller.tasks.detach(endless)

    def take_cut_off(self) -> Sequence[Running]:
        """The claims that are still to be settled when nothing runs any more, once; also those that never began."""
        cut_off, self.cut_off = self.cut_off, []
        for running in self.roster:
            if running.begins_in is not None:
                self._leave(running)
                cut_off.append(running)
        return cut_off

    async def settle_cut_off(self, running: Running) -> None:
        """Settle what was cut off; what has not ended is handed back. Raises: LeaseOver, RedisError."""
        if running.settled:  # its hooks do not end
            return
        if running.end is not None:
            await self._settle(running, running.end)
            return
        running.left_open = None  # nobody is in its task any more
        outcome, following = running.decided or (Stopped(running.reason or StopReason.DRAIN), None)
        seconds = monotonic() - running.began if running.begins_in is None else None
        await self.finish(running, outcome, following, seconds)

    def set_aside(self, unreadable: Unreadable) -> None:
        """End a delivery that no claim can be made of: its run fails, with the reason."""
        journal.log_unreadable(unreadable)
        emit_unreadable(self.docket.name, self.claims.worker, unreadable)
        self.caller.tasks.work.start_soon(self._set_aside, unreadable)

    async def _set_aside(self, unreadable: Unreadable) -> None:
        async def write(answered: Callable[[], None]) -> None:
            await self.claims.set_aside(unreadable)

        try:
            await self.outages.supervise(write)
            self.ledger.note_dead(unreadable)
        except Exception as error:  # noqa: BLE001 - of this delivery (I9)
            journal.log_not_set_aside(unreadable, error)

    # what goes wrong ---------------------------------------------------------------------------------------

    def _contain(self, running: Running, error: BaseException) -> bool:
        """Decide what becomes of a claim that went wrong; whether another task continues it."""
        if is_a(error, redis_errors.NoPermissionError) or is_wrong_user(error):
            self.crash(error)  # the worker's user is to blame, not this delivery
            return False
        running.interruptions += 1
        interrupted = running.left_open is None and self.caller.tasks.is_cancellation(error)
        if interrupted and running.interruptions <= MOST_INTERRUPTIONS:
            # Somebody has cancelled the task from outside, as a late callback of the body's does.
            if running.decided is None:
                running.decided = Stopped(running.reason or StopReason.ASKED), None
            return self._continue(running)
        running.mishaps += 1
        if running.mishaps > 2:
            journal.log_unwritten(running, error, "it is left to redelivery")
            self.listener.sweep.look_again()
            return False
        if running.mishaps == 2 or running.end is not None:
            journal.log_unwritten(running, error, "it is set aside")
            write = self.endings.set_aside(running, f"how it ended cannot be written: {error_text(error)}")
            running.mishaps, running.end = 2, End(Raised(error), Fail(error), write)
        else:
            running.decided = fail_unhandled(running.execution, running.left_open or error)
        return self._continue(running)

    def _continue(self, running: Running) -> bool:
        """Have another task finish a claim: this one may be cancelled again, or is not what it seems."""
        running.left_open = None
        self.caller.tasks.start(self.run, running)
        return True


def _is_put_off(outcome: Outcome) -> bool:
    if isinstance(outcome, Blocked):
        return isinstance(outcome.verdict, Defer)
    return isinstance(outcome, Stopped) and outcome.reason is StopReason.PUT_OFF


def _is_the_last(running: Running, verdict: Verdict) -> bool:
    """Whether nothing may be left of the key once this is written."""
    if isinstance(verdict, AwaitSlot | AwaitTurn):
        # Cancelled as it was parked: pydocket's clients leave nothing on the server that admission would find.
        return running.reason is StopReason.ASKED
    return running.last and not isinstance(verdict, HandBack)

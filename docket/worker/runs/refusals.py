"""Says of a claim that is about to begin whether it may: strikes, unknown tasks, admission, limited runs."""

from __future__ import annotations

import logging
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from ...clock import monotonic
from ...rules import Blocked, Drop, Expired, PassOn, Spent, Struck, delay_until_known
from ...store import Claims, PassedOn
from ...values import define
from ..roster import Running
from ..upkeep.outages import Outages
from .admission_gate import AdmissionGate
from .following import Ending, block, expire, fail_unhandled
from .leased import retry_while_leased
from .turn_gate import TurnGate

if TYPE_CHECKING:
    from ...docket import Docket

__all__ = ["Refusals", "UnknownTasks"]

logger = logging.getLogger("docket.worker")

#: Names of tasks that are remembered. A worker that is sent more of them is sent nonsense, and may log a name again.
MOST_NAMES = 1000


@define(eq=False)
class UnknownTasks:
    """Puts tasks that this worker does not know back for one that does, for as long as its patience lasts.

    ``patience`` is for how long a task is put back while no live worker knows it, all its pauses together; with zero
    it never is.
    """

    docket: Docket
    worker: str
    outages: Outages
    patience: timedelta
    #: By the name of a task: when the server was last asked (loop time), and which part of the fleet knows the task.
    _shares: dict[str, tuple[float, float]] = attrs.field(init=False, factory=dict[str, tuple[float, float]])

    _logged: set[str] = attrs.field(init=False, factory=set[str])

    async def put_back(self, running: Running) -> PassOn | None:
        """What to do with a claim of an unknown task; None: patience is over, so let it fail.

        Raises: LeaseOver - Redis stayed away.
        """
        if not self.patience:
            return None
        delivery = running.delivery
        before = delivery.message.passed_on or PassedOn()
        share = await self._share(running)
        wait = delay_until_known(before.waited, before.times, share=share, luck=random.random())
        waited = before.waited
        if not share:  # else it is not unknown: the workers that know it are busy
            left = self.patience - waited
            if left <= timedelta(0):
                return None
            wait = min(wait, left)
            waited += wait
        # A worker that knows the task counts these deliveries: its predecessors may have died of it (`max_deliveries`).
        return PassOn(wait, before.times + 1, waited, delivery.deliveries - 1)

    async def _share(self, running: Running) -> float:
        """The part of the fleet that knows a task."""
        name, now = running.execution.function_name, monotonic()
        known = self._shares.get(name)
        # Workers come and go with their heartbeats.
        if known is not None and now - known[0] < self.docket.heartbeat_interval.total_seconds():
            return known[1]
        liveness = self.docket.store.liveness
        share = await retry_while_leased(
            self.outages, running, lambda: liveness.share_knowing(name, but=self.worker)
        )
        if len(self._shares) >= MOST_NAMES:
            self._shares.clear()
            self._logged.clear()
        if name not in self._logged:  # known may be None to several at a time
            self._logged.add(name)
            self._log(name, share)
        self._shares[name] = (now, share)
        return share

    def _log(self, name: str, share: float) -> None:
        if share:
            putting_back = "Unknown task %r received - putting it back for a worker that knows it"
            logger.warning(f"{putting_back}. If this one is to run it, too: register it with {_HOW}", name)
            return
        putting_back = "Unknown task %r received, which no live worker knows - putting it back for up to %s"
        logger.warning(f"{putting_back}. Register it with {_HOW}", name, self.patience)


_HOW = (
    "docket.register(function), or docket.register_collection('module:collection') "
    "(`--tasks module:collection` on the command line), before the worker runs"
)


@define(eq=False)
class Refusals:
    """Checks a claim of one worker before it begins: strikes, known tasks, expiry, admission, limited runs."""

    docket: Docket
    claims: Claims
    outages: Outages
    unknown: UnknownTasks
    gate: AdmissionGate
    turns: TurnGate
    limits: dict[str, int]
    """How many more runs each of these keys may have; other keys have no limit."""

    def may_refuse(self, running: Running) -> bool:
        """Whether to ask `refuse`: most runs have nothing that could speak against them."""
        return bool(
            running.rules
            or running.unknown
            or running.delivery.expired
            or self.limits
            or self.docket.strike_list.may_concern(self.claims.newest_strike)
            or (running.takes_turns and self.turns.concerns(running))
        )

    async def refuse(self, running: Running) -> Ending | None:
        """How the run ends without having begun; None: it may begin.

        Raises: LeaseOver - Redis stayed away; RedisError.
        """
        ending: Ending | None = None
        if self.docket.strike_list.may_concern(self.claims.newest_strike):
            ending = await self._refuse_if_struck(running)
        if ending is None and running.unknown and running.reason is None:
            put_back = await self.unknown.put_back(running)
            ending = None if put_back is None else block(running.execution, put_back)
        if ending is None and running.delivery.expired and running.reason is None:
            ending = expire(running.execution)
        if ending is None and running.reason is None and self.turns.concerns(running):
            ending = await self.turns.line_up(running)
        if ending is None and running.rules:
            ending = await self.gate.admit(running)
        is_a_run = running.reason is None and (ending is None or _was_dropped(ending))
        if self.limits and is_a_run and not self._count(running):
            ending = Spent(), None
        return ending

    async def _refuse_if_struck(self, running: Running) -> Ending | None:
        """A strike cancels the run, also one that would repeat itself.

        Every strike that was made before the delivery was taken is judged: those that this process has not read yet
        are read first.
        """
        strikes, execution = self.docket.strike_list, running.execution
        if not strikes.knows(self.claims.newest_strike):
            await retry_while_leased(self.outages, running, strikes.catch_up)
        if running.broken is not None:
            return None  # its arguments are not known
        try:
            return (Struck(), None) if strikes.forbids(execution) else None
        except Exception as error:  # noqa: BLE001 - a condition of the user's may raise anything (I9)
            return fail_unhandled(execution, error)

    def _count(self, running: Running) -> bool:
        """Count a run of a limited key; whether there was one left."""
        key = running.execution.key
        left = self.limits.get(key)
        if left is None:
            return True
        self.limits[key] = max(left - 1, 0)
        running.last = left <= 1
        return left > 0

    def count_back(self, running: Running) -> None:
        """Take back that a run was counted: it has not begun after all."""
        if running.execution.key in self.limits:
            self.limits[running.execution.key] += 1
            running.last = False


def _was_dropped(ending: Ending) -> bool:
    """Whether its turn is over without it: that counts as a run, else a chain whose runs are dropped would not end."""
    outcome = ending[0]
    return isinstance(outcome, Expired) or (
        isinstance(outcome, Blocked) and isinstance(outcome.verdict, Drop)
    )

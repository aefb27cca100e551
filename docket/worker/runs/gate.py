"""Lets a claim begin, or says what is to be done with it instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import anyio
import attrs
from redis.exceptions import ResponseError

from ...client.signatures import PerFunction
from ...dependencies import Admission, Cooldown, Debounce, Dependency, admission_dependencies
from ...rules import AdmissionRule, AwaitSlot, Drop, Fail, SlotRule, StopReason, Verdict, pack
from ...store import Admissions
from ..reports.journal import log_blocked
from ..roster import Running
from .leased import retry_while_leased
from .outcome import dropped
from .settling import Settling

__all__ = ["AdmissionGate"]


@attrs.define(eq=False)
class AdmissionGate:
    """Has the rules of a task checked before it begins: concurrency, rate, cooldown, debounce.

    ``lease`` is after how long a slot counts as free that nobody renews, ``dependencies`` are the worker's own.
    """

    admissions: Admissions
    settling: Settling
    dependencies: Mapping[str, Dependency[Any]]
    lease: timedelta
    _declared: PerFunction[list[tuple[str | None, Admission[Any]]]] = attrs.field(
        init=False, factory=PerFunction[list[tuple[str | None, Admission[Any]]]]
    )
    #: By message id: what the one before was to say when it asked, and what this one says when it does.
    _turns: dict[bytes, tuple[anyio.Event | None, anyio.Event]] = attrs.field(
        init=False, factory=dict[bytes, tuple[anyio.Event | None, anyio.Event]]
    )
    _last: anyio.Event | None = attrs.field(init=False, default=None)
    _has_asked: bool = attrs.field(init=False, default=False)

    def line_up(self, running: Running) -> None:
        """Let it ask after those that were taken before it: trio starts tasks in any order."""
        running.rules = self._rules_of(running)
        if running.rules:
            asked = anyio.Event()
            self._turns[running.delivery.message_id] = (self._last, asked)
            self._last = asked

    def leave(self, running: Running) -> None:
        """Let nobody wait for it any more."""
        if (turn := self._turns.pop(running.delivery.message_id, None)) is not None:
            turn[1].set()

    def _rules_of(self, running: Running) -> list[tuple[str | None, Admission[Any]]]:
        function = running.execution.function
        declared = self._declared.get(function)
        if declared is None:
            try:
                declared = admission_dependencies(function, self.dependencies)
            except Exception:  # noqa: BLE001 - a signature that cannot be read fails the task as it is called (I9)
                declared = []
            self._declared[function] = declared
        return declared

    async def admit(self, running: Running) -> Verdict | None:
        """Take what the run needs to begin, or nothing. None: it may begin.

        What it holds from then on is in ``running.delivery.slots``, and whoever ends the run gives it back.
        Raises: LeaseOver - Redis stayed away.
        """
        declared = running.rules
        if not declared or running.broken is not None:
            return None
        try:
            rules = _rules(running, declared)
        except Exception as error:  # noqa: BLE001 - the value's own code; without its rule it must not run (I9)
            return Fail(error) if running.reason is None else None
        slots = pack((rule for rule in rules if isinstance(rule, SlotRule)), self.lease)
        delivery = running.delivery
        if running.reason is not None:  # stopped before it began; another worker may have taken slots for it
            if delivery.redelivered:
                running.delivery = attrs.evolve(delivery, slots=slots)
            return None
        before, asked = self._turns.get(delivery.message_id, (None, None))
        if before is not None:
            await before.wait()
        # Requests leave in the order in which they are made, but for the first: the server asks for the script.
        if asked is not None and self._has_asked:
            asked.set()
        running.settling = True  # the server may end it: what is acknowledged meanwhile is not lost
        try:
            verdict = await retry_while_leased(
                self.settling.outages, running, lambda: self.admissions.admit(delivery, rules, self.lease)
            )
        except ResponseError as error:  # somebody keeps something else under the name of the limit (I9)
            verdict = Fail(error)
        finally:
            running.settling = False
        self._has_asked = True
        if asked is not None:
            asked.set()
        if verdict is None:
            running.delivery = attrs.evolve(delivery, slots=slots)
            return None
        return await self._refused(running, verdict)

    async def _refused(self, running: Running, verdict: Verdict) -> Verdict:
        if isinstance(verdict, Drop):
            verdict = dropped(running.execution, verdict)
        log_blocked(running, verdict)
        if isinstance(verdict, AwaitSlot) and running.reason is StopReason.ASKED:
            # Asked for as it was parked: pydocket's clients leave nothing on the server that admission would find.
            await retry_while_leased(
                self.settling.outages, running, lambda: self.settling.docket.cancel(running.execution.key)
            )
        return verdict


def _rules(running: Running, declared: Sequence[tuple[str | None, Admission[Any]]]) -> list[AdmissionRule]:
    """The rules for one execution. A retry goes on with what was admitted: neither cooldown nor debounce apply."""
    execution = running.execution
    rules: list[AdmissionRule] = []
    for name, dependency in declared:
        if execution.attempt > 1 and isinstance(dependency, Cooldown | Debounce):
            continue
        if name is not None:
            dependency = dependency.bind_to_parameter(name, dependency.argument(execution, name))
        rules.append(dependency.rule(execution))
    return rules

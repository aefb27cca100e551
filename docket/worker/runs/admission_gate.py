"""Admits a claim by the rules of its task, or says what to do with it instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import attrs
from redis.exceptions import ResponseError

from ...client import PerFunction
from ...dependencies import Admission, Cooldown, Debounce, Dependency, admission_dependencies, rules_of_call
from ...rules import AdmissionRule, SlotRule, Verdict, pack
from ...store import Admissions
from ..roster import Running
from ..upkeep.outages import Outages
from .following import Ending, block, fail_unhandled
from .leased import retry_while_leased

if TYPE_CHECKING:
    from ...execution import Execution

__all__ = ["AdmissionGate"]


@attrs.define(eq=False)
class AdmissionGate:
    """Has the server check the rules of a task before it begins: concurrency, rate, cooldown, debounce.

    ``dependencies`` are the worker's own; a slot that is not renewed for a ``lease`` counts as free.
    """

    admissions: Admissions
    outages: Outages
    dependencies: Mapping[str, Dependency[Any]]
    lease: timedelta
    _declared: PerFunction[list[tuple[str | None, Admission[Any]]]] = attrs.field(
        init=False, factory=PerFunction[list[tuple[str | None, Admission[Any]]]]
    )
    #: By message id: the event that the run before sets as it asks, and the one that this run sets.
    _turns: dict[bytes, tuple[anyio.Event | None, anyio.Event]] = attrs.field(
        init=False, factory=dict[bytes, tuple[anyio.Event | None, anyio.Event]]
    )
    _last: anyio.Event | None = attrs.field(init=False, default=None)
    _has_asked: bool = attrs.field(init=False, default=False)

    def line_up(self, running: Running) -> None:
        """Let it ask after the runs that were taken before it: trio starts tasks in any order."""
        running.rules = self._rules_of(running)
        if running.rules:
            asked = anyio.Event()
            self._turns[running.delivery.message_id] = (self._last, asked)
            self._last = asked

    def leave(self, running: Running) -> None:
        """Let no other run wait for this one any more."""
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
        if not declared:
            return declared
        execution = running.execution
        return rules_of_call(declared, execution.function, execution.args, execution.kwargs)

    async def admit(self, running: Running) -> Ending | None:
        """Take what the run needs to begin, or nothing. None: it may begin; else how it ends without.

        What it holds from then on is in ``running.delivery.slots``; the script that ends the run gives it back.
        Raises: LeaseOver - Redis stayed away.
        """
        if running.broken is not None:
            return None
        execution, delivery = running.execution, running.delivery
        try:
            rules = _rules(execution, running.rules)
        except Exception as error:  # noqa: BLE001 - the value's own code; without its rule it must not run (I9)
            return fail_unhandled(execution, error) if running.reason is None else None
        slots = pack((rule for rule in rules if isinstance(rule, SlotRule)), self.lease)
        if running.reason is not None:  # stopped before it began; another worker may have taken slots for it
            if delivery.redelivered:
                running.delivery = attrs.evolve(delivery, slots=slots)
            return None
        before, asked = self._turns.get(delivery.message_id, (None, None))
        if before is not None:
            await before.wait()
        # Requests leave in the order in which they are made, except the first: the server asks for the script.
        if asked is not None and self._has_asked:
            asked.set()
        verdict: Verdict | None = None
        refused: Ending | None = None
        running.settling = True  # the server may end it: what is acknowledged meanwhile is not lost
        try:
            verdict = await retry_while_leased(
                self.outages, running, lambda: self.admissions.admit(delivery, rules, self.lease)
            )
        except ResponseError as error:  # somebody keeps something else under the name of the limit (I9)
            refused = fail_unhandled(execution, error)
        except BaseException:  # cancelled, and the answer is lost: the server may have given them
            running.delivery = attrs.evolve(delivery, slots=slots)
            raise
        finally:
            running.settling = False
        self._has_asked = True
        if asked is not None:
            asked.set()
        if verdict is not None:
            refused = block(execution, verdict)
        if refused is None:
            running.delivery = attrs.evolve(delivery, slots=slots)
        return refused


def _rules(
    execution: Execution[Any], declared: Sequence[tuple[str | None, Admission[Any]]]
) -> list[AdmissionRule]:
    """The rules for one execution. A retry was admitted already: neither cooldown nor debounce apply."""
    rules: list[AdmissionRule] = []
    for name, dependency in declared:
        if execution.attempt > 1 and isinstance(dependency, Cooldown | Debounce):
            continue
        if name is not None:
            dependency = dependency.bind_to_parameter(name, dependency.argument(execution, name))
        rules.append(dependency.rule(execution))
    return rules

"""Admits a claim by the rules of its task, or says what to do with it instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import attrs
from anyio.lowlevel import checkpoint

from ...client import PerFunction
from ...dependencies import Admission, Cooldown, Debounce, Dependency, admission_dependencies, rules_of_call
from ...rules import AdmissionRule, SlotRule, Verdict, pack
from ...standins import redis_errors
from ...store import Admissions, Asking
from ..roster import Running
from ..upkeep.outages import Outages
from .following import Ending, block, fail_unhandled
from .leased import retry_while_leased

if TYPE_CHECKING:
    from ...execution import Execution

__all__ = ["AdmissionGate"]

#: How many claims ask in one write: each takes the server some 50 us.
MOST = 20


class _Turn:
    """The place of a claim in the line of those that are to ask: after the one before it."""

    __slots__ = ("_asked", "_before", "_has_asked")

    def __init__(self, before: _Turn | None) -> None:
        self._before, self._has_asked = before, False
        self._asked: anyio.Event | None = None

    def over(self) -> None:
        """It has asked, or never will."""
        self._has_asked, self._before = True, None
        if self._asked is not None:
            self._asked.set()

    async def come(self) -> None:
        """Wait until the one before has asked."""
        before, self._before = self._before, None
        if before is not None and not before._has_asked:
            if before._asked is None:
                before._asked = anyio.Event()
            await before._asked.wait()


class _Question:
    """What a claim asks, until it is answered or its task is to send the next ones."""

    __slots__ = ("answer", "asking", "is_answered", "leads", "woken")

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.is_answered = self.leads = False
        self.answer: Verdict | redis_errors.RedisError | None = None
        self.woken: anyio.Event | None = None

    def wake(self) -> None:
        if self.woken is not None:
            self.woken.set()


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
    #: By message id: whose turn is after whose.
    _turns: dict[bytes, _Turn] = attrs.field(init=False, factory=dict[bytes, _Turn])
    _last: _Turn | None = attrs.field(init=False, default=None)
    #: What is to be asked next, in order, while a claim that asks is on the way (`_is_led`).
    _asked: list[_Question] = attrs.field(init=False, factory=list[_Question])
    _is_led: bool = attrs.field(init=False, default=False)

    def line_up(self, running: Running) -> None:
        """Let it ask after the runs that were taken before it: trio starts tasks in any order."""
        running.rules = self._rules_of(running)
        if running.rules:
            self._turns[running.delivery.message_id] = self._last = _Turn(self._last)

    def leave(self, running: Running) -> None:
        """Let no other run wait for this one any more."""
        if self._turns and (turn := self._turns.pop(running.delivery.message_id, None)) is not None:
            turn.over()

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
        turn = self._turns.get(delivery.message_id)
        if turn is not None:
            await turn.come()
        verdict: Verdict | None = None
        refused: Ending | None = None
        running.settling = True  # the server may end it: what is acknowledged meanwhile is not lost
        try:
            verdict = await retry_while_leased(
                self.outages, running, lambda: self._ask((delivery, rules, slots), turn)
            )
        except (
            redis_errors.ResponseError
        ) as error:  # somebody keeps something else under the name of the limit (I9)
            refused = fail_unhandled(execution, error)
        except BaseException:  # cancelled, and the answer is lost: the server may have given them
            running.delivery = attrs.evolve(delivery, slots=slots)
            raise
        finally:
            running.settling = False
            if turn is not None:
                turn.over()
        if verdict is not None:
            refused = block(execution, verdict)
        if refused is None:
            running.delivery = attrs.evolve(delivery, slots=slots)
        return refused

    async def _ask(self, asking: Asking, turn: _Turn | None) -> Verdict | None:
        """Ask together with others: with what has come while the question before was on the way, in order.

        One of those who ask sends for all of them; what it does not get an answer to they ask by themselves.
        Raises: RedisError.
        """
        mine = _Question(asking)
        self._asked.append(mine)
        if turn is not None:
            turn.over()
        try:
            if self._is_led:
                mine.woken = anyio.Event()
                await mine.woken.wait()
            else:
                self._is_led = mine.leads = True
                await checkpoint()  # those that were taken together ask together
            if mine.leads:
                await self._send()
        finally:
            if mine in self._asked:
                self._asked.remove(mine)
            if mine.leads:
                self._is_led = bool(self._asked)
                if self._asked:
                    self._asked[0].leads = True
                    self._asked[0].wake()
        if not mine.is_answered:
            return await self.admissions.admit(asking[0], asking[1], self.lease)
        if isinstance(mine.answer, redis_errors.RedisError):
            raise mine.answer
        return mine.answer

    async def _send(self) -> None:
        """Ask for the first ones; what is not answered each asks by itself. Raises: RedisError."""
        asked, self._asked = self._asked[:MOST], self._asked[MOST:]
        try:
            answers = await self.admissions.admit_each([one.asking for one in asked])
            for one, one.answer in zip(asked, answers, strict=True):
                one.is_answered = True
        except Exception as error:
            if isinstance(error, redis_errors.RedisError):
                raise  # else one of them cannot be asked about, and its own claim will hear of it (I9)
        finally:
            for one in asked:
                one.wake()


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

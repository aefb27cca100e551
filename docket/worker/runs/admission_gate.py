"""Admits a claim by the rules of its task, or says what to do with it instead."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import attrs
from anyio.lowlevel import checkpoint

from ...client import PerFunction
from ...dependencies import (
    Admission,
    Cooldown,
    Debounce,
    Dependency,
    admission_dependencies,
    rules_of_call,
    takes_turns,
)
from ...notification import Notification
from ...rules import AdmissionRule, SlotRule, Verdict, pack
from ...standins import redis_errors
from ...store import Admissions, Asking
from ...values import define
from ..roster import Running
from ..upkeep.outages import Outages
from .following import Ending, block, fail_unhandled
from .leased import retry_while_leased

if TYPE_CHECKING:
    from ...execution import Execution

__all__ = ["AdmissionGate"]

#: How many claims ask in one write: each takes the server some 50 us.
MOST = 20


class _Place:
    """The place of a claim in the line of those that ask, and what it is answered."""

    __slots__ = ("answer", "asking", "is_answered", "is_over", "is_sent", "leads")

    def __init__(self) -> None:
        self.asking: Asking | None = None
        self.answer: Verdict | redis_errors.RedisError | None = None
        self.is_over = False  # it never asks, or waits for no answer any more
        self.leads = self.is_sent = self.is_answered = False


@define(eq=False)
class AdmissionGate:
    """Has the server check the rules of a task before it begins: concurrency, rate, cooldown, debounce.

    ``dependencies`` are the worker's own; a slot that is not renewed for a ``lease`` counts as free.
    """

    admissions: Admissions
    outages: Outages
    dependencies: Mapping[str, Dependency[Any]]
    lease: timedelta
    #: And whether the task takes turns: each run asks for both.
    _declared: PerFunction[tuple[list[tuple[str | None, Admission[Any]]], bool]] = attrs.field(
        init=False, factory=PerFunction[tuple[list[tuple[str | None, Admission[Any]]], bool]]
    )
    #: In the order in which the claims were taken; and by message id.
    _line: deque[_Place] = attrs.field(init=False, factory=deque[_Place])
    _places: dict[bytes, _Place] = attrs.field(init=False, factory=dict[bytes, _Place])
    #: Whether the task of one is about to send, or has sent, what it and those behind it ask.
    _is_led: bool = attrs.field(init=False, default=False)
    _moved: Notification = attrs.field(init=False, factory=Notification)

    def line_up(self, running: Running) -> None:
        """Let it ask after the runs that were taken before it: trio starts tasks in any order."""
        running.rules = self._rules_of(running)
        if running.rules:
            self._places[running.delivery.message_id] = place = _Place()
            self._line.append(place)

    def leave(self, running: Running) -> None:
        """Let no other run wait for this one any more."""
        place = self._places.pop(running.delivery.message_id, None) if self._places else None
        if place is not None and not place.is_over:
            place.is_over = True
            self._go_on()

    def _rules_of(self, running: Running) -> list[tuple[str | None, Admission[Any]]]:
        function = running.execution.function
        known = self._declared.get(function)
        if known is None:
            try:
                declared = admission_dependencies(function, self.dependencies)
            except Exception:  # noqa: BLE001 - a signature that cannot be read fails the task as it is called (I9)
                declared = []
            known = self._declared[function] = declared, takes_turns(function)
        declared, running.takes_turns = known
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
                running.delivery = delivery.holding(slots)
            return None
        place = self._places.get(delivery.message_id)
        verdict: Verdict | None = None
        refused: Ending | None = None
        running.settling = True  # the server may end it: what is acknowledged meanwhile is not lost
        try:
            verdict = await retry_while_leased(
                self.outages, running, lambda: self._ask((delivery, rules, slots), place)
            )
        except (
            redis_errors.ResponseError
        ) as error:  # somebody keeps something else under the name of the limit (I9)
            refused = fail_unhandled(execution, error)
        except BaseException:  # cancelled, and the answer is lost: the server may have given them
            running.delivery = delivery.holding(slots)
            raise
        finally:
            running.settling = False
        if verdict is not None:
            refused = block(execution, verdict)
        if refused is None:
            running.delivery = delivery.holding(slots)
        return refused

    async def _ask(self, asking: Asking, place: _Place | None) -> Verdict | None:
        """Ask together with others, in the order of the line: with those that were taken together, or have come since.

        The first in line sends for all behind it that have asked; whoever gets no answer then asks by itself.
        Raises: RedisError.
        """
        if place is None or place.is_over:  # it asks again
            place = _Place()
            self._line.append(place)
        place.asking = asking
        try:
            self._go_on(place)
            if place.leads:
                await checkpoint()
            while not (place.leads or place.is_sent):
                await self._moved.wait()
            if place.leads:
                await self._send()
        finally:
            place.is_over = True
            if place.leads:
                self._is_led = False
            self._go_on()
        if not place.is_answered:
            return await self.admissions.admit(asking[0], asking[1], self.lease)
        if isinstance(place.answer, redis_errors.RedisError):
            raise place.answer
        return place.answer

    def _go_on(self, awake: _Place | None = None) -> None:
        """Let the first in line send, if it has asked and nobody else sends; wake it, unless it is ``awake``."""
        while self._line and self._line[0].is_over:
            self._line.popleft()
        if self._line and not self._is_led and self._line[0].asking is not None:
            self._is_led = self._line[0].leads = True
            if self._line[0] is not awake:
                self._moved.notify()

    async def _send(self) -> None:
        """Ask for the first in line; what is not answered each asks by itself. Raises: RedisError."""
        asked: list[tuple[_Place, Asking]] = []
        while self._line and len(asked) < MOST:
            place = self._line[0]
            if not place.is_over:
                if place.asking is None:
                    break  # those behind it wait for it
                asked.append((place, place.asking))
            self._line.popleft()
        try:
            answers = await self.admissions.admit_each([asking for _, asking in asked])
            for (place, _), place.answer in zip(asked, answers, strict=True):
                place.is_answered = True
        except Exception as error:
            if isinstance(error, redis_errors.RedisError):
                raise  # else one of them cannot be asked about, and its own claim will hear of it (I9)
        finally:
            for place, _ in asked:
                place.is_sent = True
            self._moved.notify()


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

"""Has a claim wait for its turn whose message says of none, though its task takes turns: who added it did not know."""

from __future__ import annotations

from ...dependencies import share_of_call
from ...rules import AwaitTurn
from ...store import SHARE, Claims, share_field
from ...values import define
from ..roster import Running
from ..upkeep.outages import Outages
from .following import Ending, block, fail_unhandled
from .leased import retry_while_leased

__all__ = ["TurnGate"]


@define(eq=False)
class TurnGate:
    """Puts such claims of one worker in their rows before they begin."""

    claims: Claims
    outages: Outages

    def concerns(self, running: Running) -> bool:
        """Whether a claim is one of those: added by name, or by pydocket. A redelivered one had its turn."""
        return (
            running.takes_turns
            and SHARE not in running.execution.extra_fields
            and not running.delivery.redelivered
            and running.broken is None
        )

    async def line_up(self, running: Running) -> Ending | None:
        """How the run ends that is to wait; None: it may begin. Raises: LeaseOver - Redis stayed away."""
        execution = running.execution
        try:
            share = share_of_call(execution.function, execution.args, execution.kwargs)
        except Exception as error:  # noqa: BLE001 - its value has no text, or no weight (I9)
            return fail_unhandled(execution, error)
        if share is None:
            return None
        field = share_field(*share)
        running.settling = True  # the script ends it: what is acknowledged meanwhile is not lost
        try:
            settled = await retry_while_leased(
                self.outages, running, lambda: self.claims.take_turn(running.delivery, field)
            )
        finally:
            running.settling = False
        if settled is None:
            return None
        return block(execution, AwaitTurn(":".join(share[:2])))

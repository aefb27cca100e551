"""Keeps what is struck from running."""

from __future__ import annotations

from ...rules import Cancel, Fail, Verdict
from ...signals import signals, suppress_errors
from ..reports.journal import log_struck
from ..roster import Running
from .leased import retry_while_leased
from .settling import Settling

__all__ = ["refuse_if_struck"]


async def refuse_if_struck(settling: Settling, running: Running) -> Verdict | None:
    """What is to be done with a claim if strikes forbid its run: it is cancelled, also one that would repeat itself.

    What was struck before it was taken is known when this returns; strikes that this process has not read are read.
    Raises: LeaseOver - Redis stayed away.
    """
    strikes, execution = settling.docket.strike_list, running.execution
    if not strikes.knows(settling.claims.newest_strike):
        await retry_while_leased(settling.outages, running, strikes.catch_up)
    if running.broken is not None:
        return None  # its arguments are not known
    try:
        if not strikes.is_stricken(execution):
            return None
    except Exception as error:  # noqa: BLE001 - a condition of the user's may raise anything (I9)
        return Fail(error)
    log_struck(execution)
    for each in signals.subscribers:
        with suppress_errors:
            each.stricken(settling.docket.name, execution.worker or "", execution.function_name)
    return Cancel()

"""Placing what no strike forbids.

A call is judged by what this process has read of the strikes; the server looks, in the step that places, whether
that was all, and else writes nothing. So a strike is in force for whatever is added after `strike` has returned, and
a docket without strikes costs no round trip. Who is struck by what is known here asks once more: it may have been
restored.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from ..rules import Disposition
from ..store import ANY_STRIKES, Placed

if TYPE_CHECKING:
    from ..docket import Docket
    from ..execution import Execution

__all__ = ["place", "place_all"]

logger = logging.getLogger("docket.docket")

_STRUCK = Placed(Disposition.STRUCK, 0)


def _struck(execution: Execution[Any]) -> Placed:
    logger.warning("%r is stricken, skipping schedule of %r", execution.function_name, execution.key)
    return _STRUCK


async def place(
    docket: Docket, execution: Execution[Any], *, replace: bool, rescheduled: bytes, expected: int
) -> Placed:
    """Place an execution unless it is struck; see `Schedule.place`.

    The next run of a delivery that ends with this (``rescheduled``) is placed in any case: a worker judges it.
    """
    strikes = docket.strike_list
    known = ANY_STRIKES if rescheduled else strikes.version  # before it is judged: another thread may read on
    if not rescheduled and strikes.is_stricken(execution):
        await strikes.catch_up()
        known = strikes.version
        if strikes.is_stricken(execution):
            return _struck(execution)
    message = execution.message()
    while True:
        placed = await docket.store.schedule.place(
            message, replace=replace, rescheduled=rescheduled, expected=expected, strikes=known
        )
        if placed.disposition is not Disposition.STRUCK:
            return placed
        await strikes.catch_up()
        if strikes.is_stricken(execution):
            return _struck(execution)
        known = ANY_STRIKES  # what has been struck since then was struck after this had begun


async def place_all(
    docket: Docket, executions: Sequence[Execution[Any]], *, replace: bool
) -> list[Placed | RedisError]:
    """Place executions in their order, in one write; those that are struck are left out.

    Where there are strikes that this process did not know, those that they do not concern take a second write.
    """
    strikes = docket.strike_list
    if any(strikes.is_stricken(execution) for execution in executions):
        await strikes.catch_up()
    placed: list[Placed | RedisError] = [_STRUCK] * len(executions)
    left, known = list(range(len(executions))), strikes.version
    while True:
        struck = {at for at in left if strikes.is_stricken(executions[at])}
        for at in sorted(struck):
            _struck(executions[at])
        sent = [at for at in left if at not in struck]
        messages = [executions[at].message() for at in sent]
        replies = await docket.store.schedule.place_many(messages, replace=replace, strikes=known)
        for at, reply in zip(sent, replies, strict=True):
            placed[at] = reply
        left = [at for at in sent if placed[at] == _STRUCK]
        if not left:
            return placed
        await strikes.catch_up()
        known = ANY_STRIKES

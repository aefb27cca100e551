"""Runs all tasks that become due until a moment."""

from __future__ import annotations

from contextlib import aclosing
from datetime import datetime
from typing import Any

import anyio

from .. import clock
from ..docket import Docket
from ..execution import Execution, ExecutionState
from ..moments import check_moment, read_moment
from ..store import StateEvent
from ..worker import Worker

__all__ = ["run_until"]

#: Everything that happens at one moment of virtual time happens within this many seconds.
MOMENT = 0.001


async def run_until(where: Worker | Docket, when: datetime) -> None:
    """Run everything on a docket that becomes due until ``when``, in order of time, then return.

    Later tasks stay scheduled, also the next run of a perpetual task. Tasks that still run then may finish within the
    worker's ``shutdown_timeout``, and are queued again otherwise. Tasks that wait for a free slot are due, too: time
    goes on until they have begun.

    Time:   for virtual clocks (`virtual_backend`, the ``virtual_clock`` fixture), where waiting takes no time; without
            one it waits for real. A ``when`` that has passed runs what is due now. A perpetual task without a pause
            (``every`` of zero) lets no time pass, and this never returns.
    Raises: TypeError, ValueError - ``when`` is no aware datetime; whatever the worker raises.
    Cancel: the worker drains.
    """
    check_moment("when", when)
    worker = where if isinstance(where, Worker) else Worker(where)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        await anyio.sleep(max((when - clock.now()).total_seconds(), 0))
        await _wait_until_begun(worker.docket, when)
        group.cancel_scope.cancel()


async def _wait_until_begun(docket: Docket, when: datetime) -> None:
    """Wait until no task that is due by ``when`` waits any more, and those that have run place no further one."""
    quiet = 0
    while quiet < 2:
        await anyio.sleep(MOMENT)
        due = [execution for execution in (await docket.snapshot()).future if execution.when <= when]
        quiet = 0 if due else quiet + 1
        for execution in due:
            await _begun(execution, when)


async def _begun(execution: Execution[Any], when: datetime) -> None:
    """Wait until it has begun, or was put off past ``when``."""
    async with aclosing(execution.subscribe()) as events:
        async for event in events:
            if event["type"] == "state" and not _waits(event, when):
                return


def _waits(event: StateEvent, when: datetime) -> bool:
    if event["state"] not in (ExecutionState.QUEUED, ExecutionState.SCHEDULED):
        return False
    due = read_moment(event["when"])
    return due is None or due <= when

"""Claiming and ending runs by hand, for programs that are their own worker."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from .. import clock
from ..rules import ExecutionState
from ..store import DocketStore, Fence
from ..text import checked_name, readable
from .signatures import check_key

__all__ = ["ByHand", "claim_by_hand", "end_by_hand"]


class ByHand(Protocol):
    """A run that a program claims and ends itself."""

    state: ExecutionState
    error: str | None
    result_key: str | None
    started_at: datetime | None
    completed_at: datetime | None
    message_id: bytes | None

    @property
    def key(self) -> str: ...
    @property
    def generation(self) -> int: ...
    def claimed(self, fence: Fence) -> None: ...
    async def sync(self) -> None: ...


async def claim_by_hand(store: DocketStore, run: ByHand, worker: str) -> bool:
    """Claim a run for ``worker``; see `Execution.claim`."""
    check_key(run.key)
    worker = checked_name(worker, "the name of a worker")
    fence = await store.by_hand.claim(run.key, run.generation, worker, run.message_id)
    if fence is None:
        return False
    run.started_at = clock.now()
    run.claimed(fence)
    return True


async def end_by_hand(
    store: DocketStore,
    run: ByHand,
    state: ExecutionState,
    error: str | None = None,
    result_key: str | None = None,
) -> None:
    """Write the final state of a run, and note it; read what is recorded instead where the run has ended already."""
    if result_key is not None:
        result_key = checked_name(result_key, "the key of a result")
    error = None if error is None else readable(error)
    ended = await store.by_hand.conclude(
        check_key(run.key),
        run.generation,
        run.message_id,
        state=state.value,
        error=error,
        result_key=result_key,
    )
    if not ended:
        await run.sync()
        return
    run.state, run.error, run.result_key = state, error, result_key
    run.completed_at = clock.now()

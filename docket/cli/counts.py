"""``docket status``: how much is on a docket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import clock
from .at import HERE, Here
from .existing import check_docket
from .json_output import Json, print_json
from .server import with_docket
from .tables import relative

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import Counts, Pause

__all__ = ["status"]


def status(
    *,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """Count what waits, runs and has failed on a docket, its workers and its pauses. Cheap, whatever is on it.

    Parameters
    ----------
    json
        Print it as JSON.
    """

    async def read(opened: Docket) -> tuple[Counts, list[Pause]]:
        await check_docket(opened)
        return await opened.counts(), await opened.pauses()

    counts, pauses = with_docket(read, at)
    if json:
        print_json(at.docket, counts=counts, pauses=pauses)
        return
    oldest = (
        "" if counts.oldest_due is None else f", the first one {relative(counts.oldest_due, clock.now())}"
    )
    print(f"Docket {at.docket!r}")
    if counts.memory_full:
        print("Redis    is full: it refuses whatever needs more memory, and workers begin nothing")
    levels = "".join(f", {depth} {level.value}" for level, depth in counts.levels.items())
    print(f"due      {counts.due}{levels}{oldest}")
    if counts.unserved and counts.workers:
        print(f"unserved {', '.join(level.value for level in counts.unserved)}: no live worker serves that")
    if counts.turns:
        print(f"turns    {counts.turns} of these wait for their turn")
    print(f"later    {counts.later}")
    print(f"running  {counts.running}")
    print(f"limited  {counts.limited}")
    print(f"paused   {counts.paused}")
    print(f"retrying {counts.retrying}")
    print(f"failed   {counts.failed}")
    if counts.dead:
        print(f"dead     {counts.dead}, which could not be read: see docket dead-letters")
    draining = f", {counts.draining} of them draining" if counts.draining else ""
    print(f"workers  {counts.workers}{draining}")
    print(f"pauses   {len(pauses)}")

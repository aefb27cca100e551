"""What is left of a docket on which everything has ended."""

from __future__ import annotations

from docket import Docket
from tests.chaos.leftovers import UNLIMITED

__all__ = ["assert_nothing_is_left"]


async def assert_nothing_is_left(docket: Docket) -> None:
    """No task, and nothing that would stay for ever but what a docket has once."""
    assert (await docket.snapshot()).total_tasks == 0
    assert await docket.store.claims("nobody").unfinished() == 0
    client, prefix = docket.client, docket.prefix
    names = [name.decode() for name in await client.keys(f"{prefix}:*")]
    for_good = {name.removeprefix(f"{prefix}:") for name in names if await client.pttl(name) == -1}
    assert {name for name in for_good if not UNLIMITED.match(name)} == set()

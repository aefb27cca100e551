"""Python that does what a script does, for servers in this process (memory://): to enter Lua for each command costs
more than the commands.

A twin stands for one text of its script, by the digest: whoever changes a script reads its twin, too, and writes the
new digest here; until then the Lua runs. ``tests/store/test_twins.py`` runs each twin beside its Lua on random states:
the same replies, the same keys afterwards, the same events. A twin covers what is common. What it leaves to Lua, it
leaves before it has written anything: whatever has to do with limits, paused tasks and task groups, and keys of other
types.
"""

from __future__ import annotations

from ...memory import Twin
from .claim import claim
from .schedule import schedule
from .settle import settle
from .take import take

__all__ = ["TWINS"]

TWINS: dict[str, Twin] = {
    "a81742fcbc6427fbd823a93f7ac9578b6baa9545": claim,
    "4991e7fe58ab9cb03e45bbd8f3abfdaa5aa5843b": schedule,
    "6cc501460f1c13799194c8fcb46abbdb62f85ceb": settle,
    "976829a59607cc6d3725cd52da5a954a773e023a": take,
}
"""By the digest of the script, as `Lua` has it."""

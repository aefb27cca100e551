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
    "aa39d192cd242649217fd80489eb9cb7d8d6afd6": claim,
    "972e274e8826eaaca83435482a09a50b98cf2e87": schedule,
    "71451205951f262b0dc61f4733cde0ea1856fedb": settle,
    "4666391d65a43353eed6cf1643c10c562a2c8a21": take,
}
"""By the digest of the script, as `Lua` has it."""

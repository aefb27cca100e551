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
    "1a5be8d3eb788670ffa817059d4ed65f53722d44": claim,
    "972e274e8826eaaca83435482a09a50b98cf2e87": schedule,
    "36d8cffa49b34b77526f1cb77b83f1d9030ad777": settle,
    "02e5205d14f9a9129061a514d6ff2f1519d795d7": take,
}
"""By the digest of the script, as `Lua` has it."""

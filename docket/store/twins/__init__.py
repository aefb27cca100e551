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
    "54289ef87a7d7377d37c4c3577b029e28cc47c66": claim,
    "506cf5600ea9c1c23c260927be8e81e3b47f37ee": schedule,
    "cedc9c9270ed684bfd7ed0da4a497a762dab120c": settle,
    "39c718cc2ebb9d116b4d2610ed6280e8b125c471": take,
}
"""By the digest of the script, as `Lua` has it."""

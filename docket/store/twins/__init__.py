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
    "0b3652c0e1b84e409410b48338825fa2eeac0c58": claim,
    "5573419ac5f6a5a2bf21fd1206c0a600387ece81": schedule,
    "068dafe635268fc8358b0ded628254d53a34ab83": settle,
    "37f3b8818cf275a0d94c21c0f2ad58cb1b027c17": take,
}
"""By the digest of the script, as `Lua` has it."""

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
    "f067bd8f2df8d8576841c5f1b8c9f96ea9a46dcd": claim,
    "45627847cd03ea48d98c5ae63b0de4dd43c73591": schedule,
    "3e8d20cea909f6767edff24bebb46ee76b8640fd": settle,
    "a853ce06c57c04f6e14abc8d6119aada7c73e1e2": take,
}
"""By the digest of the script, as `Lua` has it."""

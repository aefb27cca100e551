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
    "29aa0efef91df54b61a1e15eec0139ebbfc43334": claim,
    "9412ea9c9d6c0bdee5b3e77b9a85b150e2cf024a": schedule,
    "9cfd1ebafa07105cb5f91fe52008578ab9f2dd3b": settle,
    "2be96463283a3a1c1602b045989e36205c21f12c": take,
}
"""By the digest of the script, as `Lua` has it."""

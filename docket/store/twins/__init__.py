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
    "8a85a35b6f2fc70c36a48bca7cd67751a8ea454d": claim,
    "818fb084dbe3cc13b15ac9f6fe478dd9a64d9931": schedule,
    "92b4f68b7c00d55bf231bdfdfc3e6db8a1a2252d": settle,
    "278f3c8d7dfb209a1d22f07cb1991983cce75e83": take,
}
"""By the digest of the script, as `Lua` has it."""

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
    "c29e0699256f1c20356f372a3c8145cea0aa7975": claim,
    "c64d94401f1f0694d524403542407f40bfe7c827": schedule,
    "fb875898d04d06ec60000e7523afc6c5d0f91588": settle,
    "064ecc10aa4036c4b46feaa9b808847a18f484a0": take,
}
"""By the digest of the script, as `Lua` has it."""

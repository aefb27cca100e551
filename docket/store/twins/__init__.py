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
    "cdf712fd9129b9b7a3ce580962a9d99622f06f9c": claim,
    "5412e35de2a82a9d2ce0877f0fb196704d81f624": schedule,
    "a43a957a98dba930bb5148b2e3e6a9b3a3d0cfb0": settle,
    "b8cab58d583231bc0450542ed754abacf6c74429": take,
}
"""By the digest of the script, as `Lua` has it."""

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
    "8213473615d871454fad68f2382b50f54c05240b": claim,
    "5f22853fdf4d7d7dfb1d2dea8a10705a3c02c029": schedule,
    "d6afb909e2baf6a5b1f1fbfdc13547506ea3a7de": settle,
    "605935c7c44d3efd16e20da513d0fca40380f736": take,
}
"""By the digest of the script, as `Lua` has it."""

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
    "bc56cb1bcf95e94540870e7c6da4d32a6f63c495": claim,
    "ea30da0028bbafde3c2a8edb8227a46bcfa566fa": schedule,
    "ef30c04adba1e2ae1cba8ef7fd93e8c4fd7a818d": settle,
    "fe0edb5bc493fef5381f254f7c39801e3e1e27d2": take,
}
"""By the digest of the script, as `Lua` has it."""

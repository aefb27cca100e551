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
    "7cbf678a6f6daacc62775c2829d5ac1106838af2": claim,
    "ac5940542705bc7b4aa87be2dc8619911f5717f5": schedule,
    "818686bfa57ce1a0290bd5755970d504d5ecd54d": settle,
    "9983f65d3c845cf9083446142f8f82585fee1ce2": take,
}
"""By the digest of the script, as `Lua` has it."""

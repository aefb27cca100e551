"""Python that does what a script does, for servers in this process (memory://): to enter Lua for each command costs
more than the commands.

A twin stands for one text of its script, by the digest: whoever changes a script reads its twin, too, and writes the
new digest here; until then the Lua runs. ``tests/store/test_twins.py`` runs each twin beside its Lua on random states:
the same replies, the same keys afterwards, the same events. A twin covers what is common. What it leaves to Lua, it
leaves before it has written anything: whatever has to do with limits and with paused tasks, and keys of other types.
"""

from __future__ import annotations

from ...memory import Twin
from .claim import claim
from .schedule import schedule
from .settle import settle
from .take import take

__all__ = ["TWINS"]

TWINS: dict[str, Twin] = {
    "50869d375c7ccc372bdcefd131459cb96fcedfaa": claim,
    "24e0fe5cb41e8ecced6df375cb330022e8a45ce2": schedule,
    "f6c6aac342bd9b5fea7d22ddf81341d4bb51f5d4": settle,
    "f694683bfe4fd713b1084c0eca07cd97d03e6211": take,
}
"""By the digest of the script, as `Lua` has it."""

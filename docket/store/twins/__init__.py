"""Python that does what a script does, for servers in this process (memory://): to enter Lua for each command costs
more than the commands.

A twin stands for one text of its script, by the digest: whoever changes a script reads its twin, too, and writes the
new digest here; until then the Lua runs. ``tests/store/test_twins.py`` runs each twin beside its Lua on random states:
the same replies, the same keys afterwards, the same events. A twin covers what is common. What it leaves to Lua, it
leaves before it has written anything: whatever has to do with limits, and keys of other types.
"""

from __future__ import annotations

from ...memory import Twin
from .claim import claim
from .schedule import schedule
from .settle import settle
from .take import take

__all__ = ["TWINS"]

TWINS: dict[str, Twin] = {
    "d02882ebc34ad881fa11e7bdd07b4e095f50405a": claim,
    "876782e6ae9ec47c54cdc9557a77241c7e241504": schedule,
    "ee76042d9be7bf2007276bc6a3e5ee1ea1845bb3": settle,
    "4c14f098a62d1a902c89780b972c316cbefc9f10": take,
}
"""By the digest of the script, as `Lua` has it."""

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
    "9537d25e9b01d04aae8ae774965a878ce4c313b9": claim,
    "2cbd06b5496798dba9bcddea59f5e551e655c5e8": schedule,
    "f4541eda93c7cb35cc87351ba7a23b22470056c9": settle,
    "55876fe2839b648fbf3c14c886564b03615b7a59": take,
}
"""By the digest of the script, as `Lua` has it."""

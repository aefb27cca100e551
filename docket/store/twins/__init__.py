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
    "1c1bda24a40eaf77a89f485510996d5193fedb34": claim,
    "669c58e9f91318e77152c41fccc8008aacc76dd2": schedule,
    "ee76042d9be7bf2007276bc6a3e5ee1ea1845bb3": settle,
    "4da6e77491016c6ab51ff5fe82271c774b4210d2": take,
}
"""By the digest of the script, as `Lua` has it."""

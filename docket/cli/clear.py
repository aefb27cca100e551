"""``docket clear``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .asking import Yes, agrees, at_a_terminal
from .at import HERE, Here
from .errors import CommandFailed
from .existing import found_on
from .json_output import Json, print_json
from .server import with_docket
from .tables import counted

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["clear"]


def clear(
    *,
    at: Here = HERE,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Cancel everything that waits on a docket, for now or for later. What runs goes on.

    At a terminal it asks first, unless --yes is given.

    Parameters
    ----------
    yes
        Do not ask.
    json
        Print it as JSON.
    """

    async def waiting(opened: Docket) -> int:
        return len((await opened.snapshot()).future)

    if not yes and at_a_terminal():
        count = with_docket(waiting, at)
        which = "1 task that waits" if count == 1 else f"{count} tasks that wait"
        if count and not agrees(f"Cancel the {which} on docket {at.docket!r}?"):
            raise CommandFailed("nothing was cleared")
    cleared = with_docket(lambda opened: found_on(opened, opened.clear()), at)
    if json:
        print_json(at.docket, cleared=cleared)
        return
    print(f"Cleared {counted(cleared, 'task')} from docket {at.docket!r}")

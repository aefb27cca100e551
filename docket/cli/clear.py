"""``docket clear``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .asking import Yes, agrees, at_a_terminal
from .errors import CommandFailed
from .existing import found_on
from .json_output import Json, print_json
from .loops import Backend
from .server import DEFAULT_URL, DocketName, ServerUrl, with_docket
from .tables import counted

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["clear"]


def clear(
    *,
    docket: DocketName = "docket",
    url: ServerUrl = DEFAULT_URL,
    yes: Yes = False,
    json: Json = False,
    backend: Backend = "asyncio",
) -> None:
    """Cancel everything that waits on a docket, for now or for later. What runs goes on.

    At a terminal it asks first, unless --yes is given.

    Parameters
    ----------
    docket
        The name of the docket.
    url
        The server of the docket.
    yes
        Do not ask.
    json
        Print it as JSON.
    backend
        The event loop: asyncio, uvloop or trio.
    """

    async def waiting(opened: Docket) -> int:
        return len((await opened.snapshot()).future)

    if not yes and at_a_terminal():
        count = with_docket(waiting, docket=docket, url=url, backend=backend)
        which = "1 task that waits" if count == 1 else f"{count} tasks that wait"
        if count and not agrees(f"Cancel the {which} on docket {docket!r}?"):
            raise CommandFailed("nothing was cleared")
    cleared = with_docket(
        lambda opened: found_on(opened, opened.clear()), docket=docket, url=url, backend=backend
    )
    if json:
        print_json(docket, cleared=cleared)
        return
    print(f"Cleared {counted(cleared, 'task')} from docket {docket!r}")

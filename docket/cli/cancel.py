"""``docket cancel``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..rules import Cancellation
from .json_output import Json
from .loops import Backend
from .server import DEFAULT_URL, DocketName, ServerUrl
from .several import Said, each_key

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["cancel"]


def cancel(
    key: str,
    /,
    *more: str,
    docket: DocketName = "docket",
    url: ServerUrl = DEFAULT_URL,
    json: Json = False,
    backend: Backend = "asyncio",
) -> None:
    """Cancel tasks: one that waits is cancelled, one that runs is asked to stop.

    The exit status is 1 if one was over before, or there is no such task; the others are cancelled all the same.

    Parameters
    ----------
    key
        The key of the task.
    more
        More keys.
    docket
        The name of the docket.
    url
        The server of the docket.
    json
        Print it as JSON.
    backend
        The event loop: asyncio, uvloop or trio.
    """

    async def one(opened: Docket, name: str) -> Said:
        found = await opened.cancel(name)
        match found:
            case Cancellation.CANCELLED:
                text = f"Cancelled task {name!r} on docket {docket!r}"
            case Cancellation.REQUESTED:
                text = f"Asked task {name!r} on docket {docket!r}, which runs, to stop"
            case Cancellation.ENDED:
                text = f"task {name!r} on docket {docket!r} was over before"
            case Cancellation.NOT_FOUND:
                text = f"there is no task {name!r} on docket {docket!r}"
        return Said(bool(found), text, {"cancellation": found})

    each_key(one, (key, *more), json=json, docket=docket, url=url, backend=backend)

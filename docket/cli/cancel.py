"""``docket cancel``."""

from __future__ import annotations

from ..rules import Cancellation
from .errors import CommandFailed
from .json_output import Json, print_json
from .loops import Backend
from .server import DEFAULT_URL, DocketName, ServerUrl, with_docket

__all__ = ["cancel"]


def cancel(
    key: str,
    /,
    *,
    docket: DocketName = "docket",
    url: ServerUrl = DEFAULT_URL,
    json: Json = False,
    backend: Backend = "asyncio",
) -> None:
    """Cancel a task: one that waits is cancelled, one that runs is asked to stop.

    The exit status is 1 if it was over before, or there is no such task.

    Parameters
    ----------
    key
        The key of the task.
    docket
        The name of the docket.
    url
        The server of the docket.
    json
        Print it as JSON.
    backend
        The event loop: asyncio, uvloop or trio.
    """
    found = with_docket(lambda opened: opened.cancel(key), docket=docket, url=url, backend=backend)
    if json and found:
        print_json(docket, key=key, cancellation=found)
        return
    match found:
        case Cancellation.CANCELLED:
            print(f"Cancelled task {key!r} on docket {docket!r}")
        case Cancellation.REQUESTED:
            print(f"Asked task {key!r} on docket {docket!r}, which runs, to stop")
        case Cancellation.ENDED:
            raise CommandFailed(f"task {key!r} on docket {docket!r} was over before")
        case Cancellation.NOT_FOUND:
            raise CommandFailed(f"there is no task {key!r} on docket {docket!r}")

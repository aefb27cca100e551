"""``docket clear``."""

from __future__ import annotations

from .loops import Backend
from .server import DEFAULT_URL, DocketName, ServerUrl, with_docket

__all__ = ["clear"]


def clear(
    *, docket: DocketName = "docket", url: ServerUrl = DEFAULT_URL, backend: Backend = "asyncio"
) -> None:
    """Cancel everything that waits on a docket, for now or for later. What runs goes on.

    Parameters
    ----------
    docket
        The name of the docket.
    url
        The server of the docket.
    backend
        The event loop: asyncio, uvloop or trio.
    """
    cleared = with_docket(lambda opened: opened.clear(), docket=docket, url=url, backend=backend)
    print(f"Cleared {cleared} tasks from docket {docket!r}")

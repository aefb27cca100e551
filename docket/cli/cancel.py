"""``docket cancel``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..rules import Cancellation
from .at import HERE, Here
from .json_output import Json
from .several import Said, each_key

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["cancel"]


def cancel(
    key: str,
    /,
    *more: str,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """Cancel tasks: one that waits is cancelled, one that runs is asked to stop.

    The exit status is 1 if one was over before, or there is no such task; the others are cancelled all the same.

    Parameters
    ----------
    key
        The key of the task.
    more
        More keys.
    json
        Print it as JSON.
    """

    async def one(opened: Docket, name: str) -> Said:
        found = await opened.cancel(name)
        match found:
            case Cancellation.CANCELLED:
                text = f"Cancelled task {name!r} on docket {at.docket!r}"
            case Cancellation.REQUESTED:
                text = f"Asked task {name!r} on docket {at.docket!r}, which runs, to stop"
            case Cancellation.ENDED:
                text = f"task {name!r} on docket {at.docket!r} was over before"
            case Cancellation.NOT_FOUND:
                text = f"there is no task {name!r} on docket {at.docket!r}"
        return Said(bool(found), text, {"cancellation": found})

    each_key(one, (key, *more), at, json=json)

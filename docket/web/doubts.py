"""A question before something is done about a name that no worker has known: it may be mistyped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..text import similar
from .http import Form
from .results import Ask

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["doubt"]

NAMES = 1000
"""Among so many a similar one is looked for."""


async def doubt(docket: Docket, task: str, form: Form, verb: str) -> Ask | None:
    """What to ask of somebody who is to ``verb`` a task; None where workers know it, or it was asked."""
    if form.get("sure") or task == "*" or task in docket.tasks or await docket.known_task(task) is not None:
        return None
    names = {each.name for each in (await docket.known_tasks(limit=NAMES)).tasks} | docket.tasks.keys()
    return Ask(
        question=f"{verb} {task!r}, which no worker knows?",
        detail=f"No worker has known a task of this name in the last 30 days{similar(task, names)}.",
        yes=f"{verb} it all the same",
    )

"""What can be done from a dashboard: each is a form that is sent to a path of its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ..text import printable
from .failing import discard, discard_all, retry, retry_all, run_now
from .fields import keys_in
from .http import Form
from .markup import Safe
from .pausing import pause, resume
from .pieces import hidden
from .results import Ask, Done
from .striking import restore, strike
from .visitors import Visitor
from .words import plural

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["ACTIONS", "Action", "again", "log", "log_refused"]

logger = logging.getLogger("docket.web")

LOGGED = 20

Action: TypeAlias = "Callable[[Docket, Form, Visitor], Awaitable[Done | Ask]]"
"""Does what a form says, or asks first. Raises: UsageError, TypeError - the form; RedisError."""


async def cancel(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Cancel what waits, ask what runs to stop."""
    del visitor
    keys = keys_in(form)
    if not form.get("sure"):
        what = plural(len(keys), "task")
        detail = "What waits is gone then; what runs is asked to stop. This cannot be taken back."
        return Ask(question=f"Cancel {what}?", detail=detail, yes=f"Cancel {what}")
    results = [await docket.cancel(key) for key in keys]
    number = sum(map(bool, results))
    return Done(word="cancelled", number=number, what="task", others=len(keys) - number, names=keys)


ACTIONS: Mapping[str, Action] = {
    "cancel": cancel,
    "discard": discard,
    "discard-all": discard_all,
    "pause": pause,
    "resume": resume,
    "retry": retry,
    "retry-all": retry_all,
    "run-now": run_now,
    "strike": strike,
    "restore": restore,
}


def again(form: Form, more: Mapping[str, str]) -> list[Safe]:
    """The fields of a form as hidden ones, and ``more``, for the form that says yes."""
    kept = [
        hidden(name, value)
        for name, values in form.items()
        for value in values
        if name != "sure" and name not in more
    ]
    return [*kept, *(hidden(name, value) for name, value in more.items())]


def log(visitor: str, action: str, done: Done, docket: str) -> None:
    """One line for each action, for those who ask later who did it."""
    logger.info(
        "%s: %s on docket %s: %d done, %d not: %s",
        *(printable(visitor), action, printable(docket), done.number, done.others, _named(done.names)),
    )


def log_refused(visitor: str, action: str, form: Form, docket: str, *, did_nothing: bool) -> None:
    """The line for one that the server refused, or of which nobody knows what it did: no answer came in time."""
    said = [f"{name}={value}" for name, values in form.items() if name != "back" for value in values]
    logger.info(
        "%s: %s on docket %s: %s: %s",
        *(printable(visitor), action, printable(docket)),
        "nothing was done" if did_nothing else "it is not known what was done",
        _named(said),
    )


def _named(names: Sequence[str]) -> str:
    """The first `LOGGED` of them, on one line."""
    text = ", ".join(map(repr, names[:LOGGED]))
    return printable(f"{text} and {len(names) - LOGGED} more" if len(names) > LOGGED else text)

"""What can be done from a dashboard: each is a form that is sent to a path of its own."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from ..errors import UsageError
from ..text import printable
from .http import Form
from .markup import Safe
from .pieces import hidden
from .results import Ask, Done
from .striking import restore, strike
from .view import named
from .words import plural

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["ACTIONS", "Action", "again", "keys_in", "log"]

logger = logging.getLogger("docket.web")

MOST_KEYS = 500
"""That one form acts on."""

LOGGED = 20

Action: TypeAlias = "Callable[[Docket, Form], Awaitable[Done | Ask]]"
"""Does what a form says, or asks first. Raises: UsageError, TypeError - the form; RedisError."""


def keys_in(form: Form) -> list[str]:
    """The keys that a form is about: that of the button, else the checked ones.

    Raises: UsageError - there is none, there are too many, or one is no key.
    """
    fields = form.get("only") or form.get("key") or ()
    if not fields:
        raise UsageError("no row is checked")
    if len(fields) > MOST_KEYS:
        raise UsageError(f"{len(fields)} rows are checked: at most {MOST_KEYS} at a time")
    try:
        return list(dict.fromkeys(named(field) for field in fields))
    except ValueError:
        raise UsageError("a key of the form is no text") from None


async def cancel(docket: Docket, form: Form) -> Done | Ask:
    """Cancel what waits, ask what runs to stop."""
    keys = keys_in(form)
    if not form.get("sure"):
        what = plural(len(keys), "task")
        detail = "What waits is gone then; what runs is asked to stop. This cannot be taken back."
        return Ask(question=f"Cancel {what}?", detail=detail, yes=f"Cancel {what}")
    results = [await docket.cancel(key) for key in keys]
    number = sum(map(bool, results))
    return Done(word="cancelled", number=number, what="task", others=len(keys) - number, names=keys)


ACTIONS: Mapping[str, Action] = {"cancel": cancel, "strike": strike, "restore": restore}


def again(form: Form) -> list[Safe]:
    """The fields of a form as hidden ones, for the form that says yes."""
    return [hidden(name, value) for name, values in form.items() for value in values if name != "sure"]


def log(visitor: str, action: str, done: Done, docket: str) -> None:
    """One line for each action, for those who ask later who did it."""
    names = ", ".join(map(repr, done.names[:LOGGED]))
    if len(done.names) > LOGGED:
        names += f" and {len(done.names) - LOGGED} more"
    logger.info(
        "%s: %s on docket %s: %d done, %d not: %s",
        *(printable(visitor), action, printable(docket), done.number, done.others, printable(names)),
    )

"""The storages of users for results: what can be one, where it is found, and whether it works on the running loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import anyio

from ..errors import BadSetting
from ..paths import member_at
from ..store import ResultStorage
from ..text import text_of

__all__ = ["check_on_this_loop", "check_storage", "storage_at"]

#: A key that no task has: it ends with no generation.
_NO_RESULT = "docket:is-this-loop-yours"

#: Seconds that a storage gets to show that it belongs to another loop.
_PATIENCE = 5


def check_storage(given: Any) -> ResultStorage | None:
    """Return ``given`` if it has the methods of a storage, or is None. Raises: BadSetting (a ValueError)."""
    is_class = isinstance(given, type)
    methods = (getattr(given, name, None) for name in ("get", "put"))
    if given is None or (not is_class and all(map(callable, methods))):
        return cast("ResultStorage | None", given)
    hint = ": give an instance of the class" if is_class else ""
    raise BadSetting(
        f"result_storage takes an object with the async methods get and put, as the stores of py-key-value-aio have "
        f"them, not {text_of(given, repr)}{hint}"
    )


def storage_at(given: ResultStorage | str | None) -> ResultStorage | None:
    """The storage that ``"module.path:member"`` names, or what the function of that name returns.

    Anything but a string is returned as it is.
    Raises: BadSetting - the path is not of that form, or names something else; ImportError, AttributeError - nothing is
    there.
    """
    if not isinstance(given, str):
        return given
    found = member_at(given, BadSetting(f"result_storage takes a storage or 'module:member', not {given!r}"))
    if isinstance(found, type) or (callable(found) and not hasattr(found, "put")):
        found = found()
    try:
        return check_storage(found)
    except BadSetting as error:
        raise BadSetting(f"{given}: {error}") from None


async def check_on_this_loop(storage: ResultStorage | None) -> None:
    """Refuse a storage that is written for asyncio where another event loop runs: no task could be stored in it.

    It is asked for a result that is not there; whatever else goes wrong with that may be over by the time of the first
    result. On asyncio nothing is asked.
    Raises: BadSetting (a ValueError).
    """
    if storage is None or not anyio.get_cancelled_exc_class().__module__.startswith("trio"):
        return
    try:
        with anyio.move_on_after(_PATIENCE):
            await storage.get(_NO_RESULT)
    except Exception as error:  # a storage of the user's may raise anything
        if any(_is_of_asyncio(each) for each in _reasons(error)):
            raise BadSetting(
                f"result_storage={text_of(storage, repr)} is written for asyncio, and this is trio: it says "
                f"{text_of(error)!r}. Use one that works on both (docs/dockets.md lists some), or run on asyncio"
            ) from error


def _is_of_asyncio(error: BaseException) -> bool:
    text = text_of(error)
    return (isinstance(error, RuntimeError) and "event loop" in text) or (  # there is none of asyncio's
        isinstance(error, TypeError) and "unrecognized yield" in text  # of trio, which was given a Future
    )


def _reasons(error: BaseException) -> Iterator[BaseException]:
    """An error and what it comes from; libraries wrap what they raise."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        left += (each.__cause__, each.__context__)
        if isinstance(each, BaseExceptionGroup):
            left += cast("BaseExceptionGroup[Any]", each).exceptions

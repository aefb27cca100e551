"""The children of a group, one after the other, as they end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ..execution import Execution
from ..values import define
from .nest import Nest

__all__ = ["Results"]


@define(eq=False)
class Results(AsyncIterator[Execution[Any]]):
    """See `TaskGroup.results`. A class, since a generator of the language that is left open has to be closed."""

    nest: Nest

    async def __anext__(self) -> Execution[Any]:
        nest, view = self.nest, self.nest.view
        nest.check_not_left()
        if not view.is_watched:
            await view.insist(view.watch)

        async def one_has_ended() -> bool:
            return bool(view.ended) or not view.under_way or nest.is_left

        while not await one_has_ended():  # others may take it while this one waits for its place
            async with nest.opener.stepping_aside(view):
                await view.wait(one_has_ended)
        if not view.ended:
            raise StopAsyncIteration
        return view.ended.pop(next(iter(view.ended)))

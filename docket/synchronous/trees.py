"""What a docket for threads without an event loop says about the trees of its runs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..operating import ChildPage, Tree
from .loop import LoopThread

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["SyncTrees"]


class SyncTrees:
    """The part of `SyncDocket` that reads trees of runs, as `Docket` does."""

    docket: Docket
    _loop: LoopThread

    def tree(self, key: str, *, depth: int = 3, limit: int = 20, most: int = 200) -> Tree | None:
        """A run with the task groups that it has opened, and what is below. See `Docket.tree`."""
        return self._loop.call(partial(self.docket.tree, key, depth=depth, limit=limit, most=most))

    def children(self, group: str, *, limit: int = 50, after: str | None = None) -> ChildPage | None:
        """The children of a task group. See `Docket.children`."""
        return self._loop.call(partial(self.docket.children, group, limit=limit, after=after))

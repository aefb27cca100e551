"""The task groups that one run has opened: each has a place, by which a later delivery of the run finds it again."""

from __future__ import annotations

from urllib.parse import quote

import anyio
import attrs

from ..errors import UsageError
from ..values import define

__all__ = ["Opened"]


@define(eq=False)
class Opened:
    """Gives each group of a run its place: its name, or its number among those without one."""

    numbers: int = attrs.field(init=False, default=0)
    _names: set[str] = attrs.field(init=False, factory=set[str])
    _open: dict[str, int] = attrs.field(init=False, factory=dict[str, int])
    """Those without a name that are open, each with the task of the event loop that has opened it."""
    kept: list[str] = attrs.field(init=False, factory=list[str])
    """The ids of all, whose children are kept for as long as the run goes on."""

    def place(self, name: str | None) -> str:
        """The place of one that is opened now.

        Raises: UsageError (a ValueError) - there was one of this name; or it has none, and another task of the event
        loop has one open: when the run begins anew each may get the place of the other, and with it its children.
        """
        if name is not None:
            if name in self._names:
                raise UsageError(
                    f"this run has had a task group named {name!r}: by its name it is found where the task begins "
                    "anew, so give each a name of its own"
                )
            self._names.add(name)
            return "=" + quote(name, safe="").replace(".", "%2E")
        here = anyio.get_current_task().id
        if any(task != here for task in self._open.values()):
            raise UsageError(
                "another task of the event loop has a task group open in this run, and neither has a name: where the "
                "run begins anew they may be opened in another order, and each would find the children of the other. "
                "Name those that are open side by side: docket.task_group(name=...)"
            )
        self.numbers += 1
        place = str(self.numbers)
        self._open[place] = here
        return place

    def left(self, place: str) -> None:
        """One was left; idempotent."""
        self._open.pop(place, None)

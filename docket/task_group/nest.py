"""An open group, as its block adds to it: keys, room, placing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
from anyio.lowlevel import checkpoint

from .. import clock
from ..client import over, place, place_many
from ..errors import UsageError
from ..execution import Execution
from ..rules import Disposition, SlotRule, pack
from ..signals import NOT_TRACED, signals
from ..standins import redis_errors
from ..store import HELD_LIMITS, InGroup, Placed
from ..transport import is_outage
from ..values import define
from .children import Wanted, check_limits
from .openers import Opener
from .view import Stop, View

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["Nest"]


@define(eq=False)
class Nest:
    """One open group, for those who add to it. ``most`` is how many children may be under way at a time."""

    docket: Docket
    opener: Opener
    view: View
    most: int | None
    is_left: bool = attrs.field(init=False, default=False)
    _order: int = attrs.field(init=False, default=0)
    _cut_off: dict[str, Execution[Any]] = attrs.field(init=False, factory=dict[str, Execution[Any]])
    """Those whose `add` was cancelled on its way, by their keys: the server knows whether they are children."""

    def next_key(self) -> str:
        """A key by the place in the group: the same in each delivery of a parent that adds in a fixed order."""
        self._order += 1
        group = self.view.group
        return f"{group.parent}:{group.id}:{self._order}" if group.parent else f"{group.id}:{self._order}"

    def child(
        self, wanted: Wanted, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Execution[Any]:
        """The execution of a call that was checked. Raises: UsageError (a ValueError) - it could never begin."""
        execution: Execution[Any] = Execution(
            self.docket,
            wanted.function,
            args,
            kwargs,
            key,
            wanted.when or clock.now(),
            1,
            function_name=wanted.name,
        )
        execution.ttl = wanted.ttl
        if wanted.expires is not None:
            execution.expire(wanted.expires)
        own = wanted.priority or self.docket.own_level(wanted.name, wanted.function, args, kwargs)
        execution.prioritize(own or self.opener.priority)
        if held := self.opener.held:
            check_limits(execution, held)
            packed = pack((SlotRule(name, 1) for name in sorted(held)), timedelta(0))
            execution.extra_fields = {**execution.extra_fields, HELD_LIMITS: packed.encode()}
        return execution

    # placing ---------------------------------------------------------------------------------------------

    async def add(self, execution: Execution[Any]) -> Execution[Any]:
        """Place a child, once there is room. Raises: as `TaskGroup.add`."""
        store, view = self.docket.store, self.view
        await self._room()
        view.under_way[execution.key] = execution  # first: it may end at once
        placed: Placed | None = None
        try:
            with signals.operation("docket.add", execution.labels) as span:
                # Where the answer was lost it is there already, and the group has it under this key.
                placed = await view.insist(lambda: place(store, execution, child_of=view.group.id))
                placed = await self._once_free(execution, placed)
                if span is not NOT_TRACED:
                    span.note("docket.disposition", execution.disposition.value)
        finally:
            self._take_in(execution, placed)
        await self._check([execution], [placed])
        return execution

    async def add_many(self, executions: Sequence[Execution[Any]], chunk_size: int | None) -> None:
        """Place children in order, as many in one write as there is room for. Raises: as `TaskGroup.add_many`."""
        labels = lambda: {**self.docket.labels(), "docket.batch.count": len(executions)}  # noqa: E731
        with signals.operation("docket.add_many", labels) as span:
            at = 0
            while at < len(executions):
                left = len(executions) - at
                most = min(left, chunk_size or left, await self._room() or left)
                await self._add_chunk(executions[at : at + most])
                at += most
            struck = sum(execution.disposition is Disposition.STRUCK for execution in executions)
            span.note("docket.batch.stricken", struck)

    async def _add_chunk(self, chunk: Sequence[Execution[Any]]) -> None:
        view = self.view
        view.under_way.update((execution.key, execution) for execution in chunk)
        placed: Sequence[Placed | redis_errors.RedisError | None] = [None] * len(chunk)
        try:
            placed = await view.insist(lambda: self._place_chunk(chunk))
            placed = [
                await self._once_free(execution, each) if isinstance(each, Placed) else each
                for execution, each in zip(chunk, placed, strict=True)
            ]
        finally:
            for execution, each in zip(chunk, placed, strict=True):
                self._take_in(execution, each)
        await self._check(chunk, placed)

    async def _place_chunk(self, chunk: Sequence[Execution[Any]]) -> list[Placed | redis_errors.RedisError]:
        """Raises: RedisError - an outage, also where only some were refused for that: all may be asked again."""
        placed = await place_many(self.docket.store, chunk, None, replace=False, child_of=self.view.group.id)
        for each in placed:
            if not isinstance(each, Placed) and is_outage(each):
                raise each
        return placed

    async def _once_free(self, execution: Execution[Any], placed: Placed) -> Placed:
        """Place a child whose key is that of one which is being cancelled, once that has ended.

        An earlier run of the parent, or of a parent of that, has added that one, and is over or ends: so this one began
        without it. Or it has ended since it was found there.
        """
        store, view = self.docket.store, self.view
        while placed.disposition is Disposition.ALREADY_SCHEDULED and placed.in_group is None:
            if not await view.insist(lambda: view.groups.is_ending(execution.key)):
                break
            await view.insist(lambda: over(store, execution))
            placed = await view.insist(lambda: place(store, execution, child_of=view.group.id))
        return placed

    async def _room(self) -> int | None:
        """Wait until fewer children than ``most`` are under way; for how many more there is room. None: for any number.

        Raises: RuntimeError - the group takes nobody any more.
        """
        await self._check_open()
        if self.most is None:
            return None
        await self._count_cut_off()
        most, under_way = self.most, self.view.under_way

        async def has_room() -> bool:
            return len(under_way) < most or self.view.stopped is not None or self.is_left

        while len(under_way) >= most:  # others may take the room while this one waits for its place
            async with self.opener.stepping_aside(self.view):
                await self.view.wait(has_room)
            await self._check_open()
        return most - len(under_way)

    async def _count_cut_off(self) -> None:
        """Have those count for ``most`` that are children although nobody has waited for the answer."""
        view = self.view
        while self._cut_off:
            key, execution = self._cut_off.popitem()
            view.under_way.setdefault(key, execution)  # first: it may end at once
            has_ended: bool | None = None
            try:
                found = await view.insist(partial(view.groups.members, view.group, [key]))
                has_ended = found[0].has_ended  # or never was one
            finally:
                if has_ended is None:
                    self._cut_off[key] = execution
                if has_ended is not False and view.under_way.get(key) is execution:
                    del view.under_way[key]
                    view.notify()

    def check_not_left(self) -> None:
        """Raise RuntimeError where the block was left."""
        if self.is_left:
            raise RuntimeError(
                "this task group was left: add tasks, and ask for `results`, inside of its `async with` block"
            )

    async def _check_open(self) -> None:
        self.check_not_left()
        if self.view.stopped is not None:
            await checkpoint()  # the block is being left: whoever is in its body is stopped here
            raise RuntimeError(
                f"this task group takes no more tasks, its children are being cancelled: {self.view.stopped.value}"
            )

    # what became of it -----------------------------------------------------------------------------------

    def _take_in(self, execution: Execution[Any], placed: Placed | redis_errors.RedisError | None) -> None:
        """Note whether it is a child now. Where that is not known (None) the server knows, and that is enough."""
        is_child = isinstance(placed, Placed) and (
            placed.in_group is InGroup.MEMBER or placed.disposition is Disposition.SCHEDULED
        )
        if (
            isinstance(placed, Placed)
            and placed.disposition is Disposition.EXPIRED
            and placed.in_group is None
        ):
            self.view.note_end(execution.key)  # a child that is cancelled
            return
        if not is_child and self.view.under_way.get(execution.key) is execution:
            del self.view.under_way[execution.key]
            if placed is None and self.most is not None:
                self._cut_off[execution.key] = execution
            self.view.notify()

    async def _check(
        self,
        executions: Sequence[Execution[Any]],
        placed: Sequence[Placed | redis_errors.RedisError | None],
    ) -> None:
        """Raise what is wrong with any of them, once it is known what became of each."""
        members: list[Execution[Any]] = []
        problem: Exception | None = None
        for execution, each in zip(executions, placed, strict=True):
            if not isinstance(each, Placed):
                problem = problem or each
            elif each.in_group is InGroup.MEMBER:
                members.append(execution)
            elif each.in_group is InGroup.CLOSED:
                self.view.stop(Stop.DOOMED)
            elif each.disposition is Disposition.ALREADY_SCHEDULED:
                problem = problem or UsageError(
                    f"the key {execution.key!r} is that of another task, which waits or runs and is not this group's: "
                    "give the child a key of its own, or none"
                )
        await self._adopt(members)
        if self.view.stopped is Stop.DOOMED:
            await self._check_open()
        if problem is not None:
            raise problem

    async def _adopt(self, members: Sequence[Execution[Any]]) -> None:
        """Find out how children stand that an earlier delivery of the parent has added, or this one before.

        Raises: UsageError (a ValueError) - one of them is another task.
        """
        if not members:
            return
        keys = [child.key for child in members]
        found = await self.view.insist(lambda: self.view.groups.members(self.view.group, keys))
        for child, member in zip(members, found, strict=True):
            if member.has_ended:
                self.view.note_end(child.key)
            if member.function is not None and member.function != child.function_name:
                raise UsageError(
                    f"the delivery of the parent before this one has added task {member.function!r} in this place of "
                    f"its group, and now it is {child.function_name!r}: a parent adds the same tasks in the same order "
                    "each time that it runs, or gives each a key"
                )
        self.view.notify()

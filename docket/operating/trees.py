"""The tree of a run: the task groups that it has opened, their children, and theirs."""

from __future__ import annotations

import abc
import re
from collections.abc import Iterator, Sequence
from datetime import datetime

import attrs

from ..client import check_key
from ..errors import UsageError
from ..numbers import check_whole, spelled
from ..rules import WAITING, ExecutionState, Priority
from ..store import Child, DocketStore, GroupState, GroupStood, RunNow, is_among, turn_of, waits_for
from ..text import checked_name
from ..values import define, frozen
from .lists import MOST_LISTED

__all__ = ["ChildPage", "DocketTrees", "GroupState", "Tree", "TreeGroup", "TreeRun"]

#: How far down a tree is read, at most, and how far up.
DEEPEST, HIGHEST = 10, 20

#: What comes first among the children of a group.
_ORDER = ("failed", "stopping", "running", "queued", "scheduled", "under_way", "cancelled", "completed")


@frozen(kw_only=True)
class TreeRun:
    """One run of a tree.

    ``function`` and ``state`` are None where nothing is recorded of it any more; how it ended its group still knows.
    ``error`` is that of the run, or of the attempt before it. ``waits_for`` is the concurrency limit that it waits for,
    ``waits_for_turn`` whose turn; ``expires`` is by when it is to begin, of one that waits, and ``priority`` its level.
    ``runs_once_more``: its key does after this run.
    ``groups`` are those that this attempt has opened last, in their order, ``groups_before`` how many it has opened
    before these. With ``is_cut`` it has groups that are not here: the tree is larger than what was asked for.
    """

    key: str
    function: str | None
    state: ExecutionState | None
    attempt: int = 1
    times_begun: int = 0
    when: datetime | None = None
    worker: str | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    paused: bool = False
    waits_for: str | None = None
    waits_for_turn: str | None = None
    priority: Priority = Priority.NORMAL
    expires: datetime | None = None
    runs_once_more: bool = False
    cancel_requested: bool = False
    worker_is_gone: bool = False
    groups: Sequence[TreeGroup] = ()
    groups_before: int = 0
    is_cut: bool = False

    @property
    def has_children(self) -> bool:
        """Whether it has opened a task group, as far as is known."""
        return bool(self.groups) or self.is_cut


@frozen(kw_only=True)
class TreeGroup:
    """One task group, and some of its children: failures first, then who is under way, what runs before what waits.

    ``completed``, ``failed`` and ``cancelled`` count the children that have ended, ``under_way`` those that have not;
    ``stopping`` of these were asked to stop.
    """

    id: str
    state: GroupState
    completed: int
    failed: int
    cancelled: int
    under_way: int
    stopping: int
    children: Sequence[TreeRun] = ()

    @property
    def total(self) -> int:
        """How many children it has."""
        return sum(self.counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many children stand how, in words, what needs attention first."""
        return {
            "failed": self.failed,
            "under way": self.under_way,
            "cancelled": self.cancelled,
            "completed": self.completed,
        }

    @property
    def place(self) -> str:
        """Its place among the groups of its run: a number, or a name."""
        return self.id.partition(".")[2]

    @property
    def left_out(self) -> int:
        """How many of them are not among ``children``."""
        return self.total - len(self.children)

    def place_of(self, key: str) -> str | None:
        """The number of a child in it, where it has its key by that."""
        before, _, number = key.rpartition(":")
        is_by_place = number.isdigit() and f":{before}".endswith(f":{self.id}")
        return number if is_by_place else None


@frozen(kw_only=True)
class Tree:
    """A run with what is below it, and what is above.

    ``group`` is the id of the group whose child it is, None of one that is no child. ``parents`` are the keys of its
    parent, the parent of that, and so on, as far as is known; ``of_program`` says that the last one of these, or else
    the run itself, is a child of a plain program.
    """

    run: TreeRun
    group: str | None
    parents: Sequence[str]
    of_program: bool

    def runs(self) -> Iterator[TreeRun]:
        """All runs that are in it, each before its children."""
        return _all(self.run)


@frozen(kw_only=True)
class ChildPage:
    """Some children of a group, which is here without them. ``after`` is where the next ones begin, None at the end.

    ``parent`` is the key of the task that has opened the group, None of one of a plain program.
    """

    group: TreeGroup
    parent: str | None
    children: Sequence[TreeRun]
    after: str | None


class DocketTrees(abc.ABC):
    """The part of a `Docket` that reads trees of runs. No call reads all of a large one."""

    @property
    @abc.abstractmethod
    def store(self) -> DocketStore: ...

    async def tree(self, key: str, *, depth: int = 3, limit: int = 20, most: int = 200) -> Tree | None:
        """The run under a key with the task groups that it has opened, their children, and so on; None where nothing
        is recorded under it.

        ``depth`` levels of children are read (0 to 10), ``limit`` children of each group at most (0 to 1000), and in
        all about as many runs and groups as ``most`` says (1 to 10,000); a group says how many it has of each kind.
        Of a run its present attempt counts: what the ones before have opened is over. A round trip or two for each
        level, and one for the messages of what is scheduled; a command for each run, and for each of these messages, a
        dozen for each group, and 200 where a group has more than ``limit``.
        Raises: UsageError (a ValueError) - a number out of its range, an empty key; TypeError; RedisError.
        """
        key = check_key(key)
        check_whole("depth", depth, 0, most=DEEPEST)
        check_whole("limit", limit, 0, most=MOST_LISTED)
        check_whole("most", most, most=10 * MOST_LISTED)
        (now,) = await self.store.trees.runs([key])
        if now is None:
            return None
        reading = _Reading(self.store, limit, most)
        root = _Node(key, now)
        await reading.descend([root], depth)
        await reading.read_remarks()
        parents, of_program = await self._parents(now.group)
        return Tree(run=reading.run(root), group=now.group, parents=parents, of_program=of_program)

    async def _parents(self, group: str | None) -> tuple[list[str], bool]:
        found: list[str] = []
        while group is not None and len(found) < HIGHEST:
            (stood, *_) = await self.store.trees.groups([group], 0) or (None,)
            if stood is None:
                return found, False
            if stood.parent is None:
                return found, True
            (above,) = await self.store.trees.runs([stood.parent])
            found.append(stood.parent)
            group = above.group if above is not None else None
        return found, False

    async def children(self, group: str, *, limit: int = 50, after: str | None = None) -> ChildPage | None:
        """The children of a task group by its id, as `tree` has it: those that have failed, then who is under way, who
        was cancelled, who completed, each by their keys. None where nothing is known of the group.

        At most ``limit`` (1 to 1000), and only those ``after`` the place of the page before. A child that ends while
        one reads page by page is seen where it was or where it is then, maybe twice, never not at all.
        Raises: UsageError (a ValueError) - a ``limit`` out of range, an ``after`` of no page; TypeError; RedisError.
        """
        group = checked_name(group, "the id of a task group")
        check_whole("limit", limit, most=MOST_LISTED)
        if after is not None and not isinstance(after, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UsageError(f"after takes what the page before has there, not {spelled(after)}")
        trees = self.store.trees
        stood = [each for each in await trees.groups([group], 0) if each.id == group]
        if not stood:
            return None
        page = await trees.children(group, limit, after or "")
        reading = _Reading(self.store, 0, limit)
        nodes = await reading.read([(child, group) for child in page.children])
        for node in nodes:
            node.is_cut = bool(node.now and node.now.groups)
        await reading.read_remarks()
        return ChildPage(
            group=_group(stood[0], ()),
            parent=stood[0].parent,
            children=[reading.run(node) for node in nodes],
            after=page.after,
        )


@define(eq=False)
class _Node:
    """A run on its way into a tree. Of a child ``kind`` says how it stands in its group."""

    key: str
    now: RunNow | None
    kind: str = ""
    groups: list[tuple[GroupStood, list[_Node]]] = attrs.field(
        init=False, factory=list[tuple[GroupStood, "list[_Node]"]]
    )
    is_cut: bool = attrs.field(init=False, default=False)

    @property
    def state(self) -> ExecutionState | None:
        if self.now is not None:
            return self.now.record.state
        return ExecutionState(self.kind) if self.kind in ("failed", "cancelled", "completed") else None

    @property
    def order(self) -> tuple[int, list[tuple[int, str]]]:
        """Where it comes among its siblings."""
        is_under_way = self.kind == "under_way" and self.state is not None
        kind = self.state.value if is_under_way and self.state is not None else self.kind
        return _ORDER.index(kind), _natural(self.key)


@define(eq=False)
class _Reading:
    """One tree, as it is read level by level. ``left`` is how many runs and groups may be added."""

    store: DocketStore
    limit: int
    left: int
    _seen: list[_Node] = attrs.field(init=False, factory=list[_Node])
    _running: list[str] | None = attrs.field(init=False, default=None)
    _paused: frozenset[str] = attrs.field(init=False, default=frozenset())
    _alive: set[str] | None = attrs.field(init=False, default=None)
    _scheduled: dict[str, tuple[int, Priority]] = attrs.field(
        init=False, factory=dict[str, tuple[int, Priority]]
    )

    async def descend(self, level: list[_Node], depth: int) -> None:
        """Read what is below these runs."""
        self._seen += level
        while level:
            parents = [node for node in level if node.now is not None and node.now.groups]
            if depth == 0 or self.left <= 0:
                for node in parents:
                    node.is_cut = True
                return
            level = await self._children(parents)
            depth -= 1

    async def _children(self, parents: Sequence[_Node]) -> list[_Node]:
        ids = [each for node in parents if node.now is not None for each in node.now.groups][: self.left]
        self.left -= len(ids)
        stood = await self.store.trees.groups(ids, self.limit)
        owners = {each.partition(".")[0]: node for node in parents if node.now for each in node.now.groups}
        chosen: list[tuple[_Node, GroupStood, list[Child]]] = []
        for group in stood:
            some = (await self._choose(group))[: max(self.left, 0)]
            self.left -= len(some)
            chosen.append((owners[group.id.partition(".")[0]], group, some))
        read = set(ids)
        for node in parents:
            node.is_cut = node.now is not None and not read.issuperset(node.now.groups)
        found = iter(await self.read([(child, group.id) for _, group, some in chosen for child in some]))
        level: list[_Node] = []
        for node, group, some in chosen:
            children = sorted((next(found) for _ in some), key=lambda child: child.order)
            node.groups.append((group, children))
            level += children
        return level

    async def _choose(self, group: GroupStood) -> list[Child]:
        """Which children are shown: failures first, then those that are found to run."""
        first = {child.key: child for child in group.some if child.kind in ("failed", "stopping")}
        if len(first) < self.limit < sum(group.counts.values()) and group.counts["under_way"]:
            if self._running is None:
                self._running = await self.store.trees.running()
            running = await self.store.trees.under_way_among(group.id, self._running)
            first |= {child.key: child for child in running}
        rest = [child for child in group.some if child.key not in first]
        kinds = _ORDER.index
        rest.sort(key=lambda child: (kinds(child.kind), _natural(child.key)))
        return [*first.values(), *rest][: self.limit]

    async def read(self, children: Sequence[tuple[Child, str]]) -> list[_Node]:
        """The runs of children, each of a group. The key of one that has ended may be that of another run by now."""
        found = await self.store.trees.runs([child.key for child, _ in children])
        nodes = [
            _Node(child.key, now if now is not None and now.group == group else None, child.kind)
            for (child, group), now in zip(children, found, strict=True)
        ]
        self._seen += nodes
        return nodes

    async def read_remarks(self) -> None:
        """Read what no record says: which tasks are paused, whose workers are gone, and of which levels those are that
        are scheduled."""
        states = {node.state for node in self._seen}
        scheduled = [
            (node.key, node.now.record)
            for node in self._seen
            if node.now is not None and node.state is ExecutionState.SCHEDULED
        ]
        if scheduled:
            found = await self.store.records.of_scheduled(scheduled)
            self._scheduled = {key: each for (key, _), each in zip(scheduled, found, strict=True)}
        if states & WAITING:
            self._paused = await self.store.pauses.names()
        if ExecutionState.RUNNING in states:
            self._alive = await self.store.liveness.names()

    def run(self, node: _Node) -> TreeRun:
        groups = [_group(stood, [self.run(child) for child in children]) for stood, children in node.groups]
        if node.now is None:
            return TreeRun(key=node.key, function=None, state=node.state)
        record = node.now.record
        attempt, level = self._scheduled.get(node.key, (record.attempt, record.level))
        is_lost = record.state is ExecutionState.RUNNING and not record.by_hand and self._alive is not None
        return TreeRun(
            key=node.key,
            function=record.function,
            state=record.state,
            attempt=max(record.attempt, attempt),  # pydocket records none
            times_begun=record.begun,
            when=record.when,
            worker=record.worker,
            started_at=record.started_at,
            completed_at=record.completed_at,
            error=record.error or record.tried,
            paused=record.state in WAITING and is_among(record.function or "", self._paused),
            waits_for=waits_for(self.store.keys, record.row),
            waits_for_turn=turn_of(self.store.keys, record.row),
            priority=level,
            expires=record.expires,
            runs_once_more=record.has_successor,
            cancel_requested=record.cancel_requested,
            worker_is_gone=is_lost and record.worker not in (self._alive or ()),
            groups=groups,
            groups_before=node.now.before,
            is_cut=node.is_cut,
        )


def _group(stood: GroupStood, children: Sequence[TreeRun]) -> TreeGroup:
    counts = stood.counts
    return TreeGroup(
        id=stood.id,
        state=stood.state,
        completed=counts["completed"],
        failed=counts["failed"],
        cancelled=counts["cancelled"],
        under_way=counts["under_way"] + counts["stopping"],
        stopping=counts["stopping"],
        children=children,
    )


def _natural(key: str) -> list[tuple[int, str]]:
    """Keys with numbers in them in the order of these numbers."""
    parts = re.split(r"([0-9]{1,15})", key)
    return [(int(part), "") if at % 2 else (-1, part) for at, part in enumerate(parts)]


def _all(run: TreeRun) -> Iterator[TreeRun]:
    yield run
    for group in run.groups:
        for child in group.children:
            yield from _all(child)

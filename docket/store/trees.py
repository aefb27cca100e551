"""What can be read of runs and the task groups that they have opened: bounded, however many children there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from ..standins import redis_errors
from ..transport import Client
from ..values import define, frozen
from . import script_calls
from .answers import answers, named
from .cursors import no_place
from .foreign import is_whole, text
from .groups import PARENT_MARK
from .keys import Keys
from .records import Record

__all__ = ["Child", "ChildrenPage", "GroupState", "GroupStood", "RunNow", "Trees"]

GroupState = Literal["open", "left", "cancelling", "cancelled"]
"""``open``: its block is; ``left``: all children had ended as it was; ``cancelling``: its children are being cancelled;
``cancelled``: that is over."""

#: Groups of one run that are read: those that it has opened last.
LATEST_GROUPS = 5

#: How many groups in the place of one whose children were being cancelled are looked for (open_group.lua).
AGAIN = 3

#: Of so many times as many children as are shown it is known what they are called, to choose from them.
WIDER = 5

#: Deliveries among which the running children of large groups are looked for, and about how much of their messages.
CLAIMED, CLAIMED_BYTES = 100, 1_000_000

_STATES: Mapping[str, GroupState] = {"-5": "open", "3": "open", "-4": "left", "-6": "cancelled"}

#: The members of a group by what has become of them, in the order in which they are listed.
_SCORES = {"failed": "-1", "stopping": "2.5", "under_way": "2", "cancelled": "0", "completed": "1"}
_KINDS = list(_SCORES)

_FIELDS = (
    b"state", b"generation", b"when", b"worker", b"started_at", b"completed_at", b"error", b"function", b"attempt",
    b"tried", b"cancel_requested", b"waiter_stream", b"waiter_entry_id", b"claim", b"stream_id", b"expires",
    b"successor", b"group", b"nonce", b"groups", b"opened", b"named",
)  # fmt: skip


@frozen(kw_only=True)
class RunNow:
    """What is recorded of one run, without its arguments.

    ``group`` is the id of the group whose child it is. ``groups`` are the ids of those that it has opened last, with a
    name and without, and of those that are open; ``before`` how many without a name it has opened before these.
    """

    record: Record
    group: str | None
    groups: Sequence[str]
    before: int


@frozen(kw_only=True)
class Child:
    """A child of a group by what has become of it there.

    ``kind`` is failed, stopping (under way, and asked to stop), under_way, cancelled or completed.
    """

    key: str
    kind: str


@frozen(kw_only=True)
class GroupStood:
    """How a group stands. ``parent`` is the key of the task that has opened it; None: a program has."""

    id: str
    state: GroupState
    parent: str | None
    counts: Mapping[str, int]
    """How many children there are of each kind."""
    some: Sequence[Child]


@frozen(kw_only=True)
class ChildrenPage:
    """Some children of a group; ``after`` is where the next ones begin, None at the end."""

    children: Sequence[Child]
    after: str | None


@define(eq=False)
class Trees:
    """Reads of one docket, each a round trip or two."""

    client: Client
    keys: Keys

    async def runs(self, keys: Sequence[str]) -> list[RunNow | None]:
        """What is recorded under these keys; None where nothing is, or what nobody can read. Raises: RedisError."""
        replies = await self._many([("HMGET", self.keys.run(key), *_FIELDS) for key in keys])
        return [
            _run_of(cast("list[bytes | None]", reply)) if isinstance(reply, list) else None
            for reply in replies
        ]

    async def groups(self, ids: Sequence[str], limit: int) -> list[GroupStood]:
        """How those of these groups stand that there are still, each with some of its children: `WIDER` times ``limit``
        of each kind, at most.

        A group that was opened in the place of one of them is among these. Raises: RedisError.
        """
        found = await self._groups(ids, limit)
        cancelled = [each.id for each in found if each.state in ("cancelling", "cancelled")]
        again = [f"{each}.{number}" for each in cancelled for number in range(2, 2 + AGAIN)]
        known = set(ids)
        if missing := [each for each in again if each not in known]:
            found += await self._groups(missing, limit)
            found.sort(key=lambda each: _place(each.id))
        return found

    async def _groups(self, ids: Sequence[str], limit: int) -> list[GroupStood]:
        asked: list[tuple[Any, ...]] = []
        for group_id in ids:
            name = self.keys.group(group_id)
            asked += ("ZSCORE", name, ""), ("ZRANGEBYSCORE", name, "-9", "-9", "LIMIT", 0, 1)
            asked += (("ZCOUNT", name, score, score) for score in _SCORES.values())
            if limit:
                asked += (_some(name, score, limit * WIDER) for score in _SCORES.values())
        replies = await self._many(asked)
        each = 2 + len(_KINDS) * (2 if limit else 1)
        stood = [_group_of(group_id, replies[at * each : (at + 1) * each]) for at, group_id in enumerate(ids)]
        return [one for one in stood if one is not None]

    async def running(self) -> list[str]:
        """The keys of tasks that run, or that a worker has, the oldest first: so many as one step can look at."""
        call = script_calls.running_keys(self.keys, most=CLAIMED, most_bytes=CLAIMED_BYTES)
        try:
            return [text(key) for key in cast("list[bytes]", await self.client.run(*call))]
        except redis_errors.NoPermissionError:  # of a user who may look, but run no scripts
            return []

    async def under_way_among(self, group_id: str, keys: Sequence[str]) -> list[Child]:
        """Those of these keys that are children of a group and under way. Raises: KeyUnreadable; RedisError."""
        if not keys:
            return []
        name = self.keys.group(group_id)
        reply = named((await self._many([("ZMSCORE", name, *keys)]))[0], name, "sorted set")
        return [
            Child(key=key, kind="under_way")
            for key, score in zip(keys, cast("list[bytes | None]", reply), strict=True)
            if score is not None and float(score) == 2
        ]

    async def children(self, group_id: str, limit: int, after: str = "") -> ChildrenPage:
        """Children of a group, kind by kind and by their keys in each; ``limit`` of them, from behind a place on.

        Whoever ends while somebody reads page by page is seen where it was, or where it is then, or in both places.
        Raises: UsageError (a ValueError) - ``after`` is no place; KeyUnreadable; RedisError.
        """
        name = self.keys.group(group_id)
        kind, _, behind = after.partition(" ")
        if after and (kind not in _SCORES or not behind):
            raise no_place(after)
        found: list[Child] = []
        for each in _KINDS[_KINDS.index(kind) if after else 0 :]:
            found += await self._of_kind(name, each, behind if each == kind else "", limit + 1 - len(found))
            if len(found) > limit:
                last = found[limit - 1]
                return ChildrenPage(children=found[:limit], after=f"{last.kind} {last.key}")
        return ChildrenPage(children=found, after=None)

    async def _of_kind(self, name: str, kind: str, behind: str, count: int) -> list[Child]:
        score = _SCORES[kind]
        asked = [("ZCOUNT", name, "-inf", f"({score}"), ("ZCOUNT", name, "-inf", score)]
        begin, end = (cast("int", named(each, name, "sorted set")) for each in await self._many(asked))
        if behind:
            begin = await self._rank_behind(name, behind.encode(), begin, end)
        if begin >= end:
            return []
        reply = await self.client.call("ZRANGE", name, begin, min(begin + count, end) - 1)
        return [Child(key=text(key), kind=kind) for key in cast("list[bytes]", reply)]

    async def _rank_behind(self, name: str, key: bytes, begin: int, end: int) -> int:
        """The rank of the first member behind a key, among those from ``begin`` to ``end``, which are in order."""
        rank = await self.client.call("ZRANK", name, key)
        if isinstance(rank, int) and begin <= rank < end:
            return rank + 1
        while begin < end:  # it is of another kind by now
            middle = (begin + end) // 2
            reply = cast("list[bytes]", await self.client.call("ZRANGE", name, middle, middle))
            if reply and reply[0] <= key:
                begin = middle + 1
            else:
                end = middle
        return begin

    async def _many(self, commands: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        return answers(await self.client.call_many(list(commands))) if commands else ()


def _run_of(reply: Sequence[bytes | None]) -> RunNow | None:
    fields = {name: value for name, value in zip(_FIELDS, reply, strict=True) if value is not None}
    try:
        record = Record.of(fields)
    except ValueError:
        return None
    if record is None:
        return None
    group, nonce = fields.get(b"group"), fields.get(b"nonce")
    listed = text(fields.get(b"groups", b"")).split()
    opened = int(fields[b"opened"]) if is_whole(fields.get(b"opened", b"")) else 0
    latest = range(max(1, opened - LATEST_GROUPS + 1), opened + 1)
    places = [*map(str, latest), *text(fields.get(b"named", b"")).split()]
    ids = [f"{text(nonce)}.{place}" for place in places] if nonce is not None else []
    ids += [each for each in listed[:LATEST_GROUPS] if each not in ids]
    return RunNow(
        record=record,
        group=None if group is None else text(group),
        groups=ids,
        before=max(0, opened - LATEST_GROUPS),
    )


def _group_of(group_id: str, replies: Sequence[Any]) -> GroupStood | None:
    score, parent, *rest = replies
    state = _STATES.get(text(score)) if isinstance(score, bytes) else None
    if state is None:
        return None
    counts = dict(zip(_KINDS, rest, strict=False))
    if state == "cancelled" and (counts["under_way"] or counts["stopping"]):
        state = "cancelling"
    found: list[Child] = []
    for kind, some in zip(_KINDS, rest[len(_KINDS) :], strict=False):
        found += (Child(key=text(key), kind=kind) for key in some)
    return GroupStood(
        id=group_id,
        state=state,
        parent=text(parent[0].removeprefix(PARENT_MARK)) if parent else None,
        counts=counts,
        some=found,
    )


def _some(name: str, score: str, limit: int) -> tuple[Any, ...]:
    return "ZRANGEBYSCORE", name, score, score, "LIMIT", 0, limit


def _place(group_id: str) -> list[int]:
    """Where a group is among those of its run."""
    return [int(number) for number in group_id.split(".")[1:] if is_whole(number.encode())]

"""What is written about task groups: opening and leaving them, and looking after who is in them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

import attrs

from .. import clock
from ..rules import FINAL
from ..text import error_text, readable
from ..transport import Client
from ..values import define, frozen
from . import script_calls
from .answers import answers, named, naming
from .fence import NO_FENCE, Fence
from .foreign import is_text, text
from .keys import Keys
from .result_storage import ResultStorage
from .schedule import milliseconds, time_to_live

__all__ = ["PARENT_MARK", "GroupLost", "GroupNow", "Groups", "Member", "OpenGroup"]

logger = logging.getLogger("docket.docket")

#: Children that one step cancels, looks at, or keeps: each keeps the server for two or three milliseconds.
CANCEL_BATCH = 50
RECHECK_BATCH = 100
KEEP_BATCH = 100

#: How long what is known of a group that was left is kept, for a parent that is redelivered.
KEPT = timedelta(days=1)

#: So many parents of a run are looked at for one that is being cancelled: records of others may go round in a circle.
MOST_PARENTS = 100

#: How often in the time for which it is kept what is known of children that have ended is pushed back.
PUSHES = 3

# Scores of members (lib/leave_group.lua).
_UNDER_WAY = ("2", "2.5")
_FAILED = ("-1", "-1")
_ENDED = ("-1", "1")
_WATCHED = "3"
_TAKES = ("-5", _WATCHED)
_DOOMED = b"-6"
_PARENT = ("-9", "-9")

#: What stands before the key of the parent among the members of its group.
PARENT_MARK = b"\xff"

_OVER = frozenset(state.value.encode() for state in FINAL)


class GroupLost(Exception):
    """The run that opens a group does not own its key any more."""


@frozen(kw_only=True)
class OpenGroup:
    """A group by its id. ``parent`` is the key of the task that has opened it, empty for a plain program.

    ``fence`` is that of the claim that has opened it here; without one the group is somebody else's.
    """

    id: str
    parent: str
    joined: bool = False
    """Whether an earlier delivery of the parent has opened it."""
    fence: Fence = attrs.field(default=NO_FENCE, eq=False)

    @property
    def member(self) -> str:
        """What stands for it among those that are looked after."""
        return f"{self.id} {self.parent}"


@frozen(kw_only=True)
class GroupNow:
    """How a group stands at one moment. ``failed`` is how many of its children have failed for good."""

    is_open: bool
    under_way: int
    failed: int


@frozen(kw_only=True)
class Member:
    """How a child of a group stands: the name of its task, None where no record is kept, and whether it has ended."""

    function: str | None
    has_ended: bool


@define(eq=False)
class Groups:
    """The groups of one docket. ``ttl`` is how long a final record is kept.

    All of it may be repeated: where an answer was lost the second call finds what the first has written.
    """

    client: Client
    keys: Keys
    ttl: timedelta | None
    storage: ResultStorage | None = None
    """Where results are kept, if not on the server."""

    # the parent's ------------------------------------------------------------------------------------------

    async def open(self, parent: str, place: str, fence: Fence | None, *, look_after: timedelta) -> OpenGroup:
        """Open the group that has a place in its run, or find it as an earlier delivery has left it.

        A plain program has no ``parent`` and no fence, and repeats an opening at the price of a group that nobody
        uses. ``look_after`` is when somebody else is to look whether the parent lives.
        Raises: GroupLost - the fence does not own the parent (I2, I13); RedisError.
        """
        call = script_calls.open_group(
            self.keys,
            key=parent,
            fence=fence or NO_FENCE,
            place=place,
            nonce=uuid.uuid4().hex[:12],
            # In this process the end of a parent is told, and nothing polls (I10).
            look_after_ms="" if self.client.is_memory else milliseconds(look_after),
        )
        word, group_id = cast("tuple[bytes, bytes]", await self.client.run(*call))
        if word == b"LOST":
            raise GroupLost
        return OpenGroup(
            id=group_id.decode(), parent=parent, joined=word == b"JOINED", fence=fence or NO_FENCE
        )

    async def close(self, group: OpenGroup) -> bool:
        """Say that a group was left; False: children are under way, so it stays open.

        Nothing is written, either, where another delivery of the parent has the group by now (I13).
        """
        call = script_calls.close_group(
            self.keys,
            key=group.parent,
            fence=group.fence,
            group_id=group.id,
            kept_ms=milliseconds(KEPT),
        )
        return await self.client.run(*call) != b"BUSY"

    async def renew(self, group: OpenGroup, lease: timedelta) -> bool:
        """Say that the program that has opened a group lives, for as long as the ``lease``; whether it is open."""
        call = script_calls.renew_group(self.keys, group_id=group.id, look_after_ms=milliseconds(lease))
        return bool(cast("int", await self.client.run(*call)))

    async def watch(self, group: OpenGroup) -> None:
        """Have every end published from now on, not only failures and the last end."""
        await self.client.run(*script_calls.watch_group(self.keys, group_id=group.id, watched=_WATCHED))

    async def cancel(self, group: OpenGroup, look_after: timedelta) -> bool:
        """Doom a group and cancel who is in it, step by step; whether some are under way all the same.

        It takes nobody any more (I12). ``look_after`` is when somebody else is to go on with it.
        False, too, where another delivery of the parent has the group by now (I13): nothing is written.
        Cancel: some steps may have been taken; the group is among those that workers look after.
        """
        again, limit = 1, CANCEL_BATCH
        while True:
            call = script_calls.cancel_group(
                self.keys,
                key=group.parent,
                fence=group.fence,
                group_id=group.id,
                completed_at=clock.now().isoformat(),
                ttl_ms=time_to_live(self.ttl),
                limit=limit,
                again=again,
                look_after_ms=milliseconds(look_after),
                kept_ms=milliseconds(KEPT),
            )
            _, looked, is_busy, again = cast("tuple[bytes, int, int, int]", await self.client.run(*call))
            if not again and looked < limit:
                return bool(is_busy)

    async def recheck(self, group: OpenGroup, *, lost_too: bool = False) -> int:
        """Look for children that were ended by somebody who knows of no groups; how many there were.

        With ``lost_too`` those count, too, that neither wait nor run, whatever their records say.
        """
        start = total = 0
        while True:
            call = script_calls.recheck_group(
                self.keys, group_id=group.id, start=start, count=RECHECK_BATCH, lost_too=int(lost_too)
            )
            looked, ended = cast("tuple[int, int]", await self.client.run(*call))
            total += ended
            start += looked - ended
            if looked < RECHECK_BATCH:
                return total

    @property
    def keep_every(self) -> timedelta | None:
        """How often a parent that goes on calls `keep`; None: nothing that it could keep expires."""
        return self.ttl / PUSHES if self.ttl else None

    async def keep(self, group_id: str) -> None:
        """Push back when the records and results of the children of a group that have ended expire.

        Raises: RedisError. What the storage of results raises is logged: nothing can be done about it.
        """
        keys, start = self.keys, 0
        results = keys.result_bare("") if keys.tagged else keys.result_envelope("")
        if self.storage is not None:
            results = ""
        while True:
            call = script_calls.keep_children(
                keys,
                group_id=group_id,
                start=start,
                count=KEEP_BATCH,
                ttl_ms=time_to_live(self.ttl),
                kept_ms=milliseconds(KEPT),
                results_prefix=results,
            )
            looked, *elsewhere = cast("list[Any]", await self.client.run(*call))
            for result_key, ms in zip(elsewhere[::2], elsewhere[1::2], strict=True):
                await self._put_again(text(result_key), int(ms) / 1000)
            if looked < KEEP_BATCH:
                return
            start += looked

    async def _put_again(self, result_key: str, seconds: float) -> None:
        """Have the storage of results, whose protocol has no other way, keep one for so long from now on."""
        assert self.storage is not None  # else the script names none
        try:
            if (value := await self.storage.get(result_key)) is not None:
                await self.storage.put(result_key, value, ttl=seconds)
        except Exception as error:  # noqa: BLE001 - somebody else's, which may raise anything
            logger.warning(
                "The result %s cannot be kept for longer: %s", readable(result_key), error_text(error)
            )

    # how it stands -----------------------------------------------------------------------------------------

    async def now(self, group: OpenGroup) -> GroupNow:
        """How a group stands: what was published while nobody listened is made up for by this."""
        name = self.keys.group(group.id)
        asked = [("ZSCORE", name, ""), ("ZCOUNT", name, *_UNDER_WAY), ("ZCOUNT", name, *_FAILED)]
        score, under_way, failed = (
            named(each, name, "sorted set") for each in answers(await self.client.call_many(asked))
        )
        return GroupNow(
            is_open=score is not None and cast("bytes", score).decode() in _TAKES,
            under_way=cast("int", under_way),
            failed=cast("int", failed),
        )

    async def under_way(self, group: OpenGroup) -> int:
        """How many children have not ended."""
        return cast("int", await self.client.call("ZCOUNT", self.keys.group(group.id), *_UNDER_WAY))

    async def failed(self, group: OpenGroup, most: int) -> list[str]:
        """The keys of children that have failed for good, ``most`` of them at most."""
        name = self.keys.group(group.id)
        reply = await self.client.call("ZRANGEBYSCORE", name, *_FAILED, "LIMIT", 0, most)
        return [text(key) for key in cast("Sequence[bytes]", reply)]

    async def members(self, group: OpenGroup, keys: Sequence[str]) -> list[Member]:
        """How children of a group stand, by their keys; in one round trip."""
        name = self.keys.group(group.id)
        asked: list[tuple[str, ...]] = []
        for key in keys:
            asked += ("ZSCORE", name, key), ("HGET", self.keys.run(key), "function")
        replies = answers(await self.client.call_many(asked))
        return [
            Member(
                function=None if function is None else text(cast("bytes", function)),
                has_ended=score is None or float(cast("bytes", score)) < 2,
            )
            for score, function in zip(replies[::2], replies[1::2], strict=True)
        ]

    async def is_ending(self, key: str) -> bool:
        """Whether the run of a key is over, or about to end: its group takes nobody any more, or that of a parent does.

        Then it is cancelled, now or once that parent comes to the end of its block. Nobody else has to see to it.
        """
        for _ in range(MOST_PARENTS):
            run = self.keys.run(key)
            with naming(run, "hash"):
                reply = await self.client.call("HMGET", run, "state", "group")
            state, child_of = cast("tuple[bytes | None, bytes | None]", reply)
            if state is None or state in _OVER:
                return True
            if child_of is None:
                return False
            name = self.keys.group(text(child_of))
            asked = [("ZSCORE", name, ""), ("ZRANGEBYSCORE", name, *_PARENT)]
            score, parent = (
                named(each, name, "sorted set") for each in answers(await self.client.call_many(asked))
            )
            if score == _DOOMED:
                return True
            if not parent:  # a program has opened it
                return False
            key = text(cast("Sequence[bytes]", parent)[0].removeprefix(PARENT_MARK))
        return False

    async def ended(self, group: OpenGroup) -> set[str]:
        """The keys of all children that have ended."""
        reply = await self.client.call("ZRANGEBYSCORE", self.keys.group(group.id), *_ENDED)
        return {text(key) for key in cast("Sequence[bytes]", reply)}

    # a worker's --------------------------------------------------------------------------------------------

    async def due(self, limit: int) -> list[OpenGroup]:
        """Groups that somebody is to look after now, ``limit`` of them at most. What is none goes (I9)."""
        _, found = await self._due(limit)
        if foreign := [member for member in found if not is_text(member)]:
            await self.client.call("ZREM", self.keys.groups, *foreign)
        return [self.named(member.decode()) for member in found if is_text(member)]

    async def first_due(self) -> float | None:
        """In how many seconds somebody is to look after a group; None where that is never, in one command."""
        with naming(self.keys.groups, "sorted set"):
            first = cast(
                "Sequence[bytes]", await self.client.call("ZRANGE", self.keys.groups, 0, 0, "WITHSCORES")
            )
        return None if not first or first[1] == b"inf" else (await self._due(0))[0]

    async def _due(self, limit: int) -> tuple[float | None, list[bytes]]:
        with naming(self.keys.groups, "sorted set"):
            reply = await self.client.run(*script_calls.due_groups(self.keys, limit=limit))
        first, *found = cast("list[bytes]", reply)
        return int(first) / 1000 if first else None, found

    @staticmethod
    def named(member: str) -> OpenGroup:
        """The group that a member stands for (`OpenGroup.member`), as `{prefix}:wake` names it, too."""
        group_id, _, parent = member.partition(" ")
        return OpenGroup(id=group_id, parent=parent)

    async def look_after(self, group: OpenGroup, period: timedelta) -> None:
        """Cancel who is in a group that is due and whose parent is gone; look again after a ``period``.

        One of those who look at the same time does it.
        """
        call = script_calls.look_group(
            self.keys, key=group.parent, group_id=group.id, look_after_ms=milliseconds(period)
        )
        if await self.client.run(*call) == b"DOOMED":
            await self.recheck(group, lost_too=True)
            await self.cancel(attrs.evolve(group, fence=NO_FENCE), period)

    async def look_soon(self, group: OpenGroup) -> None:
        """Have workers look after a doomed group whose parent waits no longer."""
        await self.client.call("PUBLISH", self.keys.wake, f"group {group.member}")

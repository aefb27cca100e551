"""Which lanes there are, and how many tasks wait and run on each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from ..standins import redis_errors
from ..transport import Client
from ..values import frozen
from .answers import named
from .keys import GROUP, Keys
from .levels import LANES, NORMAL_LANE, stream_of_lane

__all__ = ["LaneDepth", "ask_depths", "has_lane", "lanes_there", "read_depths"]


async def has_lane(client: Client, keys: Keys, *, besides: frozenset[str] = frozenset()) -> bool:
    """Whether a lane is there besides these and the stream of normal tasks, in one command. Raises: RedisError."""
    others = [lane for lane in LANES if lane != NORMAL_LANE and lane not in besides]
    return bool(others and await client.call("EXISTS", *(stream_of_lane(keys, lane) for lane in others)))


async def lanes_there(client: Client, keys: Keys) -> Sequence[str]:
    """The lanes on which there may be something: on most dockets the stream of normal tasks. Raises: RedisError.

    All of them for a user who may not ask which are there.
    """
    try:
        return LANES if await has_lane(client, keys) else (NORMAL_LANE,)
    except redis_errors.NoPermissionError:
        return LANES


@frozen
class LaneDepth:
    """How many tasks of a lane wait for a worker, and how many workers have been given."""

    lane: str
    due: int
    running: int


def ask_depths(keys: Keys, lanes: Sequence[str]) -> list[tuple[str, ...]]:
    """The commands whose replies `read_depths` reads."""
    streams = [stream_of_lane(keys, lane) for lane in lanes]
    return [*(("XLEN", stream) for stream in streams), *(("XPENDING", stream, GROUP) for stream in streams)]


def read_depths(keys: Keys, lanes: Sequence[str], replies: Sequence[Any]) -> list[LaneDepth]:
    """The depth of each lane; its group may be missing. Raises: KeyUnreadable - it is no stream; RedisError."""
    found: list[LaneDepth] = []
    for lane, length, pending in zip(lanes, replies[: len(lanes)], replies[len(lanes) :], strict=True):
        stream = stream_of_lane(keys, lane)
        count = cast("int", named(length, stream, "stream"))
        missing = isinstance(pending, redis_errors.ResponseError) and str(pending).startswith("NOGROUP")
        running = 0 if missing else cast("list[int]", named(pending, stream, "stream"))[0]
        found.append(LaneDepth(lane, max(count - running, 0), running))
    return found

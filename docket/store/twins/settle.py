"""The twin of settle.lua."""

from __future__ import annotations

from ...memory import LEFT_TO_LUA, Hash, Inside, LeftToLua, Reply, StreamValue
from .events import publish_if_finished
from .settling import KEY, is_rare, settle_one
from .turn import Turn

__all__ = ["settle"]


def settle(inside: Inside, keys: list[bytes], argv: list[bytes]) -> Reply | LeftToLua:
    """Write the final state of one claim and acknowledge its delivery."""
    stream, queue, reserved_queue = keys
    prefix, group, worker, ended_at, wake_channel, *ended = argv
    run = prefix + b":runs:" + ended[KEY]
    if not inside.is_a(stream, StreamValue) or not inside.is_a(run, Hash):
        return LEFT_TO_LUA
    if is_rare(inside, run, ended):
        return LEFT_TO_LUA
    turn = Turn(inside, prefix, stream, group, worker, ended_at)
    settled = settle_one(turn, ended)
    turn.forget_all()
    if settled == b"OK":
        inside.acknowledge(stream, group, ended[:1])
    publish_if_finished(inside, prefix, stream, queue, reserved_queue, wake_channel)
    return settled

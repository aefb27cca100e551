"""The twin of schedule.lua, for keys under which nothing waits or runs."""

from __future__ import annotations

from ...memory import LEFT_TO_LUA, Hash, Inside, LeftToLua, Reply, SortedSet, StreamValue
from ..codec import LANE, SHARE
from ..schedule import COMMON
from .numbers import whole

__all__ = ["schedule"]

MOST_ARGUMENTS = 4000
"""Lua refuses to unpack some thousand values more."""


def schedule(inside: Inside, keys: list[bytes], argv: list[bytes]) -> Reply | LeftToLua:
    """Place one task under its key: now on the stream, or later on the queue."""
    (stream,) = keys
    prefix, key, when, state_event, ttl, how, *call = argv
    due, _, rescheduled, expected, known_strikes, reserved, *child_of = (how or COMMON).split(b" ")
    shelf = prefix + b":parked" if reserved == b"1" else prefix
    key_queue = shelf if reserved == b"1" else prefix + b":queue"
    run, parked = prefix + b":runs:" + key, shelf + b":" + key
    if (
        child_of
        or rescheduled
        or expected != b"0"
        or len(argv) > MOST_ARGUMENTS
        or LANE in call[5::2]
        or SHARE in call[5::2]
        or not inside.is_a(run, Hash)
    ):
        return LEFT_TO_LUA
    if (
        not inside.is_a(stream, StreamValue)
        if due == b"1"
        else not (inside.is_a(key_queue, SortedSet) and inside.is_a(parked, Hash))
    ):
        return LEFT_TO_LUA
    record = inside.get(run, Hash)
    if record is not None and (
        record.get(b"state") not in (b"completed", b"failed", b"cancelled") or not _TIED.isdisjoint(record)
    ):
        return LEFT_TO_LUA
    if known_strikes != b"*" and inside.last_id(prefix + b":strikes") != known_strikes:
        return b"STRIKES 0"
    generation = 1 + (whole(record.get(b"generation")) or 0 if record is not None else 0)
    if record is not None:
        inside.delete(run)  # with its TTL; a reused key starts a fresh record
    moment, task, args, kwargs, attempt, *extra = call
    of_key = b"%d" % generation
    fields = [
        b"key", key, b"when", moment, b"function", task, b"args", args, b"kwargs", kwargs,
        b"attempt", attempt, b"generation", of_key, *extra,
    ]  # fmt: skip
    placed = {
        b"generation": of_key, b"when": when, b"known": when,
        b"function": task, b"args": args, b"kwargs": kwargs,
    }  # fmt: skip
    if attempt != b"1":
        placed[b"attempt"] = attempt
    if ttl != b"-":
        placed[b"ttl"] = ttl
    if due == b"1":
        entry_id = inside.add_entry(stream, fields)
        inside.set_fields(run, {b"state": b"queued", b"stream_id": entry_id, **placed})
    else:
        inside.put_member(key_queue, key, float(when))
        inside.set_fields(parked, dict(zip(fields[::2], fields[1::2], strict=True)))
        inside.set_fields(run, {b"state": b"scheduled", **placed})
    inside.publish(prefix + b":state:" + key, state_event)
    if due == b"0" and inside.first_member(key_queue) == key:  # no scheduler waits for an earlier task
        inside.publish(prefix + b":wake", b"due " + when)
    return b"OK " + of_key


_TIED = frozenset((b"known", b"waiter_stream", b"waiter_entry_id", b"reserved", b"successor"))
"""Fields of a record that has more than itself, or of which schedule.lua finds that out."""

"""The twin of schedule.lua, for keys under which nothing waits or runs."""

from __future__ import annotations

from ...memory import LEFT_TO_LUA, Hash, Inside, LeftToLua, Reply, SortedSet, StreamValue
from .numbers import whole

__all__ = ["schedule"]

ATTEMPT, GENERATION = 11, 13
"""Where the fields of a message have their values."""

MOST_ARGUMENTS = 4000
"""Lua refuses to unpack some thousand values more."""


def schedule(inside: Inside, keys: list[bytes], argv: list[bytes]) -> Reply | LeftToLua:
    """Place one task under its key: now on the stream, or later on the queue."""
    run, parked, key_queue, stream, _, _, strikes = keys
    (
        key,
        when,
        due,
        _,
        rescheduled,
        expected,
        _,
        state_channel,
        state_event,
        wake_channel,
        known_strikes,
        _,
        ttl,
    ) = argv[:13]
    if rescheduled or expected != b"0" or len(argv) > MOST_ARGUMENTS or not inside.is_a(run, Hash):
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
    if known_strikes != b"*" and inside.last_id(strikes) != known_strikes:
        return [b"STRIKES", 0]
    generation = 1 + (whole(record.get(b"generation")) or 0 if record is not None else 0)
    if record is not None:
        inside.delete(run)  # with its TTL; a reused key starts a fresh record
    fields = argv[13:]
    fields[GENERATION] = of_key = b"%d" % generation
    placed = {
        b"generation": of_key, b"when": when, b"known": when,
        b"function": fields[5], b"args": fields[7], b"kwargs": fields[9],
    }  # fmt: skip
    if due == b"1":
        entry_id = inside.add_entry(stream, fields)
        inside.set_fields(run, {b"state": b"queued", b"stream_id": entry_id, **placed})
    else:
        inside.put_member(key_queue, key, float(when))
        inside.set_fields(parked, dict(zip(fields[::2], fields[1::2], strict=True)))
        inside.set_fields(run, {b"state": b"scheduled", **placed})
    inside.publish(state_channel, state_event)
    if due == b"0" and inside.first_member(key_queue) == key:  # no scheduler waits for an earlier task
        inside.publish(wake_channel, b"due " + when)
    if fields[ATTEMPT] != b"1":
        inside.set_fields(run, {b"attempt": fields[ATTEMPT]})
    if ttl != b"-":
        inside.set_fields(run, {b"ttl": ttl})
    return [b"OK", generation]


_TIED = frozenset((b"known", b"waiter_stream", b"waiter_entry_id", b"reserved"))
"""Fields of a record that has more than itself, or of which schedule.lua finds that out."""

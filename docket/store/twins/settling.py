"""The twins of lib/settle.lua and of what it uses: fence, ending, result."""

from __future__ import annotations

from collections.abc import Sequence

from ...memory import Hash, Inside
from .turn import Turn

__all__ = ["IN_LANE", "KEY", "is_rare", "is_tied", "settle_one"]

KEY, SLOTS, MOST = 1, 4, 9
"""Where an end has its key, and the slots that it gives back; those and what comes after are seldom there. More
arguments than that say what failure is to be kept, or which run follows."""


IN_LANE = 25
"""So long are ids of lanes at least (lib/stream_of.lua), which are left to Lua."""


def _has_slots(end: Sequence[bytes]) -> bool:
    """Whether a claim ends that holds slots: limits are left to Lua."""
    return len(end) > SLOTS and end[SLOTS] != b""


def is_tied(inside: Inside, run: bytes, message_id: bytes) -> bool:
    """Whether a claim has to do with slots that are reserved for the run; with more, since it was cancelled; or with
    another entry, by which the key runs or waits."""
    record = inside.get(run, Hash) if inside.is_a(run, Hash) else None
    if record is None:
        return False
    match record.get(b"state"):
        case b"queued":
            is_tied = record.get(b"stream_id", message_id) != message_id
        case b"running":
            is_tied = b"claim" in record and not record[b"claim"].startswith(message_id + b".")
        case b"cancelled":
            is_tied = not _OTHERS.isdisjoint(record)
        case _:
            is_tied = False
    return is_tied or b"reserved" in record


def is_rare(inside: Inside, run: bytes, end: Sequence[bytes]) -> bool:
    """Whether more than the run and its result has to do with an end: limits, failures, groups, or what runs next."""
    if len(end) > MOST or _has_slots(end) or len(end[0]) >= IN_LANE:
        return True
    record = inside.get(run, Hash) if inside.is_a(run, Hash) else None
    return record is not None and not _TIES.isdisjoint(record)


_OTHERS = frozenset((b"group", b"groups", b"successor"))
_TIES = _OTHERS | {b"reserved", b"noted"}
"""Fields of records of which a run, when it ends, has to do with limits, failures, groups or what runs once more after
it: left to Lua."""


def settle_one(turn: Turn, end: Sequence[bytes]) -> bytes:
    """Write how a claim has ended that has no slots, and none are ``reserved`` for its run.

    Returns OK - then the caller acknowledges the delivery -, SUPERSEDED or LOST.
    """
    inside = turn.inside
    message_id, key, event, how = end[:SLOTS]
    generation, claim, state, ttl_ms = how.split(b" ")
    run = turn.prefix + b":runs:" + key
    record = inside.get(run, Hash)
    if record is None or not _owns(turn, record, message_id, generation, claim):
        return _not_ours(turn, record, message_id, claim)
    turn.over.append(turn.prefix + b":progress:" + key)
    if record.get(b"state") == b"running":
        fields = {b"state": state, b"completed_at": turn.at}
        _, why, result_name, result_key, result = end[SLOTS:] or _NOTHING
        if why:
            fields[b"error"] = why
        if result_name:
            fields[b"result_key"] = result_name
        _end(inside, run, ttl_ms, fields)
        inside.publish(turn.prefix + b":state:" + key, event)
        if result and ttl_ms != b"0":
            inside.set(result_key, result, int(ttl_ms) if ttl_ms else None)
    elif ttl_ms == b"0":
        inside.delete(run)
    return b"OK"


def _owns(turn: Turn, record: Hash, message_id: bytes, generation: bytes, claim: bytes) -> bool:
    """I2."""
    return (
        record.get(b"claim") == message_id + b"." + claim
        and record.get(b"worker") == turn.worker
        and (record.get(b"generation") == generation or generation == b"0")
    )


def _not_ours(turn: Turn, record: Hash | None, message_id: bytes, claim: bytes) -> bytes:
    mine, owner = message_id + b".", b"" if record is None else record.get(b"claim", b"")
    if owner.startswith(mine) and owner != mine + claim:
        return b"LOST"  # claimed again: maybe by a worker of the same name
    if turn.inside.deliveries(turn.stream, turn.group, message_id, turn.worker) is None:
        return b"LOST"
    turn.inside.acknowledge(turn.stream, turn.group, [message_id])
    return b"SUPERSEDED"


def _end(inside: Inside, run: bytes, ttl_ms: bytes, fields: dict[bytes, bytes]) -> None:
    if ttl_ms == b"0":
        inside.delete(run)
        return
    inside.set_fields(run, fields)
    if ttl_ms:
        inside.expire(run, int(ttl_ms))


_NOTHING = (b"",) * 5

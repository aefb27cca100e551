"""The twins of lib/settle.lua and of what it uses: fence, ending, result."""

from __future__ import annotations

from collections.abc import Sequence

from ...memory import Hash, Inside

__all__ = ["KEY", "Settler", "has_reserved", "has_slots"]

KEY, SLOTS = 3, 7
"""Where an end has its key, and the slots that it gives back; those and what follows are seldom there."""


def has_slots(end: Sequence[bytes]) -> bool:
    """Whether a claim ends that holds slots: limits are left to Lua."""
    return len(end) > SLOTS and end[SLOTS] != b""


def has_reserved(inside: Inside, run: bytes) -> bool:
    """Whether slots are reserved for a run: limits are left to Lua."""
    return inside.has_field(run, b"reserved")


class Settler:
    """Writes the ends of claims of one worker; none of them has slots, and none are ``reserved`` for its run.

    Names of progress that is over are added to ``over``, for the caller to delete.
    """

    __slots__ = ("_ended_at", "_group", "_holder", "_inside", "_over", "_prefix", "_stream")

    def __init__(
        self,
        inside: Inside,
        prefix: bytes,
        stream: bytes,
        group: bytes,
        holder: bytes,
        ended_at: bytes,
        over: list[bytes],
    ) -> None:
        self._inside, self._prefix, self._stream, self._group = inside, prefix, stream, group
        self._holder, self._ended_at, self._over = holder, ended_at, over

    def settle(self, end: Sequence[bytes]) -> bytes:
        """OK - then the caller acknowledges the delivery -, SUPERSEDED or LOST."""
        inside = self._inside
        message_id, generation, claim, key, state, event, ttl_ms = end[:7]
        run = self._prefix + b":runs:" + key
        record = inside.get(run, Hash)
        if record is None or not self._owns(record, message_id, generation, claim):
            return self._not_ours(record, message_id, claim)
        self._over.append(self._prefix + b":progress:" + key)
        if record.get(b"state") == b"running":
            fields = {b"state": state, b"completed_at": self._ended_at}
            _, why, result_name, result_key, result = end[SLOTS:] or _NOTHING
            if why:
                fields[b"error"] = why
            if result_name:
                fields[b"result_key"] = result_name
            self._end(run, ttl_ms, fields)
            inside.publish(self._prefix + b":state:" + key, event)
            if result and ttl_ms != b"0":
                inside.set(result_key, result, int(ttl_ms) if ttl_ms else None)
        elif ttl_ms == b"0":
            inside.delete(run)
        return b"OK"

    def _owns(self, record: Hash, message_id: bytes, generation: bytes, claim: bytes) -> bool:
        """I2."""
        return (
            record.get(b"claim") == message_id + b"." + claim
            and record.get(b"worker") == self._holder
            and (record.get(b"generation") == generation or generation == b"0")
        )

    def _not_ours(self, record: Hash | None, message_id: bytes, claim: bytes) -> bytes:
        mine, owner = message_id + b".", b"" if record is None else record.get(b"claim", b"")
        if owner.startswith(mine) and owner != mine + claim:
            return b"LOST"  # claimed again: maybe by a worker of the same name
        if self._inside.deliveries(self._stream, self._group, message_id, self._holder) is None:
            return b"LOST"
        self._inside.acknowledge(self._stream, self._group, [message_id])
        return b"SUPERSEDED"

    def _end(self, run: bytes, ttl_ms: bytes, fields: dict[bytes, bytes]) -> None:
        if ttl_ms == b"0":
            self._inside.delete(run)
            return
        self._inside.set_fields(run, fields)
        if ttl_ms:
            self._inside.expire(run, int(ttl_ms))


_NOTHING = (b"",) * 5

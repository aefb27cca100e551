"""The twin of take.lua."""

from __future__ import annotations

from collections.abc import Iterator

from ...memory import LEFT_TO_LUA, ErrorReply, Hash, Inside, LeftToLua, Reply, StreamValue, print_id
from ..codec import EXPIRES, USUAL_FIELDS
from .claiming import UNREADABLE, Claimer
from .events import publish_if_finished
from .numbers import whole
from .settling import KEY, is_rare, is_tied, settle_one
from .turn import Turn

__all__ = ["take"]


def take(inside: Inside, keys: list[bytes], argv: list[bytes]) -> Reply | LeftToLua:
    """Read tasks that wait on the stream, write how claims have ended, and claim what was read."""
    stream, queue, reserved_queue, strikes = keys
    prefix, group, worker, started_at, wake_channel, asked, count = argv[:7]
    if not count.isdigit():  # it takes from lanes
        return LEFT_TO_LUA
    if not inside.is_a(stream, StreamValue) or (entries := inside.get(stream, StreamValue)) is None:
        return LEFT_TO_LUA
    if (reading := entries.groups.get(group)) is None:
        return LEFT_TO_LUA
    ends = list(_ends(argv))
    numbers = inside.waiting(entries, reading, int(count))
    messages = [_Message(number, entries.entries[number]) for number in numbers]
    if _are_paused(inside, prefix + b":ops:pauses", messages):
        return LEFT_TO_LUA
    if _are_rare(inside, prefix + b":runs:", ends, messages):
        return LEFT_TO_LUA
    if messages:
        inside.read(entries, reading, worker, numbers)
    turn = Turn(inside, prefix, stream, group, worker, started_at)
    settled = [_tried(turn, end) for end in ends]
    if b"OK" in settled:
        ids = [end[0] for end, word in zip(ends, settled, strict=True) if word == b"OK"]
        inside.acknowledge(stream, group, ids)
    reply: list[Reply] = [b"", b" ".join(settled)]
    gone = bool(ends)
    if messages:
        claimer = Claimer(turn, asked)
        for message in messages:
            gone = message.claim(claimer, reply) or gone
        reply[0] = inside.last_id(strikes)
    turn.forget_all()
    if gone:
        publish_if_finished(inside, prefix, stream, queue, reserved_queue, wake_channel)
    return reply


def _ends(argv: list[bytes]) -> Iterator[list[bytes]]:
    """The ends, of which each follows the number of its arguments."""
    at = 7
    while at < len(argv):
        stop = at + 1 + int(argv[at])
        yield argv[at + 1 : stop]
        at = stop


def _are_rare(inside: Inside, runs: bytes, ends: list[list[bytes]], messages: list[_Message]) -> bool:
    """Whether a next run, a failure, limits, groups or expiry are in it, or an entry ends here that was not read."""
    ended = {end[0] for end in ends}
    return (
        any(is_rare(inside, runs + end[KEY], end) for end in ends)
        or any(
            is_tied(inside, runs + message.key, message.message_id)
            for message in messages
            if message.key is not None
        )
        or any(message.message_id in ended or message.expires for message in messages)
    )


def _are_paused(inside: Inside, pauses: bytes, messages: list[_Message]) -> bool:
    """Whether all tasks are paused, or that of one of these, or something else is where that or a row is kept."""
    if not inside.is_a(pauses, Hash):
        return True
    paused = inside.get(pauses, Hash)
    return paused is not None and (
        b"*" in paused
        or any(message.task in paused for message in messages)
        or not all(inside.is_a(pauses[:-1] + b":" + task + b"::waiters", StreamValue) for task in paused)
    )


def _tried(turn: Turn, end: list[bytes]) -> bytes:
    try:
        return settle_one(turn, end)
    except ErrorReply:  # I9
        return b"ALONE"


class _Message:
    """An entry that is to be read."""

    __slots__ = ("expires", "fields", "generation", "key", "message_id", "task", "usual")

    def __init__(self, number: int, fields: list[bytes]) -> None:
        self.message_id, self.fields, values = print_id(number), fields, fields[1::2]
        #: The values, where it has the fields that most have.
        self.usual = values if fields[::2] == USUAL_FIELDS else None
        if self.usual is None:
            named = dict(zip(fields[::2], values, strict=True))
            self.key, self.generation = named.get(b"key"), named.get(b"generation", b"0")
            self.task, self.expires = named.get(b"function"), EXPIRES in named
        else:
            self.key, self.task, self.generation, self.expires = values[0], values[2], values[6], False

    def claim(self, claimer: Claimer, reply: list[Reply]) -> bool:
        """Claim it, and add what is replied of it. Whether it was refused."""
        word, which, ttl = UNREADABLE
        if self.key is not None and whole(self.generation) is not None:
            word, which, ttl = claimer.claim(self.message_id, self.key, self.generation)
        given = b"-" if ttl is None else ttl
        if word == b"OK" and which == 1 and self.usual is not None:
            reply += (self.message_id, b"USUAL", given, *self.usual)
            return False
        reply += (self.message_id, word, which, 1, given, len(self.fields))
        reply += self.fields
        return word not in (b"OK", b"UNREADABLE")

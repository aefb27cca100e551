"""The twin of claim.lua."""

from __future__ import annotations

from ...memory import LEFT_TO_LUA, Hash, Inside, LeftToLua, Reply, StreamValue
from .claiming import Claimer
from .events import publish_if_finished
from .settling import IN_LANE, is_tied
from .turn import Turn

__all__ = ["claim"]


def claim(inside: Inside, keys: list[bytes], argv: list[bytes]) -> Reply | LeftToLua:
    """Claim deliveries that a blocking read has brought."""
    stream, queue, reserved_queue, strikes = keys
    prefix, group, worker, started_at, wake_channel, asked, *flat = argv
    deliveries = list(zip(flat[::3], flat[1::3], flat[2::3], strict=True))
    pauses = prefix + b":ops:pauses"
    if not inside.is_a(stream, StreamValue) or not inside.is_a(pauses, Hash) or inside.get(pauses, Hash):
        return LEFT_TO_LUA
    if any(b" " in generation or len(each) >= IN_LANE for each, _, generation in deliveries):  # they expire
        return LEFT_TO_LUA
    if any(is_tied(inside, prefix + b":runs:" + key, each) for each, key, _ in deliveries):
        return LEFT_TO_LUA
    replies: list[Reply] = [b""]
    held: list[bytes] = []
    refused = False
    turn = Turn(inside, prefix, stream, group, worker, started_at)
    claimer = Claimer(turn, asked)
    for message_id, key, generation in deliveries:
        times = inside.deliveries(stream, group, message_id, worker)
        if times is None:
            replies += (b"LOST", 0, 0, b"-")  # taken over between the read and this call
            refused = True
            continue
        word, which, ttl = claimer.claim(message_id, key, generation, first=True)
        held.append(message_id)
        replies += (word, which, times, b"-" if ttl is None else ttl)
        refused = refused or word != b"OK"
    for message_id in held:
        inside.renew(stream, group, message_id, worker)
    turn.forget_all()
    if refused:
        publish_if_finished(inside, prefix, stream, queue, reserved_queue, wake_channel)
    replies[0] = inside.last_id(strikes)
    return replies

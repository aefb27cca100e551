"""The twins of lib/events.lua, lib/json.lua and lib/finish.lua."""

from __future__ import annotations

import json as encoder
import re

from ...memory import Inside, Set, SortedSet, StreamValue

__all__ = ["event_of", "json", "publish_if_finished"]

_is_odd = re.compile(rb'[\x00-\x1f"\\\x7f]').search


def json(text: bytes) -> bytes:
    """A string as JSON, quotes included."""
    if not _is_odd(text):
        return b'"' + text + b'"'
    written = encoder.dumps(text.decode("utf-8", "surrogateescape"), ensure_ascii=False)
    return written.replace("\x7f", "\\u007f").encode("utf-8", "surrogateescape")


LANES = b"high", b"low", b"high-turns", b"normal-turns", b"low-turns"
"""Those of lib/lanes.lua."""


def event_of(key: bytes, state: bytes, more: bytes) -> bytes:
    """The JSON of a state event; ``more`` is the text of further fields, each after a comma."""
    return b'{"type":"state","key":' + json(key) + b',"state":"' + state + b'"' + more + b"}"


def publish_if_finished(
    inside: Inside, prefix: bytes, stream: bytes, queue: bytes, reserved_queue: bytes, wake_channel: bytes
) -> None:
    """Publish that nothing waits or runs on the docket any more."""
    count = inside.count
    if (
        count(stream, StreamValue) == 0
        and count(queue, SortedSet) == 0
        and count(reserved_queue, SortedSet) == 0
        and count(prefix + b":waiting", Set) == 0
        and not any(count(prefix + b":ops:lane:" + lane, StreamValue) for lane in LANES)
    ):
        inside.publish(wake_channel, b"finished")

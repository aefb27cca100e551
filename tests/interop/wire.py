"""What a docket looks like on the wire: its keys and its events, with times, ids and its name made equal."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import redis

__all__ = ["Recorder", "flat"]

_TIME = re.compile(rb"20(?!99|20)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,6}\+00:00")
_STREAM_ID = re.compile(rb"^\d{13}-\d+$")
#: Fields and keys whose numbers are of the moment.
_MOMENTARY = (b":workers", b":task-workers:")


class Recorder:
    """Looks at one docket: `keys` is its keyspace, `events` what was published since the last look."""

    def __init__(self, client: redis.Redis, name: str) -> None:
        self.client, self.name = client, name.encode()
        self.pubsub = client.pubsub()
        self.pubsub.psubscribe(f"{name}:*")
        self._sync()

    def _plain(self, value: bytes) -> bytes:
        value = _TIME.sub(b"<time>", value.replace(self.name + b":", b"<docket>:"))
        return b"<id>" if _STREAM_ID.match(value) else value

    def _sync(self) -> list[tuple[bytes, bytes]]:
        """Everything that was published up to now."""
        self.client.publish(self.name + b":the end", b"")
        messages = []
        while True:
            message = self.pubsub.get_message(timeout=5)
            assert message is not None, "nothing was heard for 5 s"
            if message["type"] != "pmessage":
                continue
            if message["channel"] == self.name + b":the end":
                return messages
            messages.append((self._plain(message["channel"]), self._plain(message["data"])))

    def events(self) -> list[tuple[bytes, bytes]]:
        return self._sync()

    def keys(self) -> dict[bytes, Any]:
        """Name to type, seconds to live (None: no end) and content."""
        found = {}
        for key in sorted(self.client.scan_iter(self.name + b":*", count=1000)):
            kind = self.client.type(key).decode()
            ttl = self.client.ttl(key)
            if b":task-workers:" in key:
                ttl = -1  # pydocket keeps these for ever
            found[self._plain(key)] = (kind, None if ttl == -1 else ttl, getattr(self, f"_{kind}")(key))
        return found

    def _string(self, key: bytes) -> bytes:
        return self._plain(self.client.get(key))

    def _hash(self, key: bytes) -> dict[bytes, bytes]:
        fields = {field: self._plain(value) for field, value in self.client.hgetall(key).items()}
        for field in {b"when", b"known"} & fields.keys():
            # The moment of a retry, not one that a test has given.
            if (
                re.fullmatch(rb"\d+\.\d+(e\+\d+)?", fields[field])
                and abs(float(fields[field]) - time.time()) < 3600
            ):
                fields[field] = b"<time>"
        return fields

    def _set(self, key: bytes) -> set[bytes]:
        return self.client.smembers(key)

    def _zset(self, key: bytes) -> dict[bytes, Any]:
        momentary = any(key[len(self.name) :].startswith(start) for start in _MOMENTARY)
        return {
            member: "<now>" if momentary else score
            for member, score in self.client.zrange(key, 0, -1, withscores=True)
        }

    def _stream(self, key: bytes) -> Any:
        """The entries with their fields in order, and who holds which of them."""
        entries = [
            [(field, self._plain(value)) for field, value in fields.items()]
            for _, fields in self.client.xrange(key)
        ]
        pending = []
        for group in self.client.xinfo_groups(key):
            held = self.client.xpending_range(key, group["name"], "-", "+", 100)
            pending.append((group["name"], [(one["consumer"], one["times_delivered"]) for one in held]))
        return entries, pending


def flat(keys: dict[bytes, Any], events: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """One line per fact, for comparing: a hash is a line per field, everything else a line per key."""
    lines: dict[str, Any] = {}
    for key, (kind, ttl, content) in keys.items():
        name = key.decode()
        lines[f"{name} ttl"] = ttl if ttl is None else round(ttl, -1)
        if kind == "hash":
            lines.update({f"{name} .{field.decode()}": value for field, value in content.items()})
        else:
            lines[name] = content
    channels = sorted({channel.decode() for channel, _ in events})
    for channel in channels:
        lines[f"events of {channel}"] = [
            _parsed(payload) for name, payload in events if name.decode() == channel
        ]
    return lines


def _parsed(payload: bytes) -> Any:
    """An event as its fields in order: spaces do not count, the two write them in different places."""
    return json.loads(payload, object_pairs_hook=tuple) if payload.startswith(b"{") else payload

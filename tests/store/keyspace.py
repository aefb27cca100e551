"""The whole of what a server remembers, in a form that a test can write down.

Stream ids become ``#1``, ``#2``, ... in their order, moments of this test run ``now``; a key that will expire is
named ``key (expires)``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from docket.transport import Client

_STREAM_ID = re.compile(r"\b\d{13}-\d+\b")


async def keyspace(client: Client) -> dict[str, Any]:
    """Everything on the server."""
    found = {name: await _value(client, name) for name in await client.keys("*")}
    expiring = {name for name in found if await client.pttl(name) > 0}
    ids = sorted(set(_STREAM_ID.findall(repr(found))), key=lambda text: [*map(int, text.split("-"))])
    numbers = {text: f"#{number}" for number, text in enumerate(ids, 1)}
    return {
        name.decode() + (" (expires)" if name in expiring else ""): _shown(value, numbers)
        for name, value in sorted(found.items())
    }


async def _value(client: Client, name: bytes) -> Any:
    match await client.type(name):
        case b"hash":
            return await client.hgetall(name)
        case b"zset":
            return dict(await client.zrange(name, 0, -1, withscores=True))
        case b"set":
            return sorted(await client.smembers(name))
        case b"string":
            return await client.get(name)
        case b"stream":
            return await _stream(client, name)
        case other:
            raise AssertionError(other)


async def _stream(client: Client, name: bytes) -> dict[str, Any]:
    entries = await client.xrange(name)
    pending = []
    for group in await client.xinfo_groups(name):
        pending += await client.xpending_range(name, group["name"], "-", "+", 1000)
    shown: dict[str, Any] = {"entries": [{"id": entry_id, **fields} for entry_id, fields in entries]}
    if pending:
        shown["pending"] = {p["message_id"]: (p["consumer"], p["times_delivered"]) for p in pending}
    return shown


def _shown(value: Any, numbers: dict[str, str]) -> Any:
    match value:
        case dict():
            return {_shown(name, numbers): _shown(inner, numbers) for name, inner in value.items()}
        case list():
            return [_shown(inner, numbers) for inner in value]
        case tuple():
            return tuple(_shown(inner, numbers) for inner in value)
        case bytes():
            return _text(value.decode(errors="backslashreplace"), numbers)
        case str():
            return _text(value, numbers)
        case _:
            return value


def _text(text: str, numbers: dict[str, str]) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _STREAM_ID.sub(lambda found: numbers[found[0]], text)
    if moment.tzinfo is not None and abs(datetime.now(UTC) - moment) < timedelta(minutes=5):
        return "now"
    return text

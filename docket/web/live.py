"""What keeps an open page up to date: a stream of the parts that have changed (server-sent events)."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import anyio
import attrs
from anyio.abc import TaskGroup
from redis.exceptions import RedisError

from .. import clock
from ..execution import Execution
from .http import SECURITY, Receive, Send
from .sampling import Away

__all__ = ["LONGEST", "Stream", "parts_of"]

LONGEST = 30.0
"""A stream ends by itself after so many seconds, and the browser begins another: no server waits for ever to stop."""

SOONEST = 0.25
"""Seconds between two looks at a task that tells of itself."""

HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would gather what is sent
)

Look = Callable[[], Awaitable["dict[str, str]"]]
"""The parts of a page as they are now, by name. Raises: Away."""


def parts_of(parts: dict[str, str], sent: dict[str, str]) -> dict[str, str]:
    """Those that differ from what was sent before, which they become part of."""
    changed = {name: text for name, text in parts.items() if sent.get(name) != text}
    sent.update(changed)
    return changed


@attrs.define(eq=False)
class Stream:
    """One viewer's stream. ``refresh`` is in seconds; ``told`` is a task whose events make it look at once."""

    look: Look
    refresh: float
    told: Callable[[], Awaitable[Execution[object] | None]] | None = None
    _news: anyio.Event = attrs.field(init=False, factory=anyio.Event)

    async def run(self, receive: Receive, send: Send) -> None:
        """Stream until the viewer leaves, or for `LONGEST` at most."""
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": [*headers, *SECURITY]})
        async with anyio.create_task_group() as group:
            group.start_soon(self._until_gone, receive, group)
            if self.told is not None:
                group.start_soon(self._listen, self.told)
            await self._tell(send)
            group.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _until_gone(self, receive: Receive, group: TaskGroup) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        group.cancel_scope.cancel()

    async def _listen(self, told: Callable[[], Awaitable[Execution[object] | None]]) -> None:
        """Note that something happened to the task; where that cannot be followed, time alone brings news."""
        try:
            if (execution := await told()) is None:
                return
            async with aclosing(execution.subscribe()) as events:
                async for _ in events:
                    self._news.set()
        except (Away, RedisError, OSError):
            return

    async def _tell(self, send: Send) -> None:
        sent: dict[str, str] = {}
        end = clock.monotonic() + LONGEST
        text = "retry: 2000\n\n"
        while clock.monotonic() < end:
            self._news = anyio.Event()
            try:
                changed = parts_of(await self.look(), sent)
                text += f"event: parts\ndata: {json.dumps(changed)}\n\n" if changed else ": nothing new\n\n"
            except Away as problem:
                text += f"event: away\ndata: {json.dumps(problem.whole)}\n\n"
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
            text = ""
            with anyio.move_on_after(self.refresh):
                await anyio.sleep(min(SOONEST, self.refresh))
                await self._news.wait()

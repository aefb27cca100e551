"""Requests to an ASGI application in the same event loop, without a server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import anyio
import attrs

SAME = {"sec-fetch-site": "same-origin"}


@attrs.define
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@attrs.define
class Caller:
    """``root`` is where the application is mounted; ``strips`` as frameworks that take that off the path."""

    app: Any
    root: str = ""
    host: str = "ops.test"
    strips: bool = False

    def scope(self, method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
        before, _, query = path.partition("?")
        from urllib.parse import unquote

        whole = unquote(f"{self.root}/{before}")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": whole[len(self.root) :] if self.strips else whole,
            "raw_path": f"{self.root}/{before}".encode(),
            "root_path": self.root,
            "query_string": query.encode(),
            "headers": [(n.encode(), v.encode()) for n, v in {"host": self.host, **headers}.items()],
            "client": ("127.0.0.1", 1),
            "server": (self.host, 80),
        }

    async def get(self, path: str = "", **headers: str) -> Answer:
        return await self.call("GET", path, b"", headers)

    async def post(
        self, path: str, form: Mapping[str, Any] | bytes = b"", headers: Mapping[str, str] = SAME
    ) -> Answer:
        body = form if isinstance(form, bytes) else urlencode(form, doseq=True).encode()
        return await self.call(
            "POST", path, body, {"content-type": "application/x-www-form-urlencoded", **headers}
        )

    async def call(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        chunks = [body[at : at + 10_000] for at in range(0, len(body), 10_000)] or [b""]
        given = [
            {"type": "http.request", "body": chunk, "more_body": number + 1 < len(chunks)}
            for number, chunk in enumerate(chunks)
        ]
        sent: list[Any] = []

        async def receive() -> Any:
            if not given:
                await anyio.sleep_forever()
            return given.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        wanted = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.app(self.scope(method, path, wanted), receive, send)
        start, *rest = sent
        return Answer(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            b"".join(part.get("body", b"") for part in rest),
        )

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[Any]:
        """A stream of server-sent events; leaving it is leaving the page."""
        sending, receiving = anyio.create_memory_object_stream[Any](100)
        gone = anyio.Event()

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            await sending.send(message)

        async def run() -> None:
            async with sending:
                await self.app(self.scope("GET", path, {}), receive, send)

        async with anyio.create_task_group() as group:
            group.start_soon(run)
            try:
                yield Events(receiving)
            finally:
                gone.set()
                with anyio.move_on_after(5, shield=True):
                    async for _ in receiving:
                        if not _.get("more_body", _["type"].endswith("start")):
                            break
                group.cancel_scope.cancel()
        receiving.close()


@attrs.define
class Events:
    receiving: Any

    async def next(self, kind: str = "parts") -> Any:
        """What the next event of this kind says."""
        with anyio.fail_after(10):
            while True:
                message = await self.receiving.receive()
                text = message.get("body", b"").decode()
                for block in text.split("\n\n"):
                    if block.startswith(f"event: {kind}\n"):
                        return json.loads(block.partition("data: ")[2])

    async def end(self) -> None:
        """Wait until the stream ends."""
        with anyio.fail_after(10):
            while True:
                message = await self.receiving.receive()
                if message["type"].endswith("body") and not message.get("more_body"):
                    return

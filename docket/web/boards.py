"""Several dashboards behind one address, and the page that leads to them."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import attrs

from .answers import html, plain
from .dashboard import Dashboard
from .frame import plain_page
from .http import Receive, Response, Scope, Send, request_of, respond
from .markup import Safe, el

__all__ = ["Boards"]


@attrs.define(eq=False)
class Boards:
    """Each dashboard is below the name of its docket; at the root stands a list of them."""

    dashboards: Sequence[Dashboard]

    async def __call__(self, scope: Scope, receive: Receive, send: Send, /) -> None:
        if scope["type"] == "lifespan":
            await self._live_on(receive, send)
            return
        path: str = scope["path"]
        if scope["type"] != "http":
            await self.dashboards[0](scope, receive, send)
            return
        found = [each for each in self.dashboards if f"{path}/".startswith(f"/{each.docket.name}/")]
        if found:
            inner = max(found, key=lambda each: len(each.docket.name))
            await inner({**scope, "root_path": f"/{inner.docket.name}"}, receive, send)
            return
        request = request_of(scope)
        if request.page in ("board.css", "board.js", "health"):
            await self.dashboards[0](scope, receive, send)
        elif (refused := await self.dashboards[0].refusal(scope)) is not None:
            await respond(send, refused)
        elif request.page:
            await respond(send, plain(404, "Not here", f"There is no docket at {request.page!r}."))
        else:
            await respond(send, self._index())

    async def _live_on(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})

    def _index(self) -> Response:
        rows: list[Safe] = [
            el("li", el("a", each.docket.name, href=f"{quote(each.docket.name, safe='')}/"))
            for each in self.dashboards
        ]
        return html(plain_page("Dockets", el("ul", *rows, class_="boards"), home=None))

    def close(self) -> None:
        for each in self.dashboards:
            each.close()

    async def aclose(self) -> None:
        for each in self.dashboards:
            await each.aclose()

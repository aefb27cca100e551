"""The dashboard: an ASGI application, for any framework, server and event loop."""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import anyio
import attrs

from .. import clock
from ..documents import document
from ..errors import BadSetting, UsageError
from ..moments import check_setting
from .acting import Acting
from .answers import html, plain
from .assets import ASSETS, asset
from .frame import Frame, Status
from .http import Gone, Receive, Request, Response, Scope, Send, address, request_of, respond
from .live import Stream
from .pages import PAGES
from .pieces import note
from .results import TOLD, done_text
from .sampling import Away, Samples, in_time
from .view import Content, Page, Query, Show, View
from .visitors import Authorize, Basic, Visitor

if TYPE_CHECKING:
    from ..docket import Docket
    from ..execution import Execution

__all__ = ["Dashboard"]

METHODS = ("GET", "HEAD", "POST")

_PAGES: Mapping[str, Page] = {page.path: page for page in PAGES}

#: Paths that are no pages.
_LIVE, _PARTS, _HEALTH = "live", "parts", "health"


class Dashboard:
    """What is on a docket, in a browser: an ASGI application to mount anywhere, or to serve by itself.

    ``authorize`` is asked about each request, with its ASGI scope: it returns a `Visitor`, or None for nobody, and may
    be async. See `basic` and `anybody`. With ``read_only`` nobody changes anything. Who looks sees what was read at
    most ``refresh`` ago; one reading serves all viewers, and without a viewer nothing is read. ``origins`` are the
    addresses (``https://ops.example.org``) from which forms may come besides the server's own: for proxies that
    change the Host header. ``title`` stands on each page instead of the docket's name; ``home`` is a link back to
    your own application.

    The docket is entered at the first request, whether the program has entered it or not, and left by `aclose` or the
    end of the ASGI lifespan. One dashboard serves one event loop.
    Raises: BadSetting (a ValueError) - a setting out of its range.
    """

    def __init__(
        self,
        docket: Docket,
        *,
        authorize: Authorize,
        read_only: bool = False,
        refresh: timedelta = timedelta(seconds=2),
        origins: Collection[str] = (),
        title: str | None = None,
        home: str | None = None,
    ) -> None:
        if not callable(authorize):
            raise BadSetting("authorize takes a function of the ASGI scope: see docket.web.basic and anybody")
        if isinstance(origins, str) or not all("://" in origin for origin in origins):
            raise BadSetting(f"origins takes addresses like 'https://ops.example.org', not {origins!r}")
        self.docket = docket
        self._authorize, self._read_only = authorize, read_only
        self._refresh = check_setting("refresh", refresh, positive=True).total_seconds()
        self._frame = Frame(title=title or docket.name, home=home, pages=PAGES, read_only=read_only)
        self._acting = Acting(
            docket=docket,
            enter=self._enter,
            origins=frozenset(origin.rstrip("/").lower() for origin in origins),
            read_only=read_only,
            pages=_PAGES,
        )
        self._samples = Samples()
        self._entered = self._closing = False
        self._streams: set[anyio.CancelScope] = set()

    @property
    def reads(self) -> int:
        """How often it has read something, so far."""
        return self._samples.reads

    # opening and closing ---------------------------------------------------------------------------------

    def close(self) -> None:
        """End all streams at once, and begin no more: servers wait for them before they stop."""
        self._closing = True
        for scope in list(self._streams):
            scope.cancel()

    async def aclose(self) -> None:
        """`close`, and leave the docket."""
        self.close()
        if self._entered:
            self._entered = False
            await self.docket.__aexit__(None, None, None)

    async def _enter(self) -> None:
        if not self._entered:
            self._entered = True
            try:
                await self.docket.__aenter__()
            except BaseException:
                self._entered = False
                raise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live_on(receive, send)
        elif scope["type"] == "http":
            try:
                await self._answer(scope, receive, send)
            except Gone:
                return
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _live_on(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.aclose()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})

    # requests --------------------------------------------------------------------------------------------

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = request_of(scope)
        answer = partial(respond, send, with_body=request.method != "HEAD")
        if request.method not in METHODS:
            allow = [(b"allow", ", ".join(METHODS).encode())]
            await answer(
                plain(405, "No such method", "Pages are read by GET, forms are sent by POST.", allow)
            )
        elif request.page in ASSETS:
            await answer(_asset(request))
        elif request.page == _HEALTH:
            await answer(await self._health())
        elif (visitor := await self._visitor(scope)) is None:
            await answer(self._refused())
        elif request.method == "POST":
            await answer(await self._acting.answer(request, visitor, receive))
            self._samples.forget()
        elif (there := _moved_to(request)) is not None:
            await answer(Response(status=307, headers=[(b"location", there.encode())]))
        elif request.page == _LIVE:
            await self._stream(request, visitor, receive, send)
        elif request.page == _PARTS:
            await answer(await self._parts(request, visitor))
        else:
            await answer(await self._page(request, visitor))

    async def _visitor(self, scope: Scope) -> Visitor | None:
        visitor = self._authorize(scope)
        return await visitor if inspect.isawaitable(visitor) else visitor

    async def refusal(self, scope: Scope) -> Response | None:
        """The answer to somebody who may not look; None to others."""
        return self._refused() if await self._visitor(scope) is None else None

    def _refused(self) -> Response:
        if isinstance(self._authorize, Basic):
            asks = [(b"www-authenticate", self._authorize.challenge)]
            return plain(
                401, "Who are you?", "This dashboard asks for a name and a password.", asks, home=None
            )
        return plain(403, "Not for you", "You may not look at this dashboard.", home=None)

    async def _health(self) -> Response:
        async def alive() -> None:
            await self._enter()
            await self.docket.client.call("TIME")

        try:
            await in_time(alive)
        except Away:
            return Response(body=b"the server is away\n", status=503, kind="text/plain")
        return Response(body=b"OK\n", kind="text/plain")

    # reading ---------------------------------------------------------------------------------------------

    def _view(self, request: Request, visitor: Visitor, here: str) -> View:
        return View(
            docket=self.docket.name,
            here=here,
            now=clock.now(),
            may_act=visitor.may_act and not self._read_only,
        )

    async def _read(self, page: Page, query: Query, age: float) -> Show:
        """What a page shows, as of ``age`` seconds ago at most. Raises: Away; UsageError."""

        async def read() -> Show:
            await self._enter()
            return await page.read(self.docket, query)

        return await self._samples.get(address(page.path, **query), read, age=age)

    async def _status(self) -> Status | None:
        async def read() -> Status:
            await self._enter()
            pauses = await self.docket.pauses()
            paused = next((each for each in pauses if each.task is None), None)
            return Status(counts=await self.docket.counts(), paused=paused)

        try:
            return await self._samples.get("status", read, age=self._refresh * 0.9)
        except Away:
            return None

    async def _page(self, request: Request, visitor: Visitor) -> Response:
        page = _PAGES.get(request.page)
        if page is None:
            return plain(404, "Not here", f"There is no page {request.page!r} on this dashboard.")
        query = {name: value for name, value in request.query.items() if name not in (*TOLD, "format")}
        view = self._view(request, visitor, address(page.path, **query))
        try:
            content = (await self._read(page, query, self._refresh * 0.9))(view)
        except Away as problem:
            content = _away(problem)
        except (UsageError, TypeError) as error:
            content = Content(title="That cannot be shown", blocks=[note(str(error), tone="bad")], status=400)
        if request.wants_json:
            return _document(content, self.docket.name)
        status = await self._status() if content.status != 503 else None
        return html(self._frame.show(content, view, status, done_text(request.query)), content.status)

    async def _looked_at(self, request: Request, visitor: Visitor) -> tuple[Page, Query, View] | None:
        """The page that a stream is about."""
        path, _, said = request.query.get("of", "").partition("?")
        page = _PAGES.get(path.removeprefix("./"))
        if page is None:
            return None
        query = dict(parse_qsl(said, keep_blank_values=True, errors="replace"))
        return page, query, self._view(request, visitor, address(page.path, **query))

    async def _look(self, page: Page, query: Query, view: View, age: float) -> dict[str, str]:
        show = await self._read(page, query, age)
        content = show(attrs.evolve(view, now=clock.now()))
        parts: dict[str, str] = {part.name: part.content for part in content.parts}
        status = await self._status()
        parts["nav"], parts["banner"] = self._frame.links(page.path, status), self._frame.banner(status, view)
        return parts

    async def _parts(self, request: Request, visitor: Visitor) -> Response:
        found = await self._looked_at(request, visitor)
        if found is None:
            return Response(body=b"{}", status=404, kind="application/json")
        try:
            parts = await self._look(*found, self._refresh * 0.9)
        except Away as problem:
            return Response(
                body=json.dumps({"away": problem.whole}).encode(), status=503, kind="application/json"
            )
        except (UsageError, TypeError):
            return Response(body=b"{}", status=400, kind="application/json")
        return Response(body=json.dumps(parts).encode(), kind="application/json")

    async def _stream(self, request: Request, visitor: Visitor, receive: Receive, send: Send) -> None:
        found = await self._looked_at(request, visitor)
        if found is None or self._closing:
            # 204 tells an EventSource not to come back.
            await respond(send, Response(status=204 if found is None else 503, kind="text/event-stream"))
            return
        page, query, view = found
        age = self._refresh * 0.9

        async def look() -> dict[str, str]:
            try:
                return await self._look(page, query, view, 0.0 if page.follows else age)
            except (UsageError, TypeError) as error:
                raise Away(str(error), "That cannot be shown") from error

        async def told() -> Execution[object] | None:
            return await in_time(partial(self.docket.get_execution, query.get("key", "")))

        stream = Stream(look, self._refresh, told if page.follows and query.get("key") else None)
        with anyio.CancelScope() as scope:
            self._streams.add(scope)
            try:
                await stream.run(receive, send)
            finally:
                self._streams.discard(scope)
        if scope.cancelled_caught:
            await send({"type": "http.response.body", "body": b""})


def _asset(request: Request) -> Response:
    found = asset(request.page)
    fresh = request.query.get("v") == found.version
    cache = b"public, max-age=31536000, immutable" if fresh else b"no-cache"
    return Response(body=found.body, kind=found.kind, cache=cache)


def _document(content: Content, docket: str) -> Response:
    """What a page shows, as the command line's ``--json`` has it."""
    whole = document(docket, **(content.document or {"title": content.title}))
    return Response(body=json.dumps(whole).encode(), status=content.status, kind="application/json")


def _away(problem: Away) -> Content:
    return Content(
        title=problem.title,
        blocks=[
            note(str(problem), tone="bad"),
            note("This page comes back by itself when that is over.", tone="away-page"),
        ],
        status=503,
    )


def _moved_to(request: Request) -> str | None:
    """Where relative links are right: the root ends with a slash, and no page does. None: here."""
    target = request.target
    if not target or request.method != "GET":
        return None
    if not request.page:
        last = target.rpartition("/")[2]
        return f"{last}/" if last else None
    return address(f"../{request.page}", **request.query) if target.endswith("/") else None

"""The dashboard below a path of other applications, each of which says in its own way where that is."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urljoin

import anyio
import httpx
import pytest

from docket import Docket
from docket.web import Dashboard, anybody
from tests import where

pytestmark = [pytest.mark.anyio, where.asyncio_and_trio]

ODD = "a/b?c#d%&é"


def in_starlette(board: Dashboard) -> Any:
    applications, routing = (
        importlib.import_module(f"starlette.{name}") for name in ("applications", "routing")
    )
    return applications.Starlette(routes=[routing.Mount("/admin/ops", app=board)])


def in_fastapi(board: Dashboard) -> Any:
    app = importlib.import_module("fastapi").FastAPI()
    app.mount("/admin/ops", board)
    return app


def in_litestar(board: Dashboard) -> Any:
    litestar = importlib.import_module("litestar")

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await board(scope, receive, send)

    types = importlib.import_module("litestar.types")
    mounted.__annotations__ = {
        "scope": types.Scope,
        "receive": types.Receive,
        "send": types.Send,
        "return": None,
    }
    return litestar.Litestar([litestar.asgi("/admin/ops", is_mount=True, copy_scope=True)(mounted)])


def bare(board: Dashboard) -> Any:
    return board


@pytest.mark.parametrize(
    ("mount", "below"),
    [(bare, ""), (in_starlette, "/admin/ops"), (in_fastapi, "/admin/ops"), (in_litestar, "/admin/ops")],
)
async def test_links_streams_and_forms_work_below_any_path(
    mount: Callable[[Dashboard], Any], below: str, memory_url: str
) -> None:
    async with Docket("orders", memory_url) as docket:
        docket.register_collection("tests.web.tasks:all_tasks")
        await docket.add("paint", key=ODD)(1)
        board = Dashboard(docket, authorize=anybody)
        transport = httpx.ASGITransport(app=mount(board))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://ops.test", follow_redirects=True
        ) as client:
            root = await client.get(below)
            assert (root.status_code, root.url.path) == (200, f"{below}/")
            slashed = await client.get(f"{below}/work/?state=due")
            assert slashed.url.path == f"{below}/work"
            page = await client.get(urljoin(str(root.url), "work?state=due"))
            link = "run?key=" + page.text.partition('href="run?key=')[2].partition('"')[0]
            run = await client.get(urljoin(str(page.url), link))
            assert run.status_code == 200
            assert "paint(1)" in run.text
            for name in ("board.css", "board.js", "parts?of=work"):
                assert (await client.get(urljoin(str(page.url), name))).status_code == 200, name
            form = {"key": quote(ODD, safe=""), "sure": "1", "back": "work?state=due"}
            same = {"sec-fetch-site": "same-origin"}
            done = await client.post(urljoin(str(page.url), "cancel"), data=form, headers=same)
            assert "Cancelled 1 task." in done.text
            assert done.url.path == f"{below}/work"
            with anyio.move_on_after(0.5):
                board.close()
        await board.aclose()

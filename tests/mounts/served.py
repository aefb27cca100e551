"""An application with the dashboard in it, for a server to import: ``DOCKET_URL`` says which server has the docket."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Mount

from docket import Docket
from docket.web import Dashboard, anybody

dashboard = Dashboard(Docket("orders", os.environ["DOCKET_URL"]), authorize=anybody)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    await dashboard.aclose()
    print("left the docket", flush=True)


app = Starlette(routes=[Mount("/ops", app=dashboard)], lifespan=lifespan)

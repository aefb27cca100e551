"""A docket with a dashboard on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from docket import Docket
from docket.web import Dashboard, anybody, sampling
from tests.web.caller import Caller


@pytest.fixture
async def docket(url: str) -> AsyncIterator[Docket]:
    async with Docket("orders", url) as docket:
        docket.register_collection("tests.web.tasks:all_tasks")
        yield docket


@pytest.fixture
async def dashboard(docket: Docket, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Dashboard]:
    """One that reads anew for each test step, however slow the machine is."""
    monkeypatch.setattr(sampling, "SHARE", 0)
    dashboard = Dashboard(docket, authorize=anybody, refresh=timedelta(milliseconds=20))
    yield dashboard
    await dashboard.aclose()


@pytest.fixture
def web(dashboard: Dashboard) -> Caller:
    return Caller(dashboard)

"""A stage in virtual time, on both loops."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from docket import testing
from tests.seeds.stage import Stage, staged


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return testing.virtual_backend(request.param)


@pytest.fixture
async def stage(memory_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Stage]:
    async with staged(memory_url, monkeypatch) as stage:
        yield stage

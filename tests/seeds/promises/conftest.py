"""A stage in virtual time, on both loops."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.seeds.stage import Stage, staged


@pytest.fixture
async def stage(memory_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Stage]:
    async with staged(memory_url, monkeypatch) as stage:
        yield stage

"""What strangers write to a docket ends no worker; the long version is in the chaos session."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hostile.fuzz import fuzz

pytestmark = pytest.mark.anyio

MANY = 2000


@pytest.mark.slow
async def test_a_worker_outlives_mutations_of_whatever_is_written(redis_url: str, anyio_backend: Any) -> None:
    found = await fuzz(redis_url, MANY, seed=1)
    assert not found, "\n".join(map(str, found))


async def test_so_does_one_with_a_server_in_its_process(memory_url: str, anyio_backend: Any) -> None:
    found = await fuzz(memory_url, MANY // 4, seed=2)
    assert not found, "\n".join(map(str, found))

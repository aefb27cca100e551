"""A hundred thousand mutations of what docket writes, on each loop; see tests/hostile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.test_chaos import seed
from tests.hostile.fuzz import fuzz

pytestmark = [pytest.mark.anyio, pytest.mark.chaos]

MANY = 100_000


async def test_a_worker_outlives_a_hundred_thousand_mutations(redis_url: str, anyio_backend: Any) -> None:
    found = await fuzz(redis_url, MANY, seed=seed(), most=10)
    assert not found, "\n".join(map(str, found))

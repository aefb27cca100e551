"""Results kept elsewhere: any store with the protocol of py-key-value-aio."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from key_value.aio.stores.memory import MemoryStore

from docket import Docket
from docket.execution import ResultExpired
from tests.docket.conftest import add, nothing, refuse, work
from tests.where import one_loop

pytestmark = pytest.mark.anyio


class Shelf:
    """The least that a storage needs."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.ttls: dict[str, float | None] = {}

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        return self.kept.get(key)

    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: float | None = None
    ) -> None:
        self.kept[key], self.ttls[key] = dict(value), ttl


async def test_results_and_exceptions_are_kept_in_the_storage(url: str) -> None:
    shelf = Shelf()
    async with Docket("d", url, result_storage=shelf, execution_ttl=timedelta(minutes=1)) as docket:
        good, bad = await docket.add(add, key="good")(1, 2), await docket.add(refuse, key="bad")("no")
        empty = await docket.add(nothing)()
        await work(docket)
        assert await good.get_result() == 3
        assert await empty.get_result() is None
        with pytest.raises(ValueError, match="no"):
            await bad.get_result()
        assert not await docket.client.keys("d:results*")
    assert shelf.ttls == {"good:1": 60.0, "bad:1": 60.0}
    assert set(shelf.kept["good:1"]) == {"data"}


async def test_a_result_that_the_storage_has_lost_is_missed(url: str) -> None:
    shelf = Shelf()
    async with Docket("d", url, result_storage=shelf) as docket:
        execution = await docket.add(add)(1)
        await work(docket)
        shelf.kept.clear()
        with pytest.raises(ResultExpired, match="no longer kept"):
            await execution.get_result()


@one_loop  # that package's own locks are asyncio's
async def test_the_memory_store_of_py_key_value_serves(url: str) -> None:
    async with Docket("d", url, result_storage=MemoryStore()) as docket:
        execution = await docket.add(add)(1, 2)
        await work(docket)
        assert await execution.get_result() == 3

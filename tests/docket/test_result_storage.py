"""Results kept elsewhere: any store with the protocol of py-key-value-aio."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from key_value.aio.stores.disk import DiskStore
from key_value.aio.stores.filetree import (
    FileTreeStore,
    FileTreeV1CollectionSanitizationStrategy,
    FileTreeV1KeySanitizationStrategy,
)
from key_value.aio.stores.memory import MemoryStore
from key_value.aio.stores.redis import RedisStore
from key_value.aio.wrappers.prefix_keys import PrefixKeysWrapper
from key_value.aio.wrappers.retry import RetryWrapper
from key_value.aio.wrappers.timeout import TimeoutWrapper

from docket import Docket, ExecutionState
from docket.errors import BadSetting
from docket.execution import ResultExpired
from docket.store import dump_value
from tests.docket.conftest import add, nothing, refuse, work
from tests.where import asyncio_and_trio, on_trio, one_loop

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


def filetree(folder: Path) -> FileTreeStore:
    return FileTreeStore(data_directory=folder)


def sanitized(folder: Path) -> FileTreeStore:
    return FileTreeStore(
        data_directory=folder,
        key_sanitization_strategy=FileTreeV1KeySanitizationStrategy(folder),
        collection_sanitization_strategy=FileTreeV1CollectionSanitizationStrategy(folder),
    )


def redis(folder: Path) -> RedisStore:
    return RedisStore(url="redis://127.0.0.1:1/0")  # nobody is there, and that is not asked


ON_BOTH = {
    "memory": lambda folder: MemoryStore(),
    "disk": lambda folder: DiskStore(directory=folder),
    "retry": lambda folder: RetryWrapper(MemoryStore()),
    "prefix": lambda folder: PrefixKeysWrapper(MemoryStore(), prefix="p"),
}
OF_ASYNCIO = {
    "filetree": filetree,
    "sanitized": sanitized,
    "redis": redis,
    "timeout": lambda folder: TimeoutWrapper(MemoryStore()),
}


@asyncio_and_trio
@pytest.mark.parametrize("make", [*ON_BOTH.values()], ids=[*ON_BOTH])
async def test_these_stores_of_py_key_value_serve_on_each_loop(
    memory_url: str, make: Any, tmp_path: Path
) -> None:
    async with Docket("d", memory_url, result_storage=make(tmp_path)) as docket:
        executions = [await docket.add(add, key=key)(1, 2) for key in ("k", "a/b/../c", "k" * 300)]
        await work(docket)
        assert [await execution.get_result() for execution in executions] == [3, 3, 3]


@on_trio
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # they leave coroutines behind
@pytest.mark.parametrize("make", [*OF_ASYNCIO.values()], ids=[*OF_ASYNCIO])
async def test_a_store_of_asyncio_s_is_refused_on_trio_as_docket_and_worker_open(
    memory_url: str, make: Any, tmp_path: Path
) -> None:
    with pytest.raises(BadSetting, match="is written for asyncio, and this is trio"):
        async with Docket("d", memory_url, result_storage=make(tmp_path)):
            pytest.fail("it opened")
    async with Docket("d", memory_url) as docket:
        docket.result_storage = make(tmp_path)
        execution = await docket.add(add)(1)
        with pytest.raises(BadSetting, match="is written for asyncio, and this is trio"):
            await work(docket)
        await execution.sync()
        assert execution.state is ExecutionState.QUEUED  # nothing ran


@one_loop
@pytest.mark.parametrize("make", [filetree, sanitized, OF_ASYNCIO["timeout"]])
async def test_the_same_stores_serve_on_asyncio(memory_url: str, make: Any, tmp_path: Path) -> None:
    async with Docket("d", memory_url, result_storage=make(tmp_path)) as docket:
        execution = await docket.add(add)(1, 2)
        await work(docket)
        assert await execution.get_result() == 3


@on_trio
async def test_a_storage_that_is_only_away_at_the_start_is_not_refused(memory_url: str) -> None:
    class Away(Shelf):
        async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
            if not self.kept:
                raise ConnectionError("nobody listens")
            return await super().get(key)

    async with Docket("d", memory_url, result_storage=Away()) as docket:
        execution = await docket.add(add)(1, 2)
        await work(docket)
        assert await execution.get_result() == 3


@one_loop
@pytest.mark.parametrize("given", [MemoryStore, "module:store", {}, 5])
def test_what_is_no_storage_is_refused_at_once(given: Any) -> None:
    with pytest.raises(BadSetting, match="result_storage takes an object with the async methods get and put"):
        Docket(result_storage=given)
    with pytest.raises(BadSetting):
        Docket().result_storage = given


async def test_the_server_s_own_storage_reads_and_writes_results(url: str) -> None:
    async with Docket("d", url) as docket:
        storage: Any = docket.result_storage
        execution = await docket.add(add, key="k")(1, 2)
        await work(docket)
        await execution.sync()
        assert execution.result_key is not None
        assert await storage.get(execution.result_key) == {"data": dump_value(3)}
        value, seconds = await storage.ttl(execution.result_key)
        assert value == {"data": dump_value(3)}
        assert seconds == pytest.approx(900, abs=5)
        assert await storage.get("nothing") is None
        await storage.put("mine", {"data": dump_value(4)}, ttl=60)
        assert await storage.ttl("mine") == ({"data": dump_value(4)}, pytest.approx(60, abs=5))
        await storage.put_many(["a", "b"], [{"n": 1}, {"n": 2}], collection="others")
        assert await storage.get_many(["a", "b", "c"], collection="others") == [{"n": 1}, {"n": 2}, None]
        assert await storage.ttl_many(["a"], collection="others") == [({"n": 1}, None)]
        assert await storage.get("a") is None
        assert await storage.delete(execution.result_key)
        assert await storage.delete_many(["a", "c"], collection="others") == 1
        with pytest.raises(ResultExpired):
            await execution.get_result()
        with pytest.raises(ValueError, match="ttl takes a duration above zero"):
            await storage.put("mine", {}, ttl=0)


@one_loop
async def test_the_server_s_own_storage_can_be_set_again(memory_url: str) -> None:
    async with Docket("d", memory_url) as docket:
        own = docket.result_storage
        docket.result_storage = Shelf()
        docket.result_storage = own
        execution = await docket.add(add)(1, 2)
        await work(docket)
        assert await execution.get_result() == 3
        assert await docket.client.keys("d:results*")

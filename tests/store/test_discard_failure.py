"""discard_failure.lua: a failure is forgotten."""

from __future__ import annotations

import pytest

from tests.store.conftest import Store
from tests.store.test_failures import fail, failures, keys, ops

pytestmark = pytest.mark.anyio


async def test_a_failure_is_forgotten_unless_it_is_another_one(store: Store) -> None:
    await fail(store, "k")
    await fail(store, "l")
    kept = await failures(store).read("l")
    assert kept is not None
    gone = await failures(store).discard_many([(b"k", b""), (b"k", b""), (b"l", b"1")])
    assert gone == [True, False, False]
    assert await keys(store) == ["l"]
    assert await failures(store).discard_many([(b"l", kept.failed_ms)]) == [True]
    assert await ops(store) == {"d:ops:totals (expires)": {"bytes": "0"}}

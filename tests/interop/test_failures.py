"""Failures beside pydocket: its clients and workers know nothing of what is kept, and are not disturbed by it."""

from __future__ import annotations

import pytest

from docket import Disposition

from .table import Table

pytestmark = pytest.mark.anyio


async def test_what_pydocket_added_is_kept_when_it_fails_and_runs_again_where_it_likes(table: Table) -> None:
    docket = table.ours.docket
    await table.pydocket.add("refuse", "no", 7, key="k")
    await table.ours.drain("ours")
    failure = await docket.failure("k")
    assert failure is not None
    assert (failure.function, failure.attempt, failure.worker) == ("refuse", 1, "ours")
    assert "error" in str(await table.pydocket.outcome("k"))
    execution = await docket.retry("k")
    assert execution.disposition is Disposition.SCHEDULED
    await table.pydocket.drain("theirs")
    await execution.sync()
    assert (execution.state.value, execution.worker) == ("failed", "theirs")
    assert await docket.failures() == []  # pydocket keeps none
    again = await docket.retry("k")  # from its record
    assert again.generation > execution.generation
    await table.ours.drain("ours")
    assert [one.key for one in await docket.failures()] == ["k"]
    assert await docket.discard("k")
    table.assert_left_clean()


async def test_a_next_attempt_that_pydocket_cancels_or_runs_is_not_tried_again_by_us(table: Table) -> None:
    docket = table.ours.docket
    for key in "kl":
        await table.pydocket.add("patient", key=key)
    await table.ours.start_worker("ours")
    for key in "kl":
        await table.reaches(key, "scheduled")
    await table.ours.stop_worker("ours")
    assert {one.key for one in await docket.retrying()} == {"k", "l"}
    await table.pydocket.cancel("k")
    assert not await docket.run_now("k")
    assert await docket.run_now("l")
    await table.pydocket.drain("theirs")  # its last attempt
    execution = await docket.get_execution("l")
    assert execution is not None
    assert (execution.state.value, execution.worker) == ("failed", "theirs")
    for key in "kl":
        again = await docket.retry(key)
        assert (again.disposition, again.attempt) == (Disposition.SCHEDULED, 1)
    assert await docket.retrying() == []
    await table.pydocket.clear()
    table.assert_left_clean()

"""Behind sentinels, under load: a master that is killed, that freezes and comes back, that hands over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from redis.exceptions import ConnectionError

from docket import Docket
from docket.clock import perf_counter
from tests.fleets import Sentinels
from tests.topologies.load import loaded


@pytest.fixture
def watched() -> Iterator[Sentinels]:
    with Sentinels() as running:
        yield running


async def killed(watched: Sentinels) -> None:
    async with loaded(watched.url) as load:
        await load.until(100)
        old = watched.master
        at = perf_counter()
        old.kill()
        await anyio.to_thread.run_sync(watched.until_another_than, old)
        await load.until(100)
    assert not load.lost() & load.safe, "a replica had these"
    assert not load.missing_between(end=at - 1)
    assert not load.missing_between(start=at + 0.1)
    assert all(began[0] < at for began in load.repeated().values()), (
        "only what the lost master knew has run twice"
    )
    assert all(len(began) == 2 for began in load.repeated().values())


async def frozen(watched: Sentinels) -> None:
    async with loaded(watched.url) as load, Docket("load", watched.url) as quiet:
        quiet.register(load.task)
        await quiet.add(load.task, key="before")()
        await load.until(100)
        await quiet.add(load.task, key="meanwhile", when=datetime.now(UTC) + timedelta(seconds=2))()
        watched.in_step()
        old = watched.master
        at = perf_counter()
        old.pause()
        await anyio.to_thread.run_sync(watched.until_another_than, old)
        new = perf_counter()
        with anyio.fail_after(8):  # the workers have left it, whatever their sockets' patience
            while "meanwhile" not in load.began:
                await anyio.sleep(0.01)
        old.resume()  # it thinks that it is the master, for some ten seconds, until the sentinels tell it otherwise
        await quiet.add(load.task, key="after")()
        await load.until(100)
        assert "role:master" in watched.info_of(old, "replication"), "or this test is about nothing"
    assert load.began.keys() >= {"before", "after"}
    assert not load.lost() & load.safe
    assert not load.missing_between(start=new)
    assert not load.missing_between(end=at - 1)
    assert all(began[0] < at for began in load.repeated().values())


async def frozen_while_asked(watched: Sentinels) -> None:
    """Nobody but one caller, who waits for an answer all the time: it comes, from a master that is none."""
    async with Docket("load", watched.url) as docket:

        async def task() -> None: ...

        docket.register(task)
        await docket.add(task, key="before")()
        old = watched.master
        watched.in_step()
        old.pause()
        async with anyio.create_task_group() as group:

            async def resume() -> None:
                await anyio.to_thread.run_sync(watched.until_another_than, old)
                await anyio.sleep(0.5)  # beyond the silence after which an answer is looked at twice
                old.resume()

            group.start_soon(resume)
            with pytest.raises(ConnectionError, match="no master any more"):
                await docket.add(task, key="then")()
        await docket.add(task, key="then")()
        assert [one.key for one in (await docket.snapshot()).future] == ["before", "then"]
        assert watched.ask(watched.master, "EXISTS", "load:runs:then") == 1


# The sentinels' seconds are the same on every loop: one loop here, the others in the chaos session.


def test_a_master_that_is_killed_costs_what_it_had_not_replicated_and_no_more(watched: Sentinels) -> None:
    anyio.run(killed, watched, backend="trio")


def test_a_master_that_freezes_is_left_and_not_written_to_when_it_comes_back(watched: Sentinels) -> None:
    anyio.run(frozen, watched)


def test_an_answer_of_a_master_that_was_replaced_meanwhile_is_not_believed(watched: Sentinels) -> None:
    anyio.run(frozen_while_asked, watched, backend="trio")


@pytest.mark.chaos
@pytest.mark.anyio
@pytest.mark.parametrize("fault", [killed, frozen, frozen_while_asked])
async def test_so_it_is_on_every_loop(
    watched: Sentinels, fault: Callable[[Sentinels], Awaitable[None]]
) -> None:
    await fault(watched)

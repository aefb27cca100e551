"""A docket whose work is signed: everything that is put on it holds a signature, and nothing else is opened."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Agenda, Docket, Perpetual, Retry, StrikeList, Worker, clock
from docket.errors import Untrusted
from docket.execution import ExecutionState
from docket.rules import Disposition
from docket.store import written_of
from tests.trust.traps import KEY, OTHER, TRACES, counted, trap
from tests.where import asyncio_and_trio, few_pairs

pytestmark = [pytest.mark.anyio, few_pairs, asyncio_and_trio]

done: list[Any] = []


async def doubled(number: int) -> int:
    done.append(number)
    return 2 * number


async def failing(number: int) -> None:
    done.append(number)
    raise ValueError(number)


async def retried(number: int, retry: Retry = Retry(attempts=2)) -> None:
    done.append(number)
    raise ValueError(number)


async def repeated(number: int, perpetual: Perpetual = Perpetual()) -> None:
    done.append(number)
    if number in (101, 102):
        perpetual.perpetuate(number + 1)
    elif number == 103:
        perpetual.cancel()


TASKS = doubled, failing, retried, repeated


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()
    TRACES.clear()


def opened(url: str, *keys: str, name: str = "trust", **settings: Any) -> Docket:
    docket = Docket(name, url, signing_keys=keys or None, **settings)
    for task in TASKS:
        docket.register(task)
    return docket


async def drained(docket: Docket) -> None:
    with anyio.fail_after(20):
        async with Worker(docket, minimum_check_interval=timedelta(milliseconds=5)) as worker:
            await worker.run_until_finished()


async def test_all_ways_of_adding_sign(url: str) -> None:
    agenda = Agenda()
    agenda.add(doubled)(7)
    async with opened(url, KEY) as docket:
        first = await docket.add(doubled)(1)
        await docket.add(doubled, clock.now() + timedelta(hours=1), key="later")(2)
        await docket.replace(doubled, clock.now(), key="later")(3)
        await docket.run_once(doubled)(4)
        await docket.add_many([docket.call(doubled)(5), docket.call(doubled)(6)])
        await agenda.scatter(docket, over=timedelta(milliseconds=1))
        await docket.add(doubled, clock.now() + timedelta(hours=1), key="now")(8)
        assert await docket.run_now("now")
        await docket.add(repeated)(101)
        await docket.add(retried)(9)
        await docket.add("trace")("hello")
        with counted() as counts:
            await drained(docket)
            assert await first.get_result() == 2
        assert counts.refused == counts.accepted == 0
        assert set(done) == {1, 3, 4, 5, 6, 7, 8, 9, 101, 102, 103}
        assert (await docket.counts()).dead == 0


async def test_children_of_a_group_are_signed_and_so_are_their_results(url: str) -> None:
    async def parent() -> list[int]:
        async with docket.task_group() as group:
            children = [await group.add(doubled)(number) for number in range(3)]
            children += await group.add_many([group.call(doubled)(3)])
        return [await child.get_result() for child in children]

    async with opened(url, KEY) as docket:
        docket.register(parent)
        execution = await docket.add(parent)()
        with counted() as counts:
            await drained(docket)
            assert await execution.get_result() == [0, 2, 4, 6]
        assert counts.refused == 0


async def test_what_nobody_has_signed_is_set_aside_and_harms_nothing(url: str) -> None:
    async with opened(url, KEY) as docket, opened(url) as plain:
        good, bad = await docket.add(doubled)(1), await plain.add(doubled, key="bad")(2)
        with counted() as counts:
            await drained(docket)
        assert counts.refused == 1
        assert done == [1]
        assert await good.get_result() == 2
        await bad.sync()
        assert bad.state is ExecutionState.FAILED
        [letter], total = await docket.dead_letters()
        assert total == 1
        assert "is not signed" in letter.reason
        shown = await docket.get_execution("bad")
        assert shown is not None
        assert "is not signed" in repr(shown.args)


async def test_accept_lets_pass_what_is_not_signed_and_nothing_that_is_signed_wrongly(url: str) -> None:
    async with (
        opened(url, KEY, signatures="accept") as docket,
        opened(url) as plain,
        opened(url, OTHER) as other,
    ):
        unsigned, wrong = await plain.add(doubled)(1), await other.add(doubled)(2)
        with counted() as counts:
            await drained(docket)
        assert (done, counts.accepted, counts.refused) == ([1], 1, 1)
        assert await unsigned.get_result() == 2  # a plain docket reads what is signed
        await wrong.sync()
        assert wrong.state is ExecutionState.FAILED


async def test_keys_change_without_a_gap(url: str) -> None:
    async with opened(url, KEY) as old, opened(url, OTHER, KEY) as both, opened(url, OTHER) as new:
        one, two = await old.add(doubled)(1), await both.add(doubled)(2)
        await drained(both)
        assert await two.get_result() == 4
        results = [await (await each.get_execution(one.key) or one).get_result() for each in (both, new)]
        assert results == [2, 2]
        with pytest.raises(Untrusted, match="is signed by the key"):
            await one.get_result()


async def test_a_chain_is_signed_anew_by_each_worker(url: str) -> None:
    async with opened(url, KEY) as old, opened(url, OTHER, KEY) as both:
        await old.add(repeated, key="chain")(3)
        async with Worker(both) as worker:
            await worker.run_at_most({"chain": 2})
        await old.add(retried, key="retried")(5)
        async with Worker(both) as worker:
            await worker.run_until_finished()
        failure = await both.failure("retried")
        assert failure is not None
        assert failure.args is not None
        signatures = both.payloads.signatures
        assert signatures is not None
        assert written_of(failure.args).signed_by == signatures.newest


async def test_a_failure_is_retried_as_it_was_signed_by_a_docket_without_keys(url: str) -> None:
    async with opened(url, KEY) as docket, opened(url) as plain:
        await docket.add(failing, key="f")(1)
        await drained(docket)
        await plain.retry("f")
        with counted() as counts:
            await drained(docket)
        assert (done, counts.refused) == ([1, 1], 0)


async def test_a_failure_older_than_signatures_may_be_is_signed_anew_by_who_has_a_key(url: str) -> None:
    age = timedelta(seconds=1)
    async with opened(url, KEY, signature_max_age=age) as docket, opened(url) as plain:
        for key in "one", "two":
            await docket.add(failing, key=key)(1)
        await drained(docket)
        await anyio.sleep(2.1)
        await plain.retry("one")  # it works on the bytes, and has no key
        await drained(docket)
        assert done == [1, 1]
        failure = await docket.failure("one")
        assert failure is not None
        assert "a retry by a docket with signing_keys signs it anew" in failure.error
        assert (await docket.retry("one")).disposition is Disposition.SCHEDULED
        assert (await docket.retry_all()).done == 1
        await drained(docket)
        assert done == [1] * 4


async def test_a_retry_signs_nothing_that_does_not_hold(url: str) -> None:
    async with opened(url, KEY) as docket, opened(url, OTHER) as other, opened(url) as plain:
        for each in docket, other, plain:
            await each.add(failing, key="k")(1)
            await drained(each)
            if each is docket:
                assert (await docket.retry("k")).disposition is Disposition.SCHEDULED
                await docket.cancel("k")
                continue
            with counted() as counts, pytest.raises(Untrusted):
                await docket.retry("k")
            assert (await docket.retry_all()).skipped == {"not trusted": 1}
            assert counts.refused == 1
            assert await docket.discard("k")


async def test_a_retry_vouches_for_nothing_that_is_accepted_unsigned(url: str) -> None:
    async with opened(url, KEY, signatures="accept") as docket, opened(url) as plain:
        await plain.add(failing, key="k")(1)
        await drained(plain)
        retried = await docket.retry("k")
        assert retried.disposition is Disposition.SCHEDULED
        assert written_of(retried.as_message()[b"args"]).signed_by is None


async def test_a_docket_without_keys_lists_counts_cancels_pauses_and_discards(url: str) -> None:
    later = clock.now() + timedelta(hours=1)
    async with opened(url, KEY) as docket, opened(url) as plain:
        await docket.add(failing, key="f")(1)
        await drained(docket)
        for key in "a", "b":
            await docket.add(doubled, later, key=key)(1)
        assert (await plain.counts()).later == 2
        assert {each.key for each in (await plain.snapshot()).future} == {"a", "b"}
        assert await plain.cancel("a")
        assert await plain.pause("doubled")
        assert await plain.discard("f")
        await plain.clear()
        assert (await docket.counts()).later == 0


async def test_strikes_are_signed(url: str) -> None:
    async with opened(url, KEY) as docket, opened(url) as plain:
        await plain.strike(doubled, "number", "==", 1)
        async with docket.redis() as redis:
            forged = {"direction": "strike", "function": "doubled", "parameter": "number", "operator": "=="}
            await redis.xadd(docket.keys.strikes, {**forged, "value": trap("strike")})
        await docket.strike(doubled, "number", "==", 2)
        one, two = await docket.add(doubled)(1), await docket.add(doubled)(2)
        assert (one.disposition.value, two.disposition.value) == ("scheduled", "struck")
        assert [each.value for each in await docket.strikes()] == [2]
        assert TRACES == []
        await plain.restore(doubled, "number", "==", 2)  # nobody who knows the keys cares
        assert [each.value for each in await docket.strikes()] == [2]
        await docket.restore(doubled, "number", "==", 2)
        assert await docket.strikes() == []


async def test_a_list_of_strikes_signs(url: str) -> None:
    async with opened(url, KEY) as docket, StrikeList(url, "trust", signing_keys=[KEY]) as strikes:
        await strikes.strike("doubled")
        assert len(await docket.strikes()) == 1


async def test_a_result_that_nobody_has_signed_is_not_opened(url: str) -> None:
    async with opened(url, KEY) as docket, opened(url) as plain:
        one = await docket.add(doubled, key="one")(1)
        await drained(plain)  # a worker that does not sign
        with pytest.raises(Untrusted, match="its worker has no signing_keys"):
            await one.get_result()
        two = await docket.add(failing, key="two")(1)
        await drained(plain)
        with pytest.raises(Untrusted, match="the exception of task 'failing'"):
            await two.get_result()


async def test_a_call_that_is_too_old_does_not_begin(url: str) -> None:
    async with opened(url, KEY, signature_max_age=timedelta(seconds=2)) as docket:
        old = await docket.add(doubled)(1)
        await anyio.sleep(2.6)
        fresh = await docket.add(doubled)(2)
        await docket.add(retried)(3)
        await drained(docket)
        assert sorted(done) == [2, 3, 3]
        await old.sync()
        assert old.error is not None
        assert "signature_max_age" in old.error
        assert await fresh.get_result() == 4


async def test_the_run_of_another_message_is_left_alone(url: str) -> None:
    """A forged delivery does not fail the run whose key it bears."""
    later = clock.now() + timedelta(seconds=0.3)
    async with opened(url, KEY) as docket:
        real = await docket.add(doubled, later, key="real")(1)
        async with docket.redis() as redis:
            forged = {
                "key": "real", "when": later.isoformat(), "function": "doubled", "args": trap("args"),
                "kwargs": trap("kwargs"), "attempt": 1, "generation": 1,
            }  # fmt: skip
            await redis.xadd(docket.stream_key, forged)
        await drained(docket)
        assert await real.get_result() == 2
        assert TRACES == []
        assert (await docket.counts()).dead == 1

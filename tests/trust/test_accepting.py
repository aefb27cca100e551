"""What a serializer wrote that is not accepted is as little opened as what nobody has signed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, Perpetual, Retry, Worker, clock
from docket.errors import ExecutionFailed, Untrusted
from docket.execution import ExecutionState
from docket.serializers import Sealed
from docket.store import key_id_of, written_of
from tests.trust.traps import TRACES, counted, trap
from tests.where import asyncio_and_trio, few_pairs

pytestmark = [pytest.mark.anyio, few_pairs, asyncio_and_trio]

OLD, NEW = b"o" * 32, b"n" * 32

done: list[Any] = []


async def doubled(number: int) -> int:
    done.append(number)
    return 2 * number


async def repeated(number: int, perpetual: Perpetual = Perpetual()) -> None:
    done.append(number)
    raise ValueError(number)


async def retried(number: int, retry: Retry = Retry(attempts=2)) -> None:
    done.append(number)
    raise ValueError(number)


@pytest.fixture(autouse=True)
def nothing_done() -> None:
    done.clear()
    TRACES.clear()


def opened(url: str, **settings: Any) -> Docket:
    docket = Docket("accepting", url, **settings)
    for task in doubled, repeated, retried:
        docket.register(task)
    return docket


async def drained(docket: Docket) -> None:
    with anyio.fail_after(20):
        async with Worker(docket, minimum_check_interval=timedelta(milliseconds=5)) as worker:
            await worker.run_until_finished()


async def test_a_call_by_another_serializer_is_set_aside_with_the_reason(url: str) -> None:
    async with opened(url, serializer="json", accept={"json"}) as docket, opened(url) as before:
        bad, good = await before.add(doubled, key="bad")(1), await docket.add(doubled)(2)
        with counted() as counts:
            await drained(docket)
            [letter], total = await docket.dead_letters()
            said = "'bad' was written by the serializer 'pickle', and this docket accepts: json"
            assert (done, total, counts.refused) == ([2], 1, 1)
            assert said in letter.reason
        with pytest.raises(
            ExecutionFailed, match=r"DeliveryUnreadable: the call of task 'doubled' under .*json"
        ):
            await bad.get_result()
        assert await good.get_result() == 4
        [failure] = await docket.failures()
        assert said in failure.error
        await docket.retry("bad")
        await drained(before)  # who accepts it may run it yet
        assert done == [2, 1]


async def test_so_is_one_by_a_serializer_that_nobody_knows_and_one_with_half_a_tag(url: str) -> None:
    async with opened(url) as docket:
        for key, tag in ("none", b"\n#docket magic\n"), ("half", b"\n#docket \n"), ("other", b"\n#dock\n"):
            execution = await docket.add(doubled, key=key)(1)
            args = trap("args") + tag
            async with docket.redis() as redis:
                await redis.delete(docket.stream_key)
                await redis.xgroup_create(docket.stream_key, docket.worker_group_name, "0", mkstream=True)
                fields: Any = {**execution.as_message(), b"args": args, b"generation": b"1"}
                await redis.xadd(docket.stream_key, fields)
                await redis.hset(docket.runs_key(key), mapping={"args": args})
            with counted() as counts:
                await drained(docket)
            await execution.sync()
            assert (counts.refused, execution.state) == (1, ExecutionState.FAILED)
        assert (TRACES, (await docket.counts()).dead) == ([], 3)


async def test_a_forged_one_leaves_the_run_of_its_key_alone(url: str) -> None:
    async with opened(url, serializer="json", accept={"json"}) as docket:
        real = await docket.add(doubled, clock.now() + timedelta(seconds=0.3), key="real")(1)
        async with docket.redis() as redis:
            forged: Any = {**real.as_message(), b"args": trap("args"), b"generation": b"1"}
            await redis.xadd(docket.stream_key, forged)
        await drained(docket)
        assert (TRACES, await real.get_result(), (await docket.counts()).dead) == ([], 2, 1)


async def test_who_asks_for_a_result_that_it_may_not_open_is_told_and_it_counts(url: str) -> None:
    async with opened(url, serializer="json", accept={"json"}) as docket, opened(url) as before:
        execution = await docket.add(doubled, key="k")(1)
        await docket.add(doubled, key="l")(1)
        await drained(docket)
        with counted() as counts:
            execution = await before.get_execution("k")
            assert execution is not None
            with pytest.raises(Untrusted, match=r"the result .* by the serializer 'json'.* accepts: pickle"):
                await execution.get_result()
            assert "serializer 'json'" in repr(execution.args)
        assert counts.refused == 2


async def test_a_strike_by_another_serializer_is_skipped_and_counted(url: str) -> None:
    async with opened(url, serializer="json", accept={"json"}) as docket, opened(url) as before:
        await before.strike(doubled, "number", "==", 1)
        with counted() as counts:
            assert await docket.strikes() == []
        assert counts.refused == 1


@pytest.mark.parametrize("inner", ["json", "pickle"])
async def test_what_is_sealed_by_an_unknown_key_or_for_another_task_is_set_aside(
    url: str, inner: str
) -> None:
    accept = {f"sealed:{inner}"}
    async with (
        opened(url, serializer=Sealed(inner, keys=[NEW]), accept=accept) as docket,
        opened(url, serializer=Sealed(inner, keys=[OLD]), accept=accept) as other,
    ):
        await other.add(doubled, key="key")(1)
        moved = (await docket.add(doubled, key="real")(2)).as_message()
        async with docket.redis() as redis:
            fields: Any = {**moved, b"key": b"moved", b"generation": b"1"}
            await redis.hset(docket.runs_key("moved"), mapping={**fields, b"state": b"queued"})
            await redis.xadd(docket.stream_key, fields)
        with counted() as counts:
            await drained(docket)
        letters, _ = await docket.dead_letters()
        assert (done, counts.refused) == ([2], 2)
        reasons = {letter.key: letter.reason for letter in letters}
        assert "under the key 'moved' cannot be trusted: what is sealed was changed" in reasons["moved"]
        assert "it is sealed with the key" in reasons["key"]


async def test_a_serializer_of_ones_own_may_distrust(url: str) -> None:
    class Doubting:
        name = "doubting"

        def dumps(self, value: Any) -> bytes:
            return repr(value).encode()

        def loads(self, payload: bytes) -> Any:
            raise Untrusted("no stamp")

    async with opened(url, serializer=Doubting()) as docket:
        await docket.add(doubled, key="k")(1)
        with counted() as counts:
            await drained(docket)
        [letter], _ = await docket.dead_letters()
        assert (counts.refused, done) == (1, [])
        assert "under the key 'k' cannot be trusted: no stamp" in letter.reason


@pytest.mark.parametrize("task", [retried, repeated])
async def test_chains_and_retries_change_over_to_what_a_docket_writes(url: str, task: Any) -> None:
    """Else one that repeats itself would be a pickle, or sealed with an old key, for ever."""

    async def written_by(docket: Docket) -> bytes:
        async with Worker(docket) as worker:
            with anyio.fail_after(20):
                await worker.run_at_most({"k": 2})
        failure = await docket.failure("k")
        assert failure is not None
        assert failure.args is not None
        return failure.args

    by_old, by_new = Sealed("json", keys=[OLD]), Sealed("json", keys=[NEW, OLD])
    async with (
        opened(url) as plain,
        opened(url, serializer=by_old) as old,
        opened(url, serializer=by_new) as new,
    ):
        await plain.add(task, key="k")(1)
        args = await written_by(old)
        assert (written_of(args).serializer, key_id_of(args)) == ("sealed:json", by_old.key_id)
        await old.retry("k")
        assert key_id_of(await written_by(new)) == by_new.key_id
    assert done == [1] * 4


async def test_what_cannot_be_written_otherwise_stays_as_it_is(url: str) -> None:
    async with opened(url) as before, opened(url, serializer="json") as docket:
        await before.add(retried, key="k")({1})  # type: ignore[arg-type]
        await drained(docket)
        assert done == [{1}, {1}]
        failure = await docket.failure("k")
        assert failure is not None
        assert failure.args is not None
        assert written_of(failure.args).serializer == "pickle"

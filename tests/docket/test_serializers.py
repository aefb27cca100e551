"""A docket without pickles: JSON, sealed, or one's own; what it refuses, and what it says then."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import pytest

from docket import Agenda, Docket, Execution, Logged, Perpetual, Retry, StrikeList, Worker, remote_task
from docket.docket import Disposition
from docket.errors import DeliveryUnreadable, ExecutionFailed, ResultUnreadable
from docket.serializers import Json, Sealed
from tests.docket.conftest import LATER, later, work
from tests.where import few_pairs

pytestmark = [pytest.mark.anyio, few_pairs]

KEY, OTHER = b"k" * 32, b"o" * 32


@dataclass
class Row:
    price: Decimal


@dataclass
class Total:
    sum: Decimal


class OutOfStock(Exception):
    pass


async def total(rows: list[Row], *, at: datetime | None = None) -> Total:
    return Total(sum((row.price for row in rows), Decimal(0)))


async def sold_out(what: str) -> None:
    raise OutOfStock(f"no {what}") from KeyError(what)


async def count(number: int) -> int:
    return number + 1


async def wrong_result() -> int:
    return "text"  # type: ignore[return-value]


ROWS = [Row(Decimal("1.10")), Row(Decimal("2"))]


@pytest.fixture
async def docket(url: str) -> AsyncIterator[Docket]:
    async with Docket("d", url, serializer="json", accept={"json"}) as docket:
        for task in total, sold_out, count, wrong_result:
            docket.register(task)
        yield docket


async def everything_in(docket: Docket) -> bytes:
    """All bytes that the docket has on its server."""
    found: list[Any] = []
    async with docket.redis() as redis:
        for key in [key async for key in redis.scan_iter(f"{docket.prefix}*")]:
            kind = (await redis.type(key)).decode()
            match kind:
                case "hash":
                    found.append(await redis.hgetall(key))
                case "stream":
                    found.append(await redis.xrange(key))
                case "string":
                    found.append(await redis.get(key))
                case _:
                    found.append(await redis.zrange(key, 0, -1))
    return repr(found).encode()


async def test_arguments_and_results_travel_as_json_and_arrive_as_their_annotations_say(
    docket: Docket,
) -> None:
    execution = await docket.add(total)(ROWS, at=datetime.now(UTC))
    seen = await everything_in(docket)
    assert b'[[{"price":"1.10"},{"price":"2"}]]' in seen
    assert b"\\x80" not in seen  # no pickle
    await work(docket)
    assert await execution.get_result() == Total(Decimal("3.10"))
    assert b"\\x80" not in await everything_in(docket)


async def test_what_does_not_fit_is_refused_where_it_is_added_with_the_path_to_it(docket: Docket) -> None:
    wrong: Any = [*ROWS, Row([])]  # type: ignore[arg-type]
    said = r"the arguments of task 'total' cannot be written as json: rows\[2\].price: expected Decimal, got list"
    agenda = Agenda()
    agenda.add(total)(wrong)
    for attempt in (
        lambda: docket.add(total)(wrong),
        lambda: docket.replace(total, later(), "key")(wrong),
        lambda: docket.add_many([docket.call(total)(ROWS), docket.call(total)(wrong)]),
        lambda: agenda.scatter(docket, over=timedelta(seconds=1)),
        lambda: in_a_group(docket, wrong),
    ):
        with pytest.raises(TypeError, match=said):
            await attempt()
    assert not (await docket.snapshot()).total_tasks


async def in_a_group(docket: Docket, wrong: Any) -> None:
    try:
        async with docket.task_group() as group:
            await group.add(total)(wrong)
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


async def test_the_next_run_of_a_chain_is_directed_too(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    async def chain(number: int, perpetual: Perpetual = Perpetual()) -> None:
        perpetual.perpetuate(number + 1 if number < 3 else "three")

    await docket.add(chain, key="c")(2)
    await Worker(docket).run_at_most({"c": 3})
    said = "the next arguments of task 'chain' cannot be written as json: number: expected int, got str"
    assert said in caplog.text


async def test_a_result_that_is_not_what_the_task_says_fails_it(docket: Docket) -> None:
    execution = await docket.add(wrong_result)()
    await work(docket)
    with pytest.raises(
        TypeError, match="result of task 'wrong_result' cannot be written as json: expected int"
    ):
        await execution.get_result()


async def test_an_attempt_that_is_tried_again_has_the_same_arguments(docket: Docket) -> None:
    seen = list[Decimal]()

    async def tried(price: Decimal, retry: Retry = Retry(attempts=2)) -> Decimal:
        seen.append(price)
        if len(seen) == 1:
            raise ValueError("once more")
        return price

    execution = await docket.add(tried)(Decimal("1.5"))
    await work(docket)
    assert (seen, await execution.get_result()) == ([Decimal("1.5")] * 2, Decimal("1.5"))


async def test_a_client_with_the_name_alone_sends_plain_json_and_gets_it(docket: Docket) -> None:
    async with Docket("d", docket.url, serializer="json") as elsewhere:
        execution = await elsewhere.add(remote_task("total"))([{"price": "1.5"}])
        await work(docket)
        assert await execution.get_result() == {"sum": "1.5"}


async def test_what_a_worker_cannot_structure_fails_that_task_and_no_other(docket: Docket) -> None:
    async with Docket("d", docket.url, serializer="json") as elsewhere:
        bad = await elsewhere.add(remote_task("total"))([{"price": "1.5"}, {"price": []}])
    good = await docket.add(count)(1)
    await work(docket)
    assert await good.get_result() == 2
    said = (
        r"arguments of task 'total' cannot be read as json: Misfit: rows\[1\].price: expected Decimal as text"
    )
    there = await docket.get_execution(bad.key)
    assert there is not None
    with pytest.raises(DeliveryUnreadable, match=said):
        await there.get_result()


async def test_an_exception_is_of_its_type_where_that_is_known(docket: Docket) -> None:
    execution = await docket.add(sold_out)("tea")
    await work(docket)
    with pytest.raises(
        ExecutionFailed, match=r"^tests\.docket\.test_serializers\.OutOfStock: no tea"
    ) as failed:
        await execution.get_result()
    assert "in sold_out" in failed.value.__notes__[0]
    docket.register_exception(OutOfStock)
    with pytest.raises(OutOfStock, match=r"^no tea") as raised:
        await execution.get_result()
    assert repr(raised.value.__cause__) == "KeyError('tea')"
    with pytest.raises(TypeError, match="register_exception takes exception types, not 3"):
        docket.register_exception(3)  # type: ignore[arg-type]


async def test_a_group_raises_what_children_have_failed_with(docket: Docket) -> None:
    docket.register_exception(OutOfStock)

    async def parent() -> None:
        async with docket.task_group() as group:
            await group.add(sold_out)("tea")

    execution = await docket.add(parent)()
    await work(docket)
    with pytest.raises(ExceptionGroup) as several:
        await execution.get_result()
    assert repr(several.value.exceptions) == "(OutOfStock('no tea'),)"


async def test_pickles_are_read_while_they_are_accepted_and_refused_afterwards(docket: Docket) -> None:
    async with Docket("d", docket.url) as before, Docket("d", docket.url, serializer="json") as between:
        for each in before, between:
            each.register(count)
        old = await before.add(count)(1)
        await work(between)
        with pytest.raises(
            ResultUnreadable, match="written by the serializer 'json', and this docket accepts: pickle"
        ):
            await old.get_result()
        refused = await before.add(count)(1)
        await work(docket)
        said = "was written by the serializer 'pickle', and this docket accepts: json"
        with pytest.raises(ExecutionFailed, match=said):
            await refused.get_result()


async def test_a_serializer_that_nobody_knows_fails_the_task_that_names_it(docket: Docket) -> None:
    class Own:
        name = "own"

        def dumps(self, value: Any) -> bytes:
            return json.dumps(value).encode()

        def loads(self, payload: bytes) -> Any:
            return json.loads(payload)

    own = Own()
    async with Docket("d", docket.url, serializer=own) as other:
        other.register(count)
        refused = await other.add(count)(1)
        await work(docket)
        said = "was written by the serializer 'own', and this docket accepts: json"
        assert said in str((await docket.get_execution(refused.key)).error)  # type: ignore[union-attr]
        fine = await other.add(count)(1)
        await work(other)
        assert await fine.get_result() == 2


async def test_a_task_without_a_structure_is_refused_as_it_is_registered(docket: Docket) -> None:
    async def takes(callback: Callable[[], int]) -> None: ...

    for register in (lambda: docket.register(takes), lambda: docket.add(takes)):
        with pytest.raises(TypeError, match="task 'takes' cannot be used with the serializer json: callback"):
            register()
    assert "takes" not in docket.tasks


async def test_strikes_are_plain_values(docket: Docket) -> None:
    await docket.strike(count, "number", "between", (5, 7))
    assert (await docket.add(count)(6)).disposition is Disposition.STRUCK
    assert (await docket.add(count)(8)).disposition is Disposition.SCHEDULED
    assert b"\\x80" not in await everything_in(docket)
    with pytest.raises(
        TypeError, match=r"the value of a strike cannot be written as json: .*JSON cannot hold Dec"
    ):
        await docket.strike(count, "number", "==", Decimal(1))
    async with Docket("d", docket.url, serializer="json") as other:
        other.strike_list.trust_nobody()
        assert [str(strike.value) for strike in await other.strikes()] == ["(5, 7)"]


async def test_what_is_read_for_people_needs_no_function(docket: Docket) -> None:
    async def shown(number: Annotated[int, Logged()], word: str) -> None: ...

    docket.register(shown)
    await docket.add(shown, later(), "k")(3, "secret")
    execution = await docket.get_execution("k")
    assert execution is not None
    assert execution.call_repr() == "shown(3, ...){k}"
    assert execution.args == (3, "secret")


async def test_a_failure_is_retried_by_its_bytes(docket: Docket) -> None:
    execution = await docket.add(sold_out, key="k")("tea")
    await work(docket)
    again = await docket.retry("k")
    assert again.args == ("tea",)
    await work(docket)
    with pytest.raises(ExecutionFailed, match="no tea"):
        await execution.get_result()


@pytest.fixture
async def sealed(url: str) -> AsyncIterator[Docket]:
    async with Docket("d", url, serializer=Sealed(Json(), keys=[KEY]), accept={"sealed:json"}) as docket:
        for task in total, sold_out, count:
            docket.register(task)
        yield docket


async def test_a_sealed_docket_shows_names_and_keys_and_no_arguments_results_or_errors(
    sealed: Docket,
) -> None:
    async def fails(word: str, retry: Retry = Retry(attempts=2)) -> None:
        raise ValueError(f"hunter2 {word}")

    failed = await sealed.add(fails, key="failing")("hunter2")
    fine = await sealed.add(total, key="fine")([Row(Decimal("12345678"))])
    await sealed.strike(count, "number", "==", 87654321)
    await work(sealed)
    assert await fine.get_result() == Total(Decimal("12345678"))
    with pytest.raises(ValueError, match="hunter2 hunter2") as raised:
        await failed.get_result()
    assert "in fails" in raised.value.__notes__[0]
    seen = await everything_in(sealed)
    assert b"failing" in seen
    assert b"ValueError" in seen
    for hidden in (b"hunter2", b"12345678", b"87654321", b"Traceback"):
        assert hidden not in seen


async def test_without_the_key_a_result_and_arguments_stay_closed(sealed: Docket) -> None:
    done = await sealed.add(count)(1)
    await work(sealed)
    await sealed.add(count, later(), key="k")(1)
    async with Docket("d", sealed.url, serializer=Sealed("json", keys=[OTHER])) as stranger:
        stranger.register(count)
        seen: Execution[Any] | None = await stranger.get_execution("k")
        assert seen is not None
        assert "sealed with the key" in repr(seen.args)
        there = await stranger.get_execution(done.key)
        assert there is not None
        with pytest.raises(ResultUnreadable, match="which is not here"):
            await there.get_result()
        assert await stranger.cancel("k")


async def test_a_sealed_message_under_another_key_fails_there(sealed: Docket) -> None:
    await sealed.add(count, datetime.now(UTC) + LATER, "theirs")(1)
    async with sealed.redis() as redis:
        stolen = await redis.hget(sealed.parked_task_key("theirs"), "args")
        kwargs = await redis.hget(sealed.parked_task_key("theirs"), "kwargs")
        await redis.xadd(
            sealed.stream_key,
            {"key": "mine", "when": "2026-01-01T00:00:00+00:00", "function": "count", "args": stolen,
             "kwargs": kwargs, "attempt": 1, "generation": 1},
        )  # fmt: skip
    await sealed.cancel("theirs")
    await work(sealed)
    mine = await sealed.get_execution("mine")
    assert mine is None or "belongs to another docket, task or key" in str(mine.error)


@pytest.mark.pairs(("asyncio", "redis"))
async def test_a_list_of_strikes_reads_what_the_variables_say(
    docket: Docket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKET_SERIALIZER", "json")
    await docket.strike(count, "number", "==", 5)
    async with StrikeList(docket.url, docket.name) as strikes:
        await strikes.wait_for_strikes_loaded()
        assert [strike.value for strike in strikes.strikes()] == [5]

"""Fair shares: tasks begin in turns over the values of an argument."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import anyio
import pytest

from docket import (
    ConcurrencyLimit,
    Depends,
    Docket,
    Execution,
    FairShare,
    Perpetual,
    RateLimit,
    Retry,
    Worker,
    remote_task,
)
from docket.errors import UsageError
from docket.execution import ExecutionState
from tests.durations import ms
from tests.worker.conftest import at_most, working

pytestmark = pytest.mark.anyio

Began = list[tuple[str, int]]


async def run_all(docket: Docket, **settings: Any) -> None:
    async with at_most():
        await Worker(docket, "worker", **{"concurrency": 1, **settings}).run_until_finished()


def turns_of(began: Began, tenant: str) -> list[int]:
    return [number for each, number in began if each == tenant]


async def add(docket: Docket, task: Any, tenants: str, count: int) -> None:
    """So many tasks of each tenant, one tenant after the other."""
    await docket.add_many([docket.call(task)(tenant, n) for tenant in tenants for n in range(count)])


async def test_who_has_few_waits_for_one_turn_of_the_others(docket: Docket) -> None:
    began: Began = []

    async def job(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> None:
        began.append((tenant, n))

    await add(docket, job, "a", 50)
    await add(docket, job, "bc", 3)
    await run_all(docket)
    assert max(at for at, (tenant, _) in enumerate(began) if tenant != "a") <= 1 + 3 * 3
    for tenant, count in (("a", 50), ("b", 3), ("c", 3)):
        assert turns_of(began, tenant) == [*range(count)]


async def test_it_may_stand_in_the_annotation_of_the_argument(docket: Docket) -> None:
    began: Began = []

    async def job(tenant: Annotated[str, FairShare(weights={"b": 4})], n: int) -> None:
        began.append((tenant, n))

    await add(docket, job, "ab", 20)
    await run_all(docket)
    assert len(turns_of(began[:11], "b")) >= 7
    assert turns_of(began, "a") == turns_of(began, "b") == [*range(20)]


async def test_weights_may_be_a_function_of_the_value(docket: Docket) -> None:
    began: Began = []

    async def job(
        tenant: str, n: int, share: FairShare = FairShare("tenant", weights=lambda t: len(t))
    ) -> None:
        began.append((tenant, n))

    await docket.add_many([docket.call(job)(tenant, n) for tenant in ("x", "four") for n in range(20)])
    await run_all(docket)
    assert len(turns_of(began[:11], "four")) >= 7


async def test_tasks_that_name_an_argument_alike_take_turns_together(docket: Docket) -> None:
    began: Began = []

    async def job(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> None:
        began.append((tenant, n))

    async def other(tenant: Annotated[str, FairShare()], n: int) -> None:
        began.append((tenant, n))

    await add(docket, job, "a", 10)
    await add(docket, other, "a", 10)
    await add(docket, other, "b", 2)
    await run_all(docket)
    assert max(at for at, (tenant, _) in enumerate(began) if tenant == "b") <= 5


async def test_what_was_added_by_name_takes_turns_too(docket: Docket) -> None:
    """Whoever adds it does not know the function, so the worker puts it in its row."""
    began: Began = []

    async def job(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> None:
        began.append((tenant, n))

    async with Docket(docket.name, docket.url) as elsewhere:
        await add(elsewhere, remote_task("job"), "a", 30)
        await add(elsewhere, remote_task("job"), "b", 2)
    docket.register(job)
    await run_all(docket, concurrency=1)
    for tenant, count in (("a", 30), ("b", 2)):
        assert turns_of(began, tenant) == [*range(count)]
    assert max(at for at, (tenant, _) in enumerate(began) if tenant == "b") < 15


# with other rules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2])
async def test_a_limit_of_each_value_holds_beside_its_turns(docket: Docket, most: int) -> None:
    began: Began = []
    running: dict[str, int] = {}
    seen: set[tuple[str, int]] = set()

    async def job(
        tenant: str,
        n: int,
        share: FairShare = FairShare("tenant"),
        limit: ConcurrencyLimit = ConcurrencyLimit("tenant", most),
    ) -> None:
        began.append((tenant, n))
        running[tenant] = running.get(tenant, 0) + 1
        seen.add((tenant, running[tenant]))
        await anyio.sleep(0.001)
        running[tenant] -= 1

    await add(docket, job, "a", 40)
    await add(docket, job, "bc", 5)
    await run_all(docket, concurrency=6)
    assert max(count for _, count in seen) == most
    for tenant, count in (("a", 40), ("b", 5), ("c", 5)):
        assert sorted(turns_of(began, tenant)) == [*range(count)]
        assert most > 1 or turns_of(began, tenant) == [*range(count)]


async def test_under_a_rate_each_begins_once(docket: Docket) -> None:
    began: Began = []

    async def job(tenant: Annotated[str, FairShare(), RateLimit(2, per=ms(40))], n: int) -> None:
        began.append((tenant, n))

    await add(docket, job, "a", 9)
    await add(docket, job, "b", 3)
    await run_all(docket, scheduling_resolution=ms(5))
    assert sorted(began) == [*(("a", n) for n in range(9)), *(("b", n) for n in range(3))]


async def test_retries_and_next_runs_take_turns(docket: Docket) -> None:
    began: Began = []

    async def job(
        tenant: str,
        n: int,
        share: FairShare = FairShare("tenant"),
        retry: Retry = Retry(attempts=3),
    ) -> None:
        began.append((tenant, n))
        if tenant == "a":
            raise ValueError("again")

    async def chain(
        tenant: str, n: int, share: FairShare = FairShare("tenant"), perpetual: Perpetual = Perpetual()
    ) -> None:
        began.append((tenant, n))
        if n == 4:
            perpetual.cancel()
        perpetual.perpetuate("xy"[n % 2], n + 1)

    await add(docket, job, "ab", 4)
    await docket.add(chain)("x", 0)
    await run_all(docket)
    assert sorted(turns_of(began, "a")) == sorted([*range(4)] * 3)
    assert turns_of(began, "b") == [*range(4)]
    assert sorted(n for tenant in "xy" for n in turns_of(began, tenant)) == [*range(5)]


async def test_children_of_a_group_take_turns(docket: Docket) -> None:
    began: Began = []

    async def job(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> int:
        began.append((tenant, n))
        return n

    async def parent(count: int) -> None:
        async with docket.task_group() as group:
            for tenant in "ab":
                for n in range(count):
                    await group.add(job)(tenant, n)

    execution = await docket.add(parent)(10)
    docket.register(job)
    await run_all(docket)
    await execution.get_result()
    assert turns_of(began, "a") == turns_of(began, "b") == [*range(10)]


async def test_a_share_of_a_dependency_counts(docket: Docket) -> None:
    began: Began = []

    async def session(share: FairShare = FairShare("tenant")) -> int:
        return 1

    async def job(tenant: str, n: int, session: int = Depends(session)) -> None:
        began.append((tenant, n))

    await add(docket, job, "a", 20)
    await add(docket, job, "b", 1)
    await run_all(docket)
    assert began.index(("b", 0)) <= 3


# what happens to those that wait -----------------------------------------------------------------------------------


@pytest.fixture
async def waiting(docket: Docket) -> list[Execution[Any]]:
    """Three tasks of one tenant, of which the last two wait for their turn, and one of another."""

    async def job(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> int:
        return n

    return [
        await docket.add(job, key=f"{tenant}{n}")(tenant, n)
        for tenant, n in (("a", 0), ("a", 1), ("a", 2), ("b", 3))
    ]


async def states(executions: list[Execution[Any]]) -> list[str]:
    for each in executions:
        await each.sync()
    return [each.state.value for each in executions]


async def test_they_are_cancelled_like_any_other(docket: Docket, waiting: list[Execution[Any]]) -> None:
    for key in ("a0", "a2", "b3"):
        await docket.cancel(key)
    await run_all(docket)
    assert await states(waiting) == ["cancelled", "completed", "cancelled", "cancelled"]


async def test_they_are_replaced_like_any_other(docket: Docket, waiting: list[Execution[Any]]) -> None:
    job = waiting[0].function
    replaced = [
        await docket.replace(job, datetime.now(UTC), key=key)(tenant, 9)
        for key, tenant in (("a0", "b"), ("a1", "c"), ("b3", "a"))
    ]
    await run_all(docket)
    assert [await each.get_result() for each in (*replaced, waiting[2])] == [9, 9, 9, 2]


async def test_a_clear_takes_them(docket: Docket, waiting: list[Execution[Any]]) -> None:
    assert await docket.clear() == 4
    assert await states(waiting) == ["cancelled"] * 4


async def test_they_wait_for_a_resume_and_then_for_their_turn(
    docket: Docket, waiting: list[Execution[Any]]
) -> None:
    await docket.pause("job")
    async with working(Worker(docket, "worker")):
        while len((await docket.snapshot()).future) < 4 or not all(
            each.is_paused for each in (await docket.snapshot()).future
        ):
            await anyio.sleep(0.005)
        await docket.resume("job")
        assert [await each.get_result() for each in waiting] == [0, 1, 2, 3]


async def test_what_expires_as_it_waits_is_cancelled(docket: Docket) -> None:
    async def job(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> int:
        return n

    first = await docket.add(job)("a", 1)
    late = await docket.add(job, expires=timedelta(milliseconds=1))("a", 2)
    await anyio.sleep(0.01)
    await run_all(docket)
    assert await states([first, late]) == ["completed", "cancelled"]


async def test_a_worker_that_hands_back_does_not_send_them_to_the_end(
    docket: Docket, waiting: list[Execution[Any]]
) -> None:
    began = anyio.Event()

    async def stuck(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> int:
        began.set()
        if n == 0:
            await anyio.sleep_forever()
        return n

    docket.tasks["job"] = stuck  # type: ignore[assignment]
    async with working(Worker(docket, "first", concurrency=1)):
        await began.wait()
    docket.tasks["job"] = waiting[0].function
    await run_all(docket)
    assert await states(waiting) == ["completed"] * 4


async def test_nothing_is_left_of_tenants_that_have_nothing(
    docket: Docket, waiting: list[Execution[Any]]
) -> None:
    await run_all(docket)
    left = [key.decode() for key in await docket.client.keys(f"{docket.keys.prefix}:*")]
    assert not [key for key in left if ":ops:row:" in key or ":ops:turns:" in key or key.endswith(":waiting")]


async def test_future_tasks_take_their_turn_when_they_are_due(docket: Docket) -> None:
    began: Began = []

    async def job(tenant: str, n: int, share: FairShare = FairShare("tenant")) -> None:
        began.append((tenant, n))

    soon = datetime.now(UTC) + ms(30)
    for n in range(10):
        await docket.add(job, when=soon)("a", n)
    await docket.add(job, when=soon + ms(1))("b", 0)
    await run_all(docket, scheduling_resolution=ms(5))
    assert sorted(began) == [*(("a", n) for n in range(10)), ("b", 0)]


# bad input -----------------------------------------------------------------------------------------------------------


def test_an_argument_that_the_task_does_not_have_is_refused_as_it_is_registered() -> None:
    async def job(customer: str, share: FairShare = FairShare("tenant")) -> None: ...

    async def nameless(customer: str, share: FairShare = FairShare()) -> None: ...

    async def twice(a: Annotated[str, FairShare()], b: Annotated[str, FairShare()]) -> None: ...

    async def supplied(a: Annotated[int, FairShare()] = Depends(lambda: 3)) -> None: ...

    docket = Docket("bad", "memory://")
    for task, said in (
        (job, r"FairShare argument 'tenant' not found in task arguments. Available: \['customer'\]"),
        (nameless, "FairShare stands for no argument: name it"),
        (twice, "Only one FairShare dependency is allowed"),
        (supplied, "which a dependency supplies"),
    ):
        with pytest.raises(ValueError, match=said):
            docket.register(task)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda: FairShare(3), TypeError, "takes the name of an argument, not 3"),  # type: ignore[arg-type]
        (lambda: FairShare("\ud800"), UsageError, "the argument of FairShare"),
        (lambda: FairShare("a", weights=3), TypeError, "weights takes a mapping"),  # type: ignore[arg-type]
        (
            lambda: FairShare("a", weights={"acme": 0}),
            UsageError,
            "from 0.001 to 1000, and that of 'acme' is 0",
        ),
        (lambda: FairShare("a", weights={"acme": -1}), UsageError, "that of 'acme' is -1"),
        (lambda: FairShare("a", weights={"acme": float("nan")}), UsageError, "is nan"),
        (lambda: FairShare("a", weights={"acme": "3"}), TypeError, "is a number, and that of 'acme' is '3'"),
        (lambda: FairShare("a", weights={"acme": True}), TypeError, "is True"),
    ],
)
def test_a_share_that_cannot_be_is_refused_where_it_is_made(
    make: Callable[[], FairShare], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        make()


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (lambda value: 0, "from 0.001 to 1000, and that of 'a' is 0"),
        (lambda value: "x", "is a number, and that of 'a' is 'x'"),
        (lambda value: 1 / 0, "could not say that of 'a': ZeroDivisionError"),
    ],
)
async def test_what_a_function_says_is_checked_as_the_task_is_added(
    docket: Docket, weights: Any, said: str
) -> None:
    async def job(tenant: str, share: FairShare = FairShare("tenant", weights=weights)) -> None: ...

    with pytest.raises((UsageError, TypeError), match=said):
        await docket.add(job)("a")
    assert (await docket.snapshot()).total_tasks == 0


async def test_what_a_worker_cannot_put_in_a_row_fails(docket: Docket) -> None:
    async def job(tenant: str, share: FairShare = FairShare("tenant", weights=lambda value: 0)) -> None: ...

    async with Docket(docket.name, docket.url) as elsewhere:
        execution = await elsewhere.add(remote_task("job"))("a")
        docket.register(job)
        await run_all(docket)
        await execution.sync()
    assert execution.state is ExecutionState.FAILED
    assert "a weight of FairShare" in (execution.error or "")


# what people see ------------------------------------------------------------------------------------------------------


async def test_people_see_for_whose_turn_a_task_waits(docket: Docket, waiting: list[Execution[Any]]) -> None:
    snapshot = {each.key: each.waits_for_turn for each in (await docket.snapshot()).future}
    assert snapshot == {"a0": None, "a1": "tenant:a", "a2": "tenant:a", "b3": "tenant:b"}
    found = await docket.get_execution("a2")
    assert found is not None
    assert (found.waits_for_turn, found.waits_alike, found.waits_for, found.is_paused) == (
        "tenant:a",
        2,
        None,
        False,
    )
    counts = await docket.counts()
    assert (counts.due, counts.turns, counts.limited, counts.later) == (4, 3, 0, 0)
    depths = await docket.store.records.depths()
    assert (depths.due, depths.later, depths.waiting) == (4, 0, {})


async def test_those_that_wait_are_listed_among_the_due(
    docket: Docket, waiting: list[Execution[Any]]
) -> None:
    keys, after = list[str](), ""
    while True:
        page = await docket.executions("due", limit=1, after=after)
        keys += [each.key for each in page.executions]
        if page.after is None:
            break
        after = page.after
    assert keys == ["a0", "a1", "a2", "b3"]
    assert [each.key for each in (await docket.executions("limited")).executions] == []

"""A worker can have dependencies of its own, which are resolved for every task that it runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Depends, Docket, Retry, TaskKey, Timeout, Worker
from docket.dependencies import Dependency
from docket.errors import BadSetting
from tests.worker.conftest import PATIENCE

pytestmark = pytest.mark.anyio

MINE = [Retry(attempts=2)]


async def run(docket: Docket, dependencies: Any) -> None:
    with anyio.fail_after(PATIENCE):
        await Worker(docket, "worker", dependencies=dependencies).run_until_finished()


async def test_every_task_runs_inside_of_them(docket: Docket) -> None:
    log: list[str] = []

    @contextmanager
    def audited(key: str = TaskKey()) -> Generator[None]:
        log.append(f"begin {key}")
        yield
        log.append(f"end {key}")

    async def task(audited: str = "own default") -> None:
        log.append(audited)

    await docket.add(task, key="k")()
    await run(docket, {"audited": Depends(audited)})
    assert log == ["begin k", "own default", "end k"]


async def test_a_retry_and_a_timeout_of_the_worker_hold_for_every_task(docket: Docket) -> None:
    runs: list[str] = []

    async def hangs() -> None:
        runs.append("hangs")
        await anyio.sleep_forever()

    execution = await docket.add(hangs)()
    await run(docket, [Retry(attempts=2), Timeout(timedelta(milliseconds=20))])
    assert runs == ["hangs", "hangs"]
    with pytest.raises(TimeoutError):
        await execution.get_result()


async def test_one_that_contradicts_the_tasks_own_fails_the_task_and_names_both_places(
    docket: Docket,
) -> None:
    runs: list[str] = []

    async def task(retry: Retry = Retry(attempts=3)) -> None:
        runs.append("task")

    execution = await docket.add(task)()
    await run(docket, {"patience": Retry(attempts=2)})
    with pytest.raises(ExceptionGroup) as info:
        await execution.get_result()
    assert "Only one Retry dependency is allowed, but found at: 'patience', 'retry'" in str(
        info.value.exceptions[0]
    )
    assert not runs


async def test_one_that_fails_is_named_as_it_was_given(docket: Docket) -> None:
    def broken() -> None:
        raise RuntimeError("broken")

    async def task() -> None: ...

    execution = await docket.add(task)()
    await run(docket, {"tracing": Depends(broken)})
    with pytest.raises(ExceptionGroup, match=r"parameter\(s\): tracing"):
        await execution.get_result()


def test_those_of_a_sequence_have_names_by_their_place() -> None:
    worker = Worker(Docket(url="memory://"), dependencies=[Retry(), Timeout(timedelta(1))])
    assert list(worker.dependencies) == ["__worker_dep_0__", "__worker_dep_1__"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"x": 3}, "dependency 'x' must be a Dependency instance"),
        ([Retry()] + [str], "dependency 'index 1' must be a Dependency instance"),  # noqa: RUF005
        ("module:member", "only Worker.run and the command line take 'module:member'"),
    ],
)
def test_what_is_no_dependency_is_refused_by_its_place(given: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        Worker(Docket(url="memory://"), dependencies=given)


async def test_the_command_lines_worker_finds_them_by_name(memory_url: str) -> None:
    runs: list[int] = []

    async def fails() -> None:
        runs.append(1)
        raise ValueError("no")

    async with Docket("named", memory_url) as docket:
        await docket.add(fails)()
        tasks = {"module": "tests.worker.test_worker_dependencies"}
        COLLECTION[:] = [fails]
        with anyio.fail_after(PATIENCE):
            await Worker.run(
                "named", memory_url, until_finished=True, tasks=[f"{tasks['module']}:COLLECTION"],
                dependencies=f"{tasks['module']}:MINE",
            )  # fmt: skip
    assert runs == [1, 1]


COLLECTION: list[Any] = []


@pytest.mark.parametrize("path", ["nonsense", "tests.worker.test_worker_dependencies:PATIENCE"])
async def test_a_path_that_names_no_dependencies_is_refused(memory_url: str, path: str) -> None:
    with pytest.raises(BadSetting, match="dependencies"):
        await Worker.run("refused", memory_url, until_finished=True, dependencies=path)


async def test_what_a_class_of_dependency_keeps_open_is_open_from_the_first_task_to_the_last(
    docket: Docket,
) -> None:
    log: list[str] = []

    class Cached(Dependency[str]):
        @classmethod
        def worker_lifecycle(cls, docket: Docket, worker: Worker) -> AbstractAsyncContextManager[None]:
            @asynccontextmanager
            async def keep() -> AsyncGenerator[None]:
                async with anyio.create_task_group():
                    log.append(f"open for {worker.name}")
                    yield
                log.append("closed")

            return keep()

        async def __aenter__(self) -> str:
            return "cached"

    async def first(cached: str = Cached()) -> None:  # type: ignore[assignment]
        log.append("first")

    async def second(cached: str = Cached()) -> None:  # type: ignore[assignment]
        log.append("second")

    docket.register(first)
    docket.register(second)
    await docket.add(first)()
    await docket.add(second)()
    with anyio.fail_after(PATIENCE):
        await Worker(docket, "worker", concurrency=1).run_until_finished()
    assert log == ["open for worker", "first", "second", "closed"]

"""Programs keep what is theirs on an execution and its progress, and refer to them weakly."""

from __future__ import annotations

import weakref
from typing import Any

import pytest

from docket import CurrentExecution, Docket, Execution, Progress
from docket.execution import ExecutionProgress
from tests.docket.conftest import work
from tests.where import one_loop

pytestmark = [pytest.mark.anyio, one_loop]

seen: list[str] = []


def mark(each: Any) -> None:
    refer = weakref.ref(each)
    each.custom = 1
    assert refer() is each


async def mark_both(
    execution: Execution[Any] = CurrentExecution(), progress: ExecutionProgress = Progress()
) -> None:
    for each in execution, progress, execution.progress:
        mark(each)
    seen.append(execution.key)


async def test_an_execution_and_its_progress_carry_attributes_of_others(docket: Docket) -> None:
    docket.register(mark_both)
    added = await docket.add(mark_both, key="k")()
    read = await docket.get_execution("k")
    (listed,) = (await docket.snapshot()).future
    for each in added, read, listed, added.progress:
        mark(each)
    await work(docket)
    assert seen.pop() == "k"

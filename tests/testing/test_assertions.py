"""`docket.testing.assert_*`: claims about what waits on a docket."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, Worker
from docket.testing import (
    assert_no_tasks,
    assert_task_count,
    assert_task_not_scheduled,
    assert_task_scheduled,
)
from tests.planted import Planted, opened

pytestmark = pytest.mark.anyio


async def send(customer: int, urgent: bool = False, note: str = "") -> None: ...


async def other() -> None: ...


@pytest.fixture
async def empty(url: str, anyio_backend: Any) -> AsyncGenerator[Docket]:
    async with Docket("d", url) as docket:
        yield docket


@pytest.fixture
async def full(empty: Docket) -> Docket:
    await empty.add(send, key="now")(1, urgent=True, note="n")
    await empty.add(send, key="later", when=datetime.now(UTC) + timedelta(days=1))(2)
    await empty.add(other, key="other")()
    return empty


LISTED = [
    "  - send(args=(1,), kwargs={'urgent': True, 'note': 'n'}, key='now')",
    "  - other(args=(), kwargs={}, key='other')",
    "  - send(args=(2,), kwargs={}, key='later')",
]


@pytest.mark.parametrize(
    "claim",
    [
        {}, {"args": (1,)}, {"args": (2,)}, {"kwargs": {"urgent": True}}, {"kwargs": {}}, {"key": "later"},
        {"args": (1,), "kwargs": {"urgent": True, "note": "n"}, "key": "now"},
    ],
)  # fmt: skip
async def test_a_task_is_found_by_what_is_said_of_it(full: Docket, claim: dict[str, Any]) -> None:
    await assert_task_scheduled(full, send, **claim)
    await assert_task_scheduled(full, "send", **claim)
    with pytest.raises(AssertionError, match=r"^Task send found but should not be scheduled\nFound: send\("):
        await assert_task_not_scheduled(full, send, **claim)


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        ({"args": (9,)}, "args=(9,)"), ({"args": ()}, "args=()"), ({"key": "k"}, "key='k'"),
        ({"kwargs": {"urgent": False}}, "kwargs={'urgent': False}"),
        ({"args": (1,), "key": "later"}, "key='later', args=(1,)"),
    ],
)  # fmt: skip
async def test_what_is_there_instead_is_listed(full: Docket, claim: dict[str, Any], text: str) -> None:
    await assert_task_not_scheduled(full, send, **claim)
    with pytest.raises(AssertionError) as caught:
        await assert_task_scheduled(full, send, **claim)
    first, *rest = str(caught.value).splitlines()
    assert first == f"Task send not found with function=send, {text}"
    assert rest == ["", "Scheduled tasks:", *LISTED]


async def test_counts(full: Docket) -> None:
    await assert_task_count(full, count=3)
    await assert_task_count(full, send, count=2)
    await assert_task_count(full, "nobody", count=0)
    with pytest.raises(AssertionError, match=r"^Expected 1 tasks for send, found 2\n") as caught:
        await assert_task_count(full, "send", count=1)
    assert str(caught.value).splitlines()[3:] == LISTED
    with pytest.raises(AssertionError, match=r"^Expected 0 all tasks, found 3\n"):
        await assert_task_count(full, count=0)
    with pytest.raises(AssertionError) as caught:
        await assert_no_tasks(full)
    assert str(caught.value).splitlines() == ["Expected no tasks, found 3 task(s) scheduled:", *LISTED]


async def test_an_empty_docket(empty: Docket) -> None:
    await assert_no_tasks(empty)
    await assert_task_count(empty, count=0)
    await assert_task_not_scheduled(empty, send)
    with pytest.raises(AssertionError, match=r"^Task send not found: no tasks scheduled on docket$"):
        await assert_task_scheduled(empty, send)
    with pytest.raises(AssertionError, match=r"^Expected 2 all tasks, found 0$"):
        await assert_task_count(empty, count=2)


async def test_a_function_is_found_under_another_name(empty: Docket) -> None:
    empty.register(send, names=["email"])
    await empty.add("email")(1)
    await assert_task_scheduled(empty, send, args=(1,))
    await assert_task_scheduled(empty, "email")
    await assert_task_not_scheduled(empty, "send")


async def test_what_runs_does_not_wait(empty: Docket) -> None:
    seen: list[str] = []

    async def looks() -> None:
        await assert_no_tasks(empty)
        seen.append("nothing")

    await empty.add(looks)()
    with anyio.fail_after(10):
        await Worker(empty).run_until_finished()
    assert seen == ["nothing"]


async def test_only_what_is_compared_or_listed_is_unpickled(full: Docket) -> None:
    planted: Any = Planted("p")
    await full.add(send, key="planted")(planted)
    await full.add(other, key="bare")()
    opened.clear()
    await assert_task_scheduled(full, send)
    await assert_task_scheduled(full, "send", key="planted")
    await assert_task_scheduled(full, send, key="now", args=(1,))
    await assert_task_not_scheduled(full, other, args=(1,))
    await assert_task_count(full, send, count=3)
    assert opened == []
    await assert_task_scheduled(full, send, key="planted", args=("p",))
    assert opened == ["p"]

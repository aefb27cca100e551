"""What the dashboard says of how calls are written, signed and sealed, and does to them: it needs no key for that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from docket import Docket, Worker, clock
from tests import where
from tests.kinds import KINDS, parts_of
from tests.trust.traps import OTHER
from tests.web.caller import Caller

pytestmark = [pytest.mark.anyio, where.few_pairs, pytest.mark.parametrize("kind", KINDS)]

done: list[int] = []


async def fitted(number: int) -> None:
    """Fails the first time."""
    done.append(number)
    if len(done) == 1:
        raise ValueError("not yet")


@asynccontextmanager
async def opened(url: str, settings: Mapping[str, Any]) -> AsyncIterator[Docket]:
    """The docket of the dashboard, by a program with these settings."""
    done.clear()
    async with Docket("orders", url, **settings) as docket:
        docket.register(fitted)
        yield docket


def cell(words: str) -> str:
    """What the lists say of one call."""
    return f'<td class="key" data-label="Written">{words}</td>'


async def work(docket: Docket) -> None:
    async with Worker(docket) as worker:
        await worker.run_until_finished()


async def test_the_page_of_a_run_says_how_it_is_written(web: Caller, url: str, kind: str) -> None:
    settings, words = KINDS[kind]
    async with opened(url, settings) as writing:
        await writing.add(fitted, key="k")(4711)
    page = await web.get("run?key=k")
    assert f"<dt>Written</dt><dd>{words}</dd>" in page.text
    assert parts_of(words).items() <= (await web.get("run?key=k&format=json")).json.items()


async def test_lists_say_how_each_call_is_written_where_one_is_no_plain_pickle(
    web: Caller, url: str, kind: str
) -> None:
    async with opened(url, {}) as writing:
        await writing.add(fitted, key="plain")(1)
    assert "Written" not in (await web.get("work?state=due")).text
    settings, words = KINDS[kind]
    async with opened(url, settings) as writing:
        await writing.cancel("plain")
        await writing.add(fitted, key="failed")(1)
        await work(writing)
        await writing.add(fitted, key="runs")(2)
        await writing.store.claims("w").take(1)
        await writing.add(fitted, key="due")(3)
        await writing.add(fitted, clock.now() + timedelta(hours=1), "later")(4)
    for path in "work?state=due", "work?state=running", "work?state=later", "failures":
        assert (await web.get(path)).text.count(cell(words)) == 1, path


async def test_dead_letters_say_how_they_are_written(web: Caller, url: str, kind: str) -> None:
    settings, words = KINDS[kind]
    async with opened(url, settings) as writing, opened(url, {"signing_keys": [OTHER]}) as other:
        await writing.add(fitted, key="k")(4711)
        await work(other)
    assert cell(words) in (await web.get("dead")).text
    (letter,) = (await web.get("dead?format=json")).json["dead_letters"]
    assert parts_of(words).items() <= letter.items()


async def test_cancelling_and_retrying_by_a_dashboard_need_no_key(web: Caller, url: str, kind: str) -> None:
    settings, _ = KINDS[kind]
    async with opened(url, settings) as writing:
        await writing.add(fitted, key="failed")(1)
        await work(writing)
        await writing.add(fitted, key="cancelled")(2)
        assert (await web.post("cancel", {"key": "cancelled", "sure": "1"})).status == 303
        assert (await web.post("retry", {"key": "failed"})).status == 303
        await work(writing)
    assert done == [1, 1]

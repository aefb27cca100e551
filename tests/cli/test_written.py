"""What commands say of how calls are written, signed and sealed, and what they do to them: none of it needs a key."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import attrs
import pytest

from docket import Docket, Worker
from tests.cli.office import Office
from tests.cli.test_commands import said
from tests.kinds import KINDS, parts_of
from tests.trust.traps import OTHER

T = TypeVar("T")

done: list[int] = []


async def fitted(number: int) -> None:
    """Fails the first time."""
    done.append(number)
    if len(done) == 1:
        raise ValueError("not yet")


@attrs.define
class Written:
    """A docket that has been written to, by its ``settings``; ``words`` are what people are told of that."""

    here: Office
    settings: dict[str, Any]
    words: str

    def ask(self, act: Callable[[Docket], Awaitable[T]], **other: Any) -> T:
        """Do something by a docket of these settings, or of others."""

        async def opened() -> T:
            async with Docket(url=self.here.url, **(other or self.settings)) as docket:
                docket.register(fitted)
                return await act(docket)

        return self.here.portal.call(opened)

    def work(self, **other: Any) -> None:
        async def run(docket: Docket) -> None:
            await Worker(docket, "w1").run_until_finished()

        self.ask(run, **other)

    def add(self, key: str) -> None:
        async def add(docket: Docket) -> None:
            await docket.add(fitted, key=key)(4711)

        self.ask(add)


@pytest.fixture(params=KINDS)
def written(here: Office, request: pytest.FixtureRequest) -> Written:
    done.clear()
    return Written(here, *KINDS[request.param])


def document(capsys: Any, *tokens: str) -> Any:
    return json.loads(said(capsys, *tokens, "--json"))


def test_what_waits_is_listed_and_shown_with_how_it_is_written(written: Written, capsys: Any) -> None:
    written.add("k")
    header, row = said(capsys, "snapshot").splitlines()[3:]
    assert header.endswith("  Written")
    assert row.endswith(f"  {written.words}")
    assert f"\nwritten: {written.words}\n" in said(capsys, "show", "k")
    (task,) = document(capsys, "snapshot")["tasks"]
    assert parts_of(written.words).items() <= task.items()
    assert parts_of(written.words).items() <= document(capsys, "show", "k")["execution"].items()


def test_plain_pickles_take_no_column(here: Office, capsys: Any) -> None:
    async def add(docket: Docket) -> None:
        await docket.add("trace", key="k")("hello")

    here.ask(add)
    assert "ritten" not in said(capsys, "snapshot") + said(capsys, "show", "k")


def test_what_has_failed_is_shown_with_it_and_retried_as_it_is(written: Written, capsys: Any) -> None:
    written.add("k")
    written.work()
    assert said(capsys, "failures").splitlines()[2].endswith(f"  {written.words}")
    assert f"\nwritten: {written.words}\n" in said(capsys, "failures", "k")
    assert parts_of(written.words).items() <= document(capsys, "failures", "k")["failure"].items()
    assert said(capsys, "retry", "k").startswith("Retried task 'k'")
    written.work()
    assert done == [4711, 4711]


def test_what_was_set_aside_is_listed_with_it(written: Written, capsys: Any) -> None:
    written.add("k")
    written.work(signing_keys=[OTHER])
    assert done == []
    assert f"\n  written: {written.words}\n" in said(capsys, "dead-letters")
    (letter,) = document(capsys, "dead-letters")["dead_letters"]
    assert parts_of(written.words).items() <= letter.items()
    assert document(capsys, "status")["counts"]["dead"] == 1


def test_counting_pausing_cancelling_and_discarding_need_no_key(written: Written, capsys: Any) -> None:
    for key in "failed", "one", "other":
        written.add(key)
        if key == "failed":
            written.work()
    assert document(capsys, "status")["counts"]["due"] == 2
    said(capsys, "pause", "fitted")
    assert [each["task"] for each in document(capsys, "pauses")["pauses"]] == ["fitted"]
    said(capsys, "resume", "fitted")
    assert said(capsys, "cancel", "one") == "Cancelled task 'one' on docket 'docket'\n"
    assert said(capsys, "clear", "--yes") == "Cleared 1 task from docket 'docket'\n"
    assert said(capsys, "discard", "failed").startswith("Discarded")
    written.work()
    assert done == [4711]

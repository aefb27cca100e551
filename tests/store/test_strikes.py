"""The log of strikes: what is read, what may be removed, who has to start anew."""

from __future__ import annotations

from typing import Any

import pytest

from docket.rules import Operator
from docket.store import READ_AT_LEAST, Keys, Restore, Strike, StrikeInstruction, StrikeLog, Strikes
from docket.store.strikes import must_start_anew
from docket.transport import Client

pytestmark = pytest.mark.anyio

DAY = 86_400_000
KEYS = Keys("d")
EQUAL = Operator.EQUAL


def strike(value: Any, parameter: str | None = "p", function: str | None = "f") -> Strike:
    return Strike(function, parameter, EQUAL, value)


def restore(value: Any, parameter: str | None = "p", function: str | None = "f") -> Restore:
    return Restore(function, parameter, EQUAL, value)


def entry(ms: int, instruction: StrikeInstruction) -> tuple[bytes, list[bytes]]:
    return f"{ms}-0".encode(), [part for pair in instruction.as_message().items() for part in pair]


def folded(*entries: tuple[int, StrikeInstruction]) -> StrikeLog:
    log = StrikeLog()
    log.fold(entry(ms, instruction) for ms, instruction in entries)
    return log


def spent(log: StrikeLog) -> list[bytes]:
    return log.spent(strike("unheard of").as_message())


def test_what_a_later_instruction_overrides_may_go() -> None:
    log = folded(
        (1, strike(1)), (2, strike(2)), (3, restore(1)), (4, strike(None, None)), (5, restore(None, None))
    )
    assert spent(log) == [b"1-0", b"4-0"]
    assert log.spent(strike(2).as_message()) == [b"1-0", b"4-0", b"2-0"], "once this one is written, too"
    log.forget([b"1-0"])
    assert spent(log) == [b"4-0"]


def test_of_a_whole_task_the_comparison_does_not_matter() -> None:
    log = folded((1, Strike("f", None, Operator.GREATER_THAN, 5)), (2, restore(None, None)))
    assert spent(log) == [b"1-0"]
    assert not log.effect


def test_a_restore_that_is_the_last_word_may_go_after_a_day() -> None:
    log = folded((1, strike(1)), (2, restore(1)), (3, strike(3)), (1 + DAY, strike(2)))
    assert spent(log) == [b"1-0"]
    log.fold([entry(3 + DAY, strike(4))])
    assert spent(log) == [b"1-0", b"2-0"]
    log.fold([entry(9 + DAY, strike(5))])
    assert spent(log) == [b"1-0", b"2-0"], "strikes in effect stay"


def test_a_restore_that_overrides_an_equal_value_of_another_pickle_stays() -> None:
    """Without it the strike on 1 would come back for whoever reads from the start."""
    log = folded((1, strike(1)), (2, restore(1.0)), (3 + DAY, strike(2)))
    assert not log.effect.has(strike(1).condition)
    assert spent(log) == []


def test_who_never_writes_does_not_collect_for_ever() -> None:
    log = folded(*((ms, strike(1)) for ms in range(1, 12_000)))
    assert len(log._spent) <= 10_000  # pyright: ignore[reportPrivateUsage]
    assert len(spent(log)) <= 500


@pytest.mark.parametrize(
    ("version", "newest", "anew"),
    [
        (b"", b"5-0", False),
        (b"5-0", b"5-0", False),
        (b"5-0", b"6-0", False),
        (b"5-1", b"5-0", True),
        (b"5-0", b"", True),
        (b"5-0", f"{5 + READ_AT_LEAST}-0".encode(), False),
        (b"5-0", f"{6 + READ_AT_LEAST}-0".encode(), True),
    ],
)
def test_who_may_have_missed_a_removed_restore_starts_anew(version: bytes, newest: bytes, anew: bool) -> None:
    """A restore is removed a day after it was written at the earliest, by one who wrote since."""
    assert must_start_anew(version, newest) is anew


def test_an_entry_is_folded_once() -> None:
    log = folded((1, strike(1)), (2, restore(1)))
    log.fold([entry(1, strike(1))])
    assert not log.effect
    assert log.version == b"2-0"


async def add(client: Client, ms: int, instruction: StrikeInstruction) -> None:
    await client.xadd(KEYS.strikes, instruction.as_message(), id=f"{ms}-0")  # type: ignore[arg-type]


async def test_catching_up_reads_what_is_new_page_by_page(client: Client) -> None:
    strikes = Strikes(KEYS)
    pipe = client.pipeline(transaction=False)
    for n in range(1100):
        pipe.xadd(KEYS.strikes, strike(n).as_message())  # type: ignore[arg-type]
    await pipe.execute()
    await strikes.catch_up(client)
    assert len(strikes.log.effect.tasks["f"]["p"]) == 1100
    await strikes.catch_up(client)
    ((newest, _),) = await client.xrevrange(KEYS.strikes, count=1)
    assert strikes.log.reaches(newest)


async def test_a_restore_that_was_removed_unseen_is_heeded(client: Client) -> None:
    strikes = Strikes(KEYS)
    await add(client, 1000, strike(1))
    await strikes.catch_up(client)
    await add(client, 2000, restore(1))
    await add(client, 2000 + DAY, strike(2))
    await client.xdel(KEYS.strikes, "1000-0", "2000-0")  # as two writes would
    await strikes.catch_up(client)
    assert strikes.log.effect.tasks == {"f": {"p": {("==", 2)}}}


async def test_a_writer_heeds_it_too(client: Client) -> None:
    strikes = Strikes(KEYS)
    await add(client, 1000, strike(1))
    await strikes.catch_up(client)
    await client.delete(KEYS.strikes)
    await strikes.write(client, strike(2))  # a long time after the year 1970
    assert strikes.log.effect.tasks == {"f": {"p": {("==", 2)}}}


async def test_a_write_removes_what_is_spent_of_whoever_wrote_it(client: Client) -> None:
    pipe = client.pipeline(transaction=False)
    for _ in range(600):
        pipe.xadd(KEYS.strikes, strike(1).as_message())  # type: ignore[arg-type]
        pipe.xadd(KEYS.strikes, restore(1).as_message())  # type: ignore[arg-type]
    await pipe.execute()
    for _ in range(3):
        await Strikes(KEYS).write(client, strike(2))
    left = [fields[b"value"] for _, fields in await client.xrange(KEYS.strikes)]
    assert left == [restore(1).as_message()[b"value"], strike(2).as_message()[b"value"]]


async def test_two_writers_keep_the_stream_small(client: Client) -> None:
    first, second = Strikes(KEYS), Strikes(KEYS)
    for n in range(60):
        await first.write(client, strike(n % 3))
        await second.write(client, restore(n % 3))
        await second.write(client, strike(n % 2))
    assert await client.xlen(KEYS.strikes) <= 3 + 3
    reader = Strikes(KEYS)
    await reader.catch_up(client)
    assert reader.log.effect.tasks == second.log.effect.tasks == {"f": {"p": {("==", 0), ("==", 1)}}}


async def test_writing_takes_one_round_trip_and_three_commands(client: Client) -> None:
    if client.is_memory:
        return
    strikes = Strikes(KEYS)
    for _ in range(2):
        await strikes.write(client, strike(1))
    await client.config_resetstat()
    await strikes.write(client, restore(1))
    stats: Any = await client.info("commandstats")
    calls = {name: stat["calls"] for name, stat in stats.items() if not name.startswith("cmdstat_config")}
    assert calls == {"cmdstat_evalsha": 1, "cmdstat_xadd": 1, "cmdstat_xdel": 1, "cmdstat_xrange": 1}


async def test_strikes_that_gave_way_to_something_else_are_no_longer_in_effect(client: Client) -> None:
    """pydocket may park a task there."""
    strikes = Strikes(KEYS)
    await add(client, 1000, strike(1))
    await strikes.catch_up(client)
    assert strikes.log.effect
    await client.delete(KEYS.strikes)
    await client.hset(KEYS.strikes, "key", "strikes")
    await strikes.catch_up(client)
    assert not strikes.log.effect


def test_telemetry_counts_what_changes_and_not_what_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    changes: list[int] = []
    monkeypatch.setattr(StrikeLog, "_signal", lambda self, instruction, change: changes.append(change))
    folded((1, strike(1)), (2, strike(1.0)), (3, restore(1)), (4, restore(1)), (5, restore(2)))
    assert changes == [1, -1]

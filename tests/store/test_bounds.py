"""No step keeps the server for long, however much there is: 100,000 tasks due at once, and all of them at work.

The server does one thing at a time, so a step must be short: 10 ms at most, and less than half of that where these
tests were written, to hold on a machine half as fast. Two measures are taken of each step at its full size: how many
commands it executes, those inside of its script counted, which is the same on every machine (one takes 2 to 4 us); and
how long that keeps the server by its own account (SLOWLOG), of which the shortest of several times counts: whatever
else the machine does interrupts the server, too, and is no cost of the step. One loop does: the server knows no
difference.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import attrs
import pytest

from docket import clock
from docket.docket import CLEAR_BATCH
from docket.rules import SlotRule, pack
from docket.store import (
    EVERY_TASK,
    Again,
    Catalogue,
    Delivery,
    Ended,
    Expiring,
    FailureReport,
    FailuresKept,
    Holding,
    Ledger,
    Message,
    OpenGroup,
    Recurrence,
    RunCounts,
    TaskDescription,
    TaskEnds,
    row_text,
    script_calls,
)
from docket.store.admission import RENEW_CHUNK, WAKE_CHUNK
from docket.store.catalogue import AT_ONCE
from docket.store.fence import NO_FENCE
from docket.store.groups import CANCEL_BATCH, KEEP_BATCH, RECHECK_BATCH
from docket.store.lanes import MOST_DRAWN
from docket.transport import Client
from docket.worker.intake.expiry import BATCH as EXPIRY_BATCH
from docket.worker.intake.outbox import MOST
from docket.worker.intake.reader import TAKE_BATCH
from docket.worker.intake.scheduler import DUE_BATCH
from docket.worker.reports.ledger import ROWS_AT_ONCE, TASKS_AT_ONCE
from tests.store.conftest import FUTURE, Store, message

pytestmark = [pytest.mark.anyio]

COUNT = 100_000
LONGEST_MS = 10
MOST_COMMANDS = 1000

#: Many tasks that are due, or that wait on the stream, written as schedule.lua and due.lua leave them.
FILL = """
for n = ARGV[2], ARGV[3] do
  local run = {'function', 'f', 'args', 'ARGS', 'kwargs', 'KWARGS', 'generation', 1, 'when', 1, 'known', 1}
  local fields = {'key', n, 'when', '2001-09-09T01:46:40+00:00', 'function', 'f', 'args', 'ARGS', 'kwargs', 'KWARGS',
    'attempt', 1, 'generation', 1}
  if ARGV[1] == 'due' then
    redis.call('HSET', 'd:' .. n, unpack(fields))
    redis.call('ZADD', 'd:queue', 1, n)
    redis.call('HSET', 'd:runs:' .. n, 'state', 'scheduled', unpack(run))
  else
    local id = redis.call('XADD', 'd:stream', '*', unpack(fields))
    redis.call('HSET', 'd:runs:' .. n, 'state', 'queued', 'stream_id', id, unpack(run))
  end
end
"""


#: Tasks that are there become children of a group; are asked to stop; have ended.
ADOPT = """
for n = ARGV[2], ARGV[3] do
  redis.call('ZADD', 'd:group:' .. ARGV[1], 2, n)
  redis.call('HSET', 'd:runs:' .. n, 'group', ARGV[1])
end
"""
ASK = "for n = ARGV[2], ARGV[3] do redis.call('ZADD', 'd:group:' .. ARGV[1], 2.5, n) end"
END = """
for n = ARGV[2], ARGV[3] do
  redis.call('ZADD', 'd:group:' .. ARGV[1], 1, n)
  redis.call('HSET', 'd:runs:' .. n, 'state', 'completed', 'result_key', n)
  redis.call('PEXPIRE', 'd:runs:' .. n, 100000)
  redis.call('SET', 'd:results::' .. n, 'RESULT', 'PX', 100000)
end
"""


#: Tasks that wait have expired.
EXPIRE = """
for n = ARGV[1], ARGV[2] do
  redis.call('ZADD', 'd:ops:expiring', 1, n)
  redis.call('HSET', 'd:runs:' .. n, 'expires', 1)
  redis.call('HSET', 'd:' .. n, 'docket:expires', 1)
end
"""


#: Runs, ended or not, that are to be followed.
SUCCESSORS = """
for n = ARGV[1], ARGV[2] do
  redis.call('ZADD', 'd:ops:successors', n, n)
  redis.call('HSET', 'd:runs:' .. n, 'state', ARGV[3], 'generation', 1, 'successor', 1000001, 'claim', '0-0.1')
  redis.call('HSET', 'd:ops:successor:' .. n, 's:generation', 1000001, 's:when', 1, 's:ttl', '-', 's:queue', 'd:queue',
    'key', n, 'when', 'w', 'function', 'f', 'args', 'A', 'kwargs', 'K', 'attempt', 1)
end
"""


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    async with Client.from_url(redis_url) as client:
        await client.config_set("slowlog-max-len", 10_000)
        yield Store(client)
        await client.config_set("slowlog-log-slower-than", 10_000)


async def fill(store: Store, kind: str, count: int = COUNT) -> None:
    for start in range(0, count, 5000):
        await store.client.call("EVAL", FILL, 0, kind, start, min(start + 5000, count) - 1)


async def cost(store: Store, steps: int, step: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """How many commands a step takes at most, and for how many ms it keeps the server where nothing interrupts that."""
    commands: list[int] = []
    times: list[float] = []
    for _ in range(steps):
        await store.client.call("CONFIG", "SET", "slowlog-log-slower-than", 300)
        await store.client.slowlog_reset()
        before: Any = await store.client.info("stats")
        await step()
        after: Any = await store.client.info("stats")
        await store.client.call("CONFIG", "SET", "slowlog-log-slower-than", -1)
        commands.append(after["total_commands_processed"] - before["total_commands_processed"] - 1)
        slow: Any = await store.client.slowlog_get(100)
        times.append(max((entry["duration"] / 1000 for entry in slow), default=0.3))
    return max(commands), min(times)


async def assert_short(
    store: Store, step: Callable[[], Awaitable[object]], *, steps: int = 15, most: int = MOST_COMMANDS
) -> None:
    commands, milliseconds = await cost(store, steps, step)
    assert commands <= most
    assert milliseconds < LONGEST_MS


async def test_moving_what_is_due(store: Store) -> None:
    await fill(store, "due")
    await assert_short(store, lambda: store.due.move(DUE_BATCH))


@pytest.mark.parametrize("how", ["end", "move"])
async def test_ending_what_has_expired(store: Store, how: str) -> None:
    await fill(store, "due")
    for start in range(0, COUNT, 5000):
        await store.client.call("EVAL", EXPIRE, 0, start, start + 4999)
    expiring = Expiring(store.client, store.keys, timedelta(minutes=15))
    look = await expiring.look([], [], EXPIRY_BATCH)

    async def step() -> None:
        nonlocal look
        due = look.due
        assert len(due) == EXPIRY_BATCH
        look = await expiring.look(due if how == "end" else [], due if how == "move" else [], EXPIRY_BATCH)

    await assert_short(store, step)


@pytest.mark.parametrize("state", ["completed", "running"])
async def test_looking_after_what_is_to_run_once_more(store: Store, state: str) -> None:
    """Where pydocket has ended the runs, and where they go on."""
    for start in range(0, COUNT, 5000):
        await store.client.call("EVAL", SUCCESSORS, 0, start, start + 4999, state)
    sweeping = store.claims().sweeping
    await sweeping.place_successors()
    await assert_short(store, sweeping.place_successors)


async def test_cancelling_what_is_scheduled(store: Store) -> None:
    await fill(store, "due")
    await clear_once(store)
    await assert_short(store, lambda: clear_once(store))


async def test_drawing_in_turns_of_ten_thousand_values(store: Store) -> None:
    def calls(value: str, count: int) -> list[Message]:
        return [message(f"{value} {n}", **{"docket:share": f"1 t:{value}"}) for n in range(count)]

    await store.schedule.place_many(calls("large", 20_000), replace=False)
    for start in range(0, 10_000, 1000):
        few = [call for n in range(start, start + 1000) for call in calls(str(n), 1)]
        await store.schedule.place_many(few, replace=False)
    claims = store.claims()
    await claims.create_group()
    await assert_short(store, lambda: claims.take(MOST_DRAWN))


async def test_cancelling_what_is_queued(store: Store) -> None:
    await fill(store, "queued")
    await assert_short(store, lambda: clear_once(store))


async def clear_once(store: Store) -> None:
    """The first step of `Schedule.clear`."""
    call = script_calls.clear(
        store.keys,
        completed_at="now",
        ttl_ms=900_000,
        limit=CLEAR_BATCH,
        start="-",
    )
    await store.client.run(*call)


async def test_taking_renewing_and_sweeping_with_everything_at_work(store: Store) -> None:
    await fill(store, "queued")
    claims = store.claims()
    await claims.create_group()
    await assert_short(store, lambda: claims.take(TAKE_BATCH))
    ended = [(one, Ended("completed")) for one in await claims.take(MOST) if isinstance(one, Delivery)]
    await assert_short(store, lambda: claims.take_settling(TAKE_BATCH, ended))
    over = Ended("completed", result=("k:last", "TEXT"))
    again = [
        (one, Again(attrs.evolve(one.message, when=FUTURE), ended=over))
        for one in await claims.take(MOST)
        if isinstance(one, Delivery)
    ]
    await assert_short(store, lambda: claims.take_settling(TAKE_BATCH, again), steps=1)
    async with store.client.dedicated() as connection:
        await assert_short(
            store, lambda: claims.wait_for_tasks(connection, TAKE_BATCH, timedelta(milliseconds=1))
        )
    # The rest is read at once, which no worker does: everything is pending, all of it fresh.
    await store.client.call(
        "XREADGROUP", "GROUP", "docket-workers", "w", "COUNT", COUNT, "STREAMS", "d:stream", ">"
    )
    await assert_short(store, claims.sweeping.look)
    ids = [pending.message_id for pending in await claims.sweeping.look()]
    await assert_short(store, lambda: claims.renew(ids[:200]))
    await assert_short(store, lambda: claims.take_over(ids[:TAKE_BATCH], timedelta(0)))
    pending = await store.client.call("XPENDING", "d:stream", "docket-workers")
    assert pending[0] == COUNT - 2 * MOST  # type: ignore[index]


async def test_lining_up_what_is_paused_and_resuming_it(store: Store) -> None:
    await fill(store, "queued", 4000)
    claims = store.claims()
    await claims.create_group()
    await store.pauses.pause("f", "", "")
    await assert_short(store, lambda: claims.take(TAKE_BATCH))
    while await claims.take(TAKE_BATCH) or claims.lined_up:
        pass
    assert await store.client.xlen(f"{store.keys.pause('f')}:waiters") == 4000
    await store.client.hdel(store.keys.pauses, "f")
    await assert_short(store, lambda: store.pauses._step("f", begins=False), most=520)


async def test_a_docket_that_is_paused_as_a_whole_costs_three_commands_a_look(store: Store) -> None:
    await fill(store, "queued")
    claims = store.claims()
    await claims.create_group()
    await store.pauses.pause(EVERY_TASK, "", "")
    await claims.take(TAKE_BATCH)  # loads the script
    await assert_short(store, lambda: claims.take(TAKE_BATCH), most=3)  # with one that looks at their row
    assert await store.client.xlen("d:stream") == COUNT


async def test_ending_what_has_failed(store: Store) -> None:
    """Fifty ends in one turn, each with a large traceback, and some that are kept give way."""
    await fill(store, "queued", 20 * MOST)
    report = FailureReport("KeyError", "x" * 1000, "T" * 16_000, None)
    claims = attrs.evolve(store.claims(), failures_kept=FailuresKept(most=300))
    await claims.create_group()

    async def turn() -> None:
        nonlocal ended
        taken, _ = await claims.take_settling(MOST, ended)
        ended = [
            (one, Ended("failed", "KeyError", failure=report)) for one in taken if isinstance(one, Delivery)
        ]

    ended: list[tuple[Delivery, Ended]] = []
    await turn()
    await assert_short(store, turn)
    assert await store.client.zcard("d:ops:failures") <= 300


async def test_looking_after_limits(store: Store) -> None:
    """Forty limits, for each of which fifty wait, lose who held them."""
    rules = [SlotRule(f"d:concurrency:f:{n}", 50) for n in range(40)]
    lease = timedelta(seconds=60)
    admissions, claims = store.claims().admissions, store.claims()
    await fill(store, "queued", 40 * 51)
    await claims.create_group()
    number = 0
    holders: list[Delivery] = []
    while taken := await claims.take(100):
        for delivery in taken:
            assert isinstance(delivery, Delivery)
            full = SlotRule(rules[number % 40].name, 1)
            if await admissions.admit(delivery, [full], lease) is None:
                holders.append(delivery)
            number += 1
    assert len(holders) == 40
    packed = [pack([rule], lease) for rule in rules]
    # Now there is room for all who wait: 2000 are woken, 25 of them per script.
    await assert_short(store, lambda: admissions.wake(packed[:WAKE_CHUNK]), steps=30, most=2000)
    assert await store.client.xlen(f"{rules[0].name}:waiters") == 1  # the holder has one of the fifty slots


async def test_renewing_slots(store: Store) -> None:
    lease = timedelta(seconds=60)
    slots = pack([SlotRule("d:concurrency:f", 1000)], lease)
    await fill(store, "queued", RENEW_CHUNK)
    claims = store.claims()
    await claims.create_group()
    holdings = [Holding(one.message_id, one.message.key, slots) for one in await claims.take(RENEW_CHUNK)]  # type: ignore[union-attr]
    await assert_short(store, lambda: claims.admissions.renew(holdings))


async def filled_group(store: Store, kind: str) -> OpenGroup:
    """An open group of a program, of which all tasks are children."""
    group = await store.groups.open("", "1", None, look_after=timedelta(seconds=30))
    await fill(store, kind)
    await for_all(store, ADOPT, group)
    return group


async def for_all(store: Store, lua: str, group: OpenGroup) -> None:
    for start in range(0, COUNT, 5000):
        await store.client.call("EVAL", lua, 0, group.id, start, start + 4999)


@pytest.mark.parametrize("kind", ["queued", "due"])
async def test_cancelling_who_is_in_a_group(store: Store, kind: str) -> None:
    group = await filled_group(store, kind)
    call = script_calls.cancel_group(
        store.keys, key="", fence=NO_FENCE, group_id=group.id, completed_at="now", ttl_ms=900_000,
        limit=CANCEL_BATCH, again=1, look_after_ms=10_000, kept_ms=1000,
    )  # fmt: skip
    await store.client.run(*call)
    await assert_short(store, lambda: store.client.run(*call))
    await for_all(store, ASK, group)
    await assert_short(store, lambda: store.client.run(*call), most=10)  # a thousand are to be asked again


async def test_looking_at_a_group(store: Store) -> None:
    group = await filled_group(store, "queued")
    look, look_for_all = (
        script_calls.recheck_group(
            store.keys, group_id=group.id, start=COUNT // 2, count=RECHECK_BATCH, lost_too=lost_too
        )
        for lost_too in (0, 1)
    )
    await store.client.run(*look)
    await assert_short(store, lambda: store.client.run(*look), most=RECHECK_BATCH + 10)
    await assert_short(store, lambda: store.client.run(*look_for_all), most=3 * RECHECK_BATCH + 10)
    await assert_short(store, lambda: store.groups.now(group))
    await for_all(store, END, group)
    keep = script_calls.keep_children(
        store.keys, group_id=group.id, start=COUNT // 2, count=KEEP_BATCH, ttl_ms=900_000, kept_ms=1000,
        results_prefix=store.keys.result_envelope(""),
    )  # fmt: skip
    await store.client.run(*keep)
    await for_all(store, END, group)
    await assert_short(store, lambda: store.client.run(*keep), steps=5)


async def test_ending_children_and_clearing_them(store: Store) -> None:
    await filled_group(store, "queued")
    claims = store.claims()
    await claims.create_group()

    async def turn() -> None:
        nonlocal ended
        taken, _ = await claims.take_settling(MOST, ended)
        ended = [(one, Ended("failed", "KeyError")) for one in taken if isinstance(one, Delivery)]

    ended: list[tuple[Delivery, Ended]] = []
    await turn()
    await assert_short(store, turn)
    await clear_once(store)
    await assert_short(store, lambda: clear_once(store))


async def test_adding_many_is_many_short_steps(store: Store) -> None:
    """A thousand calls in one write are a thousand scripts, between which the server attends to others."""
    messages = [message(f"{n}", FUTURE) for n in range(1000)]
    await store.schedule.place_many(messages[:1], replace=False)  # loads the script
    await store.client.call("CONFIG", "RESETSTAT")
    placed = await store.schedule.place_many(messages, replace=True)
    assert len(placed) == 1000
    stats: Any = await store.client.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 1000
    assert (await store.client.info("stats"))["total_commands_processed"] <= 12 * 1000  # type: ignore[index]


async def test_a_picture_is_read_in_pages(store: Store) -> None:
    await fill(store, "queued", 5000)
    await fill(store, "due", 5000)
    _, milliseconds = await cost(store, 10, store.records.picture)
    assert milliseconds < LONGEST_MS


async def test_writing_how_runs_have_ended(store: Store) -> None:
    """As much as one batch may hold: 20 tasks with 20 rows or keys of chains each, over two minutes."""
    ledger, now = Ledger(store.client, store.keys, timedelta(days=7), 1000), clock.timestamp()
    batches = iter(range(1000))

    def step(rows: int, chains: int) -> Callable[[], Awaitable[object]]:
        def write() -> Awaitable[object]:
            text = row_text("failed", (1, 1), (now, 0.005, 0.5), 0, "host#1", "k" * 36, "ValueError: no rows")
            counts = {int(now // 60) - ago: RunCounts([9, 9, 9, 9], 1.0, 1.0, [3] * 12) for ago in (0, 1)}
            ends = [
                TaskEnds(f"f{n}", now, [text] * rows, counts, [f"{n}:{at}" for at in range(chains)])
                for n in range(TASKS_AT_ONCE)
            ]
            return ledger.write("w", f"{next(batches)}", ends, now)

        return write

    most = ROWS_AT_ONCE // TASKS_AT_ONCE
    await step(1, 1)()  # loads the script
    await assert_short(store, step(most, 0))
    await assert_short(store, step(0, most))


async def test_describing_tasks(store: Store) -> None:
    catalogue = Catalogue(store.client, store.keys, timedelta(seconds=10))
    said = TaskDescription(
        signature="s" * 500, doc="d" * 200, recurrence=Recurrence(cron="* * * * *", tz="UTC")
    )
    await catalogue.write({f"before{n}": said for n in range(1000)})
    await assert_short(store, lambda: catalogue.write({f"f{n}": said for n in range(AT_ONCE)}), most=14)

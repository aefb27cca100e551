"""Progress: told and kept byte for byte as pydocket does, and heard by the other side."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from .sides import RemoteDocket, from_now
from .table import Table, start
from .wire import Recorder

pytestmark = pytest.mark.anyio

TEXTS = ["half-way", 'say "né\\"\n\t\x00\x7f/', "\U0001f600 \u2028\uffff"]
KEY = 'a "k\u00e9y"'


@pytest.mark.parametrize("text", TEXTS)
async def test_both_tell_and_keep_the_same_bytes(twins: dict[str, Table], text: str) -> None:
    told, kept = {}, {}
    for name, table in twins.items():
        recorder = Recorder(table.redis, table.name)
        await table.side(name).add("advance", text, key=KEY)
        await table.side(name).drain("w")
        kept[name] = (await table.side(name).outcome(KEY))["result"]
        told[name] = [event for event in recorder.events() if b":progress:" in event[0]]
    assert told["ours"] == told["pydocket"]
    assert kept["ours"].pop("reported").endswith(" 3 2")  # the third report, two in all: ours alone
    assert (
        kept["ours"] == kept["pydocket"] == {"current": "2", "total": "7", "generation": "1", "message": text}
    )
    assert len(told["ours"]) == 5
    assert json.loads(told["ours"][3][1])["message"] == text


@pytest.mark.parametrize(("watcher", "worker"), [("pydocket", "ours"), ("ours", "pydocket")])
async def test_one_side_hears_how_far_the_other_is(table: Table, watcher: str, worker: str) -> None:
    await table.side(watcher).add("advance", "half-way", key=KEY, when=from_now(0.2))
    await table.side(watcher).subscribe(KEY)
    await table.side(worker).drain("w")
    events = [event for event in await table.side(watcher).events(KEY) if event["type"] == "progress"]
    steps = [(event["current"], event["total"], event["message"]) for event in events if event["updated_at"]]
    assert steps == [(0, 7, None), (2, 7, None), (2, 7, "half-way"), (3, 7, "half-way"), (3, 7, None)]


@pytest.mark.parametrize("watcher", ["pydocket", "ours"])
async def test_a_run_of_ours_has_no_record_until_somebody_reports(table: Table, watcher: str) -> None:
    """Where pydocket's has 0 of 100 from the start, its clients see nothing of 100; the first report makes it equal."""
    record, side = f"{table.name}:progress:k", table.side(watcher)
    await table.ours.start_worker("w")
    await table.ours.add("hold", key="k")
    assert await table.begun("k") == "w"
    assert not table.redis.exists(record)
    await side.subscribe("k")
    assert (await side.execution("k"))["state"] == "running"
    assert await side.progress("k") == [None if watcher == "pydocket" else 0, 100, None]
    assert await side.progress("k", 2) == [2, 100, None]
    assert await table.ours.progress("k", 1) == [3, 100, None]
    assert await table.pydocket.progress("k") == [3, 100, None]
    assert table.redis.hget(record, "generation") == b"1"
    table.release()
    steps = [event["current"] for event in await side.events("k") if event["type"] == "progress"]
    assert steps == [None if watcher == "pydocket" else 0, 2, 3]
    assert not table.redis.exists(record)
    await table.ours.stop_worker("w")


@pytest.mark.parametrize("whose", ["ours", "pydocket"])
async def test_what_a_killed_worker_has_reported_is_not_seen_in_the_next_run(
    table: Table, pydocket_python: str, whose: str
) -> None:
    with closing(start(whose, pydocket_python)) as program:
        victim = RemoteDocket(program, table.name, table.url)
        await victim.start_worker("victim", redelivery_timeout=0.5)
        await table.ours.add("hold", key="k")
        assert await table.begun("k") == "victim"
        assert (await victim.progress("k", 5))[0] == 5
        program.kill()
    await table.ours.start_worker("heir", redelivery_timeout=0.5)
    assert await table.begun("k") == "heir"
    assert await table.pydocket.progress("k") == [None, 100, None]
    assert await table.ours.progress("k") == [0, 100, None]
    table.release()
    assert await table.ours.outcome("k") == {"result": "heir"}
    await table.ours.stop_worker("heir")
    table.assert_left_clean()

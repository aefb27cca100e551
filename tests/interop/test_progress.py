"""Progress: told and kept byte for byte as pydocket does, and heard by the other side."""

from __future__ import annotations

import json

import pytest

from .sides import from_now
from .table import Table
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

"""The names of keys and channels."""

from __future__ import annotations

import pytest

from docket.store import Keys
from docket.transport import Client

KEYS = Keys("d")


def test_the_names_are_those_of_the_wire() -> None:
    names = [
        KEYS.stream,
        KEYS.queue,
        KEYS.run("k"),
        KEYS.parked("k"),
        KEYS.progress("k"),
        KEYS.strikes,
        KEYS.workers,
    ]
    assert names == ["d:stream", "d:queue", "d:runs:k", "d:k", "d:progress:k", "d:strikes", "d:workers"]
    channels = [KEYS.state_channel("k"), KEYS.cancel_channel("k"), KEYS.cancellations]
    assert channels == ["d:state:k", "d:cancel:k", "d:cancel:*"]
    rest = [
        KEYS.result_envelope("k:1"),
        KEYS.result_bare("k:1"),
        KEYS.worker_tasks("w"),
        KEYS.task_workers("f"),
    ]
    assert rest == ["d:results::k:1", "d:results:k:1", "d:worker-tasks:w", "d:task-workers:f"]


def test_no_task_key_is_parked_on_top_of_something_else() -> None:
    """Whatever the docket calls its own, used as a task key, is parked elsewhere."""
    own = [
        KEYS.stream,
        KEYS.queue,
        KEYS.reserved_queue,
        KEYS.strikes,
        KEYS.workers,
        KEYS.sweep_lease,
        KEYS.dead,
    ]
    own += [KEYS.run("k"), KEYS.progress("k"), KEYS.result_envelope("k:1"), KEYS.result_bare("k:1")]
    own += [KEYS.worker_tasks("w"), KEYS.task_workers("f"), "d:known:k", "d:stream-id:k", "d:perpetual:lock"]
    parked = {KEYS.parked(name.removeprefix("d:")) for name in own}
    assert not parked & set(own)
    assert len(parked) == len(own)


@pytest.mark.anyio
@pytest.mark.parametrize("prefix", ["d*", "d?[x]", "back\\slash", "{braces}", "^$."])
async def test_a_pattern_takes_the_dockets_name_literally(url: str, prefix: str) -> None:
    keys = Keys(prefix)
    async with Client.from_url(url) as client, client.pubsub() as pubsub:
        await pubsub.psubscribe(keys.cancellations)
        await client.publish(Keys("dx").cancel_channel("other"), "no")
        await client.publish(keys.cancel_channel("k"), "yes")
        assert (await pubsub.receive()).payload == b"yes"

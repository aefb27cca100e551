"""The names of keys and channels."""

from __future__ import annotations

import inspect
import itertools

import pytest

from docket.errors import BadSetting
from docket.store import Keys
from docket.store.keys import RATE_BESIDE, SLOTS_BESIDE, Reserved
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


#: What says where something is parked, or is no name at all.
NOT_OWN = {"is_reserved", "on_cluster", "parked", "plain_parked", "queue_of", "results_collection", "tagged"}
CHANNELS = {"cancel_channel", "cancellations", "state_channel", "wake"}
BOTH = pytest.mark.parametrize("keys", [KEYS, Keys.on_cluster("d")], ids=["one server", "cluster"])


def own_names(keys: Keys, given: str = "k") -> dict[str, str]:
    """Every name of a key that a docket makes, what stands beside a limit included; by the member that makes it."""
    found: dict[str, str] = {}
    for member in dir(keys):
        if member.startswith("_") or member in NOT_OWN | CHANNELS | {"prefix", "name"}:
            continue
        made = getattr(keys, member)
        if not callable(made):
            found[member] = made
            continue
        takes = inspect.signature(made).parameters
        needed = [given for each in takes.values() if each.default is each.empty]
        scopes: list[dict[str, str]] = [{}, {"scope": given}] if "scope" in takes else [{}]
        for scope in scopes:
            names = made(*needed, **scope)
            for at, name in enumerate([names] if isinstance(names, str) else names):
                found[f"{member}{at}{[*scope]}"] = name
                beside = {"slots": SLOTS_BESIDE, "pause": SLOTS_BESIDE, "rate": RATE_BESIDE}.get(member, ())
                found |= {f"{member}{at}{[*scope]}{side}": f"{name}{side}" for side in beside}
    return found


@BOTH
def test_no_task_key_is_parked_on_top_of_something_else(keys: Keys) -> None:
    """Whatever the docket calls its own, used as a task key, is parked elsewhere; and what goes on behind it."""
    own = {name for given in ("k", "a:b", "x:waiters", "stream") for name in own_names(keys, given).values()}
    inside = {name.removeprefix(f"{keys.prefix}:") for name in own if name.startswith(f"{keys.prefix}:")}
    parked = {keys.parked(key) for key in inside}
    assert not parked & {name for name in own if not name.startswith(f"{keys.reserved_queue}:")}
    assert len(parked) == len(inside)
    assert len(own) > 60


@BOTH
@pytest.mark.parametrize(
    "key", ["k", "a:b", "streams", "stream:x", "limits:x", "results", "wake", "state:x", "cancel:x"]
)
def test_other_keys_are_parked_where_pydocket_looks_for_them(keys: Keys, key: str) -> None:
    assert keys.parked(key) == keys.plain_parked(key) == f"{keys.prefix}:{key}"
    assert keys.queue_of(key) == keys.queue


def test_a_new_name_is_reserved_by_being_there(monkeypatch: pytest.MonkeyPatch) -> None:
    class Newer(Keys):
        @property
        def ledger(self) -> str:
            return f"{self.prefix}:ledger"

        def page(self, number: str, scope: str | None = None) -> str:
            return f"{self.prefix}:{scope}:page:{number}" if scope else f"{self.prefix}:pages:{number}"

    reserved = Reserved.of(Newer)
    assert reserved.names == {"ledger"}
    assert reserved.rooms == {"pages"}
    assert reserved.inner == {":page:"}


@BOTH
def test_pydocket_and_this_docket_call_ordinary_limits_the_same(keys: Keys) -> None:
    p, home = keys.prefix, f"{keys.prefix}:" if keys.tagged else ""
    assert keys.slots("who", "x") == f"{p}:concurrency:who:x"
    assert keys.slots("task") == f"{p}:concurrency:task"
    assert keys.slots("ns:task") == f"{p}:concurrency:ns:task"
    assert keys.slots("who", "a:b%c:waiters2") == f"{p}:concurrency:who:a:b%c:waiters2"
    assert keys.slots("who", "x", "zone:eu") == f"{p}:zone:eu:concurrency:who:x"
    assert keys.rate("who", "x:waiters") == f"{p}:ratelimit:who:x:waiters"
    assert keys.rate("who", "x", "zone") == f"{home}zone:ratelimit:who:x"
    assert keys.cooldown("task", None, "zone") == f"{home}zone:cooldown:task"
    assert keys.debounce("who", "x")[0] == f"{p}:debounce:who:x:{{who:x}}:winner"


PARTS = [
    "x",
    "x:",
    ":x",
    "::x",
    "x:waiters",
    "waiters",
    "x:reserved",
    "owners:",
    "x:woken:",
    "%",
    "%3A",
    "x%3Awaiters",
    "a:concurrency:b",
]
SCOPES = [
    None,
    "s",
    "s:t",
    "runs",
    "s:runs",
    "%runs",
    "concurrency",
    "s:ratelimit",
    "d",
    "d:concurrency:x",
    "parked",
    "results",
]


@BOTH
def test_no_two_rules_share_a_name(keys: Keys) -> None:
    """But for a task that is named like an argument and its value, which pydocket does not tell apart either."""
    made: dict[str, tuple[object, ...]] = {}

    def add(name: str, *what: object) -> None:
        assert made.setdefault(name, what) == what, name

    for scope, whom, value in itertools.product(SCOPES, PARTS, [None, *PARTS]):
        if value is None and ":" in whom:
            continue
        slots, rate = keys.slots(whom, value, scope), keys.rate(whom, value, scope)
        told_apart = None if scope == "d" and not keys.tagged else scope  # it stands for the docket's name
        add(slots, "slots", whom, value, scope)
        for side in SLOTS_BESIDE:
            add(slots + side, "slots", side, whom, value, scope)
        for kind, name in (("rate", rate), ("cooldown", keys.cooldown(whom, value, scope))):
            add(name, kind, whom, value, told_apart)
        for side in RATE_BESIDE:
            add(rate + side, "rate", side, whom, value, told_apart)
        for at, name in enumerate(keys.debounce(whom, value, scope)):
            add(name, "debounce", at, whom, value, told_apart)
    for given in ("k", "concurrency:x", "ratelimit:x:x", ":1", "x:waiters"):
        for member, name in own_names(keys, given).items():
            if not member.startswith(("slots", "rate", "cooldown", "debounce")):
                assert name not in made, (member, name)


@pytest.mark.anyio
@pytest.mark.parametrize("prefix", ["d*", "d?[x]", "back\\slash", "{braces}", "^$."])
async def test_a_pattern_takes_the_dockets_name_literally(url: str, prefix: str) -> None:
    keys = Keys(prefix)
    async with Client.from_url(url) as client, client.pubsub() as pubsub:
        await pubsub.psubscribe(keys.cancellations)
        await client.publish(Keys("dx").cancel_channel("other"), "no")
        await client.publish(keys.cancel_channel("k"), "yes")
        assert (await pubsub.receive()).payload == b"yes"


def test_the_task_that_looks_after_a_waiter_of_pydockets_has_its_place() -> None:
    assert KEYS.safeguard("k") == "d:__safeguard__:k"


def test_a_name_from_which_no_tag_can_be_made_is_refused_on_a_cluster() -> None:
    assert Keys.on_cluster("d").stream == "{d}:stream"
    with pytest.raises(BadSetting, match="does not begin with '}', as '}d' does"):
        Keys.on_cluster("}d")


@BOTH
def test_workers_of_different_releases_count_under_the_same_escaped_names(keys: Keys) -> None:
    p = keys.prefix
    assert keys.slots("who", "x:waiters") == f"{p}:concurrency:::who:x%3Awaiters:"
    assert keys.slots(":who%") == f"{p}:concurrency:::%3Awho%25:"
    assert keys.slots("a:b", "c") == f"{p}:concurrency:::a%3Ab:c:"
    assert keys.slots("who", "x", "runs") == f"{p}:%runs:concurrency::runs:who:x:"
    assert keys.slots("who", "x", "s:runs") == f"{p}:%s%3Aruns:concurrency::s%3Aruns:who:x:"
    assert keys.rate("who", "x:reserved").endswith(":ratelimit:::who:x%3Areserved:")

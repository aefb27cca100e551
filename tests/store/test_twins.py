"""Each twin does what its Lua does; see ``twins`` for what is called."""

from __future__ import annotations

from collections import Counter

import pytest

from docket.store.lua import script
from docket.store.twins import TWINS
from tests.store.twins import Fuzz

#: Calls on one pair of servers: enough for tasks to be placed, taken and ended several times.
CALLS = 150

#: What the twins reply themselves in a short run.
COMMON = {
    *(f"take {word}" for word in ("USUAL", "OK", "SUPERSEDED", "CANCELLED", "UNREADABLE", "BROKEN")),
    *(f"ended {word}" for word in ("OK", "SUPERSEDED", "LOST", "ALONE")),
    *(f"settle {word}" for word in ("OK", "SUPERSEDED", "LOST")),
    *(f"claim {word}" for word in ("OK", "SUPERSEDED", "CANCELLED", "LOST", "BROKEN")),
    *(f"schedule {word}" for word in ("OK", "STRIKES")),
    *(f"{name} left" for name in ("take", "settle", "claim", "schedule")),
}


def fuzz(first: int, calls: int) -> Counter[str]:
    """Run so many calls; returns what the twins replied."""
    seen: Counter[str] = Counter()
    for seed in range(first, first + calls // CALLS):
        one = Fuzz(seed)
        found = one.run(CALLS)
        assert not found, "\n".join(map(str, found))
        seen += one.seen
    return seen


@pytest.mark.parametrize(("sha", "name"), [(sha, twin.__name__) for sha, twin in TWINS.items()])
def test_a_twin_is_that_of_the_script_as_it_is(sha: str, name: str) -> None:
    assert script(name).sha == sha, (
        f"{name}.lua or a library of it has changed: let its twin in docket/store/twins do the same, "
        f"and write its new digest {script(name).sha} into docket/store/twins/__init__.py"
    )


def test_twins_do_what_their_scripts_do() -> None:
    seen = fuzz(7000, 6000)
    assert seen.keys() >= COMMON


@pytest.mark.chaos
@pytest.mark.parametrize("first", [1_000_000, 2_000_000, 3_000_000, 4_000_000])
def test_a_million_calls_show_no_difference(first: int) -> None:
    assert fuzz(first, 250_000).keys() >= COMMON

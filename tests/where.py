"""Where each test runs: on which event loops and servers, and in CI on which Python. Marks say so."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable
from typing import Any

import pytest

from docket.testing import virtual_backend

__all__ = [
    "BACKENDS", "EVERY_LOOP", "FEW_PAIRS", "ROOMS", "SAME", "SERVERS", "VIRTUAL",
    "asyncio_and_trio", "few_pairs", "is_slow", "on_asyncio", "on_trio", "one_loop", "parametrize",
    "slow", "virtual_time",
]  # fmt: skip

#: What anyio's ``anyio_backend`` is on each loop; made for each test, because a virtual clock serves only one.
BACKENDS: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
    "asyncio": lambda: ("asyncio", {"use_uvloop": False}),
    "uvloop": lambda: ("asyncio", {"use_uvloop": True}),
    "trio": lambda: ("trio", {}),
    "virtual-asyncio": lambda: virtual_backend("asyncio"),
    "virtual-trio": lambda: virtual_backend("trio"),
}

#: A test that awaits runs on each of these loops, one that takes ``url`` on each of these servers, and one that
#: does both on every pair of them but one: uvloop has sockets and timers of its own, but the tasks of asyncio, and
#: memory:// has no socket.
EVERY_LOOP = ("asyncio", "uvloop", "trio")
SERVERS = ("memory", "redis")
SAME = {("uvloop", "memory")}
VIRTUAL = {"virtual-asyncio", "virtual-trio"}

#: Unless a mark names other loops, the nearest one: of the test, its class, its file, its room.
one_loop = pytest.mark.loops("asyncio")  #: what it shows is the same on every loop
on_asyncio = pytest.mark.loops("asyncio", "uvloop")
on_trio = pytest.mark.loops("trio")
asyncio_and_trio = pytest.mark.loops("asyncio", "trio")
virtual_time = pytest.mark.loops("virtual-asyncio", "virtual-trio")  #: no server but memory:// knows of it

#: Or names some pairs: rows of a table do not differ in how loop and server work together. ``pytest --quick`` runs
#: all tests on these pairs, and none that is slow; so does CI on each Python but the first, where it runs everything.
FEW_PAIRS = [("asyncio", "redis"), ("trio", "memory")]
few_pairs = pytest.mark.pairs(*FEW_PAIRS)

#: On the first Python alone: it takes long, or is not about our Python.
slow = pytest.mark.slow

#: The marks that all tests of a room have.
ROOMS: dict[str, list[pytest.MarkDecorator]] = {
    "bench": [slow],
    "browser": [pytest.mark.browser],
    "chaos": [slow],
    "hostile": [slow, pytest.mark.pairs(("asyncio", "redis"), ("uvloop", "memory"), ("trio", "redis"))],
    "instrumentation": [slow, asyncio_and_trio],
    "interop": [slow, asyncio_and_trio],  # pydocket, in a process of its own
    "seeds": [slow],
    "seeds/promises": [virtual_time],
    "store": [slow, one_loop],  # the server's scripts know neither Python nor loops
    "task_groups": [asyncio_and_trio],
    "topologies": [slow, asyncio_and_trio],  # tests/transport reaches them on every loop
    "trust": [slow],
    "types": [pytest.mark.checkers],
}


def is_slow(room: str) -> bool:
    """Whether all tests of a room are slow."""
    return slow in ROOMS.get(room, ())


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a test its loops and servers, unless it has parametrized them itself."""
    test = metafunc.definition
    by_itself = {name for mark in test.iter_markers("parametrize") for name in _names(mark)}
    loops, servers = (
        name in metafunc.fixturenames and name not in by_itself for name in ("anyio_backend", "url")
    )
    named = test.get_closest_marker("loops")
    on = metafunc.config.getoption("loop")
    if loops and servers and (pairs := _pairs(metafunc, named.args if named else EVERY_LOOP)):
        pairs = [pair for pair in pairs if pair[0] == on] or pairs
        ids = ["-".join(pair) for pair in pairs]
        metafunc.parametrize(("anyio_backend", "url"), pairs, ids=ids, indirect=True)
        return
    if loops:
        every = named.args if named else EVERY_LOOP
        only = [loop for loop in every if on and loop.removeprefix("virtual-") == on]
        metafunc.parametrize("anyio_backend", only or every, indirect=True)
    if servers:
        virtual = named is not None and set(named.args) <= VIRTUAL
        metafunc.parametrize("url", ["memory"] if virtual else SERVERS, indirect=True)


def _pairs(metafunc: pytest.Metafunc, loops: Collection[str]) -> list[tuple[str, str]]:
    """The loop and the server of each run of a test that takes both; none if virtual time decides that."""
    if metafunc.config.getoption("quick"):
        pairs: Iterable[tuple[str, str]] = FEW_PAIRS
    elif named := metafunc.definition.get_closest_marker("pairs"):
        pairs = named.args
    else:
        pairs = (pair for pair in itertools.product(EVERY_LOOP, SERVERS) if pair not in SAME)
    return [pair for pair in pairs if pair[0] in loops]


def _names(mark: pytest.Mark) -> list[str]:
    """The names that a ``parametrize`` gives values to."""
    names = mark.args[0] if mark.args else mark.kwargs["argnames"]
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)

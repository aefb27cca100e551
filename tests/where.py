"""Where each test runs: on which event loops and servers, and in CI on which Python. Marks say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from docket.testing import virtual_backend

__all__ = [
    "BACKENDS", "EVERY_LOOP", "FEW_PAIRS", "ROOMS", "SERVERS", "VIRTUAL",
    "asyncio_and_trio", "few_pairs", "on_asyncio", "on_trio", "one_loop", "parametrize", "real_time", "slow",
    "virtual_time",
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
#: does both on every pair of them.
EVERY_LOOP = ("asyncio", "uvloop", "trio")
SERVERS = ("memory", "redis")
VIRTUAL = {"virtual-asyncio", "virtual-trio"}

#: Unless a mark names other loops, the nearest one: of the test, its class, its file, its room.
one_loop = pytest.mark.loops("asyncio")  #: what it shows is the same on every loop
on_asyncio = pytest.mark.loops("asyncio", "uvloop")
on_trio = pytest.mark.loops("trio")
asyncio_and_trio = pytest.mark.loops("asyncio", "trio")
virtual_time = pytest.mark.loops("virtual-asyncio", "virtual-trio")  #: no server but memory:// knows of it

#: Or says that some pairs are enough: rows of a table, which do not differ in how loop and server work together.
#: So does ``pytest --few-pairs`` of all tests, as CI does where it has tried every pair on another Python.
few_pairs = pytest.mark.few_pairs
FEW_PAIRS = [("asyncio", "redis"), ("uvloop", "memory"), ("trio", "redis")]

#: In CI, on the first Python alone: it takes long, or is not about our Python.
slow = pytest.mark.slow

#: A race with processes, servers and clocks: in CI it has a second run if it comes too late. See tests/conftest.py.
real_time = pytest.mark.real_time

#: The marks that all tests of a room have.
ROOMS: dict[str, list[pytest.MarkDecorator]] = {
    "bench": [slow],
    "chaos": [slow, real_time],
    "hostile": [slow, few_pairs],
    "instrumentation": [slow],
    "interop": [slow, real_time],  # pydocket, in a process of its own
    "seeds": [slow],
    "seeds/promises": [virtual_time],
    "store": [slow, one_loop],  # the server's scripts know neither Python nor loops
    "topologies": [slow, real_time],
    "types": [pytest.mark.checkers],
}


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Give a test its loops and servers, unless it has parametrized them itself."""
    test = metafunc.definition
    by_itself = {name for mark in test.iter_markers("parametrize") for name in _names(mark)}
    loops, servers = (
        name in metafunc.fixturenames and name not in by_itself for name in ("anyio_backend", "url")
    )
    named = test.get_closest_marker("loops")
    few = test.get_closest_marker("few_pairs") is not None or metafunc.config.getoption("few_pairs")
    if loops and servers and named is None and few:
        ids = ["-".join(pair) for pair in FEW_PAIRS]
        metafunc.parametrize(("anyio_backend", "url"), FEW_PAIRS, ids=ids, indirect=True)
        return
    if loops:
        metafunc.parametrize("anyio_backend", named.args if named else EVERY_LOOP, indirect=True)
    if servers:
        virtual = named is not None and set(named.args) <= VIRTUAL
        metafunc.parametrize("url", ["memory"] if virtual else SERVERS, indirect=True)


def _names(mark: pytest.Mark) -> list[str]:
    """The names that a ``parametrize`` gives values to."""
    names = mark.args[0] if mark.args else mark.kwargs["argnames"]
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)

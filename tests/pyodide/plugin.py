"""What tests/conftest.py is elsewhere: it leaves out the tests that need a server, a process or an event loop."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path

import pytest

#: Fixtures of servers and loops. A test that uses one of these, or a fixture that does, is left out.
ABSENT = ["anyio_backend", "memory_url", "redis_url", "server", "url"]

#: What tests start by themselves: processes, threads, event loops; and values nested deeper than this stack.
NEED_MORE = ("subprocess", "anyio.run(", "Thread(", '"[" * 100_000')

#: Files that import packages which are not there.
LEFT_OUT = {"test_event_loops.py", "test_result_storage.py"}


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return collection_path.name in LEFT_OUT or None


def absent() -> None:
    raise AssertionError("a test that needs this was not left out")


for _name in ABSENT:
    globals()[_name] = pytest.fixture(name=_name)(lambda: absent())


@pytest.fixture
def docket(url: str) -> None:
    """That of tests/docket."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = [item for item in items if not needs_more(item)]
    config.hook.pytest_deselected(items=[item for item in items if needs_more(item)])
    items[:] = here


def needs_more(item: pytest.Item) -> bool:
    function = getattr(item, "function", None)
    source = inspect.getsource(function) if function is not None else ""
    return (
        inspect.iscoroutinefunction(function)
        or not set(getattr(item, "fixturenames", ())).isdisjoint(ABSENT)
        or any(word in source for word in NEED_MORE)
    )


def pytest_report_header() -> str:
    absent_here = [
        name for name in ("hiredis", "lupa", "trio", "uvloop") if importlib.util.find_spec(name) is None
    ]
    return f"{sys.version} on {sys.platform}, without {', '.join(absent_here)}"

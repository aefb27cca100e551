"""A docket for commands. They set up logging for their whole process, which here is the tests'."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator

import pytest

from tests.cli.office import Office, office


@pytest.fixture(autouse=True)
def root_logger_put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []  # pytest's own must outlive configure(), which closes those it replaces
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("DOCKET_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def here(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setenv("DOCKET_URL", redis_url)
    with office(redis_url) as found:
        found.ask(lambda docket: docket.store.claims("w").create_group())  # as a worker does that starts
        yield found

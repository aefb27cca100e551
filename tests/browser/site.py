"""A dashboard and a worker, as commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from tests.cli.office import Command
from tests.house.tree import ROOT


@attrs.frozen
class Site:
    """``url`` is the server's, ``address`` the dashboard's."""

    url: str
    address: str
    dashboard: Command


@contextmanager
def site(url: str, loop: str, *options: str) -> Iterator[Site]:
    tasks = ("--docket", "orders", "--url", url, "--tasks", "tests.web.tasks:all_tasks")
    before = os.getcwd()
    os.chdir(ROOT)  # where commands look for modules
    try:
        with (
            Command("worker", *tasks, "--name", "w1", "--concurrency", "3", "--backend", loop),
            Command("web", *tasks, "--port", "0", "--backend", loop, *options) as dashboard,
        ):
            line = dashboard.line()
            assert line.startswith("Serving http://127.0.0.1:"), (line, dashboard.ended())
            yield Site(url, line.partition(" ")[2], dashboard)
    finally:
        os.chdir(before)

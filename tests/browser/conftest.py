"""Chromium, and a dashboard with a worker beside it, each in a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from docket import Docket
from docket.synchronous import SyncDocket
from tests.browser.site import Site, site
from tests.servers import Server

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium. Names that end with .test lead to this machine."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail("these tests drive chromium, and there is none: apt install chromium")
    arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--host-resolver-rules=MAP *.test 127.0.0.1"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=arguments)
        yield running
        running.close()


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def here(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A dashboard, on one event loop after the other."""
    with Server() as server, site(server.url, request.param) as found:
        yield found


@pytest.fixture
def docket(here: Site) -> Iterator[SyncDocket]:
    """The docket that it shows."""
    with Docket("orders", here.url).sync() as docket:
        docket.register_collection("tests.web.tasks:all_tasks")
        yield docket


@pytest.fixture
def context(browser: Browser, here: Site) -> Iterator[BrowserContext]:
    with pages(browser, here) as context:
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


class pages:
    """A browser of its own. At the end nothing was complained about, and nothing asked for elsewhere."""

    def __init__(self, browser: Browser, here: Site, **settings: Any) -> None:
        self.here, self.complaints = here, list[str]()
        self.context = browser.new_context(base_url=here.address, **settings)
        self.context.set_default_timeout(10_000)
        self.context.on("console", lambda message: self._said(message.text))
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.context.on("request", self._asked)

    def _said(self, text: str) -> None:
        if (
            "Cross-Origin-Opener-Policy header has been ignored" not in text
        ):  # over http, where it cannot be kept
            self.complaints.append(text)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.here.address, "data:")):
            self.complaints.append(f"asked for {request.url}")

    def __enter__(self) -> BrowserContext:
        return self.context

    def __exit__(self, *_: object) -> None:
        self.context.close()
        assert self.complaints == []

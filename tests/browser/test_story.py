"""What an operator does who has only the dashboard: find a failing task, understand it, pause it, repair it, resume."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Protocol

import attrs
import redis
from playwright.sync_api import Browser, Page, expect

from docket.synchronous import SyncDocket
from tests.browser.conftest import pages
from tests.browser.site import Site


def until(holds: Callable[[], bool]) -> None:
    """What another process does can only be asked for."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


class Hands(Protocol):
    """How somebody uses a page."""

    def visit(self, title: str, key: str) -> None:
        """Go to a page of the menu, which has a key."""

    def fill(self, label: str, text: str) -> None: ...

    def press(self, name: str) -> None:
        """A button or a link of that text, the first one."""


@attrs.frozen
class Keyboard:
    """No mouse. What has the focus is seen by its outline, here asked for."""

    page: Page

    def visit(self, title: str, key: str) -> None:
        self.page.keyboard.press("g")
        self.page.keyboard.press(key)
        expect(self.page.get_by_role("heading", level=1)).to_have_text(title)

    def fill(self, label: str, text: str) -> None:
        self._reach(label, "document.activeElement.labels?.[0]?.firstChild?.textContent ?? ''")
        self.page.keyboard.type(text)

    def press(self, name: str) -> None:
        self._reach(name, "document.activeElement.textContent")
        self.page.keyboard.press("Enter")

    def _reach(self, name: str, asked: str) -> None:
        """Move the focus to it, by the tabulator."""
        for _ in range(80):
            self.page.keyboard.press("Tab")
            if self.page.evaluate(f"({asked}).trim()") == name:
                return
        raise AssertionError(f"the keyboard does not lead to {name!r}")


@attrs.frozen
class Mouse:
    page: Page

    def visit(self, title: str, key: str) -> None:
        self.page.locator("#nav").get_by_role("link", name=re.compile(rf"^{title}\b( \d+)?$")).click()
        expect(self.page.get_by_role("heading", level=1)).to_have_text(title)

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_label(label).fill(text)

    def press(self, name: str) -> None:
        self.page.locator("a, button").get_by_text(name, exact=True).first.click()


def mend(docket: SyncDocket, url: str, page: Page, hands: Hands) -> None:
    """Find what fails, understand it, pause it, repair it, retry all, resume."""
    server = redis.Redis.from_url(url)
    server.delete("repaired")
    names = [f"account-{n}" for n in range(4)]
    for name in names:
        docket.add("charge", key=name)(name)
    until(lambda: len(docket.failures("charge")) == 4)
    page.goto("")
    hands.visit("Failures", "f")
    hands.fill("Error contains", "no answer")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("error=no"))
    expect(page.locator("#rows tbody tr")).to_have_count(4)
    hands.press("account-2")
    expect(page.locator(".errorline")).to_contain_text("ConnectionError: no answer for account-2")
    expect(page.locator("pre")).to_contain_text("raise ConnectionError(")
    hands.visit("Failures", "f")
    hands.press("charge")  # the group of its failures
    expect(page).to_have_url(re.compile("task=charge"))
    hands.press("Pause")
    expect(page.locator(".told")).to_have_text("Paused 1 task.")
    docket.add("charge", key="account-4")("account-4")
    until(lambda: docket.counts().paused == 1)  # programs go on adding

    server.set("repaired", 1)
    hands.press("Retry all…")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Retry 4 failures")
    hands.press("Retry 4 failures")
    expect(page.locator(".told")).to_have_text("Retried 4 failures.")
    until(lambda: docket.counts().paused == 5)
    hands.visit("Pauses", "p")
    expect(page.locator("#pauses tbody tr")).to_contain_text("charge")
    hands.press("Resume")
    expect(page.locator(".told")).to_have_text("Resumed 5 waiting runs.")
    until(lambda: docket.counts().paused == 0 and not docket.failures("charge"))
    hands.visit("Work", "w")
    hands.visit("Failures", "f")
    for name in names:
        execution = docket.get_execution(name)
        assert execution is not None
        assert execution.get_result() is None
    expect(page.locator("main")).not_to_contain_text("no answer for")
    server.close()


def test_a_failing_task_is_mended_by_keyboard_alone(docket: SyncDocket, here: Site, page: Page) -> None:
    mend(docket, here.url, page, Keyboard(page))


def test_a_failing_task_is_mended_without_script(docket: SyncDocket, here: Site, browser: Browser) -> None:
    with pages(browser, here, java_script_enabled=False) as context:
        page = context.new_page()
        mend(docket, here.url, page, Mouse(page))


def test_a_failing_task_is_found_paused_and_retried(docket: SyncDocket, page: Page) -> None:
    for n in range(6):
        docket.add("bad", key=f"story-{n}")(f"disk full on /dev/sd{n}")
    until(lambda: len(docket.failures(error="disk full")) == 6)
    page.goto("")
    page.locator("#failures tbody a").first.wait_for()
    page.get_by_role("link", name="Failures").click()
    page.get_by_label("Error contains").fill("disk full")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#rows tbody tr")).to_have_count(6)
    page.get_by_role("link", name="story-3").click()
    expect(page.locator("pre")).to_contain_text("raise ValueError(text)")
    page.get_by_role("link", name="bad", exact=True).first.click()
    page.get_by_label("Why").fill("disk is full")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".told")).to_have_text("Paused 1 task.")
    expect(page.locator("#pause")).to_contain_text("disk is full")

    page.goto("failures?error=disk+full")
    page.get_by_role("button", name="Retry all").click()
    expect(page.get_by_role("heading", name="Retry 6 failures of docket orders?")).to_be_visible()
    page.get_by_role("button", name="Retry 6 failures").click()
    expect(page.locator(".told")).to_have_text("Retried 6 failures.")
    expect(page.locator("#rows .empty")).to_contain_text("No failure matches")

    until(lambda: docket.counts().paused == 6)
    page.goto("work?state=paused&task=bad")
    expect(page.locator("#rows tbody tr")).to_have_count(6)
    page.goto("pauses")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".told")).to_have_text("Resumed 6 waiting runs.")
    until(lambda: len(docket.failures(error="disk full")) == 6)  # it was not repaired, after all
    page.goto("failures?error=disk+full")
    page.get_by_label("Check all rows").check()
    for box in page.locator("#rows tbody input[type=checkbox]").all()[2:]:
        box.uncheck()
    page.get_by_role("button", name="Discard…").click()
    page.get_by_role("button", name="Discard 2 failures").click()
    expect(page.locator("#rows tbody tr")).to_have_count(4)

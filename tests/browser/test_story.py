"""What an operator does who has only the dashboard: find a failing task, understand it, pause it, repair it, resume."""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Page, expect

from docket.synchronous import SyncDocket


def until(holds: Callable[[], bool]) -> None:
    """What another process does can only be asked for."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)


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

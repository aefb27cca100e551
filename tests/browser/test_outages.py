"""A dashboard whose server goes away, and comes back; and one that asks for a password."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import pages
from tests.browser.site import Site, site
from tests.servers import Server


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_a_page_says_that_redis_is_away_and_goes_on_by_itself(browser: Browser, loop: str) -> None:
    with Server() as server:
        with site(server.url, loop) as here:
            context = browser.new_context(base_url=here.address)  # it complains of answers that are 503
            page = context.new_page()
            page.goto("work")
            expect(page.locator("#link")).to_have_text("live")
            server.kill()
            expect(page.locator("#link")).to_contain_text("Redis is away", timeout=15_000)
            other = context.new_page()
            answer = other.goto("workers")
            assert answer is not None
            assert answer.status == 503
            expect(other.get_by_role("heading", name="Redis is away")).to_be_visible()
            server.start()
            expect(other.get_by_role("heading", name="Workers")).to_be_visible(timeout=20_000)
            expect(page.locator("#link")).to_have_text(re.compile("live|every 5 s"), timeout=20_000)
            context.close()


def test_a_password_opens_pages_streams_and_forms(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKET_WEB_PASSWORD", "s3cret")
    with Server() as server, site(server.url, "trio") as here:
        wrong = browser.new_context(http_credentials={"username": "docket", "password": "x"})
        answer = wrong.new_page().goto(here.address)
        assert answer is not None
        assert answer.status == 401
        wrong.close()
        named = Site(
            here.url, here.address.replace("127.0.0.1", "ops.test"), here.dashboard
        )  # http, no localhost
        with pages(browser, named, http_credentials={"username": "docket", "password": "s3cret"}) as context:
            page = context.new_page()
            page.goto("strikes")
            expect(page.locator("#link")).to_have_text("live")
            page.get_by_label("Task").fill("paint")
            page.get_by_role("button", name="Strike").click()
            expect(page.locator(".told")).to_have_text("Struck 1 task.")

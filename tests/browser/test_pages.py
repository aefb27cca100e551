"""What people see and do, in a real browser."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from docket import clock
from docket.synchronous import SyncDocket
from tests.browser.conftest import pages
from tests.browser.site import Site

HOUR = timedelta(hours=1)

#: A key and an error that would be markup.
EVIL = '"><img src=x onerror=alert(1)>'

PAGES = (
    "",
    "work",
    "work?state=later",
    "run?key=first",
    "task?name=paint",
    "failures",
    "tasks",
    "schedules",
    "workers",
    "limits",
    "pauses",
    "strikes",
    "dead",
)


def waiting(docket: SyncDocket, *keys: str) -> None:
    for key in keys:
        docket.add("paint", when=clock.now() + HOUR, key=key)(1)


def link(page: Page) -> Any:
    return page.locator("#link")


def test_numbers_change_while_one_looks(docket: SyncDocket, page: Page) -> None:
    page.goto("")
    expect(link(page)).to_have_text("live")
    tile = page.locator(".tile.later .number")
    before = int(tile.inner_text())
    waiting(docket, *(f"live-{n}" for n in range(7)))
    expect(tile).to_have_text(str(before + 7))


def test_nobodys_text_becomes_markup(docket: SyncDocket, page: Page) -> None:
    waiting(docket, EVIL)
    page.goto("work?state=later&contains=onerror")
    expect(page.locator("a.key")).to_have_text(EVIL)
    page.locator("a.key").click()
    expect(page.locator(".keyline")).to_have_text(EVIL)
    assert page.locator("img").count() == 0


def test_no_script_can_write_markup(browser: Browser, here: Site) -> None:
    page = browser.new_context().new_page()  # which complains of it
    page.goto(here.address)
    refused = (
        "() => { try { document.body.innerHTML = '<b>x</b>'; return 'set' } catch (e) { return e.name } }"
    )
    assert page.evaluate(refused) == "TypeError"
    page.context.close()


def test_a_run_moves_and_is_cancelled(docket: SyncDocket, page: Page) -> None:
    docket.add("slow", key="slow-1")()
    page.goto("run?key=slow-1")
    bar = page.locator("progress[aria-label=Progress]")
    expect(bar).to_be_visible()
    first = bar.get_attribute("value")
    expect(bar).not_to_have_attribute("value", str(first))
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Cancel 1 task?")).to_be_visible()
    page.get_by_role("button", name="Cancel 1 task").click()
    expect(page.locator(".told")).to_have_text("Cancelled 1 task.")
    expect(page.locator(".stateline .badge")).to_have_text("cancelled")
    page.reload()
    expect(page.locator(".told")).to_have_count(0)


def test_by_keyboard_alone(docket: SyncDocket, page: Page) -> None:
    waiting(docket, "keys-1", "keys-2", "keys-3")
    page.goto("")
    page.keyboard.press("g")
    page.keyboard.press("w")
    expect(page).to_have_url(re.compile("work$"))
    page.goto("work?state=later")
    page.keyboard.press("/")
    page.keyboard.press("Tab")
    page.keyboard.type("keys-")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(3)
    for key in "jjxkx":
        page.keyboard.press(key)
    expect(page.locator("input:checked")).to_have_count(2)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("run.key=keys-2"))
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-scheme", "light")


def test_without_script_one_can_do_all_of_it(browser: Browser, here: Site, docket: SyncDocket) -> None:
    waiting(docket, "plain-1", "plain-2")
    with pages(browser, here, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("work?state=later&contains=plain-")
        for box in page.locator("tbody input[type=checkbox]").all():
            box.check()
        page.get_by_role("button", name="Cancel").click()
        page.get_by_role("button", name="Cancel 2 tasks").click()
        expect(page.locator(".told")).to_have_text("Cancelled 2 tasks.")
        expect(page.locator(".empty")).to_contain_text("Nothing here matches")


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
def test_every_page_fits_and_can_be_read(
    browser: Browser, here: Site, docket: SyncDocket, width: int, scheme: Any
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    waiting(docket, "first", "k" * 300, EVIL)
    docket.strike("legacy", "path", "==", "x" * 200)
    with pages(browser, here, viewport={"width": width, "height": 800}, color_scheme=scheme) as context:
        page = context.new_page()
        for path in PAGES:
            page.goto(path)
            expect(link(page)).to_have_text("live")
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path
            found = Axe().run(page)
            assert found.violations_count == 0, f"{path}: {found.generate_report()}"


def test_twelve_pages_share_one_stream(context: BrowserContext, here: Site) -> None:
    """Over HTTP/1.1 a browser has six connections to a server."""
    opened = []
    for _ in range(12):
        page = context.new_page()
        page.goto("work")
        opened.append(page)
    expect(link(opened[-1])).to_have_text("live")
    for page in opened:
        expect(link(page)).to_have_text(re.compile("live|every 5 s"))


def test_a_form_of_another_page_is_refused(browser: Browser, here: Site, docket: SyncDocket) -> None:
    waiting(docket, "forged")
    context = browser.new_context()
    page = context.new_page()
    target = f"{here.address}cancel"
    form = (
        f"<form method=post action={target}><input name=key value=forged><input name=sure value=1><button>go"
    )
    page.route("http://evil.test/", lambda route: route.fulfill(content_type="text/html", body=form))
    page.goto("http://evil.test/")
    page.get_by_role("button").click()
    expect(page.get_by_role("heading")).to_have_text("This form was refused")
    context.close()
    assert docket.get_execution("forged").state.value == "scheduled"  # type: ignore[union-attr]

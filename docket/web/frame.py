"""The whole of a page: what stands around its content."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..operating import Counts, Pause
from .assets import link_to
from .http import address
from .markup import Child, Safe, el, join
from .pausing import pause_tools, pause_words
from .view import Content, Page, Part, View
from .words import count

__all__ = ["Frame", "Status", "plain_page"]

KEYS = (
    ("/", "filter this list"),
    ("g", "then a letter of the navigation: go there"),
    ("j k", "next row, row before"),
    ("x", "check the row"),
    ("Enter", "open the row"),
    ("l", "live updates on, off"),
    ("t", "light, dark, as the system"),
    ("?", "this help"),
)

FULL = (
    "The memory of Redis is full: it refuses whatever adds to it, and workers begin nothing. "
    "Striking, pausing, cancelling and discarding still work."
)


@attrs.frozen(kw_only=True)
class Status:
    """What every page says of the docket. ``paused`` is the pause of all tasks, if there is one."""

    counts: Counts
    paused: Pause | None


@attrs.frozen(kw_only=True)
class Frame:
    """What the pages of one dashboard have in common."""

    title: str
    home: str | None
    pages: Sequence[Page]
    read_only: bool

    def show(self, content: Content, view: View, status: Status | None, done: Child = None) -> Safe:
        """A page, with how much there is in its navigation where that is known."""
        here = view.here.partition("?")[0].removeprefix("./")
        blocks = [_part(each) if isinstance(each, Part) else each for each in content.blocks]
        main = el(
            "main",
            el("div", self.banner(status, view), id="banner", class_="part"),
            el("h1", content.title),
            done,
            *blocks,
            id="main",
            tabindex="-1",
            data_live=address("live", of=view.here) if content.status == 200 else None,
            data_parts=address("parts", of=view.here) if content.status == 200 else None,
        )
        skip = el("a", "Skip to the content", href="#main", class_="skip")
        body = el("body", skip, self._side(here, status), main, self._help())
        return _document(f"{content.title} · {self.title}", body)

    def _side(self, here: str, status: Status | None) -> Safe:
        line = el("p", el("span", "not live", id="link"), class_="status", role="status")
        mode = el("p", "Read-only", class_="mode") if self.read_only else None
        home = el("a", "← Back", href=self.home, class_="home") if self.home is not None else None
        brand = el(
            "a", el("span", "docket", class_="brand"), el("span", self.title, class_="which"), href="./"
        )
        return el(
            "header",
            el("div", home, brand, class_="top"),
            el("nav", self.links(here, status), id="nav", aria_label="Pages"),
            el("div", mode, line, class_="foot"),
            class_="side",
        )

    def banner(self, status: Status | None, view: View) -> Safe:
        """What stands above all else while the server is full, or the whole docket is paused."""
        if status is None:
            return Safe("")
        full = el("div", el("span", FULL), class_="banner") if status.counts.memory_full else None
        return join(full, self._paused(status.paused, view))

    def _paused(self, pause: Pause | None, view: View) -> Safe | None:
        if pause is None:
            return None
        return el(
            "div",
            el("span", "The whole docket is ", pause_words(pause, view), "."),
            pause_tools(view, None, {None: pause}),
            class_="banner",
        )

    def links(self, here: str, status: Status | None) -> Safe:
        """What the navigation holds: a link to each page, with how much there is."""
        links: list[Safe] = []
        for page in self.pages:
            if page.label:
                number = _number_of(page, status)
                kind = "count bad" if page.path in ("failures", "dead") else "count"
                links.append(
                    el(
                        "a",
                        page.label,
                        el("span", count(number), class_=kind) if number else None,
                        href=page.path or "./",
                        aria_current="page" if page.path == here else None,
                        data_key=page.key or None,
                    )
                )
        return join(*links)

    def _help(self) -> Safe:
        rows = [el("div", el("dt", el("kbd", key)), el("dd", does)) for key, does in KEYS]
        close = el("form", el("button", "Close"), method="dialog")
        return el("dialog", el("h2", "Keys"), el("dl", *rows, class_="facts"), close, id="help")


def _part(part: Part) -> Safe:
    return el("div", part.content, id=part.name, class_=f"part {part.kind}".strip())


def _number_of(page: Page, status: Status | None) -> int:
    if status is None:
        return 0
    counts = status.counts
    work = counts.due + counts.later + counts.running + counts.limited + counts.paused
    numbers = {"work": work, "failures": counts.failed, "workers": counts.workers, "dead": counts.dead}
    return numbers.get(page.path, 0)


def _document(title: str, body: Safe) -> Safe:
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="robots", content="noindex"),
        el("title", title),
        el("link", rel="icon", href="data:,"),
        el("link", rel="stylesheet", href=link_to("board.css")),
        el("script", src=link_to("board.js"), defer=True),
    )
    return join(Safe("<!doctype html>"), el("html", head, body, lang="en"))


def plain_page(title: str, *children: Child, home: str | None = "./") -> Safe:
    """A page without navigation, for those who may not see any, or who asked for nothing that is there."""
    back = el("p", el("a", "To the overview", href=home)) if home is not None else None
    return _document(
        title, el("body", el("main", el("h1", title), *children, back, id="main"), class_="plain")
    )

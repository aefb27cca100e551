"""Elements: nobody's text becomes markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from docket.web.markup import Safe, el, join


class Read(HTMLParser):
    """What a browser makes of it: elements with their attributes, and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


def every_character() -> str:
    """All of the first planes' beginnings, surrogates and whatever means something to HTML among them."""
    points = [*range(0x500), *range(0x2000, 0x2070), *range(0xD7F0, 0xE010), *range(0xFFF0, 0x10010)]
    return "".join(map(chr, points))


def test_text_stays_text_whatever_it_is() -> None:
    for text in [
        "<script>x()</script>",
        "</p><img src=x onerror=y>",
        "&lt;&amp;",
        "\"'`=",
        every_character(),
    ]:
        page = Read(el("p", text, el("b", text), title=text))
        assert [name for name, _ in page.elements] == ["p", "b"]
        shown = page.said[: len(page.said) // 2]
        for char in "<>&\"'`a":
            assert shown.count(char) == text.count(char) or text == every_character()


def test_every_character_that_can_be_seen_comes_through_and_no_other() -> None:
    text = every_character()
    page = el("p", text, title=text)
    page.encode()  # no surrogate is left
    read = Read(page)
    said, title = read.said, read.elements[0][1]["title"]
    assert said == title
    for char in text:
        if char.isprintable():
            assert char in said
    for hidden in "\x00\x07\x1b\x7f\x9b\u202e\u2066\ufeff\ud800":
        assert hidden not in said
    assert "\\u202e" in said
    assert "\n" in said  # tracebacks have lines


def test_what_is_safe_is_left_as_it_is() -> None:
    assert el("p", Safe("<b>x</b>"), "<i>") == "<p><b>x</b>&lt;i&gt;</p>"
    assert join("a<", None, 3, [el("br"), [Safe("&nbsp;")]]) == "a&lt;3<br>&nbsp;"


def test_attributes_are_named_as_in_python() -> None:
    assert el("input", class_="a b", data_key="k", required=True, checked=False, value=None) == (
        '<input class="a b" data-key="k" required>'
    )


@pytest.mark.parametrize("name", ["a b", "x><script", "", "on click", "1", "a=b", "é"])
def test_no_name_can_be_made_up(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        el(name)
    with pytest.raises(ValueError, match="cannot be the name"):
        el("p", **{name: "x"})

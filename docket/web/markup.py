"""HTML made of elements. What is not `Safe` is escaped, so no text of others can become markup."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Iterable
from typing import TypeAlias, Union

__all__ = ["Child", "Safe", "el", "join"]


class Safe(str):
    """Text that is markup already. `el` and `join` make it; so may constants of this room, and nothing else."""

    __slots__ = ()


Child: TypeAlias = Union[str, int, "Iterable[Child]", None]
"""What an element holds: markup, text, numbers, nothing, or several of these."""

#: Elements that have no content, and no end tag.
_VOID = frozenset({"br", "hr", "input", "link", "meta", "wbr"})

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*_?")

#: Characters that a page would not show, or that change the order of those around them: they are shown escaped.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\ufffe\uffff]"
)


def el(tag: str, /, *children: Child, **attributes: str | int | bool | None) -> Safe:
    """An element: ``el("a", text, href="work", class_="quiet", aria_current="page")``.

    Of attributes True is the bare name; None and False leave it out. Underscores stand for hyphens; one at the end,
    for names that Python has, is dropped. Raises: ValueError - a tag or an attribute with another kind of name.
    """
    said = "".join(
        f" {_name(name)}" if value is True else f' {_name(name)}="{_escaped(str(value))}"'
        for name, value in attributes.items()
        if value is not None and value is not False
    )
    begin = f"<{_name(tag)}{said}>"
    return Safe(begin if tag in _VOID else f"{begin}{join(*children)}</{tag}>")


def join(*children: Child) -> Safe:
    """Several things, one after the other."""
    return Safe("".join(map(_markup, children)))


def _markup(child: Child) -> str:
    if isinstance(child, Safe):
        return child
    if isinstance(child, str):
        return _escaped(child)
    if child is None:
        return ""
    return str(child) if isinstance(child, int) else join(*child)


def _escaped(text: str) -> str:
    if not isinstance(text, Safe) and not text.isprintable():
        text = _HIDDEN.sub(_spelled, text)
    return html.escape(text)


def _spelled(hidden: re.Match[str]) -> str:
    return hidden[0].encode("unicode_escape").decode("ascii")


@functools.cache  # the names are this room's own
def _name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of an element or an attribute")
    return name.removesuffix("_").replace("_", "-")

"""What comes of an action, and the line that a page says about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from .markup import Safe, el
from .words import plural

__all__ = ["TOLD", "Ask", "Done", "done_text", "told"]


@attrs.frozen(kw_only=True)
class Done:
    """``word`` is one of `WORDS`; ``number`` of ``what`` it happened to, and how many others it did not.

    ``names`` are for the log.
    """

    word: str
    number: int
    what: str
    others: int = 0
    names: Sequence[str] = ()


@attrs.frozen(kw_only=True)
class Ask:
    """A question before something that cannot be taken back. ``fields`` go into the form that says yes.

    ``so_far`` is what was done of it already, where the question is whether to go on.
    """

    question: str
    detail: str
    yes: str
    fields: Mapping[str, str] = attrs.field(factory=dict[str, str])
    so_far: Done | None = None


#: What a page says after an action, and of those to which it did not happen.
WORDS: Mapping[str, tuple[str, str]] = {
    "cancelled": ("Cancelled", "ended before"),
    "discarded": ("Discarded", "gone before"),
    "paused": ("Paused", "paused before"),
    "resumed": ("Resumed", ""),
    "retried": ("Retried", "left alone: waiting or running already, struck, or nothing is kept to run again"),
    "started": ("Started", "not waiting for a time any more"),
    "struck": ("Struck", ""),
    "restored": ("Restored", "not struck any more"),
}

#: What it may have happened to, one and several.
THINGS: Mapping[str, str] = {
    "task": "tasks",
    "strike": "strikes",
    "kind of call": "kinds of call",
    "docket": "dockets",
    "failure": "failures",
    "waiting run": "waiting runs",
}

TOLD = ("done", "n", "others", "what")
"""The names in the query of a page that comes after an action."""


def told(done: Done) -> dict[str, str | int | None]:
    """What the address of that page says."""
    return {"done": done.word, "n": done.number, "others": done.others or None, "what": done.what}


def done_text(query: Mapping[str, str]) -> Safe | None:
    """The line of a page that comes after an action. Nothing of it is anybody's text."""
    words = WORDS.get(query.get("done", ""))
    what = query.get("what", "")
    if words is None or what not in THINGS:
        return None
    number, others = _whole(query.get("n", "")), _whole(query.get("others", ""))
    text = f"{words[0]} {plural(number, what, THINGS[what]) if number else 'nothing'}"
    if others:
        text += f"; {plural(others, what, THINGS[what])} {words[1]}"
    return el("p", f"{text}.", class_="told", role="status", data_done=True)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0

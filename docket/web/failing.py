"""What forms do about failures: retry and discard, one, the checked ones, all that match; and run something now."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import anyio

from .. import clock
from ..errors import NothingKept, Untrusted, UsageError
from ..moments import SINCE, read_since
from ..rules import Disposition
from .fields import keys_in, word_in
from .http import Form
from .results import Ask, Done
from .visitors import Visitor
from .words import count, plural, stamp

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import BulkResult

__all__ = ["FILTER", "discard", "discard_all", "retry", "retry_all", "run_now", "wanted_by"]


LONGEST = 15.0
"""Seconds that one form acts on failures: a server or a proxy in front waits for no answer for ever."""

FILTER = ("task", "error", "since", "until")
"""The fields of a filter of failures."""


async def retry(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Run what has failed again; what waits for its next attempt runs now."""
    del visitor
    keys = keys_in(form)
    done = 0
    for key in keys:
        try:
            execution = await docket.retry(key)
        except (NothingKept, Untrusted):
            continue
        done += execution.disposition is Disposition.SCHEDULED
    return Done(word="retried", number=done, what="failure", others=len(keys) - done, names=keys)


async def discard(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Forget failures; the next attempt of what is tried again is cancelled."""
    del visitor
    keys = keys_in(form)
    if not form.get("sure"):
        what = plural(len(keys), "failure")
        return Ask(
            question=f"Discard {what}?",
            detail="Their calls and errors are gone then, and so is a next attempt. This cannot be taken back.",
            yes=f"Discard {what}",
        )
    done = sum([await docket.discard(key) for key in keys])
    return Done(word="discarded", number=done, what="failure", others=len(keys) - done, names=keys)


async def retry_all(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Retry all that a filter shows, as of the moment at which that was asked."""
    del visitor
    wanted = _wanted(form)
    if not form.get("sure"):
        return await _ask_about(docket, wanted, "Retry", "Each runs again, from its first attempt.")
    return await _all_of(docket, wanted, docket.retry_all, "retried")


async def discard_all(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Discard all that a filter shows, as of the moment at which that was asked."""
    del visitor
    wanted = _wanted(form)
    if not form.get("sure"):
        return await _ask_about(docket, wanted, "Discard", "They are gone then; this cannot be taken back.")
    return await _all_of(docket, wanted, docket.discard_all, "discarded")


async def _all_of(
    docket: Docket, wanted: Mapping[str, Any], act: Callable[..., Awaitable[BulkResult]], word: str
) -> Done | Ask:
    """Act on all that are wanted for a while; then ask whether to go on with the rest."""
    before = await _how_many(docket, wanted)
    with anyio.move_on_after(LONGEST):
        result = await act(**wanted)
        others = sum(result.skipped.values())
        return Done(word=word, number=result.done, what="failure", others=others, names=(_shown(wanted),))
    left = await _how_many(docket, wanted)
    return Ask(
        question=f"Go on with {plural(left, 'failure')}?",
        detail=f"There are too many for one go: {plural(before - left, 'failure')} of {count(before)} are {word} now.",
        yes="Go on",
        fields=_moments_of(wanted),
        so_far=Done(word=word, number=before - left, what="failure", others=left, names=(_shown(wanted),)),
    )


async def run_now(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Let what waits for its time run now."""
    del visitor
    keys = keys_in(form)
    done = sum([await docket.run_now(key) for key in keys])
    return Done(word="started", number=done, what="task", others=len(keys) - done, names=keys)


def wanted_by(said: Mapping[str, str]) -> dict[str, Any]:
    """What a filter asks for, as `Docket.failures` takes it. Raises: UsageError - a moment that is none."""
    return {
        "task": said.get("task") or None,
        "error": said.get("error") or None,
        "since": _moment("since", said.get("since", "")),
        "until": _moment("until", said.get("until", "")),
    }


def _moment(name: str, text: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        return read_since(text, clock.now())
    except ValueError:
        raise UsageError(f"{name} takes {SINCE}, not {text!r}") from None


def _wanted(form: Form) -> dict[str, Any]:
    """The filter of a form, with the moment until which it counts."""
    wanted = wanted_by({name: word_in(form, name) for name in FILTER})
    return {**wanted, "until": wanted["until"] or clock.now()}


async def _ask_about(docket: Docket, wanted: Mapping[str, Any], verb: str, then: str) -> Ask:
    number = await _how_many(docket, wanted)
    what = plural(number, "failure")
    return Ask(
        question=f"{verb} {what} of docket {docket.name}?",
        detail=f"{_shown(wanted)}. {then} What fails later is left alone.",
        yes=f"{verb} {what}",
        fields=_moments_of(wanted),
    )


async def _how_many(docket: Docket, wanted: Mapping[str, Any]) -> int:
    return sum((await docket.count_failures(**wanted)).values())


def _moments_of(wanted: Mapping[str, Any]) -> dict[str, str]:
    """The moments of a filter as they are: an hour ago is another one when the form comes back."""
    return {name: wanted[name].isoformat() for name in ("since", "until") if wanted[name] is not None}


def _shown(wanted: Mapping[str, Any]) -> str:
    """A filter in words."""
    words = ["All" if wanted["task"] is None else f"All of {wanted['task']}"]
    if wanted["error"] is not None:
        words.append(f'with "{wanted["error"]}" in the error')
    if wanted["since"] is not None:
        words.append(f"since {stamp(wanted['since'])}")
    return " ".join([*words, f"before {stamp(wanted['until'])}"])

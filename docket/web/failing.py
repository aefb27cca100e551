"""What forms do about failures: retry and discard, one, the checked ones, all that match; and run something now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .. import clock
from ..errors import NothingKept, UsageError
from ..moments import read_moment
from ..rules import Disposition
from .fields import keys_in, word_in
from .http import Form
from .results import Ask, Done
from .visitors import Visitor
from .words import plural, stamp

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import BulkResult

__all__ = ["discard", "discard_all", "retry", "retry_all", "run_now"]


async def retry(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Run what has failed again; what waits for its next attempt runs now."""
    del visitor
    keys = keys_in(form)
    done = 0
    for key in keys:
        try:
            execution = await docket.retry(key)
        except NothingKept:
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
    return _done("retried", await docket.retry_all(**wanted), wanted)


async def discard_all(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Discard all that a filter shows, as of the moment at which that was asked."""
    del visitor
    wanted = _wanted(form)
    if not form.get("sure"):
        return await _ask_about(docket, wanted, "Discard", "They are gone then; this cannot be taken back.")
    return _done("discarded", await docket.discard_all(**wanted), wanted)


async def run_now(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Let what waits for its time run now."""
    del visitor
    keys = keys_in(form)
    done = sum([await docket.run_now(key) for key in keys])
    return Done(word="started", number=done, what="task", others=len(keys) - done, names=keys)


def _wanted(form: Form) -> dict[str, Any]:
    """The filter of a form, with the moment until which it counts."""
    return {
        "task": word_in(form, "task") or None,
        "error": word_in(form, "error") or None,
        "since": _moment_in(form, "since"),
        "until": _moment_in(form, "until") or clock.now(),
    }


def _moment_in(form: Form, name: str) -> datetime | None:
    text = word_in(form, name)
    if not text:
        return None
    if (moment := read_moment(text)) is None:
        raise UsageError(f"{name} is no moment: {text!r}")
    return moment


async def _ask_about(docket: Docket, wanted: Mapping[str, Any], verb: str, then: str) -> Ask:
    number = sum((await docket.count_failures(**wanted)).values())
    what = plural(number, "failure")
    return Ask(
        question=f"{verb} {what}?",
        detail=f"{_shown(wanted)}. {then} What fails later is left alone.",
        yes=f"{verb} {what}",
        fields={"until": wanted["until"].isoformat()},
    )


def _done(word: str, result: BulkResult, wanted: Mapping[str, Any]) -> Done:
    skipped = sum(result.skipped.values())
    return Done(word=word, number=result.done, what="failure", others=skipped, names=(_shown(wanted),))


def _shown(wanted: Mapping[str, Any]) -> str:
    """A filter in words."""
    words = ["All" if wanted["task"] is None else f"All of {wanted['task']}"]
    if wanted["error"] is not None:
        words.append(f'with "{wanted["error"]}" in the error')
    if wanted["since"] is not None:
        words.append(f"since {stamp(wanted['since'])}")
    return " ".join([*words, f"before {stamp(wanted['until'])}"])

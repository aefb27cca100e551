"""Pauses as forms have them: of a task, or of the whole docket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .doubts import doubt
from .fields import name_in, word_in
from .http import Form
from .markup import Safe, el, join
from .pieces import field, form, hidden, state_badge
from .results import Ask, Done
from .view import View, spelled
from .visitors import Visitor
from .words import since

if TYPE_CHECKING:
    from ..docket import Docket
    from ..operating import Pause

__all__ = ["EVERY", "pause", "pause_tools", "pause_words", "resume"]

EVERY = "every"
"""The field of a form that is about all tasks."""


async def pause(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Have workers begin nothing more of a task, or of any."""
    task, reason = _task_in(form), word_in(form, "reason")
    if task is None and not form.get("sure"):
        return Ask(
            question="Pause the whole docket?",
            detail="Workers begin nothing more until it is resumed. What runs goes on, and so does adding.",
            yes="Pause all tasks",
        )
    if task is not None and (asked := await doubt(docket, task, form, "Pause")) is not None:
        return asked
    done = await docket.pause(task, reason=reason, by=visitor.name)
    what = "docket" if task is None else "task"
    names = ("all tasks" if task is None else task,)
    return Done(word="paused", number=int(done), what=what, others=int(not done), names=names)


async def resume(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Have workers begin it again."""
    del visitor
    task = _task_in(form)
    moved = await docket.resume(task)
    names = ("all tasks" if task is None else task,)
    if moved:
        return Done(word="resumed", number=moved, what="waiting run", names=names)
    return Done(word="resumed", number=1, what="docket" if task is None else "task", names=names)


def _task_in(form: Form) -> str | None:
    """The task that a form is about; None for all. One that somebody has typed is its ``name``."""
    if form.get(EVERY):
        return None
    return word_in(form, "name") or name_in(form, "task")


def pause_tools(view: View, task: str | None, paused: Mapping[str | None, Pause]) -> Safe | None:
    """The form that pauses a task, or all (None), or resumes it."""
    which = hidden(EVERY, "1") if task is None else hidden("task", spelled(task))
    if task in paused:
        go = el("button", "Resume all" if task is None else "Resume", type="submit", class_="main")
        return form(view, which, go, action="resume")
    stop = el("button", "Pause all…" if task is None else "Pause", type="submit")
    return form(
        view,
        which,
        field("Why", "reason", hint="for the others", kind="text"),
        stop,
        action="pause",
        class_="filters",
    )


def pause_words(pause: Pause, view: View) -> Safe:
    """Who has paused it, and why."""
    by = f" by {pause.by}" if pause.by else None
    reason = join(": ", pause.reason) if pause.reason else None
    return join(state_badge("paused"), by, since(pause.since, view.now), reason)

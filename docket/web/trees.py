"""Task groups and their children: as a tree, as a bar, as words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..rules import FINAL, WAITING, ExecutionState, Priority
from .http import address
from .markup import Child, Safe, el, join
from .pieces import card, limit_link, state_badge
from .view import View
from .words import coming, count, moment, plural, short

if TYPE_CHECKING:
    from ..operating import Tree, TreeGroup, TreeRun

__all__ = ["badge_of", "child_name", "counts_of", "error_of", "parent_links", "remarks_of", "tree_card"]

#: The tones of a bar, where they are not named as what they stand for.
_TONES = {"under way": "running", "cancelled": "quiet"}

#: How many units the whole width of a bar has.
WIDTH = 1000


def tree_card(tree: Tree, view: View) -> Safe | None:
    """What a run has opened, as a box; nothing where that is nothing."""
    run = tree.run
    if not run.has_children:
        return None
    if len(run.groups) == 1 and not run.groups_before:
        [group] = run.groups
        return card("Children", counts_of(group), _list(group, view), tools=_all_link(group))
    before = (
        el("p", f"{plural(run.groups_before, 'group')} before", class_="remark")
        if run.groups_before
        else None
    )
    groups = [
        el("div", el("h3", f"Group {group.place}"), counts_of(group), _list(group, view), _all_link(group))
        for group in run.groups
    ]
    return card("Task groups", before, *groups, class_="groups")


def parent_links(tree: Tree) -> Child:
    """The runs above one, the top first."""
    links: list[Child] = ["a program"] if tree.of_program else []
    links += [el("a", key, href=address("run", key=key), class_="key") for key in reversed(tree.parents)]
    if not links:
        return tree.group and el("code", tree.group)
    return el(
        "div",
        *([each, " ›"] if at + 1 < len(links) else each for at, each in enumerate(links)),
        class_="names",
    )


def counts_of(group: TreeGroup) -> Safe:
    """How the children of a group stand, as a bar and in words."""
    return el("div", _bar(group), el("p", _words(group), class_="remark"), class_="counts")


def _all_link(group: TreeGroup) -> Safe:
    return el("a", f"All {count(group.total)} as a list", href=address("group", id=group.id))


def _bar(group: TreeGroup) -> Safe | None:
    """How the children of a group stand, as a bar; the words beside it say the same."""
    total = group.total
    if not total:
        return None
    drawn: list[Safe] = []
    at = 0.0
    for kind, number in group.counts.items():
        tone = _TONES.get(kind, kind)
        width = WIDTH * number / total
        if number:
            drawn.append(el("rect", x=f"{at:.1f}", y=0, width=f"{width:.1f}", height=10, class_=tone))
        at += width
    box = f"0 0 {WIDTH} 10"
    return el("svg", *drawn, viewBox=box, preserveAspectRatio="none", class_="share", aria_hidden="true")


def _words(group: TreeGroup) -> str:
    """``1 failed, 3 under way, 36 completed``."""
    some = ", ".join(f"{count(number)} {word}" for word, number in group.counts.items() if number)
    words = f"{plural(group.total, 'child', 'children')}: {some}" if some else "no children yet"
    return f"{words}; asked to stop" if group.state == "cancelling" else words


def _list(group: TreeGroup, view: View) -> Safe:
    rows = [_row(child, group, view) for child in group.children]
    if group.left_out and group.children:
        more = el("a", f"{count(group.left_out)} more", href=address("group", id=group.id))
        rows.append(el("li", el("div", more, class_="run")))
    return el("ul", *rows, class_="tree") if rows else Safe("")


def _row(run: TreeRun, group: TreeGroup, view: View) -> Safe:
    """One child, and what is below it."""
    line = el(
        "div",
        badge_of(run),
        child_name(run, group.place_of(run.key)),
        el("span", join(*remarks_of(run, view)), class_="remark"),
        error_of(run),
        class_="run",
    )
    below = [
        el(
            "div",
            _bar(each),
            el("span", _words(each), class_="remark"),
            _list(each, view),
            class_="below",
        )
        for each in run.groups
    ]
    if run.is_cut:
        below.append(el("a", "its children", href=address("run", key=run.key), class_="below"))
    return el("li", line, *below)


def badge_of(run: TreeRun) -> Safe:
    """The state of a run; ``gone`` where nothing is recorded of it any more."""
    return state_badge(run.state.value if run.state is not None else "gone")


def error_of(run: TreeRun) -> Safe | None:
    """The error of a run, or of the attempt before it, as long as it has not completed."""
    if not run.error or run.state is ExecutionState.COMPLETED:
        return None
    return el("span", run.error, class_="errortext")


def child_name(run: TreeRun, place: str | None) -> Safe:
    """The task of a child, and its place or key, as a link to its run."""
    name = run.function or "nothing recorded"
    where = el("span", f" #{place}" if place is not None else f" {run.key}", class_="key")
    return el("a", el("strong", name), where, href=address("run", key=run.key, task=run.function))


def remarks_of(run: TreeRun, view: View) -> list[Child]:
    """Its level, where it is, since when, and what keeps it."""
    parts: list[Child] = []
    if run.priority is not Priority.NORMAL:
        parts.append(f"{run.priority.value} priority")
    if run.attempt > 1:
        parts.append(f"attempt {run.attempt}")
    if run.state is ExecutionState.RUNNING:
        parts.append(join(f"on {run.worker}, begun ", moment(run.started_at, view.now)))
    elif run.state is ExecutionState.SCHEDULED and (run.waits_for or run.waits_for_turn) is None and run.when:
        parts.append(join("begins ", coming(run.when, view.now)))
    elif run.state in FINAL and run.started_at is not None and run.completed_at is not None:
        parts.append(f"after {short(run.completed_at - run.started_at)} on {run.worker}")
    parts += _further(run, view)
    return [each for at, part in enumerate(parts) for each in ([", ", part] if at else [part])]


def _further(run: TreeRun, view: View) -> list[Child]:
    """What keeps a run, what will end it, and what comes after it."""
    parts: list[Child] = []
    if run.waits_for is not None:
        parts.append(join("waits for the limit ", limit_link(run.waits_for, view.docket)))
    if run.waits_for_turn is not None:
        parts.append(f"waits for its turn: {run.waits_for_turn}")
    if run.paused and run.state in WAITING:
        parts.append(el("a", "paused", href="pauses"))
    if run.expires is not None:
        parts.append(join("expires ", moment(run.expires, view.now)))
    if run.cancel_requested:
        parts.append("asked to stop")
    if run.worker_is_gone:
        parts.append("its worker is gone")
    if run.runs_once_more:
        parts.append("runs once more")
    return parts

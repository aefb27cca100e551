"""The tree of a run as lines of text, with its branches drawn in front."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from ..operating import Tree, TreeGroup, TreeRun
from ..rules import FINAL, WAITING, ExecutionState
from ..text import printable, shortened
from ..values import define, frozen
from .remarks import remarks
from .tables import relative, span

__all__ = ["Line", "can_draw", "counts_of", "lines_of", "said_of"]

#: How much of an error is shown of a child: `docket show` of it has the whole.
MOST_OF_ERROR = 100

BOXES = "├─ ", "└─ ", "│  "
ASCII = "|- ", "`- ", "|  "


@frozen
class Line:
    """A line of a tree: what is drawn in front, what it says, and of which state it is ("" of none)."""

    branch: str
    text: str
    state: str = ""

    def __str__(self) -> str:
        return f"{self.branch}{self.text}"


def lines_of(tree: Tree, now: datetime, *, whole_keys: bool = False, boxes: bool | None = None) -> list[Line]:
    """What is below the run of a tree. Boxes are drawn where stdout can show them, or as ``boxes`` says."""
    drawing = BOXES if (can_draw() if boxes is None else boxes) else ASCII
    return [*_drawn(_below(tree.run, now, whole_keys), "", drawing)]


def can_draw() -> bool:
    """Whether stdout can show boxes."""
    try:
        "".join(BOXES).encode(sys.stdout.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


@define(eq=False)
class _Node:
    """A line on the way into the drawing, and what is below it."""

    text: str
    state: str = ""
    below: Sequence[_Node] = ()


def _drawn(nodes: Sequence[_Node], before: str, drawing: Sequence[str]) -> Iterator[Line]:
    branch, last_branch, trunk = drawing
    for node in nodes:
        is_last = node is nodes[-1]
        yield Line(before + (last_branch if is_last else branch), node.text, node.state)
        yield from _drawn(node.below, before + (" " * len(trunk) if is_last else trunk), drawing)


def _below(run: TreeRun, now: datetime, whole_keys: bool) -> list[_Node]:
    if len(run.groups) == 1 and not run.groups_before:  # the line of the run counts its children
        return _children(run.groups[0], now, whole_keys)
    before = f"{run.groups_before:,} {'group' if run.groups_before == 1 else 'groups'} before"
    return [
        *([_Node(before)] if run.groups_before else []),
        *(
            _Node(f"group {each.place}, {counts_of(each)}", "", _children(each, now, whole_keys))
            for each in run.groups
        ),
    ]


def _children(group: TreeGroup, now: datetime, whole_keys: bool) -> list[_Node]:
    nodes: list[_Node] = []
    for child in group.children:
        is_whole = whole_keys or child.state is ExecutionState.FAILED
        text = f"{_named(child, group, whole=is_whole)}  {said_of(child, now)}"
        state = child.state.value if child.state is not None else ""
        nodes.append(_Node(text, state, _below(child, now, whole_keys)))
    if group.left_out:
        nodes.append(_Node(f"{group.left_out:,} more: --group {group.id}"))
    return nodes


def _named(run: TreeRun, group: TreeGroup, *, whole: bool) -> str:
    """The name of a task with its key, or with its place in the group where it has a key by that."""
    place = None if whole else group.place_of(run.key)
    name = run.function or "(nothing recorded)"
    return printable(f"{name}{{{run.key}}}" if place is None else f"{name} #{place}")


def counts_of(group: TreeGroup) -> str:
    """``40 children: 1 failed, 3 under way, 36 completed``."""
    some = ", ".join(f"{number:,} {word}" for word, number in group.counts.items() if number)
    total = f"{group.total:,} {'child' if group.total == 1 else 'children'}"
    stopping = " - asked to stop" if group.state == "cancelling" else ""
    return f"{total}: {some}{stopping}" if some else f"no children yet{stopping}"


def said_of(run: TreeRun, now: datetime) -> str:
    """How a run stands, on one line."""
    words = [run.state.value if run.state is not None else "gone"]
    if (
        run.state is ExecutionState.SCHEDULED
        and run.when is not None
        and (run.waits_for or run.waits_for_turn) is None
    ):
        words.append(relative(run.when, now))
    if run.worker is not None and run.started_at is not None and run.state not in WAITING:
        ended = run.completed_at or now
        how = "after" if run.completed_at is not None else "for"
        words.append(f"on {run.worker} {how} {span(max(ended - run.started_at, timedelta(0)))}")
    said = remarks(run, paused=run.paused, has_successor=run.runs_once_more)
    if run.expires is not None:
        said.append(f"expires {relative(run.expires, now)}")
    line = ", ".join([" ".join(words), *said])
    if len(run.groups) == 1 and not run.groups_before:
        line = f"{line}, {counts_of(run.groups[0])}"
    elif run.is_cut:
        line = f"{line}, with children"
    if run.error is not None and run.state is not ExecutionState.COMPLETED:
        how = ": " if run.state in FINAL else ", after "
        line = f"{line}{how}{shortened(run.error, MOST_OF_ERROR, MOST_OF_ERROR - 3)}"
    return printable(line)

"""Trees of runs in a terminal: how they are drawn, shown, listed and watched."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from docket import Docket, ExecutionState, Priority, clock
from docket.cli.app import docket_app, run
from docket.cli.trees import lines_of
from docket.operating import Tree, TreeGroup, TreeRun
from docket.store import Delivery, Ended
from tests.cli.office import Command, Office
from tests.where import slow

NOW = clock.now()
HOUR = timedelta(hours=1)


def child(number: int, state: ExecutionState, **more: object) -> TreeRun:
    return TreeRun(key=f"top:n.1:{number}", function="page", state=state, **more)  # type: ignore[arg-type]


def group(*children: TreeRun, number: int = 1, **counts: int) -> TreeGroup:
    some = {"completed": 0, "failed": 0, "cancelled": 0, "under_way": 0, "stopping": 0, **counts}
    return TreeGroup(id=f"n.{number}", state="open", children=children, **some)


def drawn(*groups: TreeGroup, before: int = 0, **how: bool) -> list[str]:
    top = TreeRun(
        key="top", function="top", state=ExecutionState.RUNNING, groups=groups, groups_before=before
    )
    tree = Tree(run=top, group=None, parents=[], of_program=False)
    return [str(line) for line in lines_of(tree, NOW, **how)]


def test_a_tree_is_drawn_with_branches_and_what_is_left_out_is_said() -> None:
    ran = {"worker": "w", "started_at": NOW - timedelta(seconds=3)}
    inner = TreeGroup(
        id="m.1", state="left", completed=1, failed=0, cancelled=0, under_way=0, stopping=0,
        children=[TreeRun(key="mine", function="leaf", state=ExecutionState.COMPLETED)],
    )  # fmt: skip
    some = group(
        child(7, ExecutionState.FAILED, error="ValueError: a\nb", attempt=2),
        child(2, ExecutionState.RUNNING, groups=[inner], runs_once_more=True, **ran),
        child(3, ExecutionState.SCHEDULED, waits_for="d:l", priority=Priority.LOW, expires=NOW + HOUR),
        failed=1,
        under_way=70_001,
    )
    assert drawn(some, boxes=True) == [
        r"├─ page{top:n.1:7}  failed, attempt 2: ValueError: a\nb",
        "├─ page #2  running on w for 0:00:03.000, runs once more, 1 child: 1 completed",
        "│  └─ leaf{mine}  completed",
        "├─ page #3  scheduled, low priority, waits for d:l, expires in 1:00:00.000",
        "└─ 69,999 more: --group n.1",
    ]
    assert drawn(some, boxes=False)[1:3] == [
        "|- page #2  running on w for 0:00:03.000, runs once more, 1 child: 1 completed",
        "|  `- leaf{mine}  completed",
    ]
    assert drawn(some, boxes=True, whole_keys=True)[1].startswith("├─ page{top:n.1:2}  running")


def test_several_groups_of_a_run_are_told_apart() -> None:
    gone = TreeRun(key="k", function=None, state=ExecutionState.CANCELLED)
    lines = drawn(group(gone, number=4, cancelled=1), group(number=5), before=3, boxes=True)
    assert lines == [
        "├─ 3 groups before",
        "├─ group 4, 1 child: 1 cancelled",
        "│  └─ (nothing recorded){k}  cancelled",
        "└─ group 5, no children yet",
    ]


async def grow(docket: Docket) -> str:
    """A parent that runs, with three children of which one has failed; the id of its group."""
    store, claims = docket.store, docket.store.claims("w")
    docket.register(grow)
    await docket.add(grow, key="top")(1)
    [parent] = await claims.take(1)
    assert isinstance(parent, Delivery)
    opened = await store.groups.open("top", 1, parent.fence, look_after=timedelta(hours=1))
    for key in ("bad", "runs", "waits"):
        execution = docket._execution_of(docket.call(grow, key=key)(1), replace=False)
        await store.schedule.place(execution.message(), replace=False, child_of=opened.id)
    bad, *_ = await claims.take(2)
    assert isinstance(bad, Delivery)
    await claims.settle(bad, Ended("failed", error="Boom: bang"))
    return opened.id


@pytest.fixture
def grown(here: Office) -> str:
    return here.ask(grow)


pytestmark = slow


def said(capsys: pytest.CaptureFixture[str], *tokens: str) -> list[str]:
    assert run(docket_app(), [*tokens]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_run_is_shown_with_its_tree(grown: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "show", "top")
    at = lines.index("3 children: 1 failed, 2 under way")
    assert lines[at + 1].startswith("├─ grow{bad}  failed on w after ")
    assert lines[at + 1].endswith(": Boom: bang")
    assert lines[at + 2].startswith("├─ grow{runs}  running on w for ")
    assert lines[at + 3] == "└─ grow{waits}  queued"
    assert "child of: top" in said(capsys, "show", "bad")
    assert said(capsys, "show", "top", "--limit", "2")[-1] == f"└─ 1 more: --group {grown}"
    assert said(capsys, "show", "top", "--depth", "0")[-1] == "It has children"
    tree = json.loads(said(capsys, "show", "top", "--json")[0])["tree"]
    assert [each["key"] for each in tree["run"]["groups"][0]["children"]] == ["bad", "runs", "waits"]
    assert (tree["group"], tree["parents"]) == (None, [])


def test_a_group_is_listed_page_by_page(grown: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "show", "top", "--group", grown, "--limit", "2")
    assert lines[0] == f"Task group {grown} of top, open, 3 children: 1 failed, 2 under way"
    assert [line.split()[0] for line in lines[1:4]] == ["Key", "bad", "runs"]
    assert lines[4] == "There are more: --after 'under_way runs'"
    page = said(capsys, "show", "top", "--group", grown, "--after", "under_way runs", "--json")
    document = json.loads(page[0])
    assert [each["key"] for each in document["children"]] == ["waits"]
    assert (document["next"], document["parent"], document["group"]["failed"]) == (None, "top", 1)


def test_what_cannot_be_listed_is_said(grown: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(docket_app(), ["show", "top", "--group", "nobody.1"]) == 1
    assert "nothing is known of a task group 'nobody.1'" in capsys.readouterr().err
    assert run(docket_app(), ["show", "top", "--after", "x"]) == 2
    assert "name it by --group" in capsys.readouterr().err


async def let_waiting_run(docket: Docket) -> None:
    await docket.store.claims("w").take(1)


async def end_top(docket: Docket) -> None:
    await docket.cancel("waits")
    execution = await docket.get_execution("top")
    assert execution is not None
    await execution.mark_as_cancelled()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_tree_is_watched_as_it_changes(here: Office, grown: str, backend: str) -> None:
    with Command("watch", "top", "--url", here.url, "--backend", backend) as watch:
        lines = [watch.line() for _ in range(5)]
        assert lines[1].startswith("running on w for ")
        assert [line.partition("  ")[0] for line in lines[2:]] == [
            "├─ grow{bad}", "├─ grow{runs}", "└─ grow{waits}",
        ]  # fmt: skip
        here.ask(let_waiting_run)
        assert watch.line().startswith("grow{waits} running on w for ")
        here.ask(end_top)
        assert watch.ended()[0] == 0


def test_each_change_of_a_tree_is_a_document(here: Office, grown: str) -> None:
    with Command("watch", "top", "--url", here.url, "--json") as watch:
        while (event := json.loads(watch.line()))["event"] != "tree":
            pass
        assert event["tree"]["run"]["groups"][0]["children"][0]["key"] == "bad"
        here.ask(end_top)
        assert watch.ended()[0] == 0

"""One task: which workers know it, and what of it waits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from ...client import compact_signature, get_signature
from ...errors import UsageError
from ..http import address
from ..markup import Child, Safe, el, join
from ..pausing import pause_tools, pause_words
from ..pieces import card, empty, facts
from ..view import Content, Page, Part, Query, Show, View
from ..words import plural

if TYPE_CHECKING:
    from ...docket import Docket, WorkerInfo
    from ...operating import Pause

__all__ = ["TASK"]


async def _read(docket: Docket, query: Query) -> Show:
    name = query.get("name", "")
    if not name:
        raise UsageError("which task? Its name is missing from the address")
    workers = sorted(await docket.task_workers(name), key=lambda worker: worker.name)
    function = docket.tasks.get(name)
    signature = None if function is None else compact_signature(get_signature(function))
    paused = {each.task: each for each in await docket.pauses()}
    return partial(_show, name, signature, workers, paused)


def _show(
    name: str,
    signature: str | None,
    workers: list[WorkerInfo],
    paused: Mapping[str | None, Pause],
    view: View,
) -> Content:
    return Content(
        title=name,
        blocks=[
            Part("pause", _pause(name, paused, view)),
            Part("facts", _facts(name, signature, workers), "half"),
            Part("work", _work(name), "half"),
        ],
        document={"name": name, "workers": [worker.name for worker in workers]},
    )


def _pause(name: str, paused: Mapping[str | None, Pause], view: View) -> Safe:
    words: Child = "Workers begin what of it is due."
    if name in paused:
        words = join(pause_words(paused[name], view), ".")
    tools = pause_tools(view, name, paused)
    return el("section", el("div", el("p", words), tools, class_="headline"), class_="card")


def _facts(name: str, signature: str | None, workers: list[WorkerInfo]) -> Safe:
    if not workers:
        return card(
            "Workers", empty("No live worker knows this task.", "What waits of it is kept until one does.")
        )
    call = None if signature is None else el("code", f"{name}({signature})")
    names: Child = el("div", *(el("code", worker.name) for worker in workers[:20]), class_="names")
    return card(
        f"Known by {plural(len(workers), 'worker')}", facts([("Signature", call), ("Workers", names)])
    )


def _work(name: str) -> Safe:
    links = [
        el("a", label, href=address("work", state=state, task=name), class_="button")
        for state, label in (
            ("due", "Due"),
            ("running", "Running"),
            ("later", "Later"),
            ("limited", "At a limit"),
        )
    ]
    return card(
        "Its work", el("p", "What of it waits and runs:", class_="remark"), el("div", *links, class_="links")
    )


TASK = Page(path="task", read=_read)

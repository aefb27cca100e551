"""One task: which workers know it, and what of it waits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ...client import compact_signature, get_signature
from ...errors import UsageError
from ..http import address
from ..markup import Child, Safe, el
from ..pieces import card, empty, facts, note
from ..view import Content, Page, Part, Query, Show, View
from ..words import plural

if TYPE_CHECKING:
    from ...docket import Docket, WorkerInfo

__all__ = ["TASK"]


async def _read(docket: Docket, query: Query) -> Show:
    name = query.get("name", "")
    if not name:
        raise UsageError("which task? Its name is missing from the address")
    workers = sorted(await docket.task_workers(name), key=lambda worker: worker.name)
    function = docket.tasks.get(name)
    signature = None if function is None else compact_signature(get_signature(function))
    return partial(_show, name, signature, workers)


def _show(name: str, signature: str | None, workers: list[WorkerInfo], view: View) -> Content:
    del view
    return Content(
        title=name,
        blocks=[
            Part("facts", _facts(name, signature, workers), "half"),
            Part("work", _work(name), "half"),
        ],
        document={"name": name, "workers": [worker.name for worker in workers]},
    )


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
    return card("Its work", note("What of it waits and runs:"), el("div", *links, class_="links"))


TASK = Page(path="task", read=_read)

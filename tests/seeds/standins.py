"""Stand-ins for what the texts name and do not show: functions, clients, databases, and what to call tasks with.

Every stand-in notes that it was called, by whom and for how long; `Notes` answers who was at work at once. They last a
second of virtual time, and no time where the clock is real.
"""

from __future__ import annotations

import builtins
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime, timedelta, timezone, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, ClassVar

import anyio
import attrs

import docket as package
from docket import clock
from docket.dependencies import current_execution
from docket.execution import ExecutionProgress

__all__ = ["File", "NotYet", "Note", "Notes", "standins"]


class Datetime(datetime):
    """``datetime`` on the clock of docket, which may be virtual."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return clock.now().astimezone(tz)


def import_with_clock(name: str, *args: Any) -> Any:
    """``import`` as the examples have it: their ``datetime`` goes with the clock."""
    if name == "datetime":
        return SimpleNamespace(datetime=Datetime, timedelta=timedelta, timezone=timezone)
    return builtins.__import__(name, *args)


#: What a text imports once, or takes for granted.
IMPORTED: dict[str, Any] = {
    **{name: getattr(package, name) for name in package.__all__ if name not in {"testing", "__version__"}},
    "Annotated": Annotated,
    "ExecutionProgress": ExecutionProgress,
    "Path": Path,
    "__builtins__": {**vars(builtins), "__import__": import_with_clock},
    "datetime": Datetime,
    "timedelta": timedelta,
    "timezone": timezone,
}


@attrs.frozen
class Note:
    """A stand-in was at work: its name and arguments, for which execution, in seconds of the event loop."""

    name: str
    args: tuple[Any, ...]
    key: str
    began: float
    ended: float


@attrs.define(eq=False)
class Notes:
    """What the stand-ins noted."""

    all: list[Note] = attrs.field(factory=list)

    def of(self, *names: str) -> list[Note]:
        return [note for note in self.all if note.name in names]

    def args(self, *names: str) -> list[tuple[Any, ...]]:
        return [note.args for note in self.of(*names)]

    def most_at_once(self, *names: str, of: Callable[[Note], bool] = lambda _: True) -> int:
        """How many executions were at work at the same time, from the first stand-in that each called to its last."""
        spans: dict[str, tuple[float, float]] = {}
        for note in self.of(*names):
            if of(note):
                began, ended = spans.get(note.key, (note.began, note.ended))
                spans[note.key] = (min(began, note.began), max(ended, note.ended))
        starts = [began for began, _ in spans.values()]
        return max(sum(began <= at < ended for began, ended in spans.values()) for at in starts)

    def working(self, name: str, result: Callable[..., Any] = lambda *_, **__: None) -> Callable[..., Any]:
        """An async function of that name, whose calls are noted; ``result`` gives what it returns or raises."""

        async def standin(*args: Any, **kwargs: Any) -> Any:
            began = anyio.current_time()
            await anyio.sleep(1 if clock.is_virtual() else 0)
            try:
                return result(*args, **kwargs)
            finally:
                self.all.append(Note(name, (*args, *kwargs.values()), _key(), began, anyio.current_time()))

        standin.__name__ = standin.__qualname__ = name
        return standin

    def phase(self, name: str, *steps: int) -> Callable[[str], AsyncGenerator[int]]:
        """An async generator function of that name, which says how far it is: a number from 0 to 100."""

        async def standin(source: str) -> AsyncGenerator[int]:
            for step in steps:
                await self.working(name)(source)
                yield step

        standin.__name__ = name
        return standin


def _key() -> str:
    """The key of the execution; a task that depends on nothing has none at hand."""
    execution = current_execution.get(None)
    return f"task {anyio.get_current_task().id}" if execution is None else execution.key


def shorter_range(start: int, *stop: int) -> range:
    """``range``, but a hundredth of the ten thousand that one text counts to: `test_at_full_length` counts them all."""
    return range(start // 100) if start == 10_000 else range(start, *stop)


class NotYet(Exception):
    """Raised where a text is about failing."""


class File:
    """A file that appears after it has been asked for three times; its pickles are the same file."""

    asked: ClassVar[list[int]] = []

    def __init__(self) -> None:
        self.number = len(self.asked)
        self.asked.append(0)

    def exists(self) -> bool:
        self.asked[self.number] += 1
        return self.asked[self.number] > 3


def failing_every_second_time() -> Callable[..., None]:
    turns = itertools.cycle([True, False])

    def take_turns(*_: Any) -> None:
        if not next(turns):
            raise NotYet("every second time")

    return take_turns


def _insight(user_id: str) -> SimpleNamespace:
    """What is known about a user is in the name: risk, upsell, content."""
    return SimpleNamespace(
        indicates_churn_risk=lambda: "risk" in user_id,
        indicates_upsell_opportunity=lambda: "upsell" in user_id,
        indicates_satisfaction=lambda: "content" in user_id,
    )


def _plain(notes: Notes) -> dict[str, Any]:
    """Functions that are awaited, and what they return."""
    statuses = itertools.chain(["running", "running"], itertools.repeat("completed"))
    loads = itertools.cycle([0.9, 0.5])
    numbers = [float(number) for number in range(250)]
    results: dict[str, Callable[..., Any]] = {
        "check_api_load": lambda _: next(loads),
        "check_deployment_status": lambda _: next(statuses),
        "cleanup_old_records": lambda: 7,
        "collect_user_behavior": _insight,
        "download": lambda url: f"/tmp/{url.rpartition('/')[2]}",
        "download_file": lambda url: f"/tmp/{url.rpartition('/')[2]}",
        "fetch_batch_items": lambda _: ["a", "b", "c"],
        "fetch_user_data": lambda user_id: {"id": user_id},
        "is_valid_data": lambda file_path: "invalid" not in file_path,
        "load_dataset": lambda _: numbers,
        "load_records": lambda _: ["Ann", "Bob", "Cid", "Dan"],
        "parse_file": lambda _: [1, 2, 3],
        "split_dataset_into_chunks": lambda _: ["c1", "c2", "c3"],
        "sync_data_from_source": failing_every_second_time(),
    }
    silent = """
        compress_audio create_table_backup extract_data generate_user_export import_record load_data
        mark_chunk_complete notify_deployment_finished perform_expensive_operation perform_tenant_operation
        process_data_chunk process_global_data_type process_item process_order_payment process_record
        recalculate_customer_metrics resize_image send_alert send_confirmation_email transcode_video transform_and_store
        transform_data update_customer_profile update_database update_inventory verify_backup_integrity
    """
    functions = {name: notes.working(name, result) for name, result in results.items()}
    return functions | {name: notes.working(name) for name in silent.split()}


def _tasks(notes: Notes) -> dict[str, Callable[..., Awaitable[Any]]]:
    """Functions that the texts add to a docket and do not show; strikes compare the arguments of two of them."""

    async def process_order(
        order_id: int = 0, customer_id: str = "", amount: int = 0, priority: str = "medium"
    ) -> None:
        await notes.working("process_order")(order_id, customer_id, amount, priority)

    async def process_payment(customer_id: str, amount: int) -> None:
        await notes.working("process_payment")(customer_id, amount)

    async def send_notification(user_id: int) -> None:
        notes.all.append(Note("send_notification", (user_id,), "", 0, 0))

    async def fetch_external_data(url: str) -> list[str]:
        await notes.working("fetch_external_data")(url)
        return ["one", "two", "three"]

    def task_of_one(name: str) -> Callable[..., Awaitable[Any]]:
        async def task(subject: str) -> None:
            await notes.working(name)(subject)

        task.__name__ = task.__qualname__ = name
        return task

    def task_of_none(name: str) -> Callable[..., Awaitable[Any]]:
        async def task() -> None:
            await notes.working(name)()

        task.__name__ = task.__qualname__ = name
        return task

    async def finalize_dataset(dataset_id: str, chunks: int) -> None:
        await notes.working("finalize_dataset")(dataset_id, chunks)

    shown = [process_order, process_payment, send_notification, fetch_external_data, finalize_dataset]
    of_one = ["create_retention_campaign", "create_upsell_campaign", "handle_invalid_data", "valid_task"]
    of_none = ["cleanup_temp_files", "compress_old_logs", "update_metrics"]
    tasks: list[Callable[..., Awaitable[Any]]] = [
        *shown,
        *map(task_of_one, of_one),
        *map(task_of_none, of_none),
    ]
    return {task.__name__: task for task in tasks}


def standins(notes: Notes) -> dict[str, Any]:
    """Everything by the name that the texts give it."""
    health = failing_every_second_time()
    response = SimpleNamespace(raise_for_status=health)
    orders = [SimpleNamespace(id=number) for number in (1, 2, 3)]
    return {
        **IMPORTED,
        **_plain(notes),
        **_tasks(notes),
        "analytics_service": SimpleNamespace(track=notes.working("track")),
        "calculate_statistics": lambda numbers: {"count": len(numbers), "sum": sum(numbers)},
        "database": SimpleNamespace(
            fetch_pending_orders=notes.working("fetch_pending_orders", lambda: orders)
        ),
        "email_service": SimpleNamespace(send=notes.working("send")),
        "get_api_client": lambda service: SimpleNamespace(
            sync_user=notes.working("sync_user", lambda _: service)
        ),
        "http_client": SimpleNamespace(get=notes.working("get", lambda _: response)),
        "process_data": lambda subject: f"processed {sorted(subject)}",
        "range": shorter_range,
    }

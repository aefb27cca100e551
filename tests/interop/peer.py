"""Drives one implementation of the docket API from outside of its process: run by pydocket's own Python, or by ours.

Reads one JSON command per line from standard input, ``{"id": 1, "do": "add", ...}``, and writes one JSON reply per
line, ``{"id": 1, "value": ...}`` or ``{"id": 1, "raised": "TypeName", "message": "..."}``; commands run side by side.
It uses only names that API.md of this project lists, so that it runs on both.

Usage: ``python peer.py tasks.py``
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import importlib.util
import json
import sys
import types
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any


def load_tasks(path: str) -> Any:
    """Load the tasks file under the name it has in the test suite, so that its classes unpickle there."""
    for package in ("tests", "tests.interop"):
        sys.modules.setdefault(package, types.ModuleType(package))
    spec = importlib.util.spec_from_file_location("tests.interop.tasks", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["tests.interop.tasks"] = module
    spec.loader.exec_module(module)
    return module


tasks = load_tasks(sys.argv[1])

from docket import Docket, Retry, Worker  # noqa: E402 - after the tasks, which import it too
from docket.execution import ExecutionProgress  # noqa: E402

FINAL = {"completed", "failed", "cancelled"}
SETTINGS = {"minimum_check_interval", "redelivery_timeout", "scheduling_resolution"}


@contextlib.contextmanager
def spanning(traceparent: str | None) -> Iterator[None]:
    if traceparent is None:
        yield
        return
    from opentelemetry import context, propagate

    token = context.attach(propagate.extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        context.detach(token)


class Peer:
    def __init__(self) -> None:
        self.dockets: dict[str, Docket] = {}
        self.workers: dict[tuple[str, str], asyncio.Task[None]] = {}
        self.subscriptions: dict[str, asyncio.Task[list[Any]]] = {}
        self.executions: dict[tuple[str, str], Any] = {}

    async def docket(self, name: str, url: str) -> Docket:
        if name not in self.dockets:
            docket = Docket(
                name=name, url=url, heartbeat_interval=timedelta(milliseconds=200), missed_heartbeats=5
            )
            await docket.__aenter__()
            for task in tasks.TASKS:
                docket.register(task)
            self.dockets[name] = docket
        return self.dockets[name]

    # scheduling

    async def about(self, execution: Any) -> dict[str, Any] | None:
        if execution is None:
            return None
        return {
            "key": execution.key,
            "function": execution.function_name,
            "args": list(execution.args),
            "kwargs": execution.kwargs,
            "state": execution.state.value,
            "worker": execution.worker,
            "error": execution.error,
            "when": execution.when.isoformat(),
        }

    async def add(
        self,
        docket: Docket,
        function: str,
        args: list[Any],
        kwargs: dict[str, Any],
        key: str | None,
        when: str | None,
        traceparent: str | None = None,
    ) -> Any:
        """``traceparent`` is the span in which it is added; ``retry`` in ``kwargs`` are the arguments of a Retry."""
        moment = None if when is None else datetime.fromisoformat(when)
        if "retry" in kwargs:
            kwargs = {**kwargs, "retry": Retry(**kwargs["retry"])}
        with spanning(traceparent):
            execution = await docket.add(function, when=moment, key=key)(*args, **kwargs)
        self.executions[docket.name, execution.key] = execution
        return {"key": execution.key, "disposition": execution.disposition.value}

    async def add_many(self, docket: Docket, function: str, each: list[list[Any]], when: str | None) -> Any:
        moment = None if when is None else datetime.fromisoformat(when)
        executions = await docket.add_many([docket.call(function, when=moment)(*args) for args in each])
        return [execution.key for execution in executions]

    async def replace(
        self, docket: Docket, function: str, args: list[Any], kwargs: dict[str, Any], key: str, when: str
    ) -> Any:
        execution = await docket.replace(function, when=datetime.fromisoformat(when), key=key)(
            *args, **kwargs
        )
        self.executions[docket.name, key] = execution
        return {"key": execution.key, "disposition": execution.disposition.value}

    async def strike(self, docket: Docket, direction: str, words: list[Any]) -> None:
        await getattr(docket, direction)(*words[:3], tuple(words[3]) if words[2] == "between" else words[3])

    async def strikes(self, docket: Docket, after: str) -> Any:
        """The strikes that are known here once ``after``, the name of a task, is among the struck ones."""
        while after not in docket.strike_list.task_strikes:
            await docket.wait_for_strikes_loaded()
            await asyncio.sleep(0.01)  # pydocket's list tells nobody when it has read something new
        whole: dict[str, Any] = {"*": [("==", None)]}
        listed = {task: parameters or whole for task, parameters in docket.strike_list.task_strikes.items()}
        listed["*"] = docket.strike_list.parameter_strikes
        return sorted(
            [task, parameter, str(getattr(operator, "value", operator)), repr(value)]
            for task, parameters in listed.items()
            for parameter, strikes in parameters.items()
            for operator, value in strikes
        )

    async def cancel(self, docket: Docket, key: str) -> None:
        await docket.cancel(key)

    async def clear(self, docket: Docket) -> int:
        return await docket.clear()

    # asking

    async def execution(self, docket: Docket, key: str) -> Any:
        return await self.about(await docket.get_execution(key))

    async def progress(self, docket: Docket, key: str, amount: int) -> Any:
        """How far the execution is, once ``amount`` was added by hand."""
        progress = await ExecutionProgress.create(docket, key)
        if amount:
            await progress.increment(amount)
        return [progress.current, progress.total, progress.message]

    async def outcome(self, docket: Docket, key: str, timeout: float) -> Any:
        """The result by the execution that `add` returned here, or else by what the docket has recorded."""
        execution = self.executions.get((docket.name, key)) or await docket.get_execution(key)
        if execution is None:
            return {"missing": key}
        try:
            return {"result": await execution.get_result(timeout=timedelta(seconds=timeout))}
        except Exception as error:
            return {"error": type(error).__name__, "message": str(error), "attributes": vars(error)}

    async def snapshot(self, docket: Docket) -> Any:
        snapshot = await docket.snapshot()
        return {
            "total": snapshot.total_tasks,
            "future": sorted(execution.key for execution in snapshot.future),
            "running": sorted([execution.key, execution.worker] for execution in snapshot.running),
            "workers": sorted(worker.name for worker in snapshot.workers),
        }

    async def list_workers(self, docket: Docket, task: str | None) -> Any:
        found = await (docket.workers() if task is None else docket.task_workers(task))
        now = datetime.now(UTC)
        return {w.name: [sorted(w.tasks), abs((now - w.last_seen).total_seconds())] for w in found}

    async def subscribe(self, docket: Docket, key: str) -> None:
        """Collect the events of an execution from now on."""
        execution = await docket.get_execution(key)
        ready = asyncio.Event()

        async def collect() -> list[Any]:
            events = []
            async for event in execution.subscribe(ready=ready):
                events.append(event)
                if event["type"] == "state" and event["state"].value in FINAL:
                    break  # pydocket's goes on for ever
            for event in events:
                if event["type"] == "state":
                    event["state"] = event["state"].value
            return events

        self.subscriptions[docket.name + key] = asyncio.create_task(collect())
        await ready.wait()

    async def events(self, docket: Docket, key: str) -> Any:
        """Everything that the subscription has brought up to the execution's end."""
        return await self.subscriptions.pop(docket.name + key)

    # working

    def worker(self, docket: Docket, name: str, settings: dict[str, Any]) -> Worker:
        durations = {k: timedelta(seconds=v) for k, v in settings.items() if k in SETTINGS}
        others = {k: v for k, v in settings.items() if k not in SETTINGS}
        return Worker(docket, name=name, schedule_automatic_tasks=False, **others, **durations)

    async def drain(self, docket: Docket, name: str, settings: dict[str, Any]) -> None:
        async with self.worker(docket, name, settings) as worker:
            await worker.run_until_finished()

    async def start_worker(self, docket: Docket, name: str, settings: dict[str, Any]) -> None:
        """Run a worker until it is stopped; returns when it is on the list of workers."""

        async def work() -> None:
            async with self.worker(docket, name, settings) as worker:
                await worker.run_forever()

        task = self.workers[docket.name, name] = asyncio.create_task(work())
        while name not in {worker.name for worker in await docket.workers()}:
            if task.done():
                await task
            await asyncio.sleep(0.01)  # the API tells nobody when a worker is there

    async def stop_worker(self, docket: Docket, name: str) -> None:
        """Stop a worker as a service manager would: what runs is finished first."""
        task = self.workers.pop((docket.name, name))
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            raise task.exception()

    async def close(self, docket: Docket) -> None:
        for at in [at for at in self.workers if at[0] == docket.name]:
            await self.stop_worker(docket, at[1])
        self.executions = {at: e for at, e in self.executions.items() if at[0] != docket.name}
        await self.dockets.pop(docket.name).__aexit__(None, None, None)

    async def handle(self, line: str) -> None:
        command = json.loads(line)
        reply: dict[str, Any] = {"id": command.pop("id")}
        try:
            docket = await self.docket(command.pop("docket"), command.pop("url"))
            reply["value"] = await getattr(self, command.pop("do"))(docket, **command)
        except Exception as error:
            reply.update(raised=type(error).__name__, message=str(error))
        sys.stdout.write(json.dumps(reply, default=repr) + "\n")
        sys.stdout.flush()

    async def run(self) -> None:
        reader = asyncio.StreamReader(limit=2**24)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
        )
        version = {}
        for distribution in ("pydocket", "anydocket"):
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                version[distribution] = importlib.metadata.version(distribution)
        print(json.dumps({"id": 0, "value": version}), flush=True)
        handling: set[asyncio.Task[None]] = set()
        while line := await reader.readline():
            task = asyncio.create_task(self.handle(line.decode()))
            handling.add(task)
            task.add_done_callback(handling.discard)


if __name__ == "__main__":
    asyncio.run(Peer().run())

"""The two sides of a test: `Ours`, in this process on the test's event loop, and `Program`, in a process of its own.

Both answer the same questions, so that a test can be told which of them adds and which of them works.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from docket import Docket, Execution, Retry, Worker
from docket.execution import ExecutionProgress
from tests.interop import tasks

__all__ = ["HEARTBEAT", "Ours", "Program", "RemoteDocket", "RemoteError", "Side", "from_now"]

HERE = Path(__file__).parent
HEARTBEAT = timedelta(milliseconds=200)
#: Longer than anything here takes; a hang fails the test instead of the whole run.
PATIENCE = 15

DURATIONS = ("minimum_check_interval", "redelivery_timeout", "scheduling_resolution")
QUICK: dict[str, Any] = {"minimum_check_interval": 0.02, "scheduling_resolution": 0.05}


def from_now(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


class RemoteError(Exception):
    """What a command raised in the other process."""


class Side(Protocol):
    """One implementation, on one docket."""

    async def add(
        self, function: str, *args: Any, key: str | None = None, when: str | None = None, **kwargs: Any
    ) -> Any: ...

    async def add_many(self, function: str, each: list[list[Any]], when: str | None = None) -> list[str]: ...

    async def replace(self, function: str, *args: Any, key: str, when: str, **kwargs: Any) -> Any: ...

    async def cancel(self, key: str) -> None: ...

    async def clear(self) -> int: ...

    async def execution(self, key: str) -> Any: ...

    async def outcome(self, key: str, timeout: float = 10) -> Any: ...

    async def progress(self, key: str, amount: int = 0) -> Any: ...

    async def snapshot(self) -> Any: ...

    async def list_workers(self, task: str | None = None) -> Any: ...

    async def subscribe(self, key: str) -> None: ...

    async def events(self, key: str) -> list[Any]: ...

    async def drain(self, name: str, **settings: Any) -> None: ...

    async def start_worker(self, name: str, **settings: Any) -> None: ...

    async def stop_worker(self, name: str) -> None: ...


class Program:
    """``peer.py`` in a process of its own. Calls may come from any event loop, and side by side."""

    def __init__(self, python: str, tasks: str = "tasks.py", **environment: str) -> None:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `close`
        self.process = subprocess.Popen(
            [python, str(HERE / "peer.py"), str(HERE / tasks)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment,
        )  # fmt: skip
        self._replies: dict[int, Future[Any]] = {0: Future()}
        self._lock = threading.Lock()
        self._last = 0
        threading.Thread(target=self._read, daemon=True).start()
        self.versions: dict[str, str] = self._replies[0].result(PATIENCE)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            reply = json.loads(line)
            future = self._replies.pop(reply["id"]) if reply["id"] else self._replies[0]
            if "raised" in reply:
                future.set_exception(RemoteError(f"{reply['raised']}: {reply['message']}"))
            else:
                future.set_result(reply["value"])
        for future in list(self._replies.values()):
            if not future.done():
                future.set_exception(RemoteError(f"the process has ended; it said: {self.said()}"))

    def said(self) -> str:
        self.errors.seek(0)
        return self.errors.read()[-4000:]

    def send(self, **command: Any) -> Future[Any]:
        assert self.process.stdin is not None
        with self._lock:
            self._last += 1
            future = self._replies[self._last] = Future()
            self.process.stdin.write(json.dumps({"id": self._last, **command}) + "\n")
            self.process.stdin.flush()
        return future

    async def call(self, **command: Any) -> Any:
        future = self.send(**command)
        return await anyio.to_thread.run_sync(lambda: future.result(PATIENCE), abandon_on_cancel=True)

    def kill(self) -> None:
        """SIGKILL, as the out-of-memory killer would."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.errors.close()


class RemoteDocket:
    """A docket that is open in another process."""

    def __init__(self, program: Program, name: str, url: str) -> None:
        self.program, self.name, self.url = program, name, url

    async def _do(self, what: str, **parameters: Any) -> Any:
        return await self.program.call(do=what, docket=self.name, url=self.url, **parameters)

    async def add(
        self, function: str, *args: Any, key: str | None = None, when: str | None = None, **kwargs: Any
    ) -> Any:
        return await self._do("add", function=function, args=args, kwargs=kwargs, key=key, when=when)

    async def add_many(self, function: str, each: list[list[Any]], when: str | None = None) -> list[str]:
        return list(await self._do("add_many", function=function, each=each, when=when))

    async def replace(self, function: str, *args: Any, key: str, when: str, **kwargs: Any) -> Any:
        return await self._do("replace", function=function, args=args, kwargs=kwargs, key=key, when=when)

    async def strike(self, *words: Any, direction: str = "strike") -> None:
        await self._do("strike", direction=direction, words=words)

    async def strikes(self, after: str) -> list[list[str]]:
        return list(await self._do("strikes", after=after))

    async def cancel(self, key: str) -> None:
        await self._do("cancel", key=key)

    async def clear(self) -> int:
        return int(await self._do("clear"))

    async def execution(self, key: str) -> Any:
        return await self._do("execution", key=key)

    async def outcome(self, key: str, timeout: float = 10) -> Any:
        return await self._do("outcome", key=key, timeout=timeout)

    async def progress(self, key: str, amount: int = 0) -> Any:
        return await self._do("progress", key=key, amount=amount)

    async def snapshot(self) -> Any:
        return await self._do("snapshot")

    async def list_workers(self, task: str | None = None) -> Any:
        return await self._do("list_workers", task=task)

    async def subscribe(self, key: str) -> None:
        await self._do("subscribe", key=key)

    async def events(self, key: str) -> list[Any]:
        return list(await self._do("events", key=key))

    async def drain(self, name: str, **settings: Any) -> None:
        await self._do("drain", name=name, settings=QUICK | settings)

    async def start_worker(self, name: str, **settings: Any) -> None:
        await self._do("start_worker", name=name, settings=QUICK | settings)

    async def stop_worker(self, name: str) -> None:
        await self._do("stop_worker", name=name)

    async def close(self) -> None:
        await self._do("close")


class Ours:
    """Our docket, open on the event loop of the test."""

    def __init__(self, docket: Docket, group: TaskGroup) -> None:
        self.docket, self._group = docket, group
        self._executions: dict[str, Execution[Any]] = {}
        self._workers: dict[str, tuple[Worker, anyio.Event]] = {}
        self._events: dict[str, tuple[list[Any], anyio.Event]] = {}

    @classmethod
    @asynccontextmanager
    async def opened(cls, name: str, url: str) -> AsyncGenerator[Ours, None]:
        async with AsyncExitStack() as stack:
            docket = await stack.enter_async_context(Docket(name=name, url=url, heartbeat_interval=HEARTBEAT))
            for task in tasks.TASKS:
                docket.register(task)
            group = await stack.enter_async_context(anyio.create_task_group())
            yield cls(docket, group)
            group.cancel_scope.cancel()

    @staticmethod
    def _when(when: str | None) -> datetime | None:
        return None if when is None else datetime.fromisoformat(when)

    def _placed(self, execution: Execution[Any]) -> Any:
        self._executions[execution.key] = execution
        return {"key": execution.key, "disposition": execution.disposition.value}

    async def add(
        self, function: str, *args: Any, key: str | None = None, when: str | None = None, **kwargs: Any
    ) -> Any:
        if "retry" in kwargs:
            kwargs["retry"] = Retry(**kwargs["retry"])
        return self._placed(await self.docket.add(function, when=self._when(when), key=key)(*args, **kwargs))

    async def add_many(self, function: str, each: list[list[Any]], when: str | None = None) -> list[str]:
        calls = [self.docket.call(function, when=self._when(when))(*args) for args in each]
        return [execution.key for execution in await self.docket.add_many(calls)]

    async def replace(self, function: str, *args: Any, key: str, when: str, **kwargs: Any) -> Any:
        placing = self.docket.replace(function, when=datetime.fromisoformat(when), key=key)
        return self._placed(await placing(*args, **kwargs))

    async def cancel(self, key: str) -> None:
        await self.docket.cancel(key)

    async def clear(self) -> int:
        return await self.docket.clear()

    async def execution(self, key: str) -> Any:
        found = await self.docket.get_execution(key)
        if found is None:
            return None
        return {
            "key": found.key,
            "function": found.function_name,
            "args": list(found.args),
            "kwargs": found.kwargs,
            "state": found.state.value,
            "worker": found.worker,
            "error": found.error,
            "when": found.when.isoformat(),
        }

    async def outcome(self, key: str, timeout: float = 10) -> Any:
        execution = self._executions.get(key) or await self.docket.get_execution(key)
        if execution is None:
            return {"missing": key}
        try:
            return {"result": await execution.get_result(timeout=timedelta(seconds=timeout))}
        except Exception as error:
            return {"error": type(error).__name__, "message": str(error), "attributes": vars(error)}

    async def progress(self, key: str, amount: int = 0) -> Any:
        progress = await ExecutionProgress.create(self.docket, key)
        if amount:
            await progress.increment(amount)
        return [progress.current, progress.total, progress.message]

    async def snapshot(self) -> Any:
        snapshot = await self.docket.snapshot()
        return {
            "total": snapshot.total_tasks,
            "future": sorted(execution.key for execution in snapshot.future),
            "running": sorted([execution.key, execution.worker] for execution in snapshot.running),
            "workers": sorted(worker.name for worker in snapshot.workers),
        }

    async def list_workers(self, task: str | None = None) -> Any:
        found = await (self.docket.workers() if task is None else self.docket.task_workers(task))
        now = datetime.now(UTC)
        return {w.name: [sorted(w.tasks), abs((now - w.last_seen).total_seconds())] for w in found}

    async def subscribe(self, key: str) -> None:
        execution = await self.docket.get_execution(key)
        assert execution is not None
        ready, over, events = anyio.Event(), anyio.Event(), list[Any]()
        self._events[key] = events, over

        async def collect() -> None:
            async for event in execution.subscribe(ready=ready):
                events.append(event)
            over.set()

        self._group.start_soon(collect)
        await ready.wait()

    async def events(self, key: str) -> list[Any]:
        events, over = self._events.pop(key)
        with anyio.fail_after(PATIENCE):
            await over.wait()
        return events

    def _worker(self, name: str, settings: dict[str, Any]) -> Worker:
        settings = QUICK | settings
        settings.update({k: timedelta(seconds=settings[k]) for k in DURATIONS if k in settings})
        return Worker(self.docket, name=name, schedule_automatic_tasks=False, **settings)

    async def drain(self, name: str, **settings: Any) -> None:
        async with self._worker(name, settings) as worker:
            with anyio.fail_after(PATIENCE):
                await worker.run_until_finished()

    async def start_worker(self, name: str, **settings: Any) -> None:
        over = anyio.Event()
        worker = self._worker(name, settings)
        self._workers[name] = worker, over

        async def work() -> None:
            async with worker:
                await worker.run_forever()
            over.set()

        self._group.start_soon(work)
        with anyio.fail_after(PATIENCE):
            while name not in await self.list_workers():
                await anyio.sleep(0.01)  # the API tells nobody when a worker is there

    async def drains(self, name: str) -> None:
        """Tell a worker to stop, and wait until others see that it drains."""
        self._workers[name][0].stop()
        with anyio.fail_after(PATIENCE):
            while name not in {worker.name for worker in await self.docket.workers() if worker.draining}:
                await anyio.sleep(0.01)

    async def stop_worker(self, name: str) -> None:
        worker, over = self._workers.pop(name)
        worker.stop()  # without effect where it drains already
        with anyio.fail_after(PATIENCE):
            await over.wait()

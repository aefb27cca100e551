"""Scenes whose log lines are compared: run by pydocket's own Python and by ours, ``python log_scenes.py URL DOCKET``.

Writes one JSON list per scene: ``[scene, [[level, logger, message, the exception's type], ...]]``. It uses only names
that API.md of this project lists.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from docket import CurrentDocket, Depends, Docket, Execution, Logged, Perpetual, Retry, TaskKey, Worker

TICK = timedelta(milliseconds=5)


def now() -> datetime:
    return datetime.now(UTC)


async def plain(a, b=2): ...


async def shown(customer, card, amount=0.0, trace="unknown", *rest): ...


async def counted(ids, metadata=None, options=(), text=""): ...


async def fails(a):
    raise ValueError("no")


async def flaky(retry=Retry(attempts=2, delay=timedelta(milliseconds=20))):
    raise ValueError(retry.attempt)


async def recovers(retry=Retry(attempts=3)):
    if retry.attempt < 3:
        raise ValueError(retry.attempt)


runs: dict[str, int] = {}


async def repeats(key=TaskKey(), perpetual=Perpetual(every=timedelta(milliseconds=10))):
    runs[key] = runs.get(key, 0) + 1
    if runs[key] == 3:
        perpetual.cancel()


async def fails_again(key=TaskKey(), perpetual=Perpetual(every=timedelta(milliseconds=10))):
    runs[key] = runs.get(key, 0) + 1
    if runs[key] == 2:
        perpetual.cancel()
    raise ValueError("again")


async def cancels_itself():
    raise asyncio.CancelledError


def broken():
    raise RuntimeError("dependency")


async def depends(a, one=Depends(broken), other=Depends(broken)): ...


async def begins(docket=CurrentDocket(), key=TaskKey()):
    async with docket.redis() as redis:
        await redis.rpush(f"{docket.name}:began:{key}", 1)
    await asyncio.sleep(60)


async def replaces_itself(docket=CurrentDocket(), key=TaskKey(), retry=Retry(attempts=2)):
    runs[key] = runs.get(key, 0) + 1
    if runs[key] == 1:
        await docket.replace(replaces_itself, when=now() + TICK, key=key)()
        raise ValueError("replaced")


async def replaced_perpetual(docket=CurrentDocket(), key=TaskKey(), perpetual=Perpetual()):
    runs[key] = runs.get(key, 0) + 1
    if runs[key] == 1:
        await docket.replace(replaced_perpetual, when=now() + TICK, key=key)()
    else:
        perpetual.cancel()


shown.__annotations__ = {
    "customer": Annotated[str, Logged], "amount": Annotated[float, Logged()], "trace": Annotated[str, Logged],
}  # fmt: skip
counted.__annotations__ = {
    "ids": Annotated[list[str], Logged(length_only=True)],
    "metadata": Annotated[dict[str, str], Logged(length_only=True)],
    "options": Annotated[Any, Logged(length_only=True)],
    "text": Annotated[str | None, Logged],
}
plain.__annotations__ = {"a": int, "b": "int | None", "return": int}

TASKS = [
    plain, shown, counted, fails, flaky, recovers, repeats, fails_again, cancels_itself, depends, begins,
    replaces_itself, replaced_perpetual,
]  # fmt: skip


class Recorder(logging.Handler):
    """Everything at INFO and above below ``docket``."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[list[Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        self.lines.append([record.levelname, record.name, record.getMessage(), error])


class Stage:
    def __init__(self, docket: Docket, recorder: Recorder) -> None:
        self.docket, self.recorder = docket, recorder

    def worker(self, **settings: Any) -> Worker:
        return Worker(
            self.docket,
            name="w",
            concurrency=1,
            minimum_check_interval=TICK,
            scheduling_resolution=TICK,
            **settings,
        )

    async def play(self, scene: str, *calls: Awaitable[Execution], **settings: Any) -> None:
        for call in calls:
            await call
        async with self.worker(**settings) as worker:
            await asyncio.wait_for(worker.run_until_finished(), 15)
        self.end(scene)

    def end(self, scene: str) -> None:
        print(json.dumps([scene, self.recorder.lines]), flush=True)
        self.recorder.lines = []


async def play_all(stage: Stage) -> None:
    add: Callable[..., Any] = lambda function, key, **when: stage.docket.add(function, key=key, **when)  # noqa: E731
    await stage.play("the tasks are listed")
    await stage.play("it completes", add(plain, "k1")(1), add(plain, "k2")(1, b=2))
    await stage.play(
        "arguments are shown",
        add(shown, "k3")("12345", card="4111", amount=150.0, trace="abc-123"),
        add(shown, "k4")("12345", "4111", 1.5),
        add(counted, "k5")(["a"] * 150, metadata={"a": "b"}, options={1, 2, 3}),
        add(counted, "k6")("abc", None, (1, 2), text="it's"),
    )
    await stage.play("it is late", add(plain, "k7", when=now() - timedelta(hours=5))(1))
    await stage.play("it was scheduled", add(plain, "k8", when=now() + timedelta(milliseconds=20))(1))
    await stage.play("it fails", add(fails, "k9")(1))
    await stage.play("it fails again", add(flaky, "k10")())
    await stage.play("it recovers", add(recovers, "k11")())
    await stage.play("it repeats itself", add(repeats, "k12")())
    await stage.play("it repeats its failure", add(fails_again, "k13")())
    await stage.play("it cancels itself", add(cancels_itself, "k14")())
    await stage.play("its dependencies fail", add(depends, "k15")(1))
    await stage.play("it is replaced while it retries", add(replaces_itself, "k16")())
    await stage.play("it is replaced while it repeats", add(replaced_perpetual, "k17")())
    await add(plain, "k18")(1)
    async with stage.docket.redis() as redis:
        await redis.hset(stage.docket.runs_key("k18"), "generation", 5)
    await stage.play("it was superseded")
    await add(plain, "k19")(1)
    async with stage.docket.redis() as redis:
        await redis.hset(stage.docket.runs_key("k19"), "state", "cancelled")
    await stage.play("it was cancelled")
    await add(fails, "k21")("x")
    await stage.docket.strike(fails, "a", "==", "x")
    await add(fails, "k22")("x")
    await stage.play("it is struck")
    await stage.docket.restore(fails, "a", "==", "x")
    stage.end("it is restored")
    await add(begins, "k20")()
    async with stage.worker() as worker:
        running = asyncio.create_task(worker.run_forever())
        async with stage.docket.redis() as redis:
            while not await redis.llen(f"{stage.docket.name}:began:k20"):
                await asyncio.sleep(0.01)  # the two clients have no blocking command in common
        await stage.docket.cancel("k20")
        execution = await stage.docket.get_execution("k20")
        assert execution is not None
        while execution.state.value != "cancelled":
            await asyncio.sleep(0.01)
            await execution.sync()
        running.cancel()
        await asyncio.wait([running])
    stage.end("it is cancelled while it runs")


async def main(url: str, name: str) -> None:
    recorder = Recorder()
    logging.getLogger("docket").addHandler(recorder)
    logging.getLogger("docket").setLevel(logging.INFO)
    logging.getLogger("docket").propagate = False
    async with Docket(name, url) as docket:
        docket.tasks.clear()
        for task in TASKS:
            docket.register(task)
        await play_all(Stage(docket, recorder))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))

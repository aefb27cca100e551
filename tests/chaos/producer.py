"""A producer process of a chaos session: ``python -m tests.chaos.producer {settings as JSON}``.

It adds tasks of all kinds until SIGTERM, asks again where an answer was lost, and notes each question and answer.
"""

from __future__ import annotations

import itertools
import json
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import attrs
from redis.exceptions import ConnectionError, RedisError, TimeoutError

from docket import Cancellation, Docket, Priority
from tests.chaos import poison, tasks
from tests.chaos.ledger import Ledger
from tests.chaos.worker import note_stalls, run_on, set_up_logging

__all__ = ["ProducerSettings"]

#: How many threads of thought a producer has: they share its connection.
CLIENTS = 4

CUSTOMERS = 4


@attrs.frozen(kw_only=True)
class ProducerSettings:
    """What a producer process is told. ``pause`` is the mean time in seconds between two tasks of one client.

    With ``replicated``, what was written counts as acknowledged once a replica has it, too.
    """

    url: str
    docket: str
    name: str
    loop: str
    ledger: str
    seed: str
    keep: float
    pause: float
    replicated: bool = False


def later(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


class Producer:
    """Adds, replaces and cancels."""

    def __init__(self, docket: Docket, settings: ProducerSettings, ledger: Ledger) -> None:
        self.docket, self.settings, self.ledger = docket, settings, ledger
        self.chance = random.Random(settings.seed)
        self.numbers, self.calls, self.deeds = itertools.count(), itertools.count(), itertools.count()
        self.over = anyio.Event()

    # asking ----------------------------------------------------------------------------------------------

    async def insist(self, ask: Callable[[], Awaitable[Any]], **facts: Any) -> Any:
        """Ask until there is an answer. What was asked without one may or may not have happened."""
        while True:
            call = next(self.calls)
            self.ledger.note("ask", call=call, **facts)
            try:
                execution = await ask()
                if self.settings.replicated and not await self._is_replicated(facts["key"]):
                    raise ConnectionError("it is not known to be replicated")
            except RedisError as error:
                lost = isinstance(error, ConnectionError | TimeoutError)
                self.ledger.note("answer", call=call, how="lost" if lost else "refused", said=str(error))
                await anyio.sleep(self.chance.uniform(0.05, 0.2))
            else:
                said = execution.value if isinstance(execution, Cancellation) else execution.disposition.value
                self.ledger.note("answer", call=call, how="acknowledged", said=said)
                return execution

    async def _is_replicated(self, key: str) -> bool:
        """Whether a replica has what the present master has, and the key's run is among that.

        Replication is in order: who has the mark has all that was written on that master before it.
        """
        keys = self.docket.keys
        found, _, replicas = await self.docket.client.call_many(
            [("EXISTS", keys.run(key)), ("SET", f"{keys.prefix}:mark", "", "EX", 60), ("WAIT", 1, 500)]
        )
        for reply in (found, replicas):
            if isinstance(reply, RedisError):
                raise reply
        return found == 1 and replicas == 1

    async def add(
        self,
        kind: str,
        task: Any,
        *args: Any,
        key: str,
        seconds: float = 0.0,
        version: int = 1,
        **expected: Any,
    ) -> Any:
        when, level = later(seconds) if seconds else None, self.level()
        return await self.insist(
            lambda: self.docket.add(task, when=when, key=key, priority=level)(*args),
            op="add", key=key, kind=kind, version=version, wall=time.time() + seconds, **expected,
        )  # fmt: skip

    async def replace(self, task: Any, *args: Any, key: str, seconds: float, version: int) -> None:
        await self.insist(
            lambda: self.docket.replace(task, when=later(seconds), key=key, priority=self.level())(*args),
            op="replace", key=key, kind="replaced", version=version, wall=time.time() + seconds,
        )  # fmt: skip

    async def cancel(self, key: str, kind: str) -> None:
        await self.insist(lambda: self.docket.cancel(key), op="cancel", key=key, kind=kind, version=0)

    # kinds of work ---------------------------------------------------------------------------------------

    async def produce(self) -> None:
        """One client: one piece of work after the other."""
        kinds: list[tuple[int, Callable[[int, str], Awaitable[None]]]] = [
            (20, self.plain), (6, self.threaded), (6, self.later), (5, self.failing), (6, self.retrying),
            (12, self.limited), (2, self.chain), (1, self.endless), (6, self.replaced), (3, self.cancelled),
            (3, self.cancelled_running), (3, self.twice), (2, self.batch), (10, self.poisoned),
            (2, self.poisoned_chain), (2, self.family), (1, self.spoiled_family), (1, self.stopped_family),
            (4, self.expiring), (3, self.once_more), (8, self.shared),
        ]  # fmt: skip
        weights, makers = zip(*kinds, strict=True)
        order = list(makers)  # each of them at least once, even in a short session
        self.chance.shuffle(order)
        while not self.over.is_set():
            make = order.pop() if order else self.chance.choices(makers, weights)[0]
            number = next(self.numbers)
            await make(number, f"{make.__name__}-{self.settings.name}-{number}")
            with anyio.move_on_after(self.chance.expovariate(1 / self.settings.pause)):
                await self.over.wait()

    def duration(self) -> float:
        """How long a body takes: mostly short, sometimes about as long as a lease."""
        return self.chance.uniform(0.3, 3.0) if self.chance.random() < 0.08 else self.chance.uniform(0, 0.05)

    def level(self) -> Priority:
        """Most are normal, as in life."""
        return self.chance.choices(list(Priority), [2, 8, 2])[0]

    async def plain(self, number: int, key: str) -> None:
        await self.add("returns", tasks.plain, number, self.duration(), key=key, value=number)

    async def threaded(self, number: int, key: str) -> None:
        await self.add("returns", tasks.threaded, number, self.duration(), key=key, value=number)

    async def later(self, number: int, key: str) -> None:
        seconds = self.chance.uniform(0.3, 4.0)
        await self.add(
            "returns", tasks.plain, number, self.duration(), key=key, seconds=seconds, value=number
        )

    async def failing(self, number: int, key: str) -> None:
        await self.add("fails", tasks.failing, number, self.duration(), key=key, attempts=1)

    async def retrying(self, number: int, key: str) -> None:
        good_at = self.chance.randint(1, tasks.ATTEMPTS + 1)
        if good_at > tasks.ATTEMPTS:
            await self.add("fails", tasks.retrying, number, 0.01, good_at, key=key, attempts=tasks.ATTEMPTS)
        else:
            await self.add(
                "returns", tasks.retrying, number, 0.01, good_at, key=key, value=number, attempts=good_at
            )

    async def limited(self, number: int, key: str) -> None:
        customer = f"customer-{self.chance.randrange(CUSTOMERS)}"
        outlasts_a_lease = self.chance.random() < 0.04
        seconds = self.chance.uniform(3, 4) if outlasts_a_lease else self.chance.uniform(0, 0.1)
        await self.add("returns", tasks.limited, number, seconds, customer, key=key, value=number)

    async def shared(self, number: int, key: str) -> None:
        """One tenant has most of them, and some are due later."""
        tenant = f"tenant-{self.chance.choice([0, 0, 0, *range(CUSTOMERS)])}"
        seconds = self.chance.choice([0.0, 0.0, self.chance.uniform(0.3, 2)])
        await self.add(
            "returns", tasks.shared, number, self.duration(), tenant, key=key, seconds=seconds, value=number
        )

    async def chain(self, number: int, key: str) -> None:
        last = self.chance.randint(3, 12)
        await self.add("chain", tasks.chain, 1, last, key=key, value=last)

    async def endless(self, number: int, key: str) -> None:
        await self.add("endless", tasks.endless, 1, key=key)
        with anyio.move_on_after(self.chance.uniform(1, 4)):
            await self.over.wait()
        await self.cancel(key, "endless")

    async def replaced(self, number: int, key: str) -> None:
        """Replaced while it is scheduled, queued or running."""
        at_once = self.chance.random() < 0.5
        seconds = 0.0 if at_once else self.chance.uniform(0.5, 2)
        await self.add(
            "replaced", tasks.versioned, number, self.chance.uniform(0.1, 0.6), 1, key=key, seconds=seconds
        )
        for version in range(2, self.chance.randint(3, 4)):
            await anyio.sleep(self.chance.uniform(0, 0.5))
            due = self.chance.choice([0.0, 0.0, 0.5, 1.5])
            await self.replace(
                tasks.versioned,
                number,
                self.chance.uniform(0.1, 0.8),
                version,
                key=key,
                seconds=due,
                version=version,
            )

    async def cancelled(self, number: int, key: str) -> None:
        """Cancelled while it is scheduled, if that gets through in time."""
        seconds = self.chance.uniform(1, 3)
        await self.add("cancelled", tasks.plain, number, 0.01, key=key, seconds=seconds, value=number)
        await anyio.sleep(self.chance.uniform(0, 0.5))
        await self.cancel(key, "cancelled")

    async def cancelled_running(self, number: int, key: str) -> None:
        await self.add("stopped", tasks.unending, number, key=key)
        await anyio.sleep(self.chance.uniform(0, 0.7))
        await self.cancel(key, "stopped")

    async def poisoned(self, number: int, key: str) -> None:
        """Tries to harm others, each of them in its turn; has an end of its own."""
        deeds = [*poison.DEEDS, "thread", "argument", "retry", "dependency", "holder"]
        deed = deeds[next(self.deeds) % len(deeds)]
        failed, key = {"failed": "ExecutionFailed"}, f"{key}-{deed}"
        match deed:
            case "thread":
                await self.add("poison", poison.poisonous_thread, number, key=key, ends=failed)
            case "argument":
                ends = {"failed": "DeliveryUnreadable"}
                await self.add(
                    "poison", poison.poisonous_argument, poison.Bomb(), key=key, ends=ends, attempts=0
                )
            case "retry":
                await self.add("poison", poison.poisonous_retry, number, key=key, ends=failed, attempts=2)
            case "dependency":
                await self.add("poison", poison.poisonous_dependency, number, key=key, ends=failed)
            case "holder":
                customer = f"customer-{self.chance.randrange(CUSTOMERS)}"
                await self.add("poison", poison.poisonous_holder, number, customer, key=key, ends=failed)
            case _:
                await self.add("poison", poison.poisonous, number, deed, key=key, ends=poison.ends_of(deed))

    async def poisoned_chain(self, number: int, key: str) -> None:
        """A chain of which each run but the last ends badly."""
        last = self.chance.randint(3, 8)
        await self.add("chain", poison.poisonous_chain, 1, last, key=key, value=last)

    async def family(self, number: int, key: str) -> None:
        """Tasks that wait for tasks that wait for tasks."""
        await self.add(
            "returns", tasks.family, number, tasks.GENERATIONS, False, key=key, value=tasks.MEMBERS
        )

    async def spoiled_family(self, number: int, key: str) -> None:
        """One of the youngest fails, and with it those above; the others are cancelled."""
        await self.add("fails", tasks.family, number, tasks.GENERATIONS, True, key=key, attempts=1)

    async def stopped_family(self, number: int, key: str) -> None:
        """Cancelled as a whole, at any time."""
        await self.add(
            "stoppable", tasks.family, number, tasks.GENERATIONS, False, key=key, value=tasks.MEMBERS
        )
        await anyio.sleep(self.chance.uniform(0, 0.7))
        await self.cancel(key, "stoppable")

    async def expiring(self, number: int, key: str) -> None:
        """Begins in time, or not at all."""
        seconds = self.chance.choice([0.0, self.chance.uniform(0.2, 1)])
        patience = timedelta(seconds=self.chance.uniform(0.05, 2))
        when = later(seconds) if seconds else None
        await self.insist(
            lambda: self.docket.add(tasks.plain, when=when, key=key, expires=patience, priority=self.level())(
                number, self.duration()
            ),
            op="add", key=key, kind="stoppable", version=1, wall=time.time() + seconds, value=number,
        )  # fmt: skip

    async def once_more(self, number: int, key: str) -> None:
        """Asked for again as it waits or runs: the last call runs, and what has begun comes to its end."""
        for version in range(1, self.chance.randint(3, 5)):
            duration = self.chance.uniform(0.05, 0.4)

            def ask(version: int = version, duration: float = duration) -> Awaitable[Any]:
                add = self.docket.add(tasks.versioned, key=key, if_running="once_more", priority=self.level())
                return add(number, duration, version)

            await self.insist(ask, op="add", key=key, kind="replaced", version=version, wall=time.time())
            await anyio.sleep(self.chance.uniform(0, 0.4))

    async def twice(self, number: int, key: str) -> None:
        """Asked for twice at the same time, and to run once."""
        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(self._again, number, key)

    async def _again(self, number: int, key: str) -> None:
        await self.add("returns", tasks.plain, number, 0.01, key=key, seconds=1.0, value=number)

    async def batch(self, number: int, key: str) -> None:
        """Many in one write; each that was refused or not heard of is asked for again."""
        numbers = {f"{key}-{at}": at for at in range(20)}
        while numbers:
            calls = {each: next(self.calls) for each in numbers}
            for each, call in calls.items():
                facts = {"op": "add", "key": each, "kind": "returns", "version": 1, "value": numbers[each]}
                self.ledger.note("ask", call=call, wall=time.time(), **facts)
            how, executions = "acknowledged", []
            try:
                executions = await self.docket.add_many(
                    [self.docket.call(tasks.plain, key=each)(at, 0.001) for each, at in numbers.items()]
                )
                if self.settings.replicated and not await self._is_replicated(next(iter(numbers))):
                    raise ConnectionError("it is not known to be replicated")
            except RedisError as error:
                for call in calls.values():
                    self.ledger.note("answer", call=call, how="lost", said=str(error))
                await anyio.sleep(self.chance.uniform(0.05, 0.2))
                continue
            for execution in executions:
                refusal = execution.schedule_exception
                if refusal is None:
                    del numbers[execution.key]
                    how, said = "acknowledged", execution.disposition.value
                else:
                    how = "lost" if isinstance(refusal, ConnectionError | TimeoutError) else "refused"
                    said = str(refusal)
                self.ledger.note("answer", call=calls[execution.key], how=how, said=said)
            await anyio.sleep(0.05)


async def produce(settings: ProducerSettings) -> None:
    ledger = Ledger(Path(settings.ledger), "producer")
    docket = Docket(settings.docket, settings.url, execution_ttl=timedelta(seconds=settings.keep))
    async with docket:
        for task in [*tasks.TASKS, *poison.POISONS]:
            docket.register(task)
        producer = Producer(docket, settings, ledger)
        ledger.note("producer", name=settings.name, loop=settings.loop)
        async with anyio.create_task_group() as upkeep:
            upkeep.start_soon(note_stalls, ledger)
            upkeep.start_soon(until_told, producer)
            async with anyio.create_task_group() as clients:
                for _ in range(CLIENTS):
                    clients.start_soon(producer.produce)
            upkeep.cancel_scope.cancel()
    ledger.note("done")


async def until_told(producer: Producer) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            producer.over.set()


if __name__ == "__main__":
    set_up_logging()
    given = ProducerSettings(**json.loads(sys.argv[1]))
    run_on(given.loop, produce, given)

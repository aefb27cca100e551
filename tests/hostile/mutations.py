# ruff: noqa: E501 - a case is a word in a list
"""What others may write to a docket: what docket itself writes, seen in real runs, and mutated by its structure."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias

import attrs

from docket import ConcurrencyLimit, Cooldown, Docket, Perpetual, Progress, RateLimit, Retry, Worker
from docket.store.pickles import dump, dump_any

__all__ = ["Command", "Samples", "Step", "gather", "mutated", "steps"]

Command: TypeAlias = tuple[Any, ...]
Fields: TypeAlias = Mapping[bytes, bytes]


# Real ones ------------------------------------------------------------------------------------------------------


@attrs.define
class Samples:
    """What was found on a docket at work."""

    messages: list[Fields] = attrs.field(factory=list)
    records: list[Fields] = attrs.field(factory=list)
    progress: list[Fields] = attrs.field(factory=list)
    strikes: list[Fields] = attrs.field(factory=list)
    results: list[bytes] = attrs.field(factory=list)
    events: list[tuple[bytes, bytes]] = attrs.field(factory=list)
    """What was published, by channels below the docket's name."""


async def plain(number: int, who: str = "x") -> int:
    return number


async def failing(number: int) -> None:
    raise ValueError(number)


async def retrying(number: int, retry: Retry = Retry(attempts=3, maximum_age=timedelta(hours=1))) -> None:
    raise ValueError(number)


async def reporting(number: int, progress: Progress = Progress()) -> None:
    await progress.set_total(3)
    await progress.increment()
    await progress.set_message("one of three")


async def limited(who: str, limit: ConcurrencyLimit = ConcurrencyLimit("who")) -> str:
    return who


async def rated(who: str, rate: RateLimit = RateLimit(100, per=timedelta(milliseconds=10))) -> str:
    return who


async def cooled(who: str, cooldown: Cooldown = Cooldown(timedelta(milliseconds=1))) -> str:
    return who


async def chained(number: int, perpetual: Perpetual = Perpetual(every=timedelta(hours=1))) -> int:
    return number


def threaded(number: int) -> int:
    return number


TASKS = [plain, failing, retrying, reporting, limited, rated, cooled, chained, threaded]


async def gather(url: str) -> Samples:
    """See what a docket writes that has tasks of every kind."""
    found = Samples()
    async with Docket("fuzz-samples", url) as docket:
        for task in TASKS:
            docket.register(task)
        async with docket.client.pubsub() as pubsub:
            await pubsub.psubscribe(f"{docket.name}:*")
            for task in (plain, failing, retrying, reporting, chained, threaded):
                await docket.add(task, key=task.__name__)(1)
            for task in (limited, rated, cooled):
                for _ in range(3):
                    await docket.add(task)("x")
            await docket.strike("plain", "who", "==", "somebody")
            await docket.strike("nobody")
            await docket.strike(None, "who", "between", (1, 2))
            await docket.restore("nobody")
            async with docket.redis() as redis:
                found.strikes = [fields for _, fields in await redis.xrange(docket.keys.strikes)]
                found.messages = [fields for _, fields in await redis.xrange(docket.stream_key)]
                found.records = [
                    await redis.hgetall(docket.runs_key(m[b"key"].decode())) for m in found.messages
                ]
                await Worker(docket, "worker").run_at_most({"chained": 1})
                await redis.publish(f"{docket.name}:over", "")
                while (message := await pubsub.receive()).channel != f"{docket.name}:over".encode():
                    short = message.channel.removeprefix(f"{docket.name}:".encode())
                    found.events.append((short, message.payload))
                for message in found.messages:
                    key = message[b"key"].decode()
                    found.records.append(await redis.hgetall(docket.runs_key(key)))
                    if (stored := await redis.get(docket.keys.result_envelope(f"{key}:1"))) is not None:
                        found.results.append(stored)
                names = [name async for name in redis.scan_iter(match=f"{docket.name}:*")]
                await redis.delete(*names)
    found.progress = [
        {b"current": b"1", b"total": b"3", b"message": b"one", b"updated_at": found.messages[0][b"when"]}
    ]
    return found


# Mutations -------------------------------------------------------------------------------------------------------

NUMBERS = [
    b"", b"0", b"-1", b"-0", b"+1", b" 1", b"1 ", b"1.5", b"1e3", b"1e999", b"nan", b"inf", b"-inf", b"0x10", b"1_000", "\u0661".encode(),
    b"2147483648", b"4294967296", b"9007199254740993", b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809",
    b"18446744073709551616", b"9" * 400, b"9" * 5000, b"None", b"true",
]  # fmt: skip

TIMES = [
    b"", b"yesterday", b"2026-01-01", b"2026-01-01T00:00:00", b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59.999999-12:00",
    b"9999-12-31T23:59:59+00:00", b"0001-01-01T00:00:00+00:00", b"2026-02-30T00:00:00+00:00", b"2026-01-01T00:00:00+99:99",
    b"10000-01-01T00:00:00+00:00", b"1969-12-31T23:59:59+00:00", b"2026-01-01T00:00:00Z", b"2026-W01-1T00:00:00+00:00",
]  # fmt: skip

TEXTS = [
    b"", b"\xff", b"\xff\xfe\x00", b"\xed\xb3\xbf", b"\0", b"a\r\nb", b"*", b"[", b"{x}", b":", b"x:waiters", b"stream", b"runs:x", b"%s%n",
    b"\xf0\x9f\x98\x80", b"\xef\xbb\xbf", b"x" * 10_000, b"running", b"queued", b"scheduled", b"completed", b"failed", b"cancelled",
    b"dancing", b"strike", b"restore", b"==", b"between", b"<",
]  # fmt: skip


class _Explodes:
    """Raises where it is unpickled."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __reduce__(self) -> Any:
        return explode, (self.kind,)


def explode(kind: type[BaseException]) -> None:
    raise kind("unpickled")


def _deep(depth: int) -> Any:
    found: Any = ()
    for _ in range(depth):
        found = (found,)
    return found


#: Not a byte of a real pickle is flipped: `LONG_BINPUT` and its like may ask for all the memory that there is.
PICKLES = [
    b"", b"junk", b"\x80", b"\x80\x05", b"\x80\x05.", b"\x80\x63N.", b".", b"N.", b"(.", b"\x80\x05cno.such.module\nthing\n.", b"cos\nno_such\n.",
    b"\x80\x05" + b"]" * 5000, b"(" * 5000, b"\x80\x05K\x07.", dump_any(None), dump_any("text"), dump_any({1: 2}), dump_any({"no_such": 2}),
    dump_any([1, 2]), dump_any({"number": 2}), dump((1, 2, 3, 4)), dump(("\udcff",)), dump((2**64,)), dump_any(_deep(300)),
    dump_any((_Explodes(ValueError),)), dump_any((_Explodes(SystemExit),)), dump_any((_Explodes(GeneratorExit),)),
    dump_any({"number": _Explodes(SystemExit)}), dump_any(object), dump_any(ValueError("one")), dump_any({1}), dump_any(float("nan")),
]  # fmt: skip

JSON = [
    b"", b"{", b"null", b"[]", b"7", b'"text"', b"{}", b'{"type": "state"}', b'{"type": "state", "state": "dancing"}', b'{"type": []}',
    b'{"type": "state", "state": {}}', b'{"type": "progress", "current": "x"}', b'{"type": "progress", "current": 1e999}', b"\xff", b"[" * 100_000,
    b'{"type":"state","state":"running","key":"\\ud800"}', b'{"type": "progress", "current": ' + b"9" * 5000 + b"}", b'{"data": 7}',
    b'{"value": []}', b'{"value": {"data": "!!!"}}', b'{"value": {"data": "gASVAAAA"}}', b'{"value": null}',
]  # fmt: skip

CASES: dict[str, list[bytes]] = {
    "number": NUMBERS,
    "time": TIMES,
    "text": TEXTS,
    "pickle": PICKLES,
    "json": JSON,
}


def kind_of(value: bytes) -> str:
    """What a value is, to be mutated into what is like it."""
    if value.startswith((b"\x80\x04", b"\x80\x05")):
        return "pickle"
    if value.startswith(b"{"):
        return "json"
    if value.lstrip(b"-").replace(b".", b"", 1).isdigit():
        return "number"
    if value[:4].isdigit() and b"T" in value:
        return "time"
    return "text"


def mutated(chance: random.Random, value: bytes) -> bytes:
    """Another value: one that borders on what it is, a part of it, or of a kind that does not belong there."""
    kind, way = kind_of(value), chance.random()
    if way < 0.6:
        return chance.choice(CASES[kind])
    if way < 0.75:
        return value[: chance.randrange(len(value) + 1)]
    if kind == "json" and way < 0.95:
        return _json_mutated(chance, value)
    if kind == "number" and way < 0.9:
        return b"%d" % (
            int(value[:30].partition(b".")[0] or b"0") + chance.choice([-1, 1, 2, 1000, 2**31, 2**63])
        )
    return chance.choice(CASES[chance.choice(list(CASES))])


def _json_mutated(chance: random.Random, value: bytes) -> bytes:
    try:
        document: Any = json.loads(value)
        name = chance.choice(list(document))
    except (ValueError, IndexError):  # it has been mutated before
        return chance.choice(JSON)
    others = [None, [], {}, True, -1, 2**64, 1e300, "", "\ud800", "x" * 1000, {"data": 7}, [[[]]]]
    if chance.random() < 0.3:
        del document[name]
    else:
        document[name] = chance.choice(others)
    return json.dumps(document).encode()


def fields_mutated(chance: random.Random, fields: Fields) -> dict[bytes, bytes]:
    """Some of them dropped, renamed, mutated, or joined by others."""
    found = dict(fields)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        name = chance.choice(list(found))
        match chance.randrange(8):
            case 0:
                del found[name]
            case 1:
                found[mutated(chance, name)] = found[name]
            case 2:
                found[
                    chance.choice(
                        [
                            b"docket:unknown",
                            b"docket:limits",
                            b"first_when",
                            b"traceparent",
                            b"baggage",
                            b"extra",
                        ]
                    )
                ] = chance.choice(
                    [
                        *NUMBERS,
                        *TIMES,
                        *TEXTS,
                        b"1 2 3",
                        b"1 " + b"9" * 30 + b" 1",
                        b"1000 1:9:fuzz:slot",
                        b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01",
                    ]
                )
            case _:
                found[name] = mutated(chance, found[name])
        if not found:
            return {b"nothing": b""}
    return found


# Steps -----------------------------------------------------------------------------------------------------------


@attrs.frozen
class Step:
    """Something that somebody writes. ``undo`` is what makes good what concerns the whole docket."""

    what: str
    commands: Sequence[Command]
    undo: Sequence[Command] = ()


class Mutator:
    """Draws steps for one docket."""

    def __init__(self, chance: random.Random, samples: Samples, docket: Docket) -> None:
        self.chance, self.samples, self.docket = chance, samples, docket
        self.keys = docket.keys
        self.count = 0

    def step(self) -> Step:
        self.count += 1
        kinds: list[tuple[int, Callable[[str], Step]]] = [
            (30, self.message), (12, self.due), (12, self.record), (14, self.event), (8, self.strike), (10, self.member),
            (6, self.of_another_type), (4, self.waiter), (3, self.result), (1, self.spoiled),
        ]  # fmt: skip
        weights, makers = zip(*kinds, strict=True)
        return self.chance.choices(makers, weights)[0](f"fuzz-{self.count}")

    def _flat(self, fields: Fields) -> list[bytes]:
        return [part for pair in fields.items() for part in pair]

    def _message(self, key: str) -> dict[bytes, bytes]:
        fields = {**self.chance.choice(self.samples.messages), b"key": key.encode()}
        return fields_mutated(self.chance, fields)

    def _record(self, key: str, state: str) -> Command:
        record = {**self.chance.choice(self.samples.records), b"state": state.encode()}
        for name in (b"stream_id", b"claim", b"result_key"):
            record.pop(name, None)
        return ("HSET", self.keys.run(key), *self._flat(record))

    def message(self, key: str) -> Step:
        """A message on the stream, with a real record, or none."""
        fields = self._message(key)
        record = [self._record(key, "queued")] if self.chance.random() < 0.8 else []
        return Step(f"message {fields}", [*record, ("XADD", self.keys.stream, "*", *self._flat(fields))])

    def due(self, key: str) -> Step:
        """A task that is due."""
        fields = self._message(key)
        score = self.chance.choice([b"0", b"1", b"-inf", b"1e-300", b"1700000000.5"])
        return Step(
            f"due {score!r} {fields}",
            [
                self._record(key, "scheduled"),
                ("HSET", self.keys.parked(key), *self._flat(fields)),
                ("ZADD", self.keys.queue, score, key),
            ],
        )

    def record(self, key: str) -> Step:
        """A real message with a record that is not."""
        message = {**self.chance.choice(self.samples.messages), b"key": key.encode()}
        record = fields_mutated(self.chance, self.chance.choice(self.samples.records))
        return Step(
            f"record {record}",
            [
                ("HSET", self.keys.run(key), *self._flat(record)),
                ("XADD", self.keys.stream, "*", *self._flat(message)),
            ],
        )

    def event(self, key: str) -> Step:
        channel, payload = self.chance.choice(self.samples.events)
        room, colon, _ = channel.partition(b":")
        name = f"{self.keys.prefix}:{room.decode()}{colon.decode()}".encode()
        if colon:
            name += self.chance.choice([key.encode(), b"watched", mutated(self.chance, b"text")])
        payload = mutated(self.chance, payload)
        return Step(f"event {name!r} {payload[:200]!r}", [("PUBLISH", name, payload)])

    def strike(self, key: str) -> Step:
        fields = fields_mutated(self.chance, self.chance.choice(self.samples.strikes))
        return Step(f"strike {fields}", [("XADD", self.keys.strikes, "*", *self._flat(fields))])

    def member(self, key: str) -> Step:
        """A member of a set, list or hash of the docket's own."""
        keys, chance = self.keys, self.chance
        text, number = chance.choice(TEXTS), chance.choice(NUMBERS)
        score = chance.choice([b"0", b"1", b"-1", b"inf", b"-inf", b"1e300", b"1900000000.25"])
        slots = keys.slots("who:x")
        commands: list[Command] = [
            ("ZADD", keys.workers, score, text), ("ZADD", keys.task_workers("plain"), score, text),
            ("SADD", keys.worker_tasks("worker"), text), ("SADD", keys.worker_tasks(key), text),
            ("HSET", keys.limits, text, number), ("HSET", keys.limits, slots, number), ("SADD", keys.waiting, text),
            ("SADD", keys.waiting, slots), ("ZADD", slots, score, text), ("HSET", f"{slots}:owners", text, number),
            ("ZADD", f"{slots}:woken", score, text), ("ZADD", keys.rate("who:x"), score, text),
            ("SET", keys.cooldown("who:x"), number, "PX", 10), ("SET", keys.sweep_lease, text, "PX", 10),
            ("SET", keys.perpetual_lock, text, "PX", 10), ("ZADD", keys.queue, b"0", text),
            ("ZADD", keys.reserved_queue, b"0", text), ("HSET", keys.progress(key), text, number),
        ]  # fmt: skip
        command = chance.choice(commands)
        return Step(f"member {command}", [command])

    def waiter(self, key: str) -> Step:
        """Somebody who waits for a slot."""
        fields = self._message(key)
        slots = self.keys.slots("who:x")
        return Step(
            f"waiter {fields}",
            [
                self._record(key, "scheduled"),
                ("XADD", f"{slots}:waiters", "*", *self._flat(fields)),
                ("SADD", self.keys.waiting, slots),
            ],
        )

    def result(self, key: str) -> Step:
        stored = mutated(self.chance, self.chance.choice(self.samples.results))
        record = {
            **self.chance.choice(self.samples.records),
            b"state": b"completed",
            b"result_key": f"{key}:1".encode(),
        }
        return Step(
            f"result {stored[:200]!r}",
            [
                ("HSET", self.keys.run(key), *self._flat(record)),
                ("SET", self.keys.result_envelope(f"{key}:1"), stored),
            ],
        )

    def _another_type(self, name: str) -> Command:
        return self.chance.choice(
            [("SET", name, "x"), ("RPUSH", name, "x"), ("SADD", name, "x"), ("ZADD", name, 1, "x"), ("HSET", name, "x", "x"), ("XADD", name, "*", "x", "x")]
        )  # fmt: skip

    def of_another_type(self, key: str) -> Step:
        """Something of one task's is of another type."""
        keys = self.keys
        name = self.chance.choice(
            [keys.run(key), keys.progress(key), keys.parked(key), keys.result_envelope(f"{key}:1")]
        )
        message = {**self.chance.choice(self.samples.messages), b"key": key.encode()}
        spoils = self._another_type(name)
        commands: list[Command] = [("DEL", name), spoils]
        if self.chance.random() < 0.5:
            commands.append(("XADD", keys.stream, "*", *self._flat(message)))
        else:
            commands.append(("ZADD", keys.queue, 0, key))
        return Step(f"of another type {spoils}", commands)

    def spoiled(self, key: str) -> Step:
        """Something of the whole docket's is of another type, until somebody makes that good."""
        keys = self.keys
        name = self.chance.choice(
            [keys.stream, keys.queue, keys.reserved_queue, keys.strikes, keys.workers, keys.limits, keys.waiting, keys.dead,
             keys.sweep_lease, keys.perpetual_lock, keys.worker_tasks("worker"), keys.task_workers("plain")]
        )  # fmt: skip
        aside, other = f"aside:{name}", self._another_type(name)
        return Step(
            f"spoiled {other}",
            [("RENAME", name, aside), ("DEL", name), other],
            [("DEL", name), ("RENAME", aside, name)],
        )


def steps(seed: str, count: int, samples: Samples, docket: Docket) -> list[Step]:
    """So many steps; the same ones for the same seed."""
    mutator = Mutator(random.Random(seed), samples, docket)
    return [mutator.step() for _ in range(count)]

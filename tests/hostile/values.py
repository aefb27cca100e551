# ruff: noqa: E501 - a row is a line
"""Arguments, results and names: what cannot be pickled, shown, counted by, or told apart from something else."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NoReturn

import anyio

from docket import (
    ConcurrencyLimit,
    Cooldown,
    Debounce,
    Depends,
    Docket,
    Execution,
    Logged,
    Perpetual,
    Progress,
    RateLimit,
    Timeout,
)
from docket.errors import DeliveryUnreadable, UsageError
from docket.text import readable
from tests.hostile.harness import KEY, Function, Row, chain_goes_on, fails, refused, returns, two_runs
from tests.hostile.times import row

__all__ = ["VALUES"]

SURROGATE = "\udcff"


# pickled --------------------------------------------------------------------------------------------------------


class Unpicklable:
    """Raises where it is pickled; ``__repr__`` and ``__str__`` as well."""

    def __init__(self, error: Callable[[], BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> NoReturn:
        raise self.error()

    __repr__ = __str__ = __reduce__


class Grenade:
    """Raises where it is unpickled."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __reduce__(self) -> Any:
        return explode, (self.kind,)


def explode(kind: type[BaseException]) -> NoReturn:
    raise kind("unpickled")


class Unspeakable:
    """Pickles well; its ``__repr__``, ``__str__``, ``__eq__`` and ``__hash__`` raise."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __repr__(self) -> NoReturn:
        raise self.kind("spoken to")

    def __str__(self) -> NoReturn:
        raise self.kind("spoken to")

    def __eq__(self, other: object) -> NoReturn:
        raise self.kind("compared")

    def __hash__(self) -> NoReturn:
        raise self.kind("hashed")


KINDS: list[type[BaseException]] = [
    ValueError,
    SystemExit,
    GeneratorExit,
    RecursionError,
    asyncio.CancelledError,
]


def result(make: Callable[[], Any]) -> Callable[[], Function]:
    def made() -> Function:
        async def culprit() -> Any:
            return make()

        return culprit

    return made


def nested() -> list[Any]:
    found: list[Any] = []
    for _ in range(5000):
        found = [found]
    return found


def next_arguments(make: Callable[[], Any]) -> Callable[[], Function]:
    def made() -> Function:
        runs, first_was_seen = itertools.count(), anyio.Event()

        async def culprit(it: Any = None, perpetual: Perpetual = Perpetual()) -> str:
            if next(runs):
                await first_was_seen.wait()
                perpetual.cancel()
            else:
                perpetual.perpetuate(make())
            return "went on"

        return two_runs(culprit, first_was_seen)

    return made


def taking(annotation: Any = Any) -> Callable[[], Function]:
    def made() -> Function:
        async def culprit(it: annotation) -> str:
            return "returned"

        culprit.__annotations__["it"] = annotation
        return culprit

    return made


def taking_it_where_shown() -> Function:
    async def culprit(it: Annotated[Any, Logged()]) -> str:
        return "returned"

    culprit.__annotations__["it"] = Annotated[Any, Logged()]
    return culprit


# limits -----------------------------------------------------------------------------------------------------------

LIMITS: list[tuple[str, Callable[[], Any]]] = [
    ("ConcurrencyLimit", lambda: ConcurrencyLimit(1)), ("RateLimit", lambda: RateLimit(5, per=timedelta(seconds=1))),
    ("Cooldown", lambda: Cooldown(timedelta(milliseconds=10))), ("Debounce", lambda: Debounce(timedelta(milliseconds=10))),
]  # fmt: skip

LIMITED: list[tuple[str, Any]] = [
    ("a lone surrogate", SURROGATE), ("line breaks and nulls", "a\r\n\0b"), ("braces", "{a}}{"), ("stars", "*?[a-"),
    ("nothing", ""), ("colons", ":::"), ("a long text", "x" * 50_000), ("a huge number", 10**4000),
]  # fmt: skip


def limited(limit: Callable[[], Any]) -> Callable[[], Function]:
    return lambda: taking(Annotated[Any, limit()])()


def spoiling(kind: str, limit: Callable[[], Any]) -> Row:
    """A key of the limit's is of another type."""

    async def prepare(docket: Docket) -> None:
        keys, tag = docket.keys, "it:x"
        names = {
            "ConcurrencyLimit": [keys.slots(tag)], "RateLimit": [keys.rate(tag)],
            "Cooldown": [keys.cooldown(tag)], "Debounce": list(keys.debounce(tag)),
        }  # fmt: skip
        async with docket.redis() as redis:
            for name in names[kind]:
                await redis.rpush(name, "of", "another", "type")

    return row(
        f"a key of a {kind} that is of another type",
        limited(limit),
        fails(match="WRONGTYPE"),
        args=("x",),
        prepare=prepare,
    )


def beside(value: str, side: str) -> Row:
    """Two values of a limited argument, of which one is the name of what is kept beside the other."""

    async def place(docket: Docket, function: Function) -> Execution[Any]:
        async def neighbour(who: str, limit: ConcurrencyLimit = ConcurrencyLimit("who")) -> None: ...

        for number in range(3):
            await docket.add(neighbour, key=f"neighbour-{number}")(value)
            await docket.add(neighbour, key=f"neighbour-{number}-{side}")(f"{value}:{side}")
        return await docket.add(function, key=KEY)(f"{value}:{side}")

    def made() -> Function:
        async def culprit(who: str, limit: ConcurrencyLimit = ConcurrencyLimit("who")) -> str:
            return "returned"

        return culprit

    return row(f"a limit's values {value!r} and '{value}:{side}'", made, returns("returned"), place=place)


# names of parameters -----------------------------------------------------------------------------------------------

PARAMETERS = [
    "running", "self", "args", "kwargs", "function", "call", "outcome", "execution", "body", "value", "run", "context",
    "limiter", "cancellable", "abandon_on_cancel", "func", "fn", "docket", "worker", "key", "when", "task", "name", "cls",
]  # fmt: skip


def supplied() -> None: ...


def parameter_named(name: str, *, how: str) -> Row:
    """Called with an argument of this name."""
    words = {"a plain function": "def", "a function": "async def"}
    kind, _, extra = how.partition(" with ")
    more = {
        "": "",
        "a timeout": ", the_timeout=Timeout(timedelta(seconds=60))",
        "a dependency": ", it=Depends(supplied)",
    }[extra]
    scope: dict[str, Any] = {
        "Timeout": Timeout,
        "timedelta": timedelta,
        "Depends": Depends,
        "supplied": supplied,
    }
    exec(f"{words[kind]} culprit({name}{more}): return {name}", scope)

    async def place(docket: Docket, function: Function) -> Execution[Any]:
        return await docket.add(function, key=KEY)(**{name: "given"})

    return row(
        f"{how} whose parameter is {name!r}",
        lambda: scope["culprit"],
        returns("given"),
        place=place,
        slow=name not in PARAMETERS[:3],
    )


# names ---------------------------------------------------------------------------------------------------------------


def nothing() -> Function:
    async def culprit(it: Any = None) -> str:
        return "returned"

    return culprit


def keyed(key: str) -> Any:
    async def place(docket: Docket, function: Function) -> Execution[Any]:
        return await docket.add(function, key=key)()

    return place


def in_the_future(key: str) -> Any:
    async def place(docket: Docket, function: Function) -> Execution[Any]:
        return await docket.add(function, datetime.now(UTC) + timedelta(milliseconds=20), key)()

    return place


async def of_a_name_that_is_none(docket: Docket, function: Function) -> Execution[Any]:
    docket.register(function, names=[SURROGATE])
    return await docket.add(SURROGATE, key=KEY)()


async def at_a_time_that_is_none(docket: Docket, function: Function) -> Execution[Any]:
    return await docket.add(function, "tomorrow", KEY)()  # type: ignore[arg-type]


RESERVED = [
    "stream", "queue", "strikes", "workers", "dead", "parked", "limits", "waiting", "runs:x", "progress:x", "results::x",
    "leases:redelivery-sweep", "perpetual:lock", "worker-tasks:worker", "task-workers:culprit", "concurrency:x", "x:concurrency:y",
    "cooldown:x", "debounce:x:{x}:winner", "ratelimit:x", "known:x", "stream-id:x", "wake", "state:x", "cancel:x",
]  # fmt: skip

KEYS = [
    " ",
    "a\r\nb",
    "a\0b",
    "*",
    "x" * 10_000,
    "{x}",
    ":",
    "\N{GRINNING FACE}",
    "\ufeff",
    "%s %d",
    "../../etc",
]


def reporting(numbers: Any) -> Callable[[], Function]:
    def made() -> Function:
        async def culprit(progress: Progress = Progress()) -> str:
            await progress.set_total(numbers)
            return "returned"

        return culprit

    return made


def plain_generator() -> Function:
    def culprit() -> Any:
        yield 1

    return culprit


def async_generator() -> Function:
    async def culprit() -> Any:
        yield 1

    return culprit


def depends_on_a_generator() -> Function:
    async def opens() -> Any:
        yield 1

    async def culprit(it: Any = Depends(opens)) -> str:
        return "returned"

    return culprit


VALUES = [
    *(row(f"a result that raises {kind.__name__} as it is pickled", result(lambda k=kind: Unpicklable(lambda: k("pickled"))), fails(match="cannot be pickled"), slow=kind is not SystemExit) for kind in KINDS),
    row("a result that holds a lock", result(threading.Lock), fails(TypeError, "cannot be pickled")),
    row("a result that is nested 5000 deep", result(nested), fails(match="cannot be pickled")),
    row("a result that is a coroutine", lambda: lambda: anyio.sleep(0), returns(None)),
    row("a result that holds a lone surrogate", result(lambda: SURROGATE), returns(SURROGATE)),
    row("a result that is an exception", result(lambda: ("kept", SystemExit)), returns(("kept", SystemExit))),
    *(row(f"next arguments that raise {kind.__name__} as they are pickled", next_arguments(lambda k=kind: Unpicklable(lambda: k("pickled"))), chain_goes_on(TypeError, "the next arguments of task 'culprit' cannot be pickled"), slow=kind is not SystemExit) for kind in KINDS),
    *(row(f"an argument that raises {kind.__name__} as it is unpickled", taking(), fails(DeliveryUnreadable, "cannot be unpickled"), args=(Grenade(kind),), slow=kind is not SystemExit) for kind in KINDS),
    *(row(f"an argument that raises {kind.__name__} as it is shown", taking_it_where_shown, returns("returned"), args=(Unspeakable(kind),), slow=kind is not SystemExit) for kind in KINDS),
    row("an argument that holds a lone surrogate and is shown", taking_it_where_shown, returns("returned"), args=(SURROGATE,)),
    *(row(f"a {kind} by a value with {what}", limited(limit), returns("returned"), args=(value,), slow=what != "a lone surrogate") for kind, limit in LIMITS for what, value in (LIMITED if kind == "ConcurrencyLimit" else LIMITED[:1])),
    *(row(f"a {kind} by a value that raises SystemExit", limited(limit), fails(), args=(Unspeakable(SystemExit),)) for kind, limit in LIMITS),
    *(spoiling(kind, limit) for kind, limit in LIMITS),
    *(beside("x", side) for side in ("waiters", "owners", "woken", "reserved")),
    *(parameter_named(name, how=how) for name in PARAMETERS for how in ("a plain function", "a plain function with a timeout", "a function with a timeout", "a plain function with a dependency")[: 4 if name in PARAMETERS[:3] else 2]),
    row("a key with a lone surrogate", nothing, refused(UsageError, "UTF-8"), place=keyed(SURROGATE)),
    row("a task's name with a lone surrogate", nothing, refused(UsageError, "UTF-8"), place=of_a_name_that_is_none),
    row("a moment that is none", nothing, refused(TypeError, "tomorrow"), place=at_a_time_that_is_none),
    *(row(f"a key like {readable(repr(key[:20]))}", nothing, returns("returned"), place=keyed(key), slow=key != KEYS[0]) for key in KEYS),
    *(row(f"a future task with the key {key!r}", nothing, returns("returned"), place=in_the_future(key), slow=key not in RESERVED[:2]) for key in RESERVED),
    *(row(f"an argument that is {what}", nothing, returns("returned"), args=(number,)) for what, number in (("2**64", 2**64), ("-2**64", -(2**64)), ("inf", float("inf")), ("nan", float("nan")))),
    *(row(f"a total of {what}", reporting(number), fails()) for what, number in (("2**64", 2**64), ("-1", -1), ("0", 0))),
    row("a task that is a generator", plain_generator, refused(TypeError, "generator")),
    row("a task that is an async generator", async_generator, refused(TypeError, "generator")),
    row("a dependency that is a generator", depends_on_a_generator, refused(TypeError, "generator")),
]  # fmt: skip

# ruff: noqa: E501 - a row is a line
"""Who is told of a run and raises: handlers and filters of the log, subscribers, strikes' conditions, storages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from docket import Docket, Execution, Perpetual
from docket.signals import NOT_TRACED, Labels, Operation, Subscriber, Tracer, signals
from tests.hostile.harness import KEY, NAME, Function, Row, fails, returns

__all__ = ["TELLING"]

KINDS: list[type[BaseException]] = [ValueError, SystemExit, GeneratorExit, RecursionError]


def returning() -> Function:
    async def culprit() -> str:
        return "returned"

    return culprit


def raising() -> Function:
    async def culprit() -> str:
        raise ValueError("the body")

    return culprit


# the log --------------------------------------------------------------------------------------------------------


class Handler(logging.Handler):
    """Raises at what is said of the culprit."""

    def __init__(self, kind: type[BaseException], levels: int) -> None:
        super().__init__(levels)
        self.kind = kind

    def emit(self, record: logging.LogRecord) -> None:
        if KEY in record.getMessage():
            raise self.kind("told")


def a_handler(
    kind: type[BaseException], level: int = logging.INFO
) -> Callable[[], AbstractContextManager[None]]:
    @contextmanager
    def during() -> Generator[None]:
        logger, handler = logging.getLogger("docket"), Handler(kind, level)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

    return during


def a_filter(kind: type[BaseException]) -> Callable[[], AbstractContextManager[None]]:
    def raises(record: logging.LogRecord) -> bool:
        if KEY in record.getMessage():
            raise kind("told")
        return True

    @contextmanager
    def during() -> Generator[None]:
        loggers = [logging.getLogger(name) for name in ("docket.worker", "docket.dependencies")]
        for logger in loggers:
            logger.addFilter(raises)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeFilter(raises)

    return during


# telemetry ------------------------------------------------------------------------------------------------------


def a_subscriber(method: str, kind: type[BaseException]) -> Callable[[], AbstractContextManager[None]]:
    def raises(self: Subscriber, docket: str, worker: str, task: str, **facts: Any) -> None:
        if task == NAME:
            raise kind("told")

    subscriber = type("Raises", (Subscriber,), {method: raises})()

    @contextmanager
    def during() -> Generator[None]:
        signals.subscribers.append(subscriber)
        try:
            yield
        finally:
            signals.subscribers.remove(subscriber)

    return during


@contextmanager
def a_subscriber_that_always_raises() -> Generator[None]:
    def raises(self: Subscriber, *args: object, **facts: object) -> None:
        raise SystemExit("told")

    methods = [
        "placed",
        "cancelled",
        "stricken",
        "superseded",
        "run_started",
        "run_ended",
        "disrupted",
        "depths",
        "waiting",
        "strikes",
        "unsigned",
        "untrusted",
        "cached",
    ]
    subscriber = type(
        "Raises", (Subscriber,), {**dict.fromkeys(methods, raises), "wants_depths": lambda self: True}
    )()
    signals.subscribers.append(subscriber)
    try:
        yield
    finally:
        signals.subscribers.remove(subscriber)


class Unheard(Tracer):
    """Hears of nothing but the run of the culprit, and raises there."""

    def __init__(self, where: str, kind: type[BaseException]) -> None:
        self.where, self.kind = where, kind

    def operation(self, name: str, labels: Callable[[], Labels]) -> Operation:
        return NOT_TRACED

    def run(
        self,
        task: str,
        labels: Callable[[], Labels],
        fields: Mapping[bytes, bytes],
        *,
        as_child: bool = False,
    ) -> Operation:
        if task != NAME:
            return NOT_TRACED
        if self.where == "run":
            raise self.kind("told")

        def raises(*args: object) -> None:
            raise self.kind("told")

        return type("Raises", (Operation,), {self.where: raises})()

    def fields(self) -> Mapping[bytes, bytes]:
        return {}


def a_tracer(where: str, kind: type[BaseException]) -> Callable[[], AbstractContextManager[None]]:
    @contextmanager
    def during() -> Generator[None]:
        before, signals.tracer = signals.tracer, Unheard(where, kind)
        try:
            yield
        finally:
            signals.tracer = before

    return during


# strikes --------------------------------------------------------------------------------------------------------


def a_condition(kind: type[BaseException]) -> Any:
    """A condition that raises, once the culprit has been added."""

    async def place(docket: Docket, function: Function) -> Execution[Any]:
        def condition(execution: Execution[Any]) -> bool:
            if execution.key == KEY:
                raise kind("asked")
            return False

        placed = await docket.add(function, key=KEY)()
        docket.strike_list.add_condition(condition)
        return placed

    return place


def a_chain() -> Function:
    async def culprit(perpetual: Perpetual = Perpetual()) -> str:
        perpetual.cancel()
        return "went on"

    return culprit


# result storage -------------------------------------------------------------------------------------------------


class Storage:
    """Raises where something is put into it under the culprit's key; keeps the rest."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind
        self.kept: dict[str, dict[str, Any]] = {}

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        return self.kept.get(key)

    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: float | None = None
    ) -> None:
        if key.startswith(KEY):
            raise self.kind("put")
        self.kept[key] = dict(value)


TELLING = [
    *(Row(said=f"a handler of the log that raises {kind.__name__}", make=returning, end=returns("returned"), reported=False, during=a_handler(kind), slow=kind is not SystemExit) for kind in KINDS),
    *(Row(said=f"a handler of the log that raises {kind.__name__} at an error", make=raising, end=fails(ValueError), reported=False, during=a_handler(kind, logging.ERROR), slow=kind is not SystemExit) for kind in KINDS),
    *(Row(said=f"a filter of the log that raises {kind.__name__}", make=returning, end=returns("returned"), reported=False, during=a_filter(kind), slow=kind is not SystemExit) for kind in KINDS),
    *(Row(said=f"a subscriber that raises {kind.__name__} in {method}", make=returning, end=returns("returned"), reported=False, during=a_subscriber(method, kind), slow=kind is not SystemExit) for kind in KINDS for method in ("run_started", "run_ended")),
    Row(said="a subscriber that always raises SystemExit", make=returning, end=returns("returned"), reported=False, during=a_subscriber_that_always_raises),
    *(Row(said=f"a tracer that raises {kind.__name__} in {where}", make=returning, end=returns("returned"), reported=False, during=a_tracer(where, kind), slow=kind is not SystemExit) for kind in KINDS for where in ("run", "__enter__", "__exit__")),
    *(Row(said=f"a condition of a strike that raises {kind.__name__}", make=returning, end=fails(), place=a_condition(kind), slow=kind is not SystemExit) for kind in KINDS),
    *(Row(said=f"a result storage that raises {kind.__name__}", make=returning, end=fails(match="put"), reported=False, settings={"result_storage": Storage(kind)}, slow=kind is not SystemExit) for kind in KINDS),
    *(Row(said=f"a result storage that raises {kind.__name__} for an error", make=raising, end=fails(), reported=False, settings={"result_storage": Storage(kind)}, slow=kind is not SystemExit) for kind in KINDS),
]  # fmt: skip

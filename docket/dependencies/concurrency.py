"""A limit of simultaneous runs."""

from __future__ import annotations

import functools
from typing import Any, Self, overload

from ..errors import UsageError
from ..rules import SlotRule
from ..store import Keys
from ..text import check_encodable
from .admission import Admission, AdmissionBlocked
from .base import copied
from .checks import check_count, check_scope
from .per_value import check_argument

__all__ = ["MINIMUM_TTL_SECONDS", "ConcurrencyBlocked", "ConcurrencyLimit"]

#: How many seconds pydocket's keys live at least; those of this docket live as long as was asked for. For code that
#: imports it.
MINIMUM_TTL_SECONDS = 1


class ConcurrencyBlocked(AdmissionBlocked):
    """A concurrency limit has no slot left."""

    def __init__(self, execution: Any, concurrency_key: str, max_concurrent: int) -> None:
        self.concurrency_key, self.max_concurrent = concurrency_key, max_concurrent
        super().__init__(
            execution, f"concurrency limit ({max_concurrent} max) on {concurrency_key}", handled=True
        )


@functools.lru_cache(maxsize=256)
def _slot_rule(keys: Keys, subject: str, value: str | None, scope: str | None, most: int) -> SlotRule:
    return SlotRule(keys.slots(subject, value, scope), most)


class ConcurrencyLimit(Admission["ConcurrencyLimit"]):
    """At most ``max_concurrent`` runs at a time, on all workers together; the others wait, first come, first served.

    Runs are counted per value of an argument, if it is named (``ConcurrencyLimit("customer_id", 2)``) or the limit
    stands in its annotation (``customer_id: Annotated[int, ConcurrencyLimit(2)]``); else per task. Limits with
    different ``scope`` count separately. A task may have several limits: it begins when all have room, and holds no
    slot of one while it waits for another. Nothing of the task is open while it waits.

    Raises: UsageError (a ValueError) - ``max_concurrent`` below 1, a name that UTF-8 cannot hold; TypeError. With an
    argument that the task does not have: UsageError, where the task is registered or first added.
    """

    __module__ = "docket.dependencies"  # an argument of this class travels under the name that pydocket has for it, too

    argument_name: str | None

    @overload
    def __init__(self, max_concurrent: int, /, *, scope: str | None = None) -> None: ...
    @overload
    def __init__(self, argument_name: str, max_concurrent: int = 1, scope: str | None = None) -> None: ...
    @overload
    def __init__(self, *, max_concurrent: int = 1, scope: str | None = None) -> None: ...
    def __init__(
        self, argument_name: str | int | None = None, max_concurrent: int = 1, scope: str | None = None
    ) -> None:
        if isinstance(argument_name, int):
            if max_concurrent != 1:
                raise UsageError(
                    f"ConcurrencyLimit takes one maximum, not {argument_name} and {max_concurrent}"
                )
            argument_name, max_concurrent = None, argument_name
        elif argument_name is not None and not isinstance(argument_name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"ConcurrencyLimit takes the name of an argument, not {argument_name!r}")
        if argument_name is not None:
            check_encodable(argument_name, "the argument of ConcurrencyLimit,")
        self.argument_name, self.scope = argument_name, check_scope(scope)
        self.max_concurrent = check_count("max_concurrent", max_concurrent)
        self._key: str | None = None

    def check(self, function: Any) -> None:
        if self.argument_name is not None:
            check_argument("ConcurrencyLimit", function, self.argument_name)

    def _counted_by(self, execution: Any) -> tuple[str, str | None]:
        if self.argument_name is None:
            return super()._counted_by(execution)
        return self._spelled(self.argument_name, self.argument(execution, self.argument_name))

    def rule(self, execution: Any) -> SlotRule:
        subject, value = self._counted_by(execution)
        return _slot_rule(execution.docket.keys, subject, value, self.scope, self.max_concurrent)

    async def __aenter__(self) -> Self:
        running = copied(self)
        running._key = self.rule(self.execution.get()).name
        return running

    @property
    def concurrency_key(self) -> str:
        """The server's key of the runs under this limit.

        Raises: RuntimeError - this is not the value that a running task gets.
        """
        if self._key is None:
            raise RuntimeError("ConcurrencyLimit not initialized - use within task context")
        return self._key

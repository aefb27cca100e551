"""What is read for viewers: once for all of them, in bounded time, and for nobody if nobody looks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import attrs
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from .. import clock
from ..text import text_of

__all__ = ["PATIENCE", "Away", "Samples", "in_time"]

T = TypeVar("T")

PATIENCE = 3.0
"""How many seconds a viewer waits for the server."""

SHARE = 5
"""A reading that takes long is made more rarely: viewers of a page take no more than a fifth of the time."""

MOST = 200
"""Samples that are kept at once: one for each page that somebody looks at."""


class Away(Exception):
    """The server does not answer, or refuses; the text is a line for people, without a password and a full stop.

    ``did_nothing``: the call that the server refused has not changed anything.
    """

    def __init__(self, text: str, title: str = "Redis is away", *, did_nothing: bool = False) -> None:
        super().__init__(text.rstrip("."))
        self.title, self.did_nothing = title, did_nothing

    @property
    def whole(self) -> str:
        return f"{self.title}: {self}"


async def in_time(read: Callable[[], Awaitable[T]], patience: float = PATIENCE) -> T:
    """Read, and give up after so many seconds. Raises: Away."""
    try:
        with anyio.fail_after(patience):
            return await read()
    except TimeoutError as error:
        raise Away(text_of(error) or f"no answer within {patience:g} s") from error
    except OutOfMemoryError as error:
        raise Away(text_of(error), "The memory of Redis is full", did_nothing=True) from error
    except ResponseError as error:
        raise Away(text_of(error), "Redis refuses", did_nothing=_is_refusal(error)) from error
    except (RedisError, OSError) as error:
        raise Away(text_of(error)) from error


def _is_refusal(error: ResponseError) -> bool:
    """Whether the server executes no such command for now: it has not begun with this one."""
    return isinstance(error, ReadOnlyError) or str(error).startswith(("BUSY ", "MISCONF", "NOREPLICAS"))


@attrs.define(eq=False)
class _Sample:
    reading: anyio.Lock = attrs.field(factory=anyio.Lock)
    at: float = float("-inf")
    took: float = 0.0
    value: Any = None
    problem: Away | None = None


@attrs.define(eq=False)
class Samples:
    """The last reading of each thing. Who finds it too old reads it again; whoever comes meanwhile waits for that."""

    _samples: OrderedDict[str, _Sample] = attrs.field(init=False, factory=OrderedDict[str, _Sample])
    reads: int = 0
    """How often something was read."""

    async def get(self, name: str, read: Callable[[], Awaitable[T]], *, age: float) -> T:
        """What ``read`` returned at most ``age`` seconds ago, or, where it takes long, `SHARE` times as long ago.

        Zero reads it anew. Raises: Away - and so for the others who asked.
        """
        sample = self._samples.setdefault(name, _Sample())
        self._samples.move_to_end(name)
        while len(self._samples) > MOST:
            self._samples.popitem(last=False)
        async with sample.reading:
            if (now := clock.monotonic()) - sample.at >= (age and max(age, sample.took * SHARE)):
                self.reads += 1
                try:
                    sample.value, sample.problem = await in_time(read), None
                except Away as problem:
                    sample.problem = problem
                sample.at = clock.monotonic()
                sample.took = 0.0 if sample.problem is not None else sample.at - now
            if sample.problem is not None:
                problem = sample.problem
                raise Away(str(problem), problem.title, did_nothing=problem.did_nothing)
            return sample.value

    def forget(self) -> None:
        """Read everything anew: something was changed."""
        for sample in self._samples.values():
            sample.at = float("-inf")

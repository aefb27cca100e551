"""Error classes that are not loaded before one of them is raised.

To import redis-py takes a third of the time of a program's first result, and few programs ever see an error of it. As
long as nobody has loaded it, no error of it exists that could be caught: then a name of `redis_errors` is a stand-in,
which matches no error in an ``except`` clause or in `isinstance`. Called, it loads the module and makes the real error.
So look a name up where it is used, in a function, and keep none: ``except redis_errors.ConnectionError:``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

__all__ = ["ErrorsOf", "load_errors", "redis_errors"]


def load_errors() -> None:
    """Load all of them now. Raises: ImportError, OSError."""
    for module in sorted(ErrorsOf.modules):
        import_module(module)


class ErrorsOf:
    """The error classes of a module."""

    modules: ClassVar[set[str]] = set()

    def __init__(self, module: str) -> None:
        self._module = module
        self.modules.add(module)
        self._stand_ins: dict[str, type[Exception]] = {}

    def __getattr__(self, name: str) -> type[Any]:
        found = getattr(sys.modules.get(self._module), name, None)
        if found is not None:
            setattr(self, name, found)
            return found
        if name not in self._stand_ins:
            self._stand_ins[name] = self._stand_in(name)
        return self._stand_ins[name]

    def _stand_in(self, name: str) -> type[Exception]:
        def make(_: object, *arguments: Any, **named: Any) -> Exception:
            return getattr(import_module(self._module), name)(*arguments, **named)

        return type(name, (Exception,), {"__new__": make})


if TYPE_CHECKING:
    from redis import exceptions as redis_errors
else:
    redis_errors = ErrorsOf("redis.exceptions")

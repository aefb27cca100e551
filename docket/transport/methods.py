"""redis-py's command methods. Few programs call one, so a client gets them with the first that is asked for."""

from __future__ import annotations

from functools import cache
from types import new_class
from typing import TYPE_CHECKING, Any, TypeVar, cast

__all__ = ["CommandMethods", "with_command_methods"]

T = TypeVar("T")

if TYPE_CHECKING:
    from redis.commands import AsyncCoreCommands as CommandMethods
else:

    class CommandMethods:
        """What has the methods of redis-py's ``AsyncCoreCommands`` as soon as it is asked for one."""

        def __getattr__(self, name: str) -> Any:
            if not name.startswith("_") and (whole := _with_methods(type(self))) is not type(self):
                self.__class__ = whole
                return getattr(self, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def with_command_methods(client: T) -> T:
    """The same client, of a class that has the methods: for whoever looks at the class before it asks for one."""
    cast("Any", client).__class__ = _with_methods(client.__class__)
    return client


@cache
def _with_methods(kind: type[object]) -> type[object]:
    """The class that has the methods, too; for it that is itself."""
    from redis.commands import AsyncCoreCommands

    if issubclass(kind, AsyncCoreCommands):
        return kind
    return new_class(
        kind.__name__,
        (kind, AsyncCoreCommands),
        exec_body=lambda body: body.update(__module__=kind.__module__),
    )

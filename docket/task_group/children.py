"""Calls that are to be children of a group: what may be one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias, cast

from ..client import R, TaskCall, TaskFunction, check_arguments
from ..dependencies import (
    Perpetual,
    admission_dependencies,
    current_worker,
    dependencies_of_call,
    rules_of_call,
)
from ..errors import UsageError
from ..execution import Execution
from ..moments import Expires, TimeToLive
from ..rules import Priority, SlotRule
from ..text import class_name
from ..values import define, frozen

__all__ = ["ChildCall", "LookUp", "Wanted", "check_limits"]

LookUp: TypeAlias = Callable[
    [TaskFunction | str, datetime | None, str | None, TimeToLive], tuple[str, TaskFunction, str | None]
]
"""Checks what is to be called, when and under which key; returns the name and the function of the task, and the key."""


@define
class ChildCall(TaskCall[R]):
    """A call that `TaskGroup.call` has prepared and checked, for `TaskGroup.add_many` of the same group.

    An empty ``key`` stands for one by the place in the group.
    """

    group: object = None
    """The group that it is for."""


@frozen(eq=False)
class Wanted:
    """What `TaskGroup.add` and `call` are asked for, before the arguments are known."""

    name: str
    function: TaskFunction
    key: str | None
    when: datetime | None
    ttl: TimeToLive
    expires: Expires
    priority: Priority | None

    def check(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Refuse a call that does not fit, or that has no end. Raises: TypeError; UsageError (a ValueError)."""
        check_arguments(self.function, self.name, args, kwargs)
        for dependency in dependencies_of_call(self.function, args, kwargs):
            if isinstance(dependency, Perpetual):
                raise UsageError(
                    f"task {self.name!r} has a {class_name(dependency)}: its runs follow one another without an end, "
                    "so that a task group could never be left. Add it by docket.add, or give the group a task that "
                    "does the same once"
                )


def check_limits(execution: Execution[Any], held: frozenset[str]) -> None:
    """Refuse a child that would wait for a slot which its parent gives back only when the child has ended.

    What the present worker adds to all tasks counts, too: most likely the child runs on one of the same kind.
    Raises: UsageError (a ValueError).
    """
    function, args, kwargs = execution.function, execution.args, execution.kwargs
    also = cast("Mapping[str, Any]", getattr(current_worker.get(None), "dependencies", {}))
    for name, rule in rules_of_call(admission_dependencies(function, also), function, args, kwargs):
        bound = rule if name is None else rule.bind_to_parameter(name, rule.argument(execution, name))
        needed = bound.rule(execution)
        if isinstance(needed, SlotRule) and needed.name in held:
            raise UsageError(
                f"task {execution.function_name!r} needs a slot of the concurrency limit {needed.name!r}, and its "
                "parent, or a parent of that, keeps one until this child has ended: they would wait for each other. "
                "Give the children a limit of their own (`scope=`), or limit the children alone"
            )

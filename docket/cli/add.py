"""``docket add``: add a call of any task."""

from __future__ import annotations

import ast
import inspect
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from .. import clock
from ..errors import UsageError
from ..rules import Disposition, Priority
from .at import HERE, Here
from .errors import CommandFailed
from .existing import check_known
from .json_output import Json, print_json
from .options import OfLevel, choice, duration, option, until
from .server import with_docket
from .values import value_of

if TYPE_CHECKING:
    from ..client import TaskFunction
    from ..docket import Docket
    from ..execution import Execution

__all__ = ["add"]

Arguments = Annotated[str, Parameter(name="ARGUMENT", allow_leading_hyphen=True)]
Delay = Annotated[timedelta, option("--delay", duration(zero=True))]
Key = Annotated[str | None, Parameter(name="--key")]
Expires = Annotated[timedelta | datetime | None, option("--expires", until())]
IfRunning = Annotated[str, option("--if-running", choice("skip", "once-more"))]
Force = Annotated[bool, Parameter(name="--force", negative=())]

#: Stands for a default: what is missing is for a worker to judge.
_UNSAID = object()


def add(
    task: str,
    /,
    *arguments: Arguments,
    key: Key = None,
    delay: Delay = timedelta(0),
    expires: Expires = None,
    if_running: IfRunning = "skip",
    priority: OfLevel = None,
    force: Force = False,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """Add a call of a task.

    Arguments are VALUE, or parameter=VALUE. A value is a string, or type:text with a class that Python knows by that
    name: int:3, bool:true, datetime.timedelta:5 (seconds), uuid.UUID:..., none:. A string that has a colon or an equals
    sign in it is written with a colon before it. Modules are looked for in the working directory first. The exit status
    is 1 if a strike forbids the call, or the key is one of a task that waits or runs.

    Parameters
    ----------
    task
        The name of the task.
    arguments
        The arguments of the call.
    key
        The key of the call; one of its own if not given.
    delay
        How long from now the task is due.
    expires
        How long after it is due the task is cancelled unless it has begun; or a moment with a time zone.
    if_running
        Where the key has a run that has begun: skip adds nothing, once-more has it run once more after that.
    priority
        The level of the call: high, normal or low; normal if not given.
    force
        Add also a task that no live worker knows and that waits nowhere.
    json
        Print it as JSON.
    """
    args, kwargs = _read(arguments)
    level = None if priority is None else Priority(priority)

    async def act(opened: Docket) -> Execution[Any]:
        if not force:
            await check_known(opened, task, "add")
        function = await _stub(opened, task, args, kwargs)
        try:
            when = clock.now() + delay if delay else None
            once_more: Literal["skip", "once_more"] = "once_more" if if_running == "once-more" else "skip"
            add = opened.add(function, when, key, expires=expires, if_running=once_more, priority=level)
            return await add(*args, **kwargs)
        except TypeError as error:  # it cannot be pickled
            raise UsageError(str(error)) from error

    added = with_docket(act, at)
    if added.disposition is Disposition.STRUCK:
        raise CommandFailed(
            f"nothing was added: a strike on docket {at.docket!r} forbids this call of {task!r}"
        )
    if added.disposition is Disposition.EXPIRED:
        raise CommandFailed(f"task {added.key!r} had expired before it was added, and is cancelled")
    if added.disposition is Disposition.ALREADY_SCHEDULED:
        raise CommandFailed(
            f"nothing was added: task {added.key!r} waits or runs on docket {at.docket!r} already"
        )
    if json:
        print_json(at.docket, key=added.key, function=task, when=added.when)
        return
    later = ", to run once more after its run" if added.disposition is Disposition.ONCE_MORE else ""
    print(f"Added {task} task {added.key!r} to docket {at.docket!r}{later}")


async def _stub(docket: Docket, task: str, args: list[Any], kwargs: dict[str, Any]) -> TaskFunction:
    """The task by its name, with the parameters that its workers tell: a strike may be about one of them.

    Where they tell none that the call fits, it is a worker that judges the call.
    """
    from ..client import remote_task

    function: Any = remote_task(task)
    told = (await docket.store.catalogue.described([task])).get(task)
    if told is None or told.signature is None:
        return function
    with suppress(SyntaxError, ValueError, TypeError):
        signature = inspect.Signature(_parameters(told.signature))
        signature.bind(*args, **kwargs)
        function.__signature__ = signature
    return function


def _parameters(signature: str) -> list[inspect.Parameter]:
    """The parameters of ``a: int, b: str = '', ...``; the dots stand for none. Raises: SyntaxError."""
    told = ast.parse(f"def f(*, {signature.removesuffix('...').rstrip(', ')}): ...").body[0]
    assert isinstance(told, ast.FunctionDef)
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [inspect.Parameter(each.arg, kind, default=_UNSAID) for each in told.args.kwonlyargs]


def _read(arguments: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
    """What a call is made with. Raises: UsageError - a wrong value, or order."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in arguments:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            if kwargs:
                raise UsageError(f"ARGUMENT {text!r}: one without a name stands before those with one")
            args.append(value_of(text))
        elif name in kwargs:
            raise UsageError(f"ARGUMENT {text!r}: {name} is given twice")
        else:
            kwargs[name] = value_of(value)
    return args, kwargs

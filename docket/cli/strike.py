"""``docket strike`` and ``docket restore``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from cyclopts import Parameter

from ..docket import Docket
from ..errors import UsageError
from ..rules import Condition, Operator, checked_condition
from ..text import printable
from .loops import Backend
from .options import choice, option
from .server import DEFAULT_URL, DocketName, ServerUrl, with_docket
from .values import value_of

__all__ = ["restore", "strike"]

Comparison = Annotated[str, option(None, choice(*(operator.value for operator in Operator)))]
Value = Annotated[str | None, Parameter(allow_leading_hyphen=True)]


def strike(
    function: str = "*",
    parameter: str = "*",
    operator: Comparison = "==",
    value: Value = None,
    /,
    *,
    docket: DocketName = "docket",
    url: ServerUrl = DEFAULT_URL,
    backend: Backend = "asyncio",
) -> None:
    """Forbid a task, or calls with a certain argument.

    Values are strings, or type:text with a class that Python knows by that name: int:3, bool:true,
    datetime.timedelta:5 (seconds), uuid.UUID:..., and int:1,5 for between. Modules are looked for in the working
    directory first.

    Parameters
    ----------
    function
        The name of the task; * is every task.
    parameter
        The parameter whose argument is compared; * is none: every call of the task.
    operator
        How it is compared: ==, !=, >, >=, <, <= or between.
    value
        What it is compared with; None if not given.
    docket
        The name of the docket.
    url
        The server of the docket.
    backend
        The event loop: asyncio, uvloop or trio.
    """
    condition = _condition(function, parameter, operator, value)
    _send(Docket.strike, condition, docket=docket, url=url, backend=backend)
    print(f"Striking {_shown(condition)}")


def restore(
    function: str = "*",
    parameter: str = "*",
    operator: Comparison = "==",
    value: Value = None,
    /,
    *,
    docket: DocketName = "docket",
    url: ServerUrl = DEFAULT_URL,
    backend: Backend = "asyncio",
) -> None:
    """Take back a strike: the one that was made with the same words.

    Values are strings, or type:text with a class that Python knows by that name: int:3, bool:true,
    datetime.timedelta:5 (seconds), uuid.UUID:..., and int:1,5 for between. Modules are looked for in the working
    directory first.

    Parameters
    ----------
    function
        The name of the task; * is every task.
    parameter
        The parameter whose argument is compared; * is none: every call of the task.
    operator
        How it is compared: ==, !=, >, >=, <, <= or between.
    value
        What it is compared with; None if not given.
    docket
        The name of the docket.
    url
        The server of the docket.
    backend
        The event loop: asyncio, uvloop or trio.
    """
    condition = _condition(function, parameter, operator, value)
    _send(Docket.restore, condition, docket=docket, url=url, backend=backend)
    print(f"Restoring {_shown(condition)}")


def _condition(function: str, parameter: str, operator: str, value: str | None) -> Condition:
    """The condition of the command line; ``*`` or nothing is every task, and no parameter.

    Raises: UsageError - the words make no condition.
    """
    found = None if value is None else value_of(value, pair=operator == Operator.BETWEEN)
    try:
        return checked_condition(
            None if function in {"", "*"} else function,
            None if parameter in {"", "*"} else parameter,
            operator,
            found,
        )
    except TypeError as error:
        raise UsageError(str(error)) from error


def _send(
    send: Callable[[Docket, str | None, str | None, Operator, Any], Awaitable[None]],
    condition: Condition,
    *,
    docket: str,
    url: str,
    backend: str,
) -> None:
    async def act(opened: Docket) -> None:
        try:
            await send(opened, condition.function, condition.parameter, condition.operator, condition.value)
        except TypeError as error:  # it cannot be pickled
            raise UsageError(str(error)) from error

    with_docket(act, docket=docket, url=url, backend=backend)


def _shown(condition: Condition) -> str:
    function = condition.function or "(all tasks)"
    if condition.parameter is None:
        return printable(function)
    return printable(f"{function} {condition.parameter} {condition.operator.value} {condition.value!r}")

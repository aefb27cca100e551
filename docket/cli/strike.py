"""``docket strike`` and ``docket restore``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

from cyclopts import Parameter

from ..docket import Docket
from ..errors import UsageError
from ..rules import Condition, Operator, checked_condition
from ..store import dump, load_plain
from ..text import printable
from .at import HERE, Here
from .errors import CommandFailed
from .existing import check_docket, check_known
from .json_output import Json, print_json
from .options import choice, option
from .server import with_docket
from .values import value_of

__all__ = ["restore", "strike"]

Comparison = Annotated[str, option(None, choice(*(operator.value for operator in Operator)))]
Force = Annotated[bool, Parameter(name="--force", negative=())]
Value = Annotated[str | None, Parameter(allow_leading_hyphen=True)]


def strike(
    function: str = "*",
    parameter: str = "*",
    operator: Comparison = "==",
    value: Value = None,
    /,
    *,
    at: Here = HERE,
    force: Force = False,
    json: Json = False,
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
        What it is compared with; none: is None.
    force
        Strike also a docket that nobody has used, and a task that no live worker knows and that waits nowhere.
    json
        Print it as JSON.
    """
    condition = _condition(function, parameter, operator, value)

    async def act(opened: Docket) -> None:
        if not force:
            await check_docket(opened)
            if condition.function is not None:
                await check_known(opened, condition.function, "strike")
        await _send(partial(Docket.strike, opened), condition)

    with_docket(act, at)
    if json:
        print_json(at.docket, strike=_shown(condition))
    else:
        print(f"Striking {_shown(condition)}")


def restore(
    function: str = "*",
    parameter: str = "*",
    operator: Comparison = "==",
    value: Value = None,
    /,
    *,
    at: Here = HERE,
    json: Json = False,
) -> None:
    """Take back a strike: the one that was made with the same words. The exit status is 1 if there is none.

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
        What it is compared with; none: is None.
    json
        Print it as JSON.
    """
    condition = _condition(function, parameter, operator, value)

    async def act(opened: Docket) -> None:
        await check_docket(opened)
        await _check_struck(opened, condition)
        await _send(partial(Docket.restore, opened), condition)

    with_docket(act, at)
    if json:
        print_json(at.docket, restored=_shown(condition))
    else:
        print(f"Restoring {_shown(condition)}")


def _condition(function: str, parameter: str, operator: str, value: str | None) -> Condition:
    """The condition of the command line; ``*`` or nothing is every task, and no parameter.

    Raises: UsageError - the words make no condition.
    """
    if value is None and parameter not in {"", "*"}:
        raise UsageError(f"VALUE is missing: with what {parameter!r} is compared (none: is None)")
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


async def _send(
    send: Callable[[str | None, str | None, Operator, Any], Awaitable[None]], condition: Condition
) -> None:
    try:
        await send(condition.function, condition.parameter, condition.operator, condition.value)
    except TypeError as error:  # it cannot be pickled
        raise UsageError(str(error)) from error


async def _check_struck(docket: Docket, condition: Condition) -> None:
    """Check that there is a strike to take back.

    One whose value is not plain passes: nothing foreign is unpickled here, so it cannot be seen.
    Raises: CommandFailed - there is none; RedisError.
    """
    try:
        load_plain(dump((condition.value,)))
    except Exception:  # noqa: BLE001 - pickling runs the value's own code
        return
    strikes = [
        checked_condition(one.function, one.parameter, one.operator, one.value)
        for one in await docket.strikes()
    ]
    if _words(condition) not in [_words(one) for one in strikes]:
        shown = ", ".join(map(_shown, strikes))
        said = f"struck are: {shown}" if shown else "nothing is"
        raise CommandFailed(f"{_shown(condition)} is not struck on docket {docket.name!r}: {said}")


def _words(condition: Condition) -> tuple[object, ...]:
    if condition.parameter is None:
        return (condition.function,)
    return condition.function, condition.parameter, condition.operator, condition.value


def _shown(condition: Condition) -> str:
    function = condition.function or "(all tasks)"
    if condition.parameter is None:
        return printable(function)
    return printable(f"{function} {condition.parameter} {condition.operator.value} {condition.value!r}")

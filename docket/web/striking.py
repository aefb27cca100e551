"""Strikes as forms have them: a new one in words, one that is there by a mark."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from .doubts import doubt
from .fields import word_in
from .http import Form
from .results import Ask, Done
from .visitors import Visitor

if TYPE_CHECKING:
    from ..docket import Docket
    from ..strikelist import Strike

__all__ = ["KINDS", "mark_of", "restore", "strike"]


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.strip().lower()]


def _nothing(text: str) -> None:
    if text:
        raise ValueError(text)


#: What a value is read as, by the word of the form.
KINDS: Mapping[str, Callable[[str], Any]] = {
    "text": str,
    "whole number": int,
    "number": float,
    "true or false": _truth,
    "none": _nothing,
}


def mark_of(strike: Strike) -> str:
    """What stands for a strike in a form, whatever its value is."""
    message = sorted(strike.as_message().items())
    return hashlib.sha256(repr(message).encode()).hexdigest()


async def strike(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Forbid a task, or calls with some argument."""
    del visitor
    words = {
        name: (form.get(name) or [""])[-1] for name in ("function", "parameter", "operator", "value", "kind")
    }
    function, parameter = words["function"].strip() or None, words["parameter"].strip() or None
    if function is None and parameter is None:
        raise UsageError("name a task, an argument, or both")
    if function is not None and (asked := await doubt(docket, function, form, "Strike")) is not None:
        return asked
    if parameter is None:
        await docket.strike(function)
        return Done(word="struck", number=1, what="task", names=(function or "",))
    value = _value(words["kind"], words["value"])
    await docket.strike(function, parameter, words["operator"] or "==", value)  # pyright: ignore[reportArgumentType]
    shown = f"{function or '*'}({parameter} {words['operator']} {value!r})"
    return Done(word="struck", number=1, what="kind of call", names=(shown,))


def _value(kind: str, text: str) -> Any:
    read = KINDS.get(kind)
    if read is None:
        raise UsageError(f"{kind!r} is no kind of value: it is one of {', '.join(KINDS)}")
    try:
        return read(text)
    except (ValueError, KeyError):
        raise UsageError(f"{text!r} cannot be read as {kind}") from None


async def restore(docket: Docket, form: Form, visitor: Visitor) -> Done | Ask:
    """Take back one strike."""
    del visitor
    mark = word_in(form, "strike")
    for each in await docket.strikes():
        if mark_of(each) == mark:
            await docket.restore(each.function, each.parameter, each.operator, each.value)
            return Done(word="restored", number=1, what="strike", names=(each.call_repr(),))
    return Done(word="restored", number=0, what="strike", others=1)

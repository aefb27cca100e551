"""The text of a traceback as Python's own ``traceback`` writes it, ten times as fast where that is simple."""

from __future__ import annotations

import sys
import traceback
from types import CodeType, TracebackType
from typing import Any

from ...text import class_name

__all__ = ["traceback_text"]

#: How many places in code are remembered, each with its line as ``traceback`` shows it.
MOST_PLACES = 1000

_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"

#: By the code and the instruction in it. To find a line and to mark the place, for which Python parses it, takes long.
_places: dict[tuple[int, int], tuple[CodeType, str]] = {}

_BASE: Any = BaseException
_trace, _cause, _context = _BASE.__traceback__.__get__, _BASE.__cause__.__get__, _BASE.__context__.__get__
_suppresses = _BASE.__suppress_context__.__get__

#: Those whose text has more than a line.
_SPECIAL = (BaseExceptionGroup, SyntaxError, ImportError, NameError, AttributeError)


def traceback_text(error: BaseException) -> str:
    """The traceback of an error and of what led to it, without the notes of the error itself.

    Raises: KeyboardInterrupt, nothing else: the error's own code may raise anything (I9).
    """
    try:
        text = _simple_text(error)
        if text is None:
            shown = traceback.TracebackException.from_exception(error)
            shown.__notes__ = None
            text = "".join(shown.format())
        return text.rstrip()
    except KeyboardInterrupt:
        raise
    except BaseException as problem:  # noqa: BLE001 - the error's own code may raise anything (I9)
        return f"(its traceback cannot be shown: {class_name(problem)})"


def _simple_text(error: BaseException) -> str | None:
    """That text; None where more goes into it than the places and one line for each error."""
    if "tracebacklimit" in vars(sys):
        return None
    parts: list[str] = []
    seen: set[int] = set()
    one = error
    while True:
        own = _own_text(one) if one is error or not hasattr(one, "__notes__") else None
        if own is None or id(one) in seen:
            return None
        parts.append(own)
        seen.add(id(one))
        cause, context = _cause(one), _context(one)
        if cause is not None:
            one = cause
            parts.append(_CAUSED)
        elif context is not None and not _suppresses(one):
            one = context
            parts.append(_DURING)
        else:
            return "".join(reversed(parts))


def _own_text(error: BaseException) -> str | None:
    """The part of one error."""
    kind: Any = type(error)
    if (
        type(kind) is not type
        or issubclass(kind, _SPECIAL)
        or kind.__getattribute__ is not BaseException.__getattribute__
    ):
        return None
    name, module = kind.__qualname__, kind.__module__
    if type(module) is not str:
        return None
    if module not in ("__main__", "builtins"):
        name = f"{module}.{name}"
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - the error's own code; Python has words for that
        return None
    if type(said) is not str:
        return None
    last = f"{name}: {said}\n" if said else f"{name}\n"
    trace = _trace(error)
    if trace is None:
        return last
    lines, before = ["Traceback (most recent call last):\n"], None
    while trace is not None:
        here = trace.tb_frame.f_code, trace.tb_lineno
        if here == before:  # of a long recursion not every line is shown
            return None
        before = here
        lines.append(_place(trace))
        trace = trace.tb_next
    lines.append(last)
    return "".join(lines)


def _place(trace: TracebackType) -> str:
    code, at = trace.tb_frame.f_code, trace.tb_lasti
    known = _places.get((id(code), at))
    if known is None:
        alone = TracebackType(None, trace.tb_frame, at, trace.tb_lineno)
        if len(_places) >= MOST_PLACES:
            _places.clear()
        known = _places[id(code), at] = code, "".join(traceback.format_tb(alone))
    return known[1]

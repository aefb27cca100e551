"""The text of a traceback as Python's own ``traceback`` writes it, ten times as fast where that is simple.

Without the frames of docket and of anyio, which say nothing of a task, unless there are no others.
"""

from __future__ import annotations

import os
import sys
import traceback
from types import CodeType, TracebackType
from typing import Any

import anyio

from ...text import class_name

__all__ = ["traceback_text"]

#: How many places in code are remembered, each with its line as ``traceback`` shows it.
MOST_PLACES = 1000

_HEAD = "Traceback (most recent call last):\n"
_CAUSED = "\nThe above exception was the direct cause of the following exception:\n\n"
_DURING = "\nDuring handling of the above exception, another exception occurred:\n\n"

#: By the code and the instruction in it: the text of the place, and whether it is left out. To find a line and to mark
#: the place, for which Python parses it, takes long.
_places: dict[tuple[int, int], tuple[CodeType, str, bool]] = {}

#: Where the frames are that are left out.
_LEFT_OUT = (
    os.path.join(os.path.dirname(anyio.__file__), ""),
    os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), ""),
)

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
            _leave_out(shown, set())
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
    lines, left_out, before = [_HEAD], [_HEAD], None
    while trace is not None:
        here = trace.tb_frame.f_code, trace.tb_lineno
        if here == before:  # of a long recursion not every line is shown
            return None
        before = here
        _, place, is_left_out = _place(trace)
        (left_out if is_left_out else lines).append(place)
        trace = trace.tb_next
    if len(lines) == 1:
        lines = left_out
    lines.append(last)
    return "".join(lines)


def _leave_out(shown: traceback.TracebackException | None, seen: set[int]) -> None:
    """Leave the same frames out of what Python writes, of all errors in it."""
    if shown is None or id(shown) in seen:
        return
    seen.add(id(shown))
    if kept := [each for each in shown.stack if not each.filename.startswith(_LEFT_OUT)]:
        shown.stack[:] = kept
    for other in (shown.__cause__, shown.__context__, *(shown.exceptions or ())):
        _leave_out(other, seen)


def _place(trace: TracebackType) -> tuple[CodeType, str, bool]:
    code, at = trace.tb_frame.f_code, trace.tb_lasti
    known = _places.get((id(code), at))
    if known is None:
        alone = TracebackType(None, trace.tb_frame, at, trace.tb_lineno)
        if len(_places) >= MOST_PLACES:
            _places.clear()
        is_left_out = code.co_filename.startswith(_LEFT_OUT)
        known = _places[id(code), at] = code, "".join(traceback.format_tb(alone)), is_left_out
    return known

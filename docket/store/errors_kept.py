"""How the exception of a task is kept: as a plain pickle, with a note and its causes, which any reader restores.

``BaseException.__setstate__`` sets each item of the state as an attribute. So the note (``__notes__``) and the cause
(``__cause__``) travel in the state, and neither pydocket nor anybody else needs code of ours to read them.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections.abc import Mapping
from typing import Any, cast

import cloudpickle  # pyright: ignore[reportMissingTypeStubs]

from ..errors import ExecutionFailed
from .pickles import dump_any, is_plain

__all__ = ["dump_error", "restored", "stand_in"]

#: How many causes are kept, one behind the other, and how many bytes all of them have at most.
MOST_CAUSES, MOST_BYTES = 20, 256 * 1024

#: Marks the exception that stands for one that cannot be pickled. Its class is Python's own: pydocket has none of ours.
_STAND_IN = "docket_stand_in"

_State = dict[str, Any]
_CAUSE: Any = BaseException.__cause__
_REDUCE: Any = BaseException.__reduce__
_SETSTATE, _SETATTR = BaseException.__setstate__, BaseException.__setattr__


class _ErrorPickler(cloudpickle.Pickler):
    """Pickles exceptions with more in their state, by id; the exceptions themselves stay as they are."""

    def __init__(self, file: io.BytesIO, more: Mapping[int, _State]) -> None:
        super().__init__(file)  # pyright: ignore[reportUnknownMemberType]
        self._more = more

    def reducer_override(self, obj: Any) -> Any:
        more = self._more.get(id(obj))
        if more is None:
            return cast("Any", super()).reducer_override(obj)
        reduced: Any = obj.__reduce_ex__(cloudpickle.DEFAULT_PROTOCOL)
        match reduced:
            case (make, arguments):
                return make, arguments, more
            case (make, arguments, None):
                return make, arguments, more
            case (make, arguments, dict()):
                return make, arguments, {**cast("_State", reduced[2]), **more}
            case _:
                return reduced


def dump_error(error: BaseException, note: str) -> bytes:
    """The pickle that is stored of an exception, with a note and as many causes as can be pickled.

    Raises: whatever pickling the exception itself raises.
    """
    try:
        return _pickled(error, _more(error, note))
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - the error's own code may raise anything (I9)
        return _pickled(error, {})  # as it is


def _more(error: BaseException, note: str) -> dict[int, _State]:
    more: dict[int, _State] = {}
    one, size = error, 0
    while (cause := _next(one, more)) is not None and len(more) < MOST_CAUSES:
        try:
            size += len(dump_any(cause))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - pickling runs the cause's own code
            break
        if size > MOST_BYTES:
            break
        more[id(one)] = {"__cause__": cause}
        one = cause
    if _is_plain(error):
        notes: object = vars(error).get("__notes__", ())
        before = cast("list[Any]", notes) if isinstance(notes, list) else []
        more.setdefault(id(error), {})["__notes__"] = [*before, note]
    return more


def stand_in(text: str, note: str) -> bytes:
    """What is stored instead of an exception that cannot be pickled: `restored` makes an ExecutionFailed of it."""
    failed = Exception(text)
    setattr(failed, _STAND_IN, True)
    return dump_error(failed, note)


def restored(kept: object) -> object:
    """What was loaded; of a stand-in the ExecutionFailed that it is."""
    if type(kept) is not Exception or not hasattr(kept, _STAND_IN):
        return kept
    failed = ExecutionFailed(*kept.args)
    failed.__dict__["__notes__"] = list(getattr(kept, "__notes__", ()))
    return failed


def _next(error: BaseException, seen: Mapping[int, _State]) -> BaseException | None:
    """The cause that is to be kept with an error."""
    cause: BaseException | None = _CAUSE.__get__(error)
    return None if cause is None or id(cause) in seen or not _is_plain(error) else cause


def _is_plain(error: BaseException) -> bool:
    """Whether reading it will set attributes as Python's exceptions do."""
    kind: Any = type(error)
    return kind.__setstate__ is _SETSTATE and kind.__setattr__ is _SETATTR


def _pickled(error: BaseException, more: Mapping[int, _State]) -> bytes:
    pickled = _simply_pickled(error, more)
    if pickled is None:
        file = io.BytesIO()
        pickler: Any = _ErrorPickler(file, more)
        pickler.dump(error)
        pickled = file.getvalue()
    return pickled


def _simply_pickled(error: BaseException, more: Mapping[int, _State]) -> bytes | None:
    """What `_ErrorPickler` writes, by the C pickler: ten times as fast. None where that may not be the same.

    That is where the error holds more than plain values, its class pickles in a way of its own, or cloudpickle would
    write the class itself and not its name.
    """
    kind: Any = type(error)
    if (
        type(kind) is not type
        or kind.__reduce__ is not _REDUCE
        or kind.__reduce_ex__ is not object.__reduce_ex__
    ):
        return None
    if (
        kind.__module__ == "__main__"
        or kind in copyreg.dispatch_table
        or cloudpickle.list_registry_pickle_by_value()
    ):
        return None
    make, arguments, *rest = cast("tuple[Any, ...]", _REDUCE(error))
    own: _State = rest[0] if rest else {}
    added = more.get(id(error), {})  # plain notes, if those before are
    if not is_plain(arguments) or (own and not is_plain(own)) or "__cause__" in added:
        return None
    state = {**own, **added}
    reduced = (make, arguments, state) if state else (make, arguments)
    try:
        return pickle.dumps(_Reduced(reduced), cloudpickle.DEFAULT_PROTOCOL)
    except Exception:  # noqa: BLE001 - its name does not lead to the class
        return None


class _Reduced:
    """Is pickled as something else, which is ``reduced`` to this."""

    __slots__ = ("_reduced",)

    def __init__(self, reduced: tuple[Any, ...]) -> None:
        self._reduced = reduced

    def __reduce_ex__(self, protocol: Any, /) -> tuple[Any, ...]:
        return self._reduced

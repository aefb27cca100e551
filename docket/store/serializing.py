"""What makes bytes of values for `Payloads`, and what it is told of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias, final

from ..text import error_text
from ..values import hot_value
from .errors_kept import dump_error, stand_in
from .pickles import dump_any, load
from .tags import PICKLE

__all__ = ["About", "Kind", "Pickles", "Serializer", "pickled_error"]

Kind: TypeAlias = Literal["args", "kwargs", "result", "exception", "strike"]


@hot_value
class About:
    """What a payload is, and of which task: what a serializer may want to know.

    ``function`` is that of the task, where it is known; ``note`` what an exception says to who awaits the result.
    """

    kind: Kind
    docket: str
    task: str = ""
    key: str = ""
    generation: int = 0
    function: Callable[..., Any] | None = None
    note: str = ""

    def of_named(self) -> About:
        """Of positional arguments: what is to be known of the named ones of the same call."""
        return About("kwargs", self.docket, self.task, self.key, self.generation, self.function)


class Serializer(Protocol):
    """Makes bytes of values, and values of bytes. Its ``name`` travels with these: ASCII, without spaces.

    ``loads`` raises Untrusted for what it may not open. ``key_id`` is that of the key with which it seals, if it does.
    """

    @property
    def name(self) -> str: ...
    @property
    def key_id(self) -> bytes: ...

    def dumps(self, value: Any, about: About) -> bytes: ...

    def loads(self, payload: bytes, about: About) -> Any: ...


@final
class Pickles:
    """The serializer ``pickle``, for those that wrap it: pickles as docket writes them without one."""

    name, key_id = PICKLE, b""

    def dumps(self, value: Any, about: About) -> bytes:
        """Raises: anything: this runs the value's own code."""
        return pickled_error(value, about.note) if about.kind == "exception" else dump_any(value)

    def loads(self, payload: bytes, about: About) -> Any:
        """Raises: anything, SystemExit among it: this runs foreign code."""
        return load(payload)


def pickled_error(error: BaseException, note: str) -> bytes:
    """An exception, with a note; of one that cannot be pickled what it says."""
    try:
        return dump_error(error, note)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - pickling runs the error's own code
        return stand_in(error_text(error), note)

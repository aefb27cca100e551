"""Arguments as the docket holds them: pickles, which are opened for a program that asks for them, and only then."""

from __future__ import annotations

from typing import Any, cast, final

import attrs

from .calls import Unreadable
from .store import NotPlain, is_empty, load, read_plain
from .text import error_text

__all__ = ["Packed"]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@final
@attrs.define(eq=False)
class Packed:
    """The pickled arguments of one call. To unpickle runs what was pickled, so it is done when somebody asks."""

    args: bytes
    kwargs: bytes
    _broken: Arguments | None = attrs.field(init=False, default=None)

    @property
    def is_empty(self) -> bool:
        """Whether it is a call without arguments, as far as that can be told by the bytes."""
        return is_empty(self.args) and is_empty(self.kwargs)

    def open(self) -> tuple[Arguments, bool]:
        """Unpickle them; also whether that was possible. If not, an `Unreadable` is all that there is of them.

        Raises: KeyboardInterrupt, nothing else: unpickling runs foreign code, or lacks the caller's modules (I9).
        """
        if self._broken is not None:
            return self._broken, False
        try:
            return _checked(load(self.args), load(self.kwargs)), True
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit among them
            self._broken = (Unreadable(error_text(error)),), {}
            return self._broken, False

    def look(self) -> Arguments:
        """The arguments as far as they are plain values, without running anything.

        Raises: NotPlain - nothing can be said of them.
        """
        try:
            return _checked(read_plain(self.args), read_plain(self.kwargs))
        except TypeError as error:
            raise NotPlain(str(error)) from None


def _checked(args: object, kwargs: object) -> Arguments:
    if not isinstance(args, tuple):
        raise TypeError(f"the arguments are {type(args).__name__}, not tuple")
    if not isinstance(kwargs, dict):
        raise TypeError(f"the named arguments are {type(kwargs).__name__}, not dict")
    if not all(isinstance(name, str) for name in cast("dict[Any, Any]", kwargs)):
        raise TypeError("the names of the named arguments are no text")
    return cast("Arguments", (args, kwargs))

"""Arguments as the docket holds them: pickles, which are opened only for a program that reads them."""

from __future__ import annotations

from typing import Any, cast, final

import attrs

from ..errors import DeliveryUnreadable
from ..store import NotPlain, is_empty, load_call, read_plain
from ..text import error_text
from ..values import define
from .signatures import Unreadable

__all__ = ["Packed"]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@final
@define(eq=False)
class Packed:
    """The pickled arguments of one call. Unpickling runs what was pickled, so it is done on demand."""

    args: bytes
    kwargs: bytes
    _broken: Arguments | None = attrs.field(init=False, default=None)

    @property
    def is_empty(self) -> bool:
        """Whether it is a call without arguments, as far as the bytes show."""
        return is_empty(self.args) and is_empty(self.kwargs)

    def open(self) -> tuple[Arguments, bool]:
        """Unpickle them; also whether that was possible. If not, they are one `Unreadable`.

        Raises: KeyboardInterrupt, nothing else: unpickling runs foreign code, or lacks the caller's modules (I9).
        """
        if self._broken is not None:
            return self._broken, False
        try:
            return load_call(self.args, self.kwargs, ""), True
        except DeliveryUnreadable as error:
            self._broken = (Unreadable(error_text(error.__cause__ or error)),), {}
            return self._broken, False

    def look(self) -> Arguments:
        """The arguments as far as they are plain values, without running anything.

        Raises: NotPlain - they cannot be shown.
        """
        args, kwargs = read_plain(self.args), read_plain(self.kwargs)
        if type(args) is not tuple or type(kwargs) is not dict:
            raise NotPlain("no arguments of a call")
        named = cast("dict[Any, Any]", kwargs)
        if not all(type(name) is str for name in named):
            raise NotPlain("no names of parameters")
        return cast("tuple[Any, ...]", args), named

"""Arguments as the docket holds them: pickles, which are opened only for a program that reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import attrs

from ..errors import DeliveryUnreadable
from ..store import Message, Payloads, is_empty, look_at_call
from ..text import error_text
from ..values import define
from .signatures import Unreadable

__all__ = ["Packed"]

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@final
@define(eq=False)
class Packed:
    """The arguments of one call, as its message has them. Unpickling runs what was pickled, so it is done on demand."""

    message: Message
    function: Callable[..., Any] | None
    opener: Payloads
    _broken: Arguments | None = attrs.field(init=False, default=None)

    @property
    def payloads(self) -> tuple[bytes, bytes]:
        """The positional and the named ones, as they are."""
        return self.message.args, self.message.kwargs

    @property
    def is_empty(self) -> bool:
        """Whether it is a call without arguments, as far as the bytes show."""
        return all(map(is_empty, self.payloads))

    def open(self) -> tuple[Arguments, bool]:
        """Unpickle them; also whether that was possible. If not, they are one `Unreadable`.

        Raises: KeyboardInterrupt, nothing else: unpickling runs foreign code, or lacks the caller's modules (I9).
        """
        if self._broken is not None:
            return self._broken, False
        try:
            return self.opener.open_call(self.message, self.function), True
        except DeliveryUnreadable as error:
            self._broken = (Unreadable(error_text(error.__cause__ or error)),), {}
            return self._broken, False

    def look(self) -> Arguments:
        """The arguments as far as they are plain values, without running anything.

        Raises: NotPlain - they cannot be shown.
        """
        return look_at_call(self.message)

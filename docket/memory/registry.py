"""A table of commands: each module of `commands` fills one, and their room merges them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from .arguments import wrong_arity
from .replies import ErrorReply, Reply

if TYPE_CHECKING:
    from .core import Core

__all__ = ["Command", "Commands", "Handler"]

Handler: TypeAlias = "Callable[[Core, list[bytes]], Reply]"


class Command:
    """A command, or a subcommand named ``container|sub``.

    ``arity`` counts the name(s); a negative one is a minimum. ``writes``: refused to read-only scripts.
    ``scriptable``: allowed in a script. ``immediate``: runs during MULTI instead of being queued.
    ``while_subscribed``: allowed on a connection that has subscriptions.
    """

    __slots__ = ("arity", "handler", "immediate", "name", "scriptable", "while_subscribed", "writes")

    def __init__(self, name: bytes, handler: Handler, arity: int, flags: frozenset[str]) -> None:
        self.name, self.handler, self.arity = name, handler, arity
        self.writes = "writes" in flags
        self.scriptable = "noscript" not in flags
        self.immediate = "immediate" in flags
        self.while_subscribed = "while-subscribed" in flags


class Commands:
    """Commands by name: as a decorator it registers them, ``find`` looks them up."""

    def __init__(self) -> None:
        self._single: dict[bytes, Command] = {}
        self._containers: dict[bytes, dict[bytes, Command]] = {}

    def __call__(self, names: str, arity: int, *flags: str) -> Callable[[Handler], Handler]:
        """Register a handler under each of ``names`` (``"DEL UNLINK"``, ``"XGROUP|CREATE"``)."""

        def register(handler: Handler) -> Handler:
            for name in names.split():
                command = Command(name.lower().encode(), handler, arity, frozenset(flags))
                container, _, sub = name.encode().partition(b"|")
                if sub:
                    self._containers.setdefault(container, {})[sub] = command
                else:
                    self._single[container] = command
            return handler

        return register

    def merge(self, *others: Commands) -> Commands:
        for other in others:
            self._single.update(other._single)
            for container, subs in other._containers.items():
                self._containers.setdefault(container, {}).update(subs)
        return self

    def __iter__(self) -> Iterator[Command]:
        yield from self._single.values()
        for subs in self._containers.values():
            yield from subs.values()

    def find(self, argv: Sequence[bytes]) -> Command:
        """The command for ``argv``, with its number of arguments checked; raises the server's own errors."""
        command = self._single.get(argv[0]) or self._single.get(argv[0].upper())
        if command is None:
            command = self._find_subcommand(argv)
        arity = command.arity
        if len(argv) != arity if arity > 0 else len(argv) < -arity:
            raise wrong_arity(command.name)
        return command

    def _find_subcommand(self, argv: Sequence[bytes]) -> Command:
        subs = self._containers.get(argv[0].upper())
        if subs is None:
            raise ErrorReply(
                b"ERR unknown command '%b', with args beginning with: %b"
                % (argv[0][:128], _beginning(argv[1:]))
            )
        if len(argv) < 2:
            raise wrong_arity(argv[0].lower())
        command = subs.get(argv[1].upper())
        if command is None:
            raise ErrorReply(b"ERR unknown subcommand '%b'. Try %b HELP." % (argv[1][:128], argv[0].upper()))
        return command


def _beginning(arguments: Sequence[bytes]) -> bytes:
    """The first arguments, quoted, as the server shows them: until 128 bytes are reached."""
    shown = b""
    for argument in arguments:
        if len(shown) >= 128:
            break
        shown += b"'%b' " % argument[: 128 - len(shown)]
    return shown

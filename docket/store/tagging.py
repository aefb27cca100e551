"""Puts tags to the bytes of payloads, and takes them off again once they have been checked: it opens none.

What a payload is of is signed with it: its kind and the docket, for a call the task and the key, for a result the key.
Each part has its length before it, so that all of it can be read in one way only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn

import attrs

from .. import clock
from ..errors import Untrusted
from ..signals import signals, suppress_errors
from ..text import readable
from ..values import define
from .codec import Message
from .foreign import text
from .serializing import Kind
from .signing import Signatures
from .tags import PICKLE, Tag, split, unsigned

__all__ = ["Tagging", "what_call", "what_result", "what_strike"]

_KINDS: tuple[Kind, Kind] = "result", "exception"


@define(eq=False)
class Tagging:
    """The tags of one docket, whose serializer has this ``name``; with ``signatures`` each is signed.

    What is checked comes without its tag, beside the name of the serializer that wrote it. Whatever is not as it has to
    be raises Untrusted, and is counted.
    """

    docket: str
    name: str
    signatures: Signatures | None
    _of_call: str = attrs.field(init=False)
    _of_result: tuple[str, str] = attrs.field(init=False)
    """Of a result, and of an exception."""
    _of_strike: str = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        of_docket = f"{len(self.docket)}:{self.docket}"
        self._of_call, self._of_strike = f"call {of_docket}", f"strike {of_docket}"
        self._of_result = f"result {of_docket}", f"exception {of_docket}"

    # calls -----------------------------------------------------------------------------------------------

    def call(self, name: str, task: str, key: str, when: datetime, body: bytes, kwargs: bytes) -> bytes:
        """The positional arguments of a call, ``body``, as the serializer ``name`` wrote them."""
        if self.signatures is None:
            return body + unsigned(name)
        moment, now = when.timestamp(), clock.timestamp()
        head = self._head_of_call(task, key)
        return self.signatures.signed(head, body, kwargs, name, now if now > moment else moment)

    def checked_call(self, message: Message, *, to_run: bool = False) -> tuple[bytes, str]:
        """The positional arguments of a call; ``to_run`` it now, so that it may not be too old."""
        signatures = self.signatures
        if signatures is None:
            return self._split(message.args, what_call, message)
        head = self._head_of_call(message.function, message.key)
        opened = signatures.opened(head, message.args, message.kwargs)
        if opened is None:
            return self._unsigned(signatures, head, message.args, message.kwargs, what_call, message)
        body, name, _, moment, _, _ = opened
        if to_run and signatures.max_age is not None and (reason := signatures.objection_to_age(moment)):
            self.refuse(f"{what_call(message)} {reason}")
        return body, PICKLE if name == b"pickle" else text(name)

    def retried(self, message: Message) -> Message:
        """The call of a failure, signed anew if its signature holds: how old that is does not count.

        What is not signed, and is accepted, stays so: nobody is to vouch for it unasked.
        """
        signatures = self.signatures
        if signatures is None:
            return message
        head = self._head_of_call(message.function, message.key)
        opened = signatures.opened(head, message.args, message.kwargs)
        if opened is None:
            self._unsigned(signatures, head, message.args, message.kwargs, what_call, message)
            return message
        return self.again(message, opened[0], text(opened[1]))

    def again(self, message: Message, body: bytes, name: str) -> Message:
        """The call with a tag of now."""
        args = self.call(name, message.function, message.key, message.when, body, message.kwargs)
        return attrs.evolve(message, args=args)

    def _head_of_call(self, task: str, key: str) -> str:
        return f"{self._of_call}{len(task)}:{task}{len(key)}:{key}"

    # results ---------------------------------------------------------------------------------------------

    def result(self, key: str, generation: int, body: bytes, *, failed: bool) -> bytes:
        """A result, or the exception of a run that has ``failed``."""
        if self.signatures is None:
            return body + unsigned(self.name)
        head = f"{self._of_result[failed]}{len(key)}:{key}"
        return self.signatures.signed(head, body, b"", self.name, clock.timestamp(), generation)

    def checked_result(
        self, payload: bytes, task: str, key: str, generation: int, *, failed: bool
    ) -> tuple[bytes, str]:
        """A result, or an exception, of this ``generation`` of the key or a later one."""
        signatures = self.signatures
        if signatures is None:
            return self._split(payload, what_result, (_KINDS[failed], task, key))
        head = f"{self._of_result[failed]}{len(key)}:{key}"
        opened = signatures.opened(head, payload)
        if opened is None:
            return self._unsigned(signatures, head, payload, b"", what_result, (_KINDS[failed], task, key))
        body, name, _, _, made_by, _ = opened
        if int(made_by) < generation:
            reason = f"is of generation {int(made_by)} of its key, and that of this run is {generation}"
            self.refuse(f"{what_result((_KINDS[failed], task, key))} {reason}")
        return body, PICKLE if name == b"pickle" else text(name)

    # strikes ---------------------------------------------------------------------------------------------

    def strike(self, message: Mapping[bytes, bytes], body: bytes) -> bytes:
        """The value of an instruction with these other fields."""
        if self.signatures is None:
            return body + unsigned(self.name)
        rest = _rest_of_strike(message)
        return self.signatures.signed(self._of_strike, body, rest, self.name, clock.timestamp())

    def checked_strike(self, message: Mapping[bytes, bytes]) -> tuple[bytes, str]:
        """The value of an instruction."""
        signatures, value = self.signatures, message[b"value"]
        if signatures is None:
            return self._split(value, what_strike, message)
        rest = _rest_of_strike(message)
        opened = signatures.opened(self._of_strike, value, rest)
        if opened is None:
            return self._unsigned(signatures, self._of_strike, value, rest, what_strike, message)
        return opened[0], text(opened[1])

    # inside ----------------------------------------------------------------------------------------------

    def _split(self, payload: bytes, what: Callable[[Any], str], of: Any) -> tuple[bytes, str]:
        """A payload whose signature nobody here could check."""
        body, tag = self._parted(payload, what, of)
        return body, text(tag.serializer)

    def _parted(self, payload: bytes, what: Callable[[Any], str], of: Any) -> tuple[bytes, Tag]:
        try:
            return split(payload)
        except ValueError as error:
            self.refuse(f"{what(of)} cannot be trusted: {error}")

    def _unsigned(
        self,
        signatures: Signatures,
        head: str,
        payload: bytes,
        rest: bytes,
        what: Callable[[Any], str],
        of: Any,
    ) -> tuple[bytes, str]:
        """What no known key has signed, where that need not be."""
        body, tag = self._parted(payload, what, of)
        if reason := signatures.objection(tag, head, payload, rest):
            if what is what_result and not tag.signature:
                reason += ": its worker has no signing_keys, or somebody else has written it"
            self.refuse(f"{what(of)} {reason}")
        signatures.note_unsigned(what(of))
        return body, text(tag.serializer)

    def refuse(self, reason: str) -> NoReturn:
        """Count what is not opened, and raise the error about it."""
        for each in signals.subscribers:
            with suppress_errors:
                each.untrusted(self.docket)
        raise Untrusted(readable(reason))


def _rest_of_strike(message: Mapping[bytes, bytes]) -> bytes:
    """What an instruction is signed with, behind its value."""
    named = (message.get(name) for name in (b"direction", b"function", b"parameter", b"operator"))
    return b"".join(b"-" if each is None else b"%d:%b" % (len(each), each) for each in named)


def what_call(message: Message) -> str:
    return f"the call of task {message.function!r} under the key {message.key!r}"


def what_result(of: tuple[Kind, str, str]) -> str:
    kind, task, key = of
    return f"the {kind} of task {task!r} under the key {key!r}"


def what_strike(message: Mapping[bytes, bytes]) -> str:
    return f"a strike on {message.get(b'function', b'*').decode(errors='replace')!r}"

"""What people see of payloads: nothing here opens one, so none of it needs a key, nor the serializer that wrote it."""

from __future__ import annotations

from typing import Any, cast

from .codec import Message
from .foreign import text
from .others import JSON, SEALED, key_id_of, read_json
from .pickles import EMPTY_DICT, EMPTY_TUPLE
from .plain import NotPlain, load_plain, read_plain
from .tags import PICKLE, body_of, split

__all__ = ["is_empty", "look_at_call", "look_at_value"]

_EMPTY = frozenset({EMPTY_TUPLE, EMPTY_DICT, b"[]", b"{}"})


def look_at_call(message: Message) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call as far as they are plain values, without running anything.

    Raises: NotPlain - they cannot be shown.
    """
    try:
        body, tag = split(message.args)
    except ValueError as error:
        raise NotPlain(str(error)) from None
    name = text(tag.serializer)
    if name == PICKLE:
        args, kwargs = read_plain(body), read_plain(message.kwargs)
    else:
        args, kwargs = (_look(part, name) for part in (body, message.kwargs))
        args = tuple(cast("list[Any]", args)) if type(args) is list else args
    if type(args) is not tuple or type(kwargs) is not dict:
        raise NotPlain("no arguments of a call")
    named = cast("dict[Any, Any]", kwargs)
    if not all(type(name) is str for name in named):
        raise NotPlain("no names of parameters")
    return cast("tuple[Any, ...]", args), named


def look_at_value(body: bytes, name: str) -> Any:
    """The value of an instruction that this serializer wrote, without running anything. Raises: NotPlain."""
    if name == PICKLE:
        return load_plain(body)
    value = _look(body, name)
    return tuple(cast("list[Any]", value)) if type(value) is list else value


def _look(body: bytes, name: str) -> Any:
    """What is known of a payload without running anything, and without a key. Raises: NotPlain."""
    if name == JSON:
        return read_json(body)
    if name.startswith(SEALED):
        raise NotPlain(f"sealed with the key {key_id_of(body).hex() or '?'}")
    raise NotPlain(f"written by the serializer {name!r}")


def is_empty(payload: bytes) -> bool:
    """Whether these are the arguments of a call that has none, as all serializers write them."""
    return body_of(payload) in _EMPTY

"""Which serializer a docket writes with, and which it reads: what a program, a variable or a command line says."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from ..errors import BadSetting
from ..paths import member_at
from ..store import PICKLE, SEALED, Payloads, Pickles, Serializer
from ..text import similar, text_of
from ..values import frozen
from .custom import Custom
from .json import Json
from .keys import keys_of_environment
from .sealed import Sealed

__all__ = ["Serializers", "chosen", "written_by"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}", re.ASCII)
_OURS = {PICKLE: Pickles, "json": Json}


@frozen
class Serializers:
    """What a docket writes with, and by their names what it reads."""

    written: Serializer
    read: Mapping[str, Serializer]

    def payloads(self, docket: str) -> Payloads:
        """What makes and opens the payloads of the docket of this name."""
        shows_errors = self.written.show_errors if isinstance(self.written, Sealed) else True
        return Payloads(
            docket,
            _unless_pickles(self.written),
            {name: _unless_pickles(each) for name, each in self.read.items()},
            shows_errors=shows_errors,
        )

    def check(self, function: Callable[..., Any], name: str) -> None:
        """Raise the TypeError of a task that what is written here cannot be used with."""
        inner = self.written.inner if isinstance(self.written, Sealed) else self.written
        if isinstance(inner, Json):
            inner.check(function, name)


def chosen(
    serializer: object = None,
    accept: Iterable[object] | None = None,
    *,
    sealing_keys: Sequence[str] | None = None,
) -> Serializers:
    """What the settings of a docket mean. Without them: the variables DOCKET_SERIALIZER and DOCKET_ACCEPT.

    ``sealed:json`` and ``sealed:pickle`` are sealed with ``sealing_keys``, or without these with the keys of
    DOCKET_SEALING_KEYS or DOCKET_SEALING_KEYS_FILE.

    ``module:name`` is the object that a module has under that name, also behind ``sealed:``.

    Raises: BadSetting (a ValueError) - an unknown name, an object that is no serializer, two of one name; ``accept``
    leaves out what is written; ModuleNotFoundError - what one of them needs is not installed; ImportError,
    AttributeError - a module has no such name.
    """
    if serializer is None:
        serializer = os.environ.get("DOCKET_SERIALIZER", "").strip() or PICKLE
    if accept is None and (words := os.environ.get("DOCKET_ACCEPT", "").strip()):
        accept = words.replace(",", " ").split()
    written = written_by(serializer, sealing_keys=sealing_keys)
    read: dict[str, Serializer] = {written.name: written}
    if accept is None:
        read.setdefault(PICKLE, Pickles())
        return Serializers(written, read)
    if isinstance(accept, str) or not isinstance(accept, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise BadSetting(f"accept takes a set of serializers, like {{'json'}}, not {text_of(accept, repr)}")
    accepted: dict[str, Serializer] = {}
    for each in accept:
        again = each == serializer if isinstance(each, str) else each is serializer
        is_written = again or each == written.name  # what is written itself may be named, or given again
        one = written if is_written else written_by(each, "accept", sealing_keys=sealing_keys)
        if accepted.setdefault(one.name, one) is not one or (one.name == written.name and one is not written):
            raise BadSetting(f"there are two serializers named {one.name!r}")
    if written.name not in accepted:
        raise BadSetting(
            f"accept has {', '.join(map(repr, accepted)) or 'nothing'}, and this docket writes {written.name!r}: it "
            "could not read its own tasks; add that, or choose another serializer"
        )
    return Serializers(written, accepted)


def _unless_pickles(serializer: Serializer) -> Serializer | None:
    return None if isinstance(serializer, Pickles) else serializer


def written_by(
    serializer: object, setting: str = "serializer", *, sealing_keys: Sequence[str] | None = None
) -> Serializer:
    """The serializer that a name or an object means. Raises: as `chosen`."""
    if isinstance(serializer, str):
        return _named(serializer, setting, sealing_keys)
    if isinstance(serializer, Json | Sealed | Pickles | Custom):
        return serializer
    name: object = getattr(serializer, "name", None)
    turns = [getattr(serializer, turn, None) for turn in ("dumps", "loads")]
    if isinstance(serializer, type) or not all(map(callable, turns)):
        raise BadSetting(
            f"{setting} takes 'pickle', 'json', or an object with a name, dumps and loads, not "
            f"{text_of(serializer, repr)}"
        )
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in (*_OURS, "sealed"):
        raise BadSetting(
            f"the serializer {text_of(serializer, repr)} has a name of its own (letters, digits, - and _), which "
            f"travels with all that it writes, not {text_of(name, repr)}"
        )
    return Custom(cast("Any", serializer), name)


def _named(name: str, setting: str, sealing_keys: Sequence[str] | None) -> Serializer:
    """The serializer of a name, or that a module has under a name."""
    inner = name.removeprefix(SEALED)
    if inner in _OURS:
        found: object = _OURS[inner]()
    else:
        unknown = BadSetting(
            f"{setting} takes 'pickle', 'json', 'module:name', or an object with a name, dumps and loads, not "
            f"{name!r}{similar(name, _OURS)}"
        )
        found = member_at(inner, unknown)
        if isinstance(found, str):
            raise unknown
    written = written_by(found, f"{setting} {name}")
    if inner == name:
        return written
    return Sealed(written, keys=keys_of_environment() if sealing_keys is None else sealing_keys)

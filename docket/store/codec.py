"""Between Python values and what Redis holds: messages, times, events, results. Dicts and bytes stop here."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import attrs

from ..errors import DeliveryUnreadable
from ..moments import TimeToLive, iso_text, moved
from ..numbers import LARGEST_FIELD, check_whole, spelled
from ..text import checked_name
from ..transport import Apart, apart
from ..values import frozen, hot_value
from .fence import Fence
from .foreign import LARGEST, moment, whole

__all__ = [
    "EXPIRES",
    "HELD_LIMITS",
    "LANE",
    "ONCE",
    "SHARE",
    "USUAL_FIELDS",
    "Delivery",
    "Message",
    "PassedOn",
    "bare_result",
    "decode_flat",
    "decode_message",
    "decode_usual",
    "encode_json_string",
    "end_event",
    "end_fields",
    "envelope",
    "fields_of",
    "first_when",
    "further_fields",
    "open_envelope",
    "open_value",
    "read_ttl",
    "result_envelope",
    "state_event",
    "with_names",
]

#: A field of the messages of retries: when the first attempt was due. Only where a retry has a maximum age.
FIRST_WHEN = b"first_when"

#: In the message of a run, and of each that comes of it, that no chain of runs follows.
ONCE = b"docket:once"

#: In the message of a run that is cancelled unless it begins in time: until when (epoch seconds of the server); as it
#: is sent to be placed also how long after that (a plus sign and ms).
EXPIRES = b"docket:expires"

#: In the message of a call of another level than normal: which one that is.
LANE = b"docket:lane"

#: In the message of a task that takes turns: '<weight> <argument>:<value>' (lib/turns.lua), with a plus sign before it
#: where it has had its turn.
SHARE = b"docket:share"

#: A field of the messages of children: which limits their parents hold slots of, packed (`docket.rules.pack`).
HELD_LIMITS = b"docket:held"

#: A script can pass on some 4,000 fields, and nobody has an honest use for that many.
MOST_FIELDS = 1000

_MANY = LARGEST_FIELD + 1
encode_json_string = json.encoder.encode_basestring_ascii
#: What lib/slots.lua adds to a message while it waits for a slot; pydocket passes it on when it wakes it.
_LIMITS = b"docket:limits"
#: A field of messages that workers have put back because they do not know the task (`PassedOn`).
_UNKNOWN = b"docket:unknown"
#: The fields of most messages, in the order in which all implementations write them.
USUAL_FIELDS = [b"key", b"when", b"function", b"args", b"kwargs", b"attempt", b"generation"]
_NAMED = frozenset({*USUAL_FIELDS, _LIMITS, _UNKNOWN})


@frozen
class PassedOn:
    """What a message carries that was put back because a worker did not know its task.

    ``times`` is how often that was, ``waited`` for how long in all no live worker knew it, ``deliveries`` how many
    deliveries before were not ended.
    """

    times: int = 0
    waited: timedelta = timedelta(0)
    deliveries: int = 0

    def text(self) -> str:
        numbers = self.times, round(self.waited.total_seconds() * 1000), self.deliveries
        return " ".join(str(min(number, LARGEST)) for number in numbers)

    @classmethod
    def read(cls, text: bytes) -> PassedOn:
        """Raises: ValueError - it is not what `text` writes."""
        times, waited, deliveries = map(whole, text.split(b" "))
        return cls(times, timedelta(milliseconds=min(waited, 10**12)), deliveries)


@hot_value
class Message:
    """One task as it travels: an entry of the stream, or a parked hash.

    ``when`` stays the text that the caller's offset gave it. ``extra`` are the fields we do not name (trace
    context, fields of other implementations); they survive every rescheduling. ``ttl`` is what was given for this task:
    no field of the message but one of its record, which pydocket lets stand.
    """

    key: str
    when: datetime
    function: str
    args: bytes = attrs.field(repr=False)
    kwargs: bytes = attrs.field(repr=False)
    attempt: int = 1
    generation: int = 0
    extra: Mapping[bytes, bytes] = attrs.field(factory=dict[bytes, bytes])
    passed_on: PassedOn | None = None
    ttl: TimeToLive = ...

    def fields(self) -> list[str | bytes | int]:
        """The flat list of its fields. Raises: as `call`."""
        moment, function, args, kwargs, attempt, *extra = self.call()
        return [
            "key", self.key, "when", moment, "function", function, "args", args, "kwargs", kwargs,
            "attempt", attempt, "generation", self.generation, *extra,
        ]  # fmt: skip

    def call(self, when: str | None = None) -> list[str | bytes | int]:
        """What it calls, and when, as scripts that place it are given it (lib/place.lua).

        ``when`` is the moment as text, of a caller that has it.

        Raises: TypeError, UsageError (a ValueError) - a name or a number is none that a message can hold. Only what
        programs made by hand has such.
        """
        attempt, generation = self.attempt, self.generation
        if type(self.key) is not str or type(self.function) is not str:
            checked_name(self.key, "a task key")
            checked_name(self.function, "the name of a task")
        if not (
            type(attempt) is int
            and type(generation) is int
            and 0 <= attempt < _MANY
            and 0 <= generation < _MANY
        ):
            check_whole("attempt", attempt, 0, LARGEST_FIELD)
            check_whole("generation", generation, 0, LARGEST_FIELD)
        flat: list[str | bytes | int] = [
            when or iso_text(self.when), self.function, self.args, self.kwargs, attempt,
        ]  # fmt: skip
        for name, value in self.extra.items():
            if type(name) is not bytes or type(value) is not bytes:
                raise TypeError(
                    f"a field of a message is bytes under bytes, not {spelled(value)} under {spelled(name)}"
                )
            flat += (name, value)
        if self.passed_on is not None:
            flat += (_UNKNOWN, self.passed_on.text())
        return flat

    def to_send(self, when: str | None = None) -> list[str | bytes | int | Apart]:
        """`call`, of which large arguments are not copied."""
        moment, function, _, _, *rest = self.call(when)
        return [moment, function, apart(self.args), apart(self.kwargs), *rest]

    def again(self, when: datetime, attempt: int, first: datetime | None = None) -> Message:
        """The message of another attempt, or (``attempt`` 1) of another run, of the same call.

        ``first`` is when the first attempt was due, if the next one is to know (`first_when`).
        """
        extra = {name: value for name, value in self.extra.items() if name != FIRST_WHEN or attempt > 1}
        if first is not None:
            extra[FIRST_WHEN] = first.isoformat().encode()
        return Message(
            self.key, when, self.function, self.args, self.kwargs,
            min(attempt, LARGEST), self.generation, extra, None, self.ttl,
        )  # fmt: skip


def first_when(extra: Mapping[bytes, bytes]) -> datetime | None:
    """When the first attempt of a call was due, if its message has that."""
    if FIRST_WHEN not in extra:
        return None
    try:
        return moment(extra[FIRST_WHEN])
    except (ValueError, OverflowError):
        return None


@hot_value
class Delivery:
    """A message as a worker has claimed it, and the fence of that claim.

    ``deliveries`` is how often workers began with it, this time included, and did not come to an end. What is
    handed back, put off or retried is a message of its own.
    ``slots`` are the concurrency limits that it holds a slot of (`docket.rules.pack`), to be given back as it ends.
    """

    message: Message
    fence: Fence
    redelivered: bool
    slots: str = ""
    deliveries: int = 1
    expired: bool = False
    """Whether it had not begun in time, and may not any more."""

    @property
    def message_id(self) -> bytes:
        """The id of its entry on the stream."""
        return self.fence.message_id

    @property
    def had_begun(self) -> bool:
        """Whether it was claimed before, by a worker that is gone: so the run has begun, and does not expire."""
        return self.fence.claim > 1

    def holding(self, slots: str) -> Delivery:
        """The same delivery with these slots."""
        return Delivery(self.message, self.fence, self.redelivered, slots, self.deliveries, self.expired)


def read_ttl(text: bytes) -> TimeToLive:
    """The time to live that a record has; ``...`` where the text is none (lib/kept.lua)."""
    if not text:
        return None
    return timedelta(milliseconds=int(text)) if text.isdigit() and len(text) <= 15 else ...


def fields_of(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """The fields of a flat list of names and values, as the server replies it."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def decode_flat(flat: Sequence[bytes]) -> Message:
    """`decode_message` of `fields_of`, quicker for the usual fields in their order."""
    if flat[::2] != USUAL_FIELDS:
        return decode_message(fields_of(flat))
    return _decoded(flat[1::2], {}, None)


def decode_usual(values: Sequence[bytes], ttl: TimeToLive) -> Message:
    """`decode_flat` of a message that has the usual fields and no others, by their values in their order."""
    return _decoded(values, {}, None, ttl)


def with_names(values: Sequence[bytes]) -> list[bytes]:
    """The flat list of a message of which `decode_usual` is given the values."""
    return [part for field in zip(USUAL_FIELDS, values, strict=True) for part in field]


def decode_message(fields: Mapping[bytes, bytes]) -> Message:
    """Read a message of any implementation; the pickles stay closed.

    Raises: DeliveryUnreadable - a field is missing or is not what it should be, or there are too many fields.
    """
    if len(fields) > MOST_FIELDS:
        raise DeliveryUnreadable(f"the message has {len(fields)} fields, more than {MOST_FIELDS}")
    try:
        usual = [fields[name] for name in USUAL_FIELDS[:-1]]
    except KeyError as missing:
        raise DeliveryUnreadable(f"the message has no field {missing.args[0].decode()!r}") from None
    usual.append(fields.get(b"generation", b"0"))
    return _decoded(usual, further_fields(fields), fields.get(_UNKNOWN))


def further_fields(fields: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Those fields of a message that we do not name."""
    return {name: field for name, field in fields.items() if name not in _NAMED}


def _decoded(
    usual: Sequence[bytes], extra: Mapping[bytes, bytes], passed_on: bytes | None, ttl: TimeToLive = ...
) -> Message:
    key, when, function, args, kwargs, attempt, generation = usual
    try:
        return Message(
            key.decode(), moment(when), function.decode(), args, kwargs,
            1 if attempt == b"1" else whole(attempt), 1 if generation == b"1" else whole(generation),
            extra, None if passed_on is None else PassedOn.read(passed_on), ttl,
        )  # fmt: skip
    except (ValueError, OverflowError) as error:
        raise DeliveryUnreadable(f"the message has a field that cannot be read: {error}") from error


def state_event(key: str, state: str, *pairs: str) -> str:
    """The JSON of a state event as other implementations write it; ``pairs`` are name, value, name, value."""
    if len(pairs) == 2:  # as most have
        name, each = pairs
        return (
            f'{{"type": "state", "key": {encode_json_string(key)}, "state": "{state}", '
            f'"{name}": {encode_json_string(each)}}}'
        )
    text = f'{{"type": "state", "key": {encode_json_string(key)}, "state": "{state}"'
    for at in range(0, len(pairs), 2):
        text += f', "{pairs[at]}": {encode_json_string(pairs[at + 1])}'
    return text + "}"


def end_event(key: str, state: str, at: str, error: str | None = None) -> str:
    """The `state_event` of the end of a run ``at`` a moment in ISO format, which JSON writes as it is."""
    failed = "" if error is None else f', "error": {encode_json_string(error)}'
    return f'{{"type": "state", "key": {encode_json_string(key)}, "state": "{state}", "completed_at": "{at}"{failed}}}'


def end_fields(at: str, error: str | None = None) -> list[str]:
    """The fields, by pairs, that the end of a run ``at`` a moment has in its record and in its state event."""
    return ["completed_at", at] if error is None else ["completed_at", at, "error", error]


# Results --------------------------------------------------------------------------------------------------


def envelope(
    collection: str, key: str, value: Mapping[str, Any], *, now: datetime, ttl: timedelta | None
) -> str:
    """What py-key-value's Redis store would write for a value; without a ``ttl`` it does not expire."""
    expiry = {} if ttl is None else {"expires_at": moved(now, ttl).isoformat()}
    return json.dumps(
        {
            "collection": collection,
            "created_at": now.isoformat(),
            **expiry,
            "key": key,
            "value": value,
            "version": 1,
        }
    )


def result_envelope(
    collection: str, result_key: str, text: str, *, now: datetime, ttl: timedelta | None
) -> str:
    """The `envelope` of a result, written without a dictionary: each task that returns something needs one."""
    head = _head_of_envelopes(collection, now, ttl)
    return f'{head}{encode_json_string(result_key)}, "value": {bare_result(text)}, "version": 1}}'


@functools.lru_cache(maxsize=8)
def _head_of_envelopes(collection: str, now: datetime, ttl: timedelta | None) -> str:
    """What comes before their own keys in the envelopes of all results that are written at one moment."""
    expiry = "" if ttl is None else f'"expires_at": "{moved(now, ttl).isoformat()}", '
    return f'{{"collection": {encode_json_string(collection)}, "created_at": "{now.isoformat()}", {expiry}"key": '


def bare_result(text: str) -> str:
    """What pydocket writes on a cluster. ``text`` is base64: JSON writes it as it is."""
    return f'{{"data": "{text}"}}'


def open_value(stored: bytes, key: str) -> dict[str, Any] | None:
    """A stored value of either shape (the envelope, or the bare value).

    None where it is the envelope of another key: that of ``x`` is kept where the bare value of ``:x`` would be.
    Raises: ValueError - it is neither.
    """
    try:
        document: Any = json.loads(stored)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    match document:
        case {"key": str(other)} if other != key:
            return None
        case {"value": dict()}:
            return cast("dict[str, Any]", document["value"])
        case dict():
            return cast("dict[str, Any]", document)
        case _:
            raise ValueError("it is no JSON object")


def open_envelope(stored: bytes, result_key: str) -> str | None:
    """The text in a stored result of either shape; None as with `open_value`.

    Raises: ValueError - it is neither.
    """
    match open_value(stored, result_key):
        case None:
            return None
        case {"data": str(text)}:
            return text
        case _:
            raise ValueError("there is nothing at .value.data, nor at .data")

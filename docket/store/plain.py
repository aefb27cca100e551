"""Reads what others have pickled without running anything of it: for people who look at a docket.

A pickle is a program, and unpickling runs it with whatever it names. This is an interpreter of those programs that
calls nothing but the constructors of plain values, with arguments that it has looked at, and imports nothing. What is
named otherwise is stood in for by a `NotShown`. Everything is bounded: the bytes that are read, the steps that are
taken, and what it costs to hash or to show what comes out (values may share parts, so that few bytes spell a text
without end).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, cast

from .plainvalues import NotPlain, NotShown, called, check_key, fits, strange, uuid_of

__all__ = ["MOST_BYTES", "NotPlain", "NotShown", "fits", "load_plain", "read_plain"]

#: Bytes and opcodes of a pickle: so many of the latter are read in about 10 ms.
MOST_BYTES, MOST_STEPS = 4 * 2**20, 20_000

#: Of one number; Python shows some 14,000.
MOST_BITS = 4096


def read_plain(pickled: bytes) -> Any:
    """The value that a pickle makes, with a `NotShown` for whatever is not plain. Nothing foreign is run.

    Known are None, bool, numbers, text, bytes, Decimal, UUID, the types of ``datetime``, zones by their names, ranges,
    and the containers of these.
    Raises: NotPlain - it is no pickle, or a bound is broken.
    """
    if len(pickled) > MOST_BYTES:
        raise NotPlain(f"{len(pickled)} bytes")
    try:
        return _Reading().run(pickled)
    except NotPlain:
        raise
    except Exception as error:
        raise NotPlain(f"no pickle: {type(error).__name__}") from error


def load_plain(pickled: bytes) -> Any:
    """The value that a pickle makes, if all of it is plain; it can be hashed, compared and shown at little cost.

    Raises: NotPlain - it is not.
    """
    value = read_plain(pickled)
    if not fits(value):
        raise NotPlain("too long")
    for part in strange(value):
        raise NotPlain(repr(part))
    return value


class _Reading:
    """One pickle, opcode by opcode. What `pickletools` reads of its bytes is bounded by their number."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        """What lies below each mark."""
        self.memo: dict[int, Any] = {}

    def run(self, pickled: bytes) -> Any:
        from pickletools import genops  # large tables, that few processes need

        for step, (opcode, argument, _) in enumerate(genops(pickled)):
            if step >= MOST_STEPS:
                raise NotPlain(f"more than {MOST_STEPS} parts")
            if opcode.name == "STOP":
                return self.stack.pop()
            self.step(opcode.name, argument)
        raise NotPlain("no pickle: it has no end")

    def step(self, opcode: str, argument: Any) -> None:
        if opcode in _LITERALS:
            if type(argument) is int and argument.bit_length() > MOST_BITS:
                argument = NotShown("", f"a number of {argument.bit_length()} bits")
            self.stack.append(argument)
        elif opcode in _FRESH:
            self.stack.append(_FRESH[opcode]())
        elif opcode in _TUPLES:
            self.stack.append(self.popped(_TUPLES[opcode]))
        elif opcode in _MEMOIZED:
            self.memo[len(self.memo) if argument is None else argument] = self.stack[-1]
        elif opcode in _RECALLED:
            self.stack.append(self.memo[argument])
        elif opcode in _ACTS:
            _ACTS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise NotPlain(f"it has the opcode {opcode}")

    def popped(self, length: int) -> tuple[Any, ...]:
        if length > len(self.stack):
            raise NotPlain("no pickle: it takes what it has not made")
        at = len(self.stack) - length
        items = tuple(self.stack[at:])
        del self.stack[at:]
        return items

    def since_mark(self) -> list[Any]:
        """Take off what lies above the last mark."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def mark(self, _: object) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop(self, _: object) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.since_mark()

    def pop_mark(self, _: object) -> None:
        self.since_mark()

    def tuple(self, _: object) -> None:
        items = self.since_mark()
        self.stack.append(tuple(items))

    def frozenset(self, _: object) -> None:
        items = self.since_mark()
        self.stack.append(frozenset(map(check_key, items)))

    def append(self, _: object) -> None:
        self.extend(self.popped(1))

    def appends(self, _: object) -> None:
        self.extend(self.since_mark())

    def extend(self, items: Iterable[Any]) -> None:
        target = self.stack[-1]
        if type(target) is list or type(target) is deque:
            cast("list[Any]", target).extend(items)
        elif not isinstance(target, NotShown):
            raise NotPlain("it appends to what is no list")

    def set_item(self, _: object) -> None:
        self.set_all(self.popped(2))

    def set_items(self, _: object) -> None:
        self.set_all(self.since_mark())

    def set_all(self, flat: Sequence[Any]) -> None:
        target = self.stack[-1]
        if type(target) is dict or type(target) is OrderedDict:
            for key, value in zip(flat[::2], flat[1::2], strict=True):
                target[check_key(key)] = value
        elif not isinstance(target, NotShown):
            raise NotPlain("it sets items of what is no mapping")

    def add_items(self, _: object) -> None:
        items, target = self.since_mark(), self.stack[-1]
        if type(target) is set:
            cast("set[Any]", target).update(map(check_key, items))
        elif not isinstance(target, NotShown):
            raise NotPlain("it adds to what is no set")

    def named(self, argument: str | None) -> None:
        module, name = self.popped(2) if argument is None else argument.split(" ", 1)
        if type(module) is not str or type(name) is not str:
            raise NotPlain("no pickle: it has a name that is no text")
        self.stack.append(NotShown(module, name))

    def reduce(self, _: object) -> None:
        function, arguments = self.popped(2)
        self.stack.append(called(function, arguments))

    def new(self, _: object) -> None:
        self.made(self.popped(2)[0])

    def new_ex(self, _: object) -> None:
        self.made(self.popped(3)[0])

    def made(self, kind: object) -> None:
        if not isinstance(kind, NotShown):
            raise NotPlain("it makes an object of what is no class")
        self.stack.append(NotShown(kind.module, kind.name))

    def build(self, _: object) -> None:
        """Tell an object its state. Of all but UUIDs that would be attributes, which are not shown."""
        target, state = self.popped(2)
        if isinstance(target, NotShown) and (target.module, target.name) == ("uuid", "UUID"):
            made = uuid_of(state) or target
            # It follows at once, so nobody but the memo has had the empty one.
            for at, one in islice(reversed(self.memo.items()), 8):
                if one is target:
                    self.memo[at] = made
            target = made
        self.stack.append(target)


_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set,
}  # fmt: skip
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MEMOIZED = {"MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"}
_RECALLED = {"GET", "BINGET", "LONG_BINGET"}
_ACTS: dict[str, Callable[[_Reading, Any], None]] = {
    "MARK": _Reading.mark, "POP": _Reading.pop, "POP_MARK": _Reading.pop_mark, "TUPLE": _Reading.tuple,
    "FROZENSET": _Reading.frozenset, "APPEND": _Reading.append, "APPENDS": _Reading.appends,
    "SETITEM": _Reading.set_item, "SETITEMS": _Reading.set_items, "ADDITEMS": _Reading.add_items,
    "GLOBAL": _Reading.named, "STACK_GLOBAL": _Reading.named, "REDUCE": _Reading.reduce,
    "NEWOBJ": _Reading.new, "NEWOBJ_EX": _Reading.new_ex, "BUILD": _Reading.build,
}  # fmt: skip

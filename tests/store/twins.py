"""Runs each twin of a script beside its Lua, on random states of two servers that begin alike."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from docket.memory import (
    Hash,
    LeftToLua,
    Script,
    Set,
    SortedSet,
    StreamValue,
    print_id,
)
from docket.memory.replies import as_read
from docket.memory.server import Server
from docket.memory.session import Session
from docket.store import Keys, script_calls
from docket.store.codec import with_names
from docket.store.fence import Fence
from docket.store.lua import Call
from docket.store.schedule import how_placed
from docket.store.taken import SIZE_OF_USUAL, USUAL
from docket.store.twins import TWINS
from docket.transport import resp

__all__ = ["Difference", "Fuzz"]

KEYS = Keys("d")
NAMES = ["k", "l", 'odd"\\\n\x7f/é', "stream"]
WORKERS = ["w", "v", 'w"/']
GENERATIONS = ["0", "1", "1", "1", "2", "3", "999999999999999", "x", "", "1.5", "1000000000000000"]
STATES = ["scheduled", "queued", "running", "running", "running", "completed", "failed", "cancelled", "odd"]
TTLS = ["", "0", "1", "1500", "900000"]
LIMITS = "60000 1:7:d:limit"
HEARD = [(), (b"*",), (b"*",), (b"d:cancel:*", b"d:state:[kl]"), (b"d:cancel:*", b"d:\\wak?")]
EXPIRES = ["+0", "+5000", "1000000000", "3000000000", "x"]
WHENS = ["1000000000", "1000000000.5", "3000000000", "3000000000.25"]


@attrs.frozen
class Difference:
    """What was not the same after ``call``, the ``at``-th one of this seed."""

    seed: int
    at: int
    call: tuple[str, list[bytes], list[bytes]]
    lua: Any
    twin: Any

    def __str__(self) -> str:
        name, keys, argv = self.call
        return (
            f"seed {self.seed}, call {self.at}: {name} {keys} {argv}\n  Lua:  {self.lua}\n  twin: {self.twin}"
        )


class Side:
    """One of the two servers, and what was published on it."""

    def __init__(self, clock: Callable[[], float], patterns: Sequence[bytes]) -> None:
        self.server = Server(clock)
        self.session = self.server.connect(_nothing)
        self.listener: Session = self.server.connect(_nothing)
        if patterns:
            self.server.execute(self.listener, [b"PSUBSCRIBE", *patterns])

    def do(self, *words: bytes) -> Any:
        return as_read(self.server.execute(self.session, list(words)), _shown)

    def run(self, script: Script, keys: list[bytes], argv: list[bytes]) -> Any:
        return self.server.run(self.session, script, keys, argv, _shown)

    def everything(self) -> dict[str, Any]:
        """All that the server remembers, and what was heard since the last look."""
        core = self.server._core
        heard, self.listener.out = bytes(self.listener.out), bytearray()
        return {
            "heard": heard,
            "expires": dict(core.keys.expires),
            **{name.decode(): _plain(value) for name, value in core.keys.values.items()},
        }


def _shown(error: str) -> Any:
    return error


def _nothing() -> None:
    pass


def _plain(value: Any) -> Any:
    if isinstance(value, Hash):
        return list(value.items())
    if isinstance(value, SortedSet):
        return list(value.order.between(0, len(value)))
    if isinstance(value, Set):
        return list(value)
    if not isinstance(value, StreamValue):
        return value
    groups = {
        name: (
            group.last,
            group.entries_read,
            {each.name: (each.seen, each.pending) for each in group.consumers.values()},
            {number: (p.consumer.name, p.time, p.count) for number, p in group.pending.items()},
            list(group.pending_ids.upward(0)),
        )
        for name, group in value.groups.items()
    }
    return (value.entries, list(value.ids.upward(0)), value.last, value.max_deleted, value.added, groups)


class Fuzz:
    """Two servers, and what is done to both.

    ``seen`` counts the words that twins replied, and the calls that they left to Lua.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seed, self.at, self.seen = seed, 0, Counter[str]()
        self._now = 1_700_000_000.0
        patterns = self.random.choice(HEARD)
        self.lua, self.twin = (Side(lambda: self._now, patterns) for _ in range(2))
        self._held: list[tuple[bytes, str, Fence]] = []

    def run(self, calls: int) -> list[Difference]:
        """So many calls, with other changes in between; ends at the first difference."""
        pick = self.random.choice
        try:
            self._both(*_words("XGROUP", "CREATE", KEYS.stream, "docket-workers", "0-0", "MKSTREAM"))
            while self.at < calls:
                for _ in range(pick((0, 0, 0, 1, 2, 4))):
                    self._change()
                found = self._compare(
                    *pick((self._schedule, self._take, self._take, self._settle, self._claim))()
                )
                if found is not None:
                    return [found]
            return []
        finally:
            self.lua.server.close()
            self.twin.server.close()

    # Calls
    def _compare(self, name: str, call: Call) -> Difference | None:
        self.at += 1
        self._now += self.random.choice((0, 0, 0.001, 0.4, 2))
        lua, keys, argv = call[0], resp.words(call[1]), resp.words(call[2])
        twin = TWINS[lua.sha]
        left = False

        def watched(inside: Any, keys: list[bytes], argv: list[bytes]) -> Any:
            nonlocal left
            reply = twin(inside, keys, argv)
            left = isinstance(reply, LeftToLua)
            return reply

        by_lua = self.lua.run(Script(lua.text, None), list(keys), list(argv))
        by_twin = self.twin.run(Script(lua.text, watched), list(keys), list(argv))
        if by_lua != by_twin:
            return Difference(self.seed, self.at, (name, keys, argv), by_lua, by_twin)
        before, after = self.lua.everything(), self.twin.everything()
        if before != after or list(before) != list(after):
            here = {each for each in {*before, *after} if before.get(each) != after.get(each)}
            return Difference(
                self.seed, self.at, (name, keys, argv),
                {each: before.get(each) for each in here}, {each: after.get(each) for each in here},
            )  # fmt: skip
        self._note(name, "left" if left else None, by_lua, argv)
        return None

    def _note(self, name: str, left: str | None, reply: Any, argv: list[bytes]) -> None:
        if left is not None or isinstance(reply, str):
            self.seen[f"{name} left"] += 1
        elif name == "take":
            at = 2
            while at < len(reply):
                message_id, word, claim, _, _, size = reply[at : at + 6]
                if word == USUAL:
                    claim, at = 1, at + SIZE_OF_USUAL
                    fields = with_names(reply[at - 7 : at])
                else:
                    fields, at = reply[at + 6 : at + 6 + size], at + 6 + size
                self.seen[f"take {word.decode()}"] += 1
                if word in (b"OK", USUAL):
                    named = dict(zip(fields[::2], fields[1::2], strict=True))
                    fence = Fence(message_id, int(named.get(b"generation", b"0")), claim, argv[2].decode())
                    self._held.append((named[b"key"], named[b"key"].decode(), fence))
            for word in reply[1].split():
                self.seen[f"ended {word.decode()}"] += 1
        elif name == "claim":
            for word in reply[1::4]:
                self.seen[f"claim {word.decode()}"] += 1
        else:
            self.seen[f"{name} {reply.split()[0].decode()}"] += 1

    def _schedule(self) -> tuple[str, Call]:
        pick, name, when = self.random.choice, self._name(), self.random.choice(WHENS)
        call = ["W", "f", b"A\x80", "{}", pick(("1", "1", "2"))]
        expiry = pick((b"",) * 5 + (b"900000 N U",))
        if expiry:
            call += ["docket:expires", pick(EXPIRES)]
        if pick((True, False)):
            call += ["docket:once", "1"]
        how = how_placed(
            name, int(when < "2"), pick((False, False, True)), pick((b"", b"", b"", self._id())),
            pick((0, 0, 0, 1)), pick((b"*", b"", b"", *self._ids(KEYS.strikes))), pick((b"", b"", b"", b"g.1")), expiry,
        )  # fmt: skip
        return "schedule", script_calls.schedule(
            KEYS, key=name, when=when, state_event=f"placed {name}", ttl=pick(("-", "-", *TTLS)), how=how,
            call=call,
        )  # fmt: skip

    def _take(self) -> tuple[str, Call]:
        ended: list[Any] = []
        for _ in range(self.random.choice((0, 1, 2, 3))):
            end = self._end()
            ended += (len(end), *end)
        return "take", script_calls.take(
            KEYS, worker=self._worker(), started_at="S", asked=self._asked(), count=self.random.choice((1, 2, 5)),
            ended=ended,
        )  # fmt: skip

    def _settle(self) -> tuple[str, Call]:
        return "settle", script_calls.settle(KEYS, worker=self._worker(), ended_at="E", ended=self._end())

    def _claim(self) -> tuple[str, Call]:
        deliveries: list[Any] = []
        worker = self._worker()
        if self.random.random() < 0.6:
            read = (
                "XREADGROUP",
                "GROUP",
                "docket-workers",
                worker,
                "COUNT",
                "2",
                "STREAMS",
                KEYS.stream,
                ">",
            )
            found = self._both(*_words(*read))
            for message_id, fields in found[0][1] if isinstance(found, list) and found else ():
                named = dict(zip(fields[::2], fields[1::2], strict=True))
                if (
                    b"key" in named
                    and named.get(b"generation", b"0").isdigit()
                    and len(named.get(b"generation", b"0")) < 16
                ):
                    deliveries += (message_id, named[b"key"], named.get(b"generation", b"0"))
        for _ in range(self.random.choice((0, 0, 1, 2))):
            deliveries += (
                self._id(),
                self._name(),
                self.random.choice(("0", "1", "2", "1 1", "1 3000000000")),
            )
        return "claim", script_calls.claim(
            KEYS, worker=worker, started_at="S", asked=self._asked(), deliveries=deliveries
        )

    def _end(self) -> list[Any]:
        pick = self.random.choice
        if self._held and self.random.random() < 0.8:
            _, name, fence = pick(self._held[-8:])
            fence = attrs.evolve(fence, generation=pick((fence.generation,) * 5 + (0, 2)))
        else:
            name, fence = self._name(), Fence(self._id(), pick((0, 1, 2)), pick((1, 2)), "w")
        how = f"{fence.generation} {fence.claim} {pick(('completed', 'failed'))} {pick(TTLS)}"
        end: list[Any] = [fence.message_id, name, f"ended {name}", how]
        match pick(("short", "short", "result", "error", "slots", "failing")):
            case "result":
                end += ["", pick(("", "why")), name, f"d:results:{name}", pick((b"", b"RESULT"))]
            case "error":
                end += ["", "why", "", "", ""]
            case "slots":
                end += [pick(("", LIMITS)), "", "", "", ""]
            case "failing":
                end += ["", "why", "", "", "", pick((0, 1, 1)), 7000, pick((1, 2, 9)), pick((5, 6)), 1]
                end += ["KeyError", "why", "tText", "S"]
            case _:
                pass
        return end

    # Other changes
    def _change(self) -> None:
        changes = (
            self._set_record, self._set_record, self._add_message, self._make_foreign, self._mend, self._of_streams,
            self._of_others,
        )  # fmt: skip
        self._both(*_words(*self.random.choice(changes)(self._name())))

    def _set_record(self, name: str) -> Sequence[Any]:
        pick = self.random.choice
        possible = {
            "state": pick(STATES), "generation": pick(GENERATIONS), "worker": self._worker(),
            "claim": self._id() + pick((b".1", b".2", b".", b".x", b".99999999999999", b".999999999999998")),
            "asked": pick(("a", "b")), "ttl": pick(TTLS), "known": "1", "stream_id": self._id(),
            "result_key": name, "error": "before", "cancel_requested": "1",
            "noted": "1", "expires": "3000000000",
        }  # fmt: skip
        rare = {
            "reserved": f"1 {LIMITS}",
            "waiter_stream": "d:limit:waiters",
            "waiter_entry_id": self._id(),
            "group": "g.1",
            "groups": "g.2 g.3",
            "successor": pick(("1000001", "-1000001", "x")),
            "dropped": "1000001",
        }
        chosen = self.random.sample(list(possible), self.random.randint(1, 4))
        if self.random.random() < 0.04:
            chosen.append(pick(list(rare)))
        return (
            "HSET",
            KEYS.run(name),
            *(part for each in chosen for part in (each, {**possible, **rare}[each])),
        )

    def _add_message(self, name: str) -> Sequence[Any]:
        fields = [
            ("key", name),
            ("when", "W"),
            ("generation", self.random.choice(GENERATIONS)),
            ("key", name),
            ("function", self.random.choice(("f", "g"))),
            ("docket:expires", self.random.choice(EXPIRES)),
        ]
        chosen = self.random.sample(fields, self.random.randint(1, 4))
        return ("XADD", KEYS.stream, "*", *(part for pair in chosen for part in pair))

    def _make_foreign(self, name: str) -> Sequence[Any]:
        if self.random.random() < 0.8:
            return ("PING",)
        own = (KEYS.run(name), KEYS.progress(name), KEYS.parked(name), KEYS.queue, KEYS.reserved_queue, KEYS.strikes,
               KEYS.stream, KEYS.waiting, KEYS.pauses)  # fmt: skip
        return self.random.choice((("SET", self.random.choice(own), "x"), ("DEL", *own)))

    def _mend(self, name: str) -> Sequence[Any]:
        if self.twin.do(b"TYPE", KEYS.stream.encode()) == b"stream":
            self._both(b"DEL", KEYS.queue.encode() if self.random.random() < 0.3 else b"nothing")
        else:
            self._both(b"DEL", KEYS.stream.encode())
        return ("XGROUP", "CREATE", KEYS.stream, "docket-workers", "0-0", "MKSTREAM")

    def _of_streams(self, name: str) -> Sequence[Any]:
        return self.random.choice(
            (
                ("XDEL", KEYS.stream, self._id()),
                ("XACK", KEYS.stream, "docket-workers", self._id()),
                ("XCLAIM", KEYS.stream, "docket-workers", self._worker(), 0, self._id()),
                ("XTRIM", KEYS.stream, "MAXLEN", 6),
                ("XGROUP", "DELCONSUMER", KEYS.stream, "docket-workers", self._worker()),
                ("XADD", KEYS.strikes, "*", "a", "b"),
                ("XTRIM", KEYS.strikes, "MAXLEN", 0),
            )
        )

    def _of_others(self, name: str) -> Sequence[Any]:
        return self.random.choice(
            (
                ("HSET", KEYS.progress(name), "current", 5, "reported", "x 1 1"),
                ("ZADD", KEYS.queue, "3000000000", name),
                ("ZREM", KEYS.queue, *NAMES),
                ("HSET", KEYS.parked(name), "key", name, "old", "1"),
                ("ZADD", KEYS.group("g.1"), self.random.choice((-5, 3, -6)), "", 2, name, 2, "other"),
                ("ZADD", KEYS.group("g.2"), -5, ""),
                ("SADD", KEYS.waiting, "d:limit"),
                ("DEL", KEYS.waiting),
                self._some_pause() if self.random.random() < 0.3 else ("DEL", KEYS.pauses),
                ("DEL", KEYS.run(name)),
                ("PEXPIRE", KEYS.run(name), "700"),
                (
                    "HDEL",
                    KEYS.run(name),
                    "reserved",
                    "waiter_stream",
                    "waiter_entry_id",
                    "known",
                    "group",
                    "groups",
                    "successor",
                ),
            )
        )

    def _some_pause(self) -> Sequence[Any]:
        return ("HSET", KEYS.pauses, self.random.choice(("f", "g", "g", "*")), "{}")

    def _both(self, *words: bytes) -> Any:
        replies = [side.do(*words) for side in (self.lua, self.twin)]
        assert replies[0] == replies[1], (words, replies)
        return replies[0]

    def _name(self) -> str:
        return self.random.choice(NAMES)

    def _worker(self) -> str:
        return self.random.choice(WORKERS[:1] * 4 + WORKERS)

    def _asked(self) -> str:
        return self.random.choice(("", "a", "a", "b"))

    def _ids(self, key: str) -> list[bytes]:
        stream = self.twin.server._core.keys.values.get(key.encode())
        return [print_id(number) for number in stream.entries] if isinstance(stream, StreamValue) else []

    def _id(self) -> bytes:
        return self.random.choice((b"1-0", *self._ids(KEYS.stream)[-6:]))


def _words(*words: Any) -> list[bytes]:
    return resp.words(words)

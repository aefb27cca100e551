"""Random sequences of the commands that docket and its users send, to a real server and to the one in this
process.

``Sequence(seed)`` makes the commands; ``compare`` sends them to both and returns the first reply that
differs. Run as a program for a long comparison: ``python -m tests.memory.fuzz COMMANDS [SEED]``.

Time is kept out of it: stream ids are explicit, expiries are far away (or past: EXPIRE then deletes; a SET
with a past expiry stays in DBSIZE until a real server stumbles over it, so there is none), and ages are "old"
(set by XCLAIM IDLE) or "new".
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.memory.normal import normalise, words
from tests.memory.resp import Client, MemoryClient, Simple, SocketClient
from tests.servers import Server

__all__ = ["EXPLAINED_ELSEWHERE", "Difference", "Sequence", "compare", "fuzz"]

#: What may stand in a difference from another release than 7.0, and why; from 7.0 there is none.
EXPLAINED_ELSEWHERE = {
    "smaller than current max_deleted_entry_id": "XSETID checks one thing more since 7.2",
}

OLD_AGE, FAR = 5_000_000, 1_000_000
LENGTH = 250
QUEUED = Simple(b"QUEUED")

Arguments = tuple[Any, ...]


class Step(NamedTuple):
    """A command on connection 0 or 1, or (connection 2) one of the subscriber."""

    connection: int
    arguments: Arguments


class Difference(NamedTuple):
    seed: int
    number: int
    arguments: Arguments
    real: Any
    twin: Any

    def __str__(self) -> str:
        return (
            f"seed {self.seed} step {self.number}: {' '.join(words(self.arguments))[:300]}\n"
            f"  real: {str(self.real)[:400]}\n  twin: {str(self.twin)[:400]}"
        )


class Sequence:
    """The commands of one seed."""

    def __init__(self, seed: int, length: int = LENGTH) -> None:
        self.random = random.Random(seed)
        self.length = length
        self.clock = 100  # the milliseconds of the next stream id
        self.makers: list[Callable[[], Arguments]] = []
        weights: list[int] = []
        for weight, maker in self._table():
            self.makers.append(maker)
            weights.append(weight)
        self.weights = weights

    def __iter__(self) -> Iterator[Step]:
        in_transaction = [False, False]
        for _ in range(self.length):
            draw = self.random.random()
            if draw < 0.03:
                yield Step(2, self._subscriber())
                continue
            who = int(self.random.random() < 0.25)
            if in_transaction[who]:
                if draw < 0.25:
                    in_transaction[who] = False
                    yield Step(who, (self.random.choice(["EXEC", "EXEC", "EXEC", "DISCARD"]),))
                    continue
            elif draw < 0.06:
                in_transaction[who] = True
                if self.random.random() < 0.4:
                    yield Step(who, ("WATCH", *self._some(self._key, 1, 2)))
                yield Step(who, ("MULTI",))
                continue
            yield Step(who, self.command())
        for who in (0, 1):
            if in_transaction[who]:
                yield Step(who, ("EXEC",))

    def command(self) -> Arguments:
        return self.random.choices(self.makers, self.weights)[0]()

    # Choosing
    def _one(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def _some(self, make: Callable[[], Any], least: int, most: int) -> list[Any]:
        return [make() for _ in range(self.random.randint(least, most))]

    def _maybe(self, chance: float, *values: Any) -> tuple[Any, ...]:
        return values if self.random.random() < chance else ()

    def _number(self) -> Any:
        return self._one(0, 1, 2, 3, 5, -1, -3, 10, 1.5, -2.25, 100, 0.1, 1795204147.425547)

    def _integer(self) -> Any:
        return self.random.randint(-5, 9)

    def _key(self) -> str:
        return self._one("st", "st2", "h", "h2", "z", "z2", "se", "se2", "k", "n", "l", "l2")

    def _of(self, *usual: str) -> str:
        """A key of the right type, rarely any key."""
        return self._key() if self.random.random() < 0.02 else self._one(*usual)

    def _stream(self) -> str:
        return self._of("st", "st", "st", "st2")

    def _group(self) -> str:
        return self._one("g", "g", "g", "g", "g2", "none") if self.random.random() < 0.5 else "g"

    def _consumer(self) -> str:
        return self._one("c1", "c2", "c3")

    def _field(self) -> str:
        return self._one("a", "b", "c", "d", "count", "")

    def _member(self) -> str:
        return self._one("a", "b", "c", "d", "e", "f", "aa", "")

    def _value(self) -> Any:
        return self._one(
            "v", "w", "", "7", "3.5", "-1", b"\x80\x05\x00\r\n", "x" * 70, str(self.random.randint(0, 99))
        )

    def _id(self) -> str:
        """An id that was given, most likely."""
        low = max(95, self.clock - self._one(5, 30, 100))
        return f"{self.random.randint(low, self.clock)}-{self._one(0, 0, 0, 1)}"

    def _fresh(self) -> str:
        self.clock += self._one(0, 1, 1, 2)
        return f"{self.clock}-{self._one(0, 0, 1, '*', '*')}"

    def _low(self) -> str:
        return self._one("-", "-", self._id(), f"({self._id()}", str(self.clock - 5), "0")

    def _high(self) -> str:
        return self._one("+", "+", self._id(), f"({self._id()}", str(self.clock))

    def _bound(self) -> Any:
        return self._one("-inf", "+inf", self._number(), f"({self._number()}", "0", "(2", 3)

    def _idle(self) -> int:
        return self._one(0, 0, FAR)

    # What is sent, and how often
    def _table(self) -> list[tuple[int, Callable[[], Arguments]]]:
        return [
            (14, self._xadd), (5, self._xdel), (3, self._xtrim), (4, self._xgroup), (14, self._xreadgroup),
            (4, self._history), (6, self._xack), (5, self._xpending), (5, self._xclaim), (6,
            self._xautoclaim), (4, self._xrange), (3, self._xread), (8, self._xinfo), (1, self._xsetid), (12,
            self._hash_write), (8, self._hash_read), (8, self._zset_write), (8, self._zset_read), (3,
            self._zset_remove), (5, self._set_write), (5, self._set_read), (8, self._string_write), (6,
            self._string_read), (5, self._list_write), (4, self._list_read), (6, self._expire), (4,
            self._ttl), (6, self._keyspace), (3, self._publish), (7, self._script), (4,
            self._production_like), (2, self._wrong),
        ]  # fmt: skip

    def _subscriber(self) -> Arguments:
        name = self._one(
            "SUBSCRIBE", "SUBSCRIBE", "PSUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "PING", "GET"
        )
        if name == "GET":
            return ("GET", "k")
        channels = (
            ("p:*", "p:state:*", "*:k?", "p:[ab]*")
            if name.startswith(("PS", "PU"))
            else ("p:a", "p:b", "p:state:k1")
        )
        least = 0 if name.startswith(("U", "PU")) else 1
        return (name, *([] if name == "PING" else self._some(lambda: self._one(*channels), least, 2)))

    def _publish(self) -> Arguments:
        return self._one(
            ("PUBLISH", self._one("p:a", "p:b", "p:state:k1", "q"), self._value()), ("PUBSUB", "NUMSUB",
            "p:a", "q"), ("PUBSUB", "NUMPAT"),
        )  # fmt: skip

    def _xadd(self) -> Arguments:
        trim = self._maybe(
            0.15, *self._one(("MAXLEN", self._one(0, 2, 5, 50)), ("MAXLEN", "=", 4), ("MINID", self._id()),
            ("MINID", "=", str(self.clock - 10)))
        )  # fmt: skip
        fields = [part for _ in range(self.random.randint(1, 3)) for part in (self._field(), self._value())]
        where = self._id() if self.random.random() < 0.05 else self._fresh()
        return ("XADD", self._stream(), *self._maybe(0.1, "NOMKSTREAM"), *trim, where, *fields)

    def _xdel(self) -> Arguments:
        return ("XDEL", self._stream(), *self._some(self._id, 1, 4))

    def _xtrim(self) -> Arguments:
        return (
            "XTRIM",
            self._stream(),
            *self._one(("MAXLEN", self._one(0, 1, 3, 8, 20)), ("MINID", self._id())),
        )

    def _xgroup(self) -> Arguments:
        stream, group = self._stream(), self._group()
        return self._one(
            ("XGROUP", "CREATE", stream, group, self._one("0", "0-0", "$", self._id()), *self._maybe(0.7,
            "MKSTREAM"), *self._maybe(0.1, "ENTRIESREAD", self._one(0, 3, -1))), ("XGROUP", "CREATE", stream,
            group, self._one("0", "$"), "MKSTREAM"), ("XGROUP", "CREATE", stream, "g", "0", "MKSTREAM"),
            ("XGROUP", "SETID", stream, group, self._one("0", "$", self._id()), *self._maybe(0.2,
            "ENTRIESREAD", self._one(0, 3, 1000))), ("XGROUP", "DESTROY", stream, group) if
            self.random.random() < 0.3 else ("XLEN", stream), ("XGROUP", "CREATECONSUMER", stream, group,
            self._consumer()), ("XGROUP", "DELCONSUMER", stream, group, self._consumer()),
        )  # fmt: skip

    def _xreadgroup(self) -> Arguments:
        streams = (self._stream(),) if self.random.random() < 0.85 else ("st", "st2")
        return (
            "XREADGROUP", "GROUP", self._group(), self._consumer(), *self._maybe(0.8, "COUNT",
            self.random.randint(1, 4)), *self._maybe(0.1, "NOACK"), "STREAMS", *streams, *(">" if
            self.random.random() < 0.9 else "0" for _ in streams),
        )  # fmt: skip

    def _history(self) -> Arguments:
        return (
            "XREADGROUP", "GROUP", self._group(), self._consumer(), *self._maybe(0.5, "COUNT",
            self.random.randint(0, 3)), "STREAMS", self._stream(), self._one("0", "0-0", self._id()),
        )  # fmt: skip

    def _xack(self) -> Arguments:
        return ("XACK", self._stream(), self._group(), *self._some(self._id, 1, 5))

    def _xpending(self) -> Arguments:
        stream, group = self._stream(), self._group()
        return self._one(
            ("XPENDING", stream, group),
            ("XPENDING", stream, group, *self._maybe(0.4, "IDLE", FAR), self._low(), self._high(),
            self.random.randint(0, 10), *self._maybe(0.3, self._consumer())),
        )  # fmt: skip

    def _xclaim(self) -> Arguments:
        return (
            "XCLAIM", self._stream(), self._group(), self._consumer(), self._idle(), *self._some(self._id, 1,
            5), *self._maybe(0.5, "IDLE", self._one(OLD_AGE, 0)), *self._maybe(0.2, "RETRYCOUNT", self._one(0,
            3, -1)), *self._maybe(0.2, "FORCE"), *self._maybe(0.4, "JUSTID"), *self._maybe(0.1, "LASTID",
            self._id()),
        )  # fmt: skip

    def _xautoclaim(self) -> Arguments:
        return (
            "XAUTOCLAIM", self._stream(), self._group(), self._consumer(), self._idle(), self._one("0", "0-0",
            "-", self._id(), f"({self._id()}"), *self._maybe(0.6, "COUNT", self.random.randint(1, 4)),
            *self._maybe(0.3, "JUSTID"),
        )  # fmt: skip

    def _xrange(self) -> Arguments:
        count = self._maybe(0.5, "COUNT", self.random.randint(-1, 5))
        return self._one(
            ("XRANGE", self._stream(), self._low(), self._high(), *count), ("XREVRANGE", self._stream(),
            self._high(), self._low(), *count), ("XLEN", self._stream())
        )  # fmt: skip

    def _xread(self) -> Arguments:
        return self._one(
            (
                "XREAD",
                *self._maybe(0.6, "COUNT", self.random.randint(0, 4)),
                "STREAMS",
                self._stream(),
                self._one("0", "$", self._id()),
            ),
            ("XREAD", "COUNT", 2, "STREAMS", "st", "st2", self._id(), "0-0"),
        )

    def _xinfo(self) -> Arguments:
        stream = self._stream()
        return self._one(
            ("XINFO", "STREAM", stream),
            ("XINFO", "GROUPS", stream),
            ("XINFO", "CONSUMERS", stream, self._group()),
        )

    def _xsetid(self) -> Arguments:
        last = f"{self.clock + self._one(-3, 0, 3)}-0"
        return (
            "XSETID",
            self._stream(),
            last,
            *self._maybe(
                0.4, "ENTRIESADDED", self._one(1, 100, 1000), "MAXDELETEDID", self._one("0-0", self._id())
            ),
        )

    def _hash_write(self) -> Arguments:
        key, field = self._of("h", "h", "h2"), self._field()
        return self._one(
            ("HSET", key, *[part for _ in range(self.random.randint(1, 3)) for part in (self._field(),
            self._value())]), ("HSET", key, field, self._value()), ("HSETNX", key, field, self._value()),
            ("HMSET", key, field, self._value()), ("HDEL", key, *self._some(self._field, 1, 3)), ("HINCRBY",
            key, self._one("count", "count", field), self._integer()), ("HINCRBYFLOAT", key,
            self._one("count", field), self._one(0.5, "0.1", 2, "-1.25", "1e3")),
        )  # fmt: skip

    def _hash_read(self) -> Arguments:
        key = self._of("h", "h", "h2")
        return self._one(
            ("HGET", key, self._field()), ("HMGET", key, *self._some(self._field, 1, 4)), ("HGETALL", key),
            ("HGETALL", key), ("HKEYS", key), ("HVALS", key), ("HLEN", key), ("HEXISTS", key, self._field()),
            ("HSTRLEN", key, self._field()), ("HSCAN", key, 0, "COUNT", 1000, *self._maybe(0.3, "MATCH",
            "[a-c]")),
        )  # fmt: skip

    def _zset_write(self) -> Arguments:
        key = self._of("z", "z", "z2")
        flags = self._one(
            (),
            (),
            (),
            ("NX",),
            ("XX",),
            ("GT",),
            ("LT",),
            ("CH",),
            ("XX", "CH"),
            ("GT", "CH"),
            ("XX", "LT"),
            ("NX", "CH"),
            ("INCR",),
            ("NX", "INCR"),
            ("XX", "INCR"),
            ("GT", "INCR"),
            ("NX", "XX"),
            ("GT", "LT"),
        )
        pairs = [
            part
            for _ in range(1 if "INCR" in flags else self.random.randint(1, 3))
            for part in (self._one(self._number(), self._number(), "-inf", "inf", "(1"), self._member())
        ]
        increment = ("ZINCRBY", key, self._number(), self._member())
        return self._one(("ZADD", key, *flags, *pairs), ("ZADD", key, *flags, *pairs), increment)

    def _zset_read(self) -> Arguments:
        key, low, high = self._of("z", "z", "z2"), self._bound(), self._bound()
        limit = self._maybe(0.4, "LIMIT", self.random.randint(-1, 3), self.random.randint(-1, 4))
        scores = self._maybe(0.5, "WITHSCORES")
        ranks = (self.random.randint(-5, 4), self.random.randint(-5, 6))
        return self._one(
            ("ZSCORE", key, self._member()), ("ZMSCORE", key, *self._some(self._member, 1, 3)), ("ZCARD",
            key), ("ZCOUNT", key, low, high), (self._one("ZRANK", "ZREVRANK"), key, self._member()),
            ("ZRANGE", key, *ranks, *self._maybe(0.3, "REV"), *scores), ("ZREVRANGE", key, *ranks, *scores),
            ("ZRANGEBYSCORE", key, low, high, *limit, *scores), ("ZRANGEBYSCORE", key, "-inf", high, *limit),
            ("ZREVRANGEBYSCORE", key, high, low, *limit, *scores), ("ZRANGE", key, low, high, "BYSCORE",
            *self._maybe(0.4, "REV"), *limit, *scores), ("ZSCAN", key, 0, "COUNT", 1000),
        )  # fmt: skip

    def _zset_remove(self) -> Arguments:
        key = self._of("z", "z", "z2")
        return self._one(
            ("ZREM", key, *self._some(self._member, 1, 3)), ("ZREMRANGEBYSCORE", key, self._bound(),
            self._bound()), ("ZREMRANGEBYRANK", key, self.random.randint(-3, 3), self.random.randint(-3, 3)),
            (self._one("ZPOPMIN", "ZPOPMAX"), key, *self._maybe(0.5, self.random.randint(0, 3))),
        )  # fmt: skip

    def _set_write(self) -> Arguments:
        key = self._of("se", "se", "se2")
        return self._one(
            ("SADD", key, *self._some(self._member, 1, 4)), ("SADD", key, *self._some(self._member, 1, 4)),
            ("SREM", key, *self._some(self._member, 1, 3)), ("SMOVE", key, self._of("se", "se2"),
            self._member()), ("SPOP", key, 100), (self._one("SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"),
            self._one("se", "se2"), "se", "se2"),
        )  # fmt: skip

    def _set_read(self) -> Arguments:
        key = self._of("se", "se", "se2")
        return self._one(
            ("SMEMBERS", key), ("SISMEMBER", key, self._member()), ("SMISMEMBER", key,
            *self._some(self._member, 1, 3)), ("SCARD", key), ("SRANDMEMBER", key, 100), (self._one("SINTER",
            "SUNION", "SDIFF"), key, self._of("se", "se2")), ("SSCAN", key, 0, "COUNT", 1000),
        )  # fmt: skip

    def _string_write(self) -> Arguments:
        key = self._of("k", "k", "n")
        life = self._one((), (), ("EX", FAR), ("PX", FAR * 1000), ("KEEPTTL",), ("EX", 0))
        return self._one(
            ("SET", key, self._value(), *self._one((), (), ("NX",), ("XX",)), *life, *self._maybe(0.2,
            "GET")), ("SET", key, self._value()), ("SETNX", key, self._value()), (self._one("SETEX",
            "PSETEX"), key, self._one(FAR, FAR, 0), self._value()), ("GETSET", key, self._value()), ("GETDEL",
            key), ("GETEX", key, *self._one((), ("PERSIST",), ("EX", FAR))), ("MSET", "k", self._value(), "n",
            self._integer()), ("MSETNX", "k", 1, "n2", 2), ("APPEND", key, self._value()), (self._one("INCR",
            "DECR"), "n"), (self._one("INCRBY", "DECRBY"), self._one("n", key), self._integer()),
            ("INCRBYFLOAT", self._one("n", key), self._one("0.1", 1.5, -2, "1e2", "abc")),
        )  # fmt: skip

    def _string_read(self) -> Arguments:
        key = self._of("k", "n")
        return self._one(
            ("GET", key),
            ("MGET", *self._some(self._key, 1, 4)),
            ("STRLEN", key),
            ("GETRANGE", key, self._integer(), self._integer()),
        )

    def _list_write(self) -> Arguments:
        key = self._of("l", "l", "l2")
        ends = (self._one("LEFT", "RIGHT"), self._one("LEFT", "RIGHT"))
        return self._one(
            (self._one("LPUSH", "RPUSH"), key, *self._some(self._member, 1, 3)), (self._one("LPUSH", "RPUSH"),
            key, *self._some(self._member, 1, 3)), (self._one("LPUSHX", "RPUSHX"), key, self._member()),
            (self._one("LPOP", "RPOP"), key, *self._maybe(0.4, self.random.randint(0, 3))), ("LSET", key,
            self._integer(), self._member()), ("LREM", key, self.random.randint(-2, 2), self._member()),
            ("LTRIM", key, self.random.randint(-4, 2), self.random.randint(-3, 5)), ("LINSERT", key,
            self._one("BEFORE", "AFTER"), self._member(), self._member()), ("LMOVE", key, self._of("l", "l2"),
            *ends), ("RPOPLPUSH", key, self._of("l", "l2")),
        )  # fmt: skip

    def _list_read(self) -> Arguments:
        key = self._of("l", "l2")
        return self._one(
            ("LRANGE", key, self.random.randint(-4, 3), self.random.randint(-4, 5)),
            ("LLEN", key),
            ("LINDEX", key, self._integer()),
        )

    def _expire(self) -> Arguments:
        name, at = self._one(
            ("EXPIRE", FAR),
            ("PEXPIRE", FAR * 1000),
            ("EXPIREAT", 33177117420),
            ("PEXPIREAT", 33177117420000),
            ("EXPIRE", 2 * FAR),
            ("EXPIRE", -1),
            ("PEXPIREAT", 1),
        )
        conditions = (
            ("NX", "XX", "GT", "LT") if name.endswith("AT") else ("NX", "XX")
        )  # relative ones may be equal
        return (name, self._key(), at, *self._maybe(0.4, self._one(*conditions)))

    def _ttl(self) -> Arguments:
        return self._one(
            (self._one("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"), self._key()), ("PERSIST", self._key())
        )

    def _keyspace(self) -> Arguments:
        return self._one(
            ("DEL", *self._some(self._key, 1, 2)), ("UNLINK", self._key()), ("EXISTS", *self._some(self._key,
            1, 4)), ("TYPE", self._key()), ("KEYS", self._one("*", "s*", "[hkl]*", "?2", "??")), ("SCAN", 0,
            "COUNT", 1000, *self._maybe(0.3, "TYPE", "hash")), ("RENAME", self._key(), self._key()) if
            self.random.random() < 0.3 else ("DBSIZE",), ("RENAMENX", self._key(), self._key()) if
            self.random.random() < 0.3 else ("TOUCH", self._key()), ("COPY", self._key(), self._key(),
            *self._maybe(0.5, "REPLACE")) if self.random.random() < 0.4 else ("DBSIZE",),
        )  # fmt: skip

    def _wrong(self) -> Arguments:
        return self._one(
            ("NOSUCH", "a", self._member()), ("GET",), ("HSET", "h", "a"), ("XADD", "st", "*", "a"), ("ZADD",
            "z", "x", "a"), ("EXPIRE", "k", "x"), ("XGROUP", "NOSUCH", "st"), ("INCRBY", "n", "x"),
            ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "st"), ("SET", "k", "v", "NX", "XX"), ("XDEL", "st",
            "x"), ("XRANGE", "st", "x", "+"), ("EVALSHA", "f" * 40, 0),
            ("EVAL", "return redis.call('NOSUCH')", 0), ("EVAL", "return (", 0), ("EVAL", "error('x')", 0),
            ("XCLAIM", "st",
            "g", "c", 0, "1-1", "FOO"),
        )  # fmt: skip

    # Scripts
    def _script(self) -> Arguments:
        """A few commands inside of a script, with their replies converted there and back."""
        commands: list[Arguments] = []
        while len(commands) < self.random.randint(1, 4):
            command = self.command()
            if command[0] not in UNSORTED and command[0] != "EVAL" and "CREATECONSUMER" not in command:
                commands.append(command)
        argv: list[Any] = []
        for command in commands:
            argv += [len(command), *command]
        return ("EVAL", self._one(CALLS, PCALLS), 0, *argv)

    def _production_like(self) -> Arguments:
        """Shapes of docket's own scripts: move what is due, settle a delivery, count a generation."""
        return self._one(
            ("EVAL", DUE, 2, self._of("z"), self._of("st"), self._number(), f"{self.clock}-*"),
            (
                "EVAL",
                SETTLE,
                2,
                self._of("h"),
                self._of("st"),
                "g",
                self._consumer(),
                self._one("completed", "failed"),
            ),
            ("EVAL", VALUES, 1, self._of("h"), self._number(), self._value()),
        )


UNSORTED = {"SMEMBERS", "SINTER", "SUNION", "SDIFF", "KEYS", "HGETALL", "HKEYS", "HVALS", "SPOP",
"SRANDMEMBER", "SCAN", "SSCAN", "HSCAN", "XINFO", "TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "XPENDING",
"ZSCAN"}  # fmt: skip
"""Commands whose replies cannot be compared as they stand; scripts leave them out."""

COLLECT = """
local out, at = {}, 1
while at <= #ARGV do
  local n, command = tonumber(ARGV[at]), {}
  for i = 1, n do command[i] = ARGV[at + i] end
  at = at + n + 1
  local reply = redis.%s(unpack(command))
  out[#out + 1] = type(reply)
  if reply == false then reply = 'false' end
  out[#out + 1] = reply
end
return out
"""
CALLS, PCALLS = COLLECT % "call", COLLECT % "pcall"

DUE = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 3)
for _, member in ipairs(due) do
  redis.call('ZREM', KEYS[1], member)
  redis.call('XADD', KEYS[2], ARGV[2], 'key', member, 'when', tonumber(ARGV[1]))
end
return {#due, redis.call('ZCARD', KEYS[1]), redis.call('XLEN', KEYS[2])}
"""
SETTLE = """
local read = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 2, 'STREAMS', KEYS[2], '>')
if not read then return 'EMPTY' end
if read.err then return redis.error_reply(read.err) end
local ids = {}
for _, entry in ipairs(read[1][2]) do
  ids[#ids + 1] = entry[1]
  redis.call('HSET', KEYS[1], 'state', ARGV[3], 'fields', #entry[2], 'id', entry[1])
end
local generation = redis.call('HINCRBY', KEYS[1], 'generation', 1)
redis.call('XACK', KEYS[2], ARGV[1], unpack(ids))
redis.call('XDEL', KEYS[2], unpack(ids))
redis.call('PUBLISH', 'p:state:k1', 'settled ' .. generation)
return {redis.status_reply('SETTLED'), ids, generation, tostring(generation / 3)}
"""
VALUES = """
local n = tonumber(ARGV[1])
redis.call('HSET', KEYS[1], 'n', n, 'text', ARGV[2], 'sum', n + 0.25, 'int', math.floor(n))
local back = redis.call('HMGET', KEYS[1], 'n', 'missing', 'text', 'sum', 'int')
return {back, n, -n, {n * 2, {ARGV[2]}}, back[2] == false, tonumber(back[1]) == n, tostring(n), #ARGV[2]}
"""


def unordered(heard: list[Any]) -> list[Any]:
    """Patterns are matched, and subscriptions ended, in no particular order: sort what belongs together."""
    runs: list[tuple[Any, list[Any]]] = []
    for message in heard:
        kind = message[0] if isinstance(message, list) else message
        if kind in (b"message", b"pmessage"):
            run, part = (b"message", message[-2:]), message
        elif kind in (b"unsubscribe", b"punsubscribe"):
            run, part = kind, [b"" if message[1] is None else message[1]]
        else:
            run, part = message, [b""]
        if not runs or runs[-1][0] != run:
            runs.append((run, []))
        runs[-1][1].append(part)
    return [(run, sorted(parts)) for run, parts in runs]


class Side:
    """Three connections to one of the two servers."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        self.clients = [connect() for _ in range(3)]
        self.queued: list[list[Arguments]] = [[], []]
        self.pings = 0

    def start_anew(self) -> None:
        for client in self.clients[:2]:
            client.call("DISCARD")
            client.call("UNWATCH")
        self.queued = [[], []]
        self.listen(("UNSUBSCRIBE",))
        self.listen(("PUNSUBSCRIBE",))
        self.clients[0].call("FLUSHALL")

    def do(self, step: Step, *, lenient: bool) -> tuple[Any, Any]:
        """The reply, and its normal form."""
        if step.connection == 2:
            heard = self.listen(step.arguments)
            return heard, unordered(heard)
        reply = self.clients[step.connection].call(*step.arguments)
        queued = self.queued[step.connection]
        if step.arguments[0] == "EXEC" and isinstance(reply, list):
            parts = [normalise(one, part, lenient=lenient) for one, part in zip(queued, reply, strict=True)]
            queued.clear()
            return reply, parts
        if step.arguments[0] in ("EXEC", "DISCARD", "MULTI"):
            queued.clear()
        elif reply == QUEUED:
            queued.append(step.arguments)
            return reply, reply
        return reply, normalise(step.arguments, reply, lenient=lenient)

    def listen(self, arguments: Arguments) -> list[Any]:
        """Send to the subscriber and read up to a PING of ours: messages of before, then answers."""
        client = self.clients[2]
        self.pings += 1
        mark = f"mark-{self.pings}".encode()
        client.send(*arguments)
        client.send("PING", mark)
        heard: list[Any] = []
        while True:
            reply = client.read()
            if reply == mark or (isinstance(reply, list) and reply == [b"pong", mark]):
                return heard
            heard.append(reply)

    def close(self) -> None:
        for client in self.clients:
            client.close()


def compare(
    seed: int, real: Side, twin: Side, *, length: int = LENGTH, lenient: bool = False
) -> tuple[int, Difference | None]:
    """Run one sequence; returns how many commands were sent, and the first reply that differs."""
    real.start_anew()
    twin.start_anew()
    number = 0
    for number, step in enumerate(Sequence(seed, length), 1):
        (expected, left), (got, right) = real.do(step, lenient=lenient), twin.do(step, lenient=lenient)
        if left != right or type(left) is not type(right):
            return number, Difference(seed, number, step.arguments, expected, got)
    heard, overheard = real.listen(("PING",)), twin.listen(("PING",))
    if unordered(heard) != unordered(overheard):
        return number, Difference(seed, number + 1, ("messages",), heard, overheard)
    return number, None


def fuzz(
    port: int, name: str, commands: int, seed: int = 0, *, lenient: bool = False
) -> tuple[int, list[Difference]]:
    """Compare until ``commands`` were sent; returns how many, and the differences that are not explained."""
    real, twin = Side(lambda: SocketClient(port)), Side(lambda: MemoryClient(name))
    sent, differences = 0, list[Difference]()
    try:
        while sent < commands:
            count, difference = compare(seed, real, twin, lenient=lenient)
            sent, seed = sent + count, seed + 1
            if difference is None or (
                lenient and any(text in str(difference) for text in EXPLAINED_ELSEWHERE)
            ):
                continue
            differences.append(difference)
    finally:
        real.close()
        twin.close()
    return sent, differences


def main() -> None:
    commands, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with Server() as server:
        sent, differences = fuzz(server.port, "fuzz", commands, seed)
    for difference in differences[:20]:
        print(difference)
    print(
        f"{sent} commands, {len(differences)} differences",
        Counter(str(d.arguments[0]) for d in differences).most_common(),
    )


if __name__ == "__main__":
    main()

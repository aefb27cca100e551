"""Sequences of random commands, as docket and its users send them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tests.memory import stream_commands as s
from tests.memory import value_commands as v
from tests.memory.choices import Arguments, Choices

__all__ = ["LENGTH", "Sequence", "Step"]

LENGTH = 250


class Step(NamedTuple):
    """A command on connection 0 or 1, or (connection 2) one of the subscriber."""

    connection: int
    arguments: Arguments


class Sequence:
    """The commands of one seed."""

    def __init__(self, seed: int, length: int = LENGTH) -> None:
        self.pick = Choices(seed)
        self.length = length

    def __iter__(self) -> Iterator[Step]:
        in_transaction = [False, False]
        for _ in range(self.length):
            draw = self.pick.random.random()
            if draw < 0.03:
                yield Step(2, subscriber(self.pick))
                continue
            who = int(self.pick.random.random() < 0.25)
            if in_transaction[who]:
                if draw < 0.25:
                    in_transaction[who] = False
                    yield Step(who, (self.pick.random.choice(["EXEC", "EXEC", "EXEC", "DISCARD"]),))
                    continue
            elif draw < 0.06:
                in_transaction[who] = True
                if self.pick.random.random() < 0.4:
                    yield Step(who, ("WATCH", *self.pick.some(self.pick.key, 1, 2)))
                yield Step(who, ("MULTI",))
                continue
            yield Step(who, any_command(self.pick))
        for who in (0, 1):
            if in_transaction[who]:
                yield Step(who, ("EXEC",))


def any_command(pick: Choices) -> Arguments:
    return pick.random.choices(MAKERS, WEIGHTS)[0](pick)


def subscriber(pick: Choices) -> Arguments:
    name = pick.one(
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
    return (name, *([] if name == "PING" else pick.some(lambda: pick.one(*channels), least, 2)))


def publish(pick: Choices) -> Arguments:
    return pick.one(
        ("PUBLISH", pick.one("p:a", "p:b", "p:state:k1", "q"), pick.value()), ("PUBSUB", "NUMSUB",
        "p:a", "q"), ("PUBSUB", "NUMPAT"),
    )  # fmt: skip


def wrong(pick: Choices) -> Arguments:
    return pick.one(
        ("NOSUCH", "a", pick.member()), ("GET",), ("HSET", "h", "a"), ("XADD", "st", "*", "a"), ("ZADD",
        "z", "x", "a"), ("EXPIRE", "k", "x"), ("XGROUP", "NOSUCH", "st"), ("INCRBY", "n", "x"),
        ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "st"), ("SET", "k", "v", "NX", "XX"), ("XDEL", "st",
        "x"), ("XRANGE", "st", "x", "+"), ("EVALSHA", "f" * 40, 0),
        ("EVAL", "return redis.call('NOSUCH')", 0), ("EVAL", "return (", 0), ("EVAL", "error('x')", 0),
        ("XCLAIM", "st",
        "g", "c", 0, "1-1", "FOO"),
    )  # fmt: skip


# Scripts
def script(pick: Choices) -> Arguments:
    """A few commands inside of a script, with their replies converted there and back."""
    commands: list[Arguments] = []
    while len(commands) < pick.random.randint(1, 4):
        command = any_command(pick)
        if command[0] not in UNSORTED and command[0] != "EVAL" and "CREATECONSUMER" not in command:
            commands.append(command)
    argv: list[object] = []
    for command in commands:
        argv += [len(command), *command]
    return ("EVAL", pick.one(CALLS, PCALLS), 0, *argv)


def production_like(pick: Choices) -> Arguments:
    """Shapes of docket's own scripts: move what is due, settle a delivery, count a generation."""
    return pick.one(
        ("EVAL", DUE, 2, pick.of("z"), pick.of("st"), pick.number(), f"{pick.clock}-*"),
        (
            "EVAL",
            SETTLE,
            2,
            pick.of("h"),
            pick.of("st"),
            "g",
            pick.consumer(),
            pick.one("completed", "failed"),
        ),
        ("EVAL", VALUES, 1, pick.of("h"), pick.number(), pick.value()),
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


TABLE: list[tuple[int, Callable[[Choices], Arguments]]] = [
            (14, s.xadd), (5, s.xdel), (3, s.xtrim), (4, s.xgroup), (14, s.xreadgroup),
            (4, s.history), (6, s.xack), (5, s.xpending), (5, s.xclaim), (6,
            s.xautoclaim), (4, s.xrange), (3, s.xread), (8, s.xinfo), (1, s.xsetid), (12,
            v.hash_write), (8, v.hash_read), (8, v.zset_write), (8, v.zset_read), (3,
            v.zset_remove), (5, v.set_write), (5, v.set_read), (8, v.string_write), (6,
            v.string_read), (5, v.list_write), (4, v.list_read), (6, v.expire), (4,
            v.ttl), (6, v.keyspace), (3, publish), (7, script), (4,
            production_like), (2, wrong),
        ]  # fmt: skip
WEIGHTS = [weight for weight, _ in TABLE]
MAKERS = [maker for _, maker in TABLE]

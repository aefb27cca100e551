"""Random commands on hashes, sorted sets, sets, strings, lists and keys."""

from __future__ import annotations

from tests.memory.choices import FAR, Arguments, Choices


def hash_write(pick: Choices) -> Arguments:
    key, field = pick.of("h", "h", "h2"), pick.field()
    return pick.one(
        ("HSET", key, *[part for _ in range(pick.random.randint(1, 3)) for part in (pick.field(),
        pick.value())]), ("HSET", key, field, pick.value()), ("HSETNX", key, field, pick.value()),
        ("HMSET", key, field, pick.value()), ("HDEL", key, *pick.some(pick.field, 1, 3)), ("HINCRBY",
        key, pick.one("count", "count", field), pick.integer()), ("HINCRBYFLOAT", key,
        pick.one("count", field), pick.one(0.5, "0.1", 2, "-1.25", "1e3")),
    )  # fmt: skip


def hash_read(pick: Choices) -> Arguments:
    key = pick.of("h", "h", "h2")
    return pick.one(
        ("HGET", key, pick.field()), ("HMGET", key, *pick.some(pick.field, 1, 4)), ("HGETALL", key),
        ("HGETALL", key), ("HKEYS", key), ("HVALS", key), ("HLEN", key), ("HEXISTS", key, pick.field()),
        ("HSTRLEN", key, pick.field()), ("HSCAN", key, 0, "COUNT", 1000, *pick.maybe(0.3, "MATCH",
        "[a-c]")),
    )  # fmt: skip


def zset_write(pick: Choices) -> Arguments:
    key = pick.of("z", "z", "z2")
    flags = pick.one(
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
        for _ in range(1 if "INCR" in flags else pick.random.randint(1, 3))
        for part in (pick.one(pick.number(), pick.number(), "-inf", "inf", "(1"), pick.member())
    ]
    increment = ("ZINCRBY", key, pick.number(), pick.member())
    return pick.one(("ZADD", key, *flags, *pairs), ("ZADD", key, *flags, *pairs), increment)


def zset_read(pick: Choices) -> Arguments:
    key, low, high = pick.of("z", "z", "z2"), pick.bound(), pick.bound()
    limit = pick.maybe(0.4, "LIMIT", pick.random.randint(-1, 3), pick.random.randint(-1, 4))
    scores = pick.maybe(0.5, "WITHSCORES")
    ranks = (pick.random.randint(-5, 4), pick.random.randint(-5, 6))
    return pick.one(
        ("ZSCORE", key, pick.member()), ("ZMSCORE", key, *pick.some(pick.member, 1, 3)), ("ZCARD",
        key), ("ZCOUNT", key, low, high), (pick.one("ZRANK", "ZREVRANK"), key, pick.member()),
        ("ZRANGE", key, *ranks, *pick.maybe(0.3, "REV"), *scores), ("ZREVRANGE", key, *ranks, *scores),
        ("ZRANGEBYSCORE", key, low, high, *limit, *scores), ("ZRANGEBYSCORE", key, "-inf", high, *limit),
        ("ZREVRANGEBYSCORE", key, high, low, *limit, *scores), ("ZRANGE", key, low, high, "BYSCORE",
        *pick.maybe(0.4, "REV"), *limit, *scores), ("ZSCAN", key, 0, "COUNT", 1000),
    )  # fmt: skip


def zset_remove(pick: Choices) -> Arguments:
    key = pick.of("z", "z", "z2")
    return pick.one(
        ("ZREM", key, *pick.some(pick.member, 1, 3)), ("ZREMRANGEBYSCORE", key, pick.bound(),
        pick.bound()), ("ZREMRANGEBYRANK", key, pick.random.randint(-3, 3), pick.random.randint(-3, 3)),
        (pick.one("ZPOPMIN", "ZPOPMAX"), key, *pick.maybe(0.5, pick.random.randint(0, 3))),
    )  # fmt: skip


def set_write(pick: Choices) -> Arguments:
    key = pick.of("se", "se", "se2")
    return pick.one(
        ("SADD", key, *pick.some(pick.member, 1, 4)), ("SADD", key, *pick.some(pick.member, 1, 4)),
        ("SREM", key, *pick.some(pick.member, 1, 3)), ("SMOVE", key, pick.of("se", "se2"),
        pick.member()), ("SPOP", key, 100), (pick.one("SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE"),
        pick.one("se", "se2"), "se", "se2"),
    )  # fmt: skip


def set_read(pick: Choices) -> Arguments:
    key = pick.of("se", "se", "se2")
    return pick.one(
        ("SMEMBERS", key), ("SISMEMBER", key, pick.member()), ("SMISMEMBER", key,
        *pick.some(pick.member, 1, 3)), ("SCARD", key), ("SRANDMEMBER", key, 100), (pick.one("SINTER",
        "SUNION", "SDIFF"), key, pick.of("se", "se2")), ("SSCAN", key, 0, "COUNT", 1000),
    )  # fmt: skip


def string_write(pick: Choices) -> Arguments:
    key = pick.of("k", "k", "n")
    life = pick.one((), (), ("EX", FAR), ("PX", FAR * 1000), ("KEEPTTL",), ("EX", 0))
    return pick.one(
        ("SET", key, pick.value(), *pick.one((), (), ("NX",), ("XX",)), *life, *pick.maybe(0.2,
        "GET")), ("SET", key, pick.value()), ("SETNX", key, pick.value()), (pick.one("SETEX",
        "PSETEX"), key, pick.one(FAR, FAR, 0), pick.value()), ("GETSET", key, pick.value()), ("GETDEL",
        key), ("GETEX", key, *pick.one((), ("PERSIST",), ("EX", FAR))), ("MSET", "k", pick.value(), "n",
        pick.integer()), ("MSETNX", "k", 1, "n2", 2), ("APPEND", key, pick.value()), (pick.one("INCR",
        "DECR"), "n"), (pick.one("INCRBY", "DECRBY"), pick.one("n", key), pick.integer()),
        ("INCRBYFLOAT", pick.one("n", key), pick.one("0.1", 1.5, -2, "1e2", "abc")),
        ("BITFIELD", pick.one("bits", "bits", key), *bits(pick), *bits(pick), *pick.maybe(0.5, *bits(pick))),
    )  # fmt: skip


def bits(pick: Choices) -> Arguments:
    """One step of BITFIELD."""
    where = pick.one("u1", "u7", "u8", "u24", "u63", "i5", "i64", "u64"), pick.one(0, 3, 8, 61, "#2", "#-1")
    value = pick.one(pick.integer(), pick.integer(), 2**63 - 1, -(2**63))
    return pick.one(
        ("GET", *where), ("SET", *where, value), ("INCRBY", *where, value), ("INCRBY", *where, value),
        ("OVERFLOW", pick.one("SAT", "SAT", "WRAP", "FAIL"), "INCRBY", *where, value),
    )  # fmt: skip


def string_read(pick: Choices) -> Arguments:
    key = pick.of("k", "n")
    return pick.one(
        ("GET", key),
        ("MGET", *pick.some(pick.key, 1, 4)),
        ("STRLEN", key),
        ("GETRANGE", key, pick.integer(), pick.integer()),
    )


def list_write(pick: Choices) -> Arguments:
    key = pick.of("l", "l", "l2")
    ends = (pick.one("LEFT", "RIGHT"), pick.one("LEFT", "RIGHT"))
    return pick.one(
        (pick.one("LPUSH", "RPUSH"), key, *pick.some(pick.member, 1, 3)), (pick.one("LPUSH", "RPUSH"),
        key, *pick.some(pick.member, 1, 3)), (pick.one("LPUSHX", "RPUSHX"), key, pick.member()),
        (pick.one("LPOP", "RPOP"), key, *pick.maybe(0.4, pick.random.randint(0, 3))), ("LSET", key,
        pick.integer(), pick.member()), ("LREM", key, pick.random.randint(-2, 2), pick.member()),
        ("LTRIM", key, pick.random.randint(-4, 2), pick.random.randint(-3, 5)), ("LINSERT", key,
        pick.one("BEFORE", "AFTER"), pick.member(), pick.member()), ("LMOVE", key, pick.of("l", "l2"),
        *ends), ("RPOPLPUSH", key, pick.of("l", "l2")),
    )  # fmt: skip


def list_read(pick: Choices) -> Arguments:
    key = pick.of("l", "l2")
    return pick.one(
        ("LRANGE", key, pick.random.randint(-4, 3), pick.random.randint(-4, 5)),
        ("LLEN", key),
        ("LINDEX", key, pick.integer()),
    )


def expire(pick: Choices) -> Arguments:
    name, at = pick.one(
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
    return (name, pick.key(), at, *pick.maybe(0.4, pick.one(*conditions)))


def ttl(pick: Choices) -> Arguments:
    return pick.one(
        (pick.one("TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"), pick.key()), ("PERSIST", pick.key())
    )


def keyspace(pick: Choices) -> Arguments:
    return pick.one(
        ("DEL", *pick.some(pick.key, 1, 2)), ("UNLINK", pick.key()), ("EXISTS", *pick.some(pick.key,
        1, 4)), ("TYPE", pick.key()), ("KEYS", pick.one("*", "s*", "[hkl]*", "?2", "??")), ("SCAN", 0,
        "COUNT", 1000, *pick.maybe(0.3, "TYPE", "hash")), ("RENAME", pick.key(), pick.key()) if
        pick.random.random() < 0.3 else ("DBSIZE",), ("RENAMENX", pick.key(), pick.key()) if
        pick.random.random() < 0.3 else ("TOUCH", pick.key()), ("COPY", pick.key(), pick.key(),
        *pick.maybe(0.5, "REPLACE")) if pick.random.random() < 0.4 else ("DBSIZE",),
    )  # fmt: skip

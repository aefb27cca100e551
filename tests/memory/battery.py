"""Sequences of commands whose replies a real server and the one in this process must agree on.

A step is a line (split at blanks; ``''`` is an empty argument), a tuple of arguments, or ``Pause``. Each case
starts with an empty server.
"""
# ruff: noqa: E501 - a table reads better in long lines

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["CASES", "Pause", "Step", "arguments"]


class Pause(NamedTuple):
    """Let real time pass: an expiry on a real server has no other way to come."""

    seconds: float


Step = Any


def arguments(step: Step) -> tuple[Any, ...]:
    return tuple("" if word == "''" else word for word in step.split()) if isinstance(step, str) else step


def lua(source: str, *rest: Any) -> tuple[Any, ...]:
    """EVAL with ``rest`` = the number of keys, keys and arguments."""
    return ("EVAL", source, *(rest or (0,)))


CASES: dict[str, list[Step]] = {
    "set and get": [
        "SET k v", "GET k", "SET k w NX", "SET k w XX", "SET n x NX", "SET m x XX", "GET m", "SET k a GET", "GET k",
        "SET nope n XX GET", "GET nope", "SET k b NX GET", "GET k", "SET k v BAD", "SET k v NX XX", "SET k v EX",
        "SET k v EX 0", "SET k v EX -1", "SET k v EX abc", "SET k v PX 0", "SET k v EX 10 PX 10", "SET k v EX 10 KEEPTTL",
        "SET k v KEEPTTL EX 10", "SET k v EX 9223372036854775807", "SET k v PX 9223372036854775807", "TTL k",
        "SET k v EX 1000", "TTL k", "SET k w KEEPTTL", "TTL k", "SET k w", "TTL k", "SET k v PX 1000000", "TTL k",
        "SET k v EXAT 33177117420", "EXPIRETIME k", "SET k v PXAT 33177117420000", "PEXPIRETIME k", "SET k v PXAT 1",
        "GET k", "SET", "SET k", "set K v", "get K", "SADD s a", "SET s v GET", "SET s v", "TYPE s", "GET",
    ],
    "other string commands": [
        "SETNX k v", "SETNX k w", "SETEX k 1000 x", "TTL k", "SETEX k 0 x", "SETEX k -1 x", "SETEX k a x", "PSETEX k 1000000 x",
        "PSETEX k 0 x", "TTL k", "GETSET k y", "TTL k", "GETSET none y", "GETDEL none", "GETDEL nothing", "GETDEL k", "GET k",
        "SET k v", "GETEX k EX 1000", "TTL k", "GETEX k PERSIST", "TTL k", "GETEX k PX 2000000", "TTL k", "GETEX k", "TTL k",
        "GETEX k EX", "GETEX k EX 0", "GETEX k FOO", "GETEX k EX 10 PX 10", "GETEX k PXAT 1", "EXISTS k", "GETEX none EX 10",
        "MSET a 1 b 2", "MGET a b c", "MSET a", "MSET a 1 b", "MSETNX a 1 z 2", "MSETNX y 1 z 2", "HSET h f v", "MGET a h",
        "APPEND a xyz", "APPEND new n", "STRLEN a", "STRLEN none", "GETRANGE a 0 -1", "GETRANGE a 1 2", "GETRANGE a -2 -1",
        "GETRANGE a 5 1", "GETRANGE none 0 1", "GETRANGE a -1 -3", "APPEND h x", "STRLEN h", "GETSET h x", "GETDEL h", "GETEX h",
        "GET h",
    ],
    "numbers in a string": [
        "BITFIELD b", "BITFIELD b GET u8 0", "EXISTS b", "BITFIELD b INCRBY u32 0 5 INCRBY u32 32 7 GET u32 #1", "GET b", "EXPIRE b 1000",
        "BITFIELD b OVERFLOW SAT INCRBY u63 65 9223372036854775807 INCRBY u63 65 1 GET i64 64", "TTL b", "STRLEN b",
        "BITFIELD b INCRBY u24 192 16777215 INCRBY u24 192 1 OVERFLOW FAIL INCRBY u24 192 -1 OVERFLOW SAT INCRBY u24 192 -1",
        "BITFIELD b SET i5 3 -16 GET u5 3 GET i5 3 INCRBY i5 3 -1 OVERFLOW SAT INCRBY i5 3 1 INCRBY i5 3 100 INCRBY i5 3 -100",
        "BITFIELD b SET u8 0 -1 OVERFLOW SAT SET u8 8 300 SET u8 16 -1 OVERFLOW FAIL SET u8 24 256 GET u8 24", "GETRANGE b 0 9",
        "BITFIELD b OVERFLOW FAIL INCRBY i64 0 9223372036854775807 INCRBY i64 0 9223372036854775807", "BITFIELD far OVERFLOW FAIL SET u1 999 2",
        "STRLEN far", "BITFIELD b get u4 #3 set u4 #3 9 Get u4 12", "BITFIELD b GET u64 0", "BITFIELD b GET i65 0", "BITFIELD b GET x8 0",
        "BITFIELD b GET u0 0", "BITFIELD b GET u08 0", "BITFIELD b GET u8", "BITFIELD b GET u8 -1", "BITFIELD b GET u8 #-1", "BITFIELD b GET u8 x",
        "BITFIELD b GET u8 4294967296", "BITFIELD b SET u8 0", "BITFIELD b SET u8 0 x", "BITFIELD b INCRBY u8 0 1.5", "BITFIELD b OVERFLOW",
        "BITFIELD b OVERFLOW MAYBE", "BITFIELD b NOPE u8 0", "SADD s a", "BITFIELD s GET u8 0", "BITFIELD s SET u8 0 1", "BITFIELD",
        "BITFIELD b SET u8 0 1 GET u99 0", "GETRANGE b 0 1", "SET t ab", "BITFIELD t GET u16 0 GET u16 8 GET u8 800 GET i8 4",
    ],
    "counting": [
        "INCR n", "INCRBY n 5", "DECR n", "DECRBY n 10", "GET n", "INCRBY n abc", "INCRBY n 1.5", "SET s x", "INCR s",
        "SET big 9223372036854775807", "INCR big", "DECRBY big -1", "SET low -9223372036854775808", "DECR low",
        "DECRBY n -9223372036854775808", "SET z 007", "INCR z", "SET z -0", "INCR z", ("SET", "z", " 1"), "INCR z",
        "INCRBY n 9223372036854775808", "INCRBYFLOAT f 0.1", "INCRBYFLOAT f 0.2", "INCRBYFLOAT f 3.0e3", "INCRBYFLOAT f -5000.5",
        "INCRBYFLOAT f 1e-17", "INCRBYFLOAT f abc", "INCRBYFLOAT s 1", "SET f 1795204147.4255469", "INCRBYFLOAT f 0.1",
        "SET f 10.50", "INCRBYFLOAT f 0.1", "INCRBYFLOAT f -10.6", "INCRBYFLOAT f 1e10", "SET f 3", "INCRBYFLOAT f 1.123456789012345",
        "HSET h a 1", "HINCRBY h a 5", "HINCRBY h b -2", "HINCRBY h a x", "HSET h s x", "HINCRBY h s 1", "HINCRBY h a 9223372036854775807",
        "HINCRBYFLOAT h f 1.5", "HINCRBYFLOAT h f 0.3", "HINCRBYFLOAT h s 1", "HINCRBYFLOAT h f x", "INCR h", "INCRBYFLOAT h 1",
        "HINCRBY n a 1", "HINCRBYFLOAT n a 1", "SET e ''", "INCR e", "INCRBYFLOAT e 1",
    ],
    "expiry": [
        "SET k v", "EXPIRE k 1000", "TTL k", "PEXPIRE k 2000000", "TTL k", "EXPIREAT k 33177117420", "EXPIRETIME k",
        "PEXPIREAT k 33177117420123", "PEXPIRETIME k", "EXPIRETIME k", "PERSIST k", "PERSIST k", "TTL k", "PTTL k", "TTL none", "PTTL none",
        "EXPIRETIME none", "EXPIRETIME k", "PERSIST none", "EXPIRE none 10", "EXPIRE k 100 XX", "EXPIRE k 1000 NX", "EXPIRE k 1000 NX",
        "EXPIRE k 500 GT", "EXPIRE k 2000 GT", "TTL k", "EXPIRE k 3000 LT", "EXPIRE k 1000 LT", "TTL k", "EXPIRE k 10 FOO",
        "EXPIRE k 10 NX XX", "EXPIRE k 10 NX GT", "EXPIRE k 10 GT LT", "PERSIST k", "EXPIRE k 10000 GT", "EXPIRE k 10000 LT", "TTL k",
        "EXPIRE k abc", "EXPIRE k 9223372036854775807", "EXPIRE k -9223372036854775808", "PEXPIRE k 9223372036854775807",
        "EXPIRE none 9223372036854775807", "EXPIRE k -1", "EXISTS k", "SET k v", "EXPIRE k 0", "EXISTS k", "SET k v", "EXPIREAT k 1", "GET k",
        "HSET h a 1", "EXPIRE h 100", "HSET h b 2", "TTL h", "DEL h", "HSET h c 3", "TTL h", "EXPIRE h 1000 XX GT", "EXPIRE h 1000 XX LT",
    ],
    "time passes": [
        "SET k v PX 40", "HSET h a 1", "PEXPIRE h 40", "ZADD z 1 a", "PEXPIRE z 40", "XADD s 1-1 a b", "PEXPIRE s 40",
        "SADD e a", "PEXPIRE e 40", "EXISTS k h z s e", "WATCH k", "MULTI", "GET k", Pause(0.08), "EXEC", "GET k", "EXISTS k h z s e", "TTL k",
        "HSET h b 2", "HGETALL h", "TTL h", "ZADD z 2 b", "ZCARD z", "XLEN s", "XADD s 1-1 a b", "TTL s", "SET k v PX 30 GET", "KEYS *", "DBSIZE",
        "RENAME k k2", Pause(0.06), "GET k2", "GET k", "XGROUP CREATE b g $ MKSTREAM", "XREADGROUP GROUP g c BLOCK 20 STREAMS b >", "XREAD BLOCK 20 STREAMS b $",
        "BLPOP none 0.02", "BRPOP none other 0.02", "BLMOVE none other LEFT RIGHT 0.02",
        "XADD b 1-1 f v", "XREADGROUP GROUP g c COUNT 1 STREAMS b >", Pause(0.03), "XPENDING b g IDLE 10 - + 10", "XAUTOCLAIM b g d 20 0", "XAUTOCLAIM b g d 20 0",
    ],
    "hashes": [
        "HSET h a 1 b 2", "HSET h a 3 c 4", "HGET h a", "HGET h zz", "HGET none a", "HMGET h a zz b", "HMGET none a b", "HGETALL h",
        "HGETALL none", "HKEYS h", "HVALS h", "HKEYS none", "HLEN h", "HLEN none", "HSTRLEN h a", "HSTRLEN h zz", "HEXISTS h a", "HEXISTS h zz", "HSETNX h a 9",
        "HSETNX h d 9", "HSETNX h2 d 9", "HMSET h e 5 f 6", "HMSET h e", "HSET h e", "HSET h e 1 f", "HDEL h a zz b", "HDEL none a", "HSCAN h 0", "HSCAN none 0",
        "HSCAN h 0 MATCH [cd] COUNT 100", "HSCAN h x", "HSCAN h 0 COUNT 0", "HSCAN h 0 FOO 1", "HRANDFIELD h 100", "HRANDFIELD none", "HRANDFIELD none 3", "HDEL h c d e f", "EXISTS h", "TYPE h",
        "SET s x", "HSET s a 1", "HGET s a", "HGETALL s", "HDEL s a", "HLEN s", "HEXISTS s a", "HMGET s a", "HSETNX s a 1", "HSCAN s 0", "HGET h", "HSET h a", "HVALS s",
    ],
    "sets": [
        "SADD s a b a", "SADD s b", "SCARD s", "SMEMBERS s", "SISMEMBER s a", "SISMEMBER s z", "SISMEMBER none a", "SMISMEMBER s a z", "SMISMEMBER none a z",
        "SADD t b c", "SINTER s t", "SUNION s t", "SDIFF s t", "SINTER s none", "SDIFF none s", "SUNION none", "SINTERSTORE d s t", "SMEMBERS d", "SUNIONSTORE d s t", "SCARD d",
        "SDIFFSTORE d s s", "EXISTS d", "SMOVE s t a", "SMOVE s t zz", "SMOVE none t a", "SMEMBERS t", "SMOVE s s b", "SREM t a zz", "SREM none a", "SPOP t 100", "EXISTS t", "SPOP t", "SPOP t 3",
        "SPOP s -1", "SRANDMEMBER s 10", "SRANDMEMBER none", "SRANDMEMBER none 2", "SSCAN s 0", "SSCAN none 0", "SREM s b", "EXISTS s", "SET x 1", "SADD x a", "SMEMBERS x", "SMOVE x s a", "SADD s a", "SMOVE s x a",
        "SINTER s x", "SPOP x", "SCARD x", "SREM x a", "SADD s", "SUNIONSTORE s x",
    ],
    "sorted sets": [
        "ZADD z 1 a 2 b 3 c", "ZADD z 5 a", "ZADD z NX 9 a 4 d", "ZADD z XX CH 6 a 7 zz", "ZADD z GT CH 1 a 8 b", "ZADD z LT CH 1 c", "ZADD z INCR 2 a", "ZADD z NX INCR 2 a",
        "ZADD z XX INCR 2 none", "ZADD none XX INCR 2 a", "ZADD none XX 2 a", "ZADD z NX XX 1 a", "ZADD z GT LT 1 a", "ZADD z GT NX 1 a", "ZADD z INCR 1 a 2 b", "ZADD z 1", "ZADD z 1 a 2", "ZADD z x a", "ZADD z nan a",
        "ZADD z inf i -inf j", "ZADD z INCR -inf i", "ZADD z 1795204147.425547 t", "ZSCORE z t", "ZADD z 1e20 big", "ZSCORE z big", "ZADD z 0.1 tenth", "ZSCORE z tenth", "ZADD z -0 zero", "ZSCORE z zero", "ZSCORE z none", "ZSCORE none a",
        "ZMSCORE z a none t", "ZMSCORE none a", "ZINCRBY z 1.5 a", "ZINCRBY z x a", "ZINCRBY z nan a", "ZINCRBY new 2 m", "ZCARD z", "ZCARD none", "ZRANK z a", "ZREVRANK z a", "ZRANK z none", "ZRANK none a",
        "ZREM z i j none", "ZREM none a", "ZPOPMIN z", "ZPOPMIN z 2", "ZPOPMAX z", "ZPOPMAX z 2", "ZPOPMIN z 0", "ZPOPMIN z -1", "ZPOPMIN none", "ZPOPMAX none 3", "ZADD z 2 b 1 a 2 aa", "ZRANGE z 0 -1 WITHSCORES", "ZREM z a b aa d zero t",
        "ZSCAN new 0", "ZSCAN none 0", "ZPOPMAX z 100", "EXISTS z", "SET s x", "ZADD s 1 a", "ZSCORE s a", "ZRANGE s 0 -1", "ZREM s a", "ZCARD s", "ZPOPMIN s", "ZADD z", "ZRANK z", "ZADD z CH CH 1 a", "ZADD z FOO 1 a",
        "ZADD z 1.0 int", "ZSCORE z int", "ZADD z +5 plus", "ZADD z 1e3 exp", "ZADD z .5 half", "ZADD z 5. dot", "ZADD z Infinity inf", "ZADD z 1_0 no", ("ZADD", "z", " 1", "blank"), "ZRANGE z 0 -1 WITHSCORES",
    ],
    "sorted set ranges": [
        "ZADD z 1 a 2 b 2 c 3 d 4.5 e", "ZRANGE z 0 -1", "ZRANGE z 1 2", "ZRANGE z -2 -1", "ZRANGE z 3 1", "ZRANGE z -100 100", "ZRANGE z 10 20", "ZRANGE z 0 -1 REV", "ZRANGE z 0 1 REV WITHSCORES",
        "ZRANGE z 0 -100", "ZREVRANGE z 0 1", "ZREVRANGE z 0 -1 WITHSCORES", "ZREVRANGE z -2 -1", "ZRANGE z 0 1 LIMIT 0 1", "ZRANGE z x 1", "ZRANGE z 1 2 BYSCORE", "ZRANGE z (1 2 BYSCORE", "ZRANGE z 2 1 BYSCORE REV", "ZRANGE z -inf +inf BYSCORE LIMIT 1 2",
        "ZRANGE z +inf -inf BYSCORE REV LIMIT 1 2 WITHSCORES", "ZRANGE z (2 +inf BYSCORE WITHSCORES", "ZRANGEBYSCORE z -inf +inf", "ZRANGEBYSCORE z (1 (3", "ZRANGEBYSCORE z 2 2", "ZRANGEBYSCORE z 1 3 LIMIT 1 2", "ZRANGEBYSCORE z 1 3 LIMIT 0 0",
        "ZRANGEBYSCORE z 1 3 LIMIT 2 -1", "ZRANGEBYSCORE z 1 3 LIMIT -1 2", "ZRANGEBYSCORE z 1 3 LIMIT 100 2", "ZRANGEBYSCORE z 1 3 LIMIT 1", "ZRANGEBYSCORE z 1 3 FOO", "ZRANGEBYSCORE z x 3", "ZRANGEBYSCORE z 3 1", "ZRANGEBYSCORE none 1 3",
        "ZRANGEBYSCORE z 1 3 WITHSCORES LIMIT 0 2", "ZREVRANGEBYSCORE z 3 1", "ZREVRANGEBYSCORE z +inf (2 WITHSCORES", "ZREVRANGEBYSCORE z 3 1 LIMIT 1 1", "ZREVRANGEBYSCORE z 3 1 LIMIT 1 -1", "ZREVRANGEBYSCORE z 1 3", "ZCOUNT z 1 2", "ZCOUNT z (1 +inf", "ZCOUNT z 5 1", "ZCOUNT none 1 2", "ZCOUNT z a 2",
        "ZREMRANGEBYSCORE z (4 5", "ZREMRANGEBYSCORE z 10 20", "ZREMRANGEBYSCORE none 1 2", "ZREMRANGEBYRANK z 0 0", "ZREMRANGEBYRANK z -1 -1", "ZREMRANGEBYRANK z 5 9", "ZRANGE z 0 -1", "ZREMRANGEBYSCORE z -inf +inf", "EXISTS z", "ZREMRANGEBYRANK none 0 -1", "ZRANGE z 0 1 BYSCORE REV FOO", "ZREVRANGE z 0 -1 REV",
    ],
    "lists": [
        "RPUSH l a b c", "LPUSH l z y", "LRANGE l 0 -1", "LRANGE l 1 2", "LRANGE l -2 -1", "LRANGE l 5 1", "LRANGE none 0 -1", "LLEN l", "LLEN none", "LINDEX l 0", "LINDEX l -1", "LINDEX l 100", "LINDEX none 0", "LSET l 0 Y", "LSET l -1 C", "LSET l 100 x", "LSET none 0 x",
        "LPOP l", "RPOP l", "LPOP none", "LPOP l 2", "LPOP none 2", "RPUSH l a b a c a", "LREM l 2 a", "LREM l -1 a", "LREM l 0 zz", "LRANGE l 0 -1", "LINSERT l BEFORE b x", "LINSERT l AFTER b y", "LINSERT l AFTER none y", "LINSERT l FOO b y", "LINSERT none BEFORE b y", "LTRIM l 1 2", "LRANGE l 0 -1",
        "LTRIM l 5 9", "EXISTS l", "LPUSHX l a", "RPUSHX l a", "RPUSH l a b", "LPUSHX l z", "RPUSHX l c", "LMOVE l m LEFT RIGHT", "LMOVE l m RIGHT LEFT", "LMOVE l l LEFT RIGHT", "LMOVE none m LEFT RIGHT", "LMOVE l m FOO RIGHT", "RPOPLPUSH l m", "LRANGE l 0 -1", "LRANGE m 0 -1", "BLPOP l 0", "BRPOP none m 0", "BLMOVE m n LEFT LEFT 0",
        "BLPOP m -1", "BLPOP m x", "BLPOP m 0", "LRANGE n 0 -1", "RPOP n 0", "RPOP n -1", "RPOP n 100", "EXISTS n", "SET s x", "LPUSH s a", "LPOP s", "LRANGE s 0 1", "RPUSH l q", "LMOVE l s LEFT LEFT", "BLPOP s 0", "LPOP l 1 2", "LPOP l 0", "LREM s 0 a", "LTRIM s 0 1", "LLEN s", "LINDEX s 0", "LSET s 0 a",
    ],
    "streams": [
        "XADD s 1-1 a 1", "XADD s 1-2 a 2 b 3", "XADD s 1-2 a 2", "XADD s 0-0 a 2", "XADD s 5-* a 5", "XADD s 5-* a 5", "XADD s 7 a 7", "XADD s 4-* a 5", "XADD s abc a 5", "XADD s 1-1-1 a 5", "XADD s 8-0 a", "XADD s 8-0", "XADD n NOMKSTREAM 1-1 a b", "EXISTS n",
        "XADD z 0-* a b", "XADD z 0-* a b", "XADD s NOMKSTREAM 8-0 a b", "XLEN s", "XLEN none", "XRANGE s - +", "XRANGE s 5 5", "XRANGE s (1-2 +", "XRANGE s 1-2 (7", "XRANGE s - + COUNT 2", "XRANGE s - + COUNT 0", "XRANGE s - + COUNT -1", "XRANGE s - + COUNT x", "XRANGE s - + FOO 2", "XRANGE s + -",
        "XRANGE none - +", "XRANGE s x +", "XRANGE s (- +", "XRANGE s (18446744073709551615-18446744073709551615 +", "XREVRANGE s + -", "XREVRANGE s + - COUNT 2", "XREVRANGE s 5 1", "XREVRANGE s (7 (1-1", "XREVRANGE s - +", "XREAD STREAMS s 0", "XREAD COUNT 2 STREAMS s 1-1", "XREAD STREAMS s 8", "XREAD STREAMS s $",
        "XREAD STREAMS s z 5 0", "XREAD STREAMS none 0", "XREAD STREAMS s", "XREAD STREAMS s z 0", "XREAD COUNT 1", "XREAD COUNT x STREAMS s 0", "XREAD STREAMS s >", "XREAD BLOCK -1 STREAMS s $", "XREAD BLOCK x STREAMS s $", "XREAD COUNT 0 STREAMS z 0", "XREAD NOACK STREAMS s 0", "XREAD BLOCK 10 STREAMS s 0",
        "XDEL s 1-1 99-1", "XDEL none 1-1", "XDEL s x", "XDEL s 8-0", "XADD s 8-0 a b", "XADD s 8-1 a b", "XINFO STREAM s", "XINFO STREAM none", "XSETID s 20-1", "XSETID s 1-1", "XSETID none 1-1", "XSETID s 30-1 ENTRIESADDED 100 MAXDELETEDID 5-0", "XSETID s 30-1 ENTRIESADDED 1 MAXDELETEDID 5-0", "XSETID s 30-1 ENTRIESADDED -1 MAXDELETEDID 5-0",
        "XSETID s 30-1 ENTRIESADDED 100 MAXDELETEDID 50-0", "XINFO STREAM s", "XADD s 30-1 a b", "XADD s 30-2 a b", "SET x 1", "XADD x * a b", "XLEN x", "XRANGE x - +", "XREAD STREAMS x 0", "XDEL x 1-1", "XINFO STREAM x", "XADD m 18446744073709551615-18446744073709551615 a b", "XADD m * a b", "XADD m 18446744073709551615-* a b", "XADD q 18446744073709551616-0 a b",
        "XINFO HELPME s", "XINFO", "XINFO STREAM",
    ],
    "trimming": [
        *[f"XADD s {number}-0 i {number}" for number in range(1, 11)], "XTRIM s MAXLEN 7", "XTRIM s MAXLEN = 6", "XTRIM s MINID 7", "XTRIM s MAXLEN ~ 2", "XLEN s", "XADD s MAXLEN 2 20-0 a b", "XRANGE s - +", "XADD s MINID 20 21-0 a b", "XRANGE s - +", "XADD s MAXLEN = 0 22-0 a b", "XLEN s", "EXISTS s", "XINFO STREAM s",
        "XTRIM s MAXLEN -1", "XTRIM s FOO 1", "XTRIM s MAXLEN", "XTRIM s MAXLEN x", "XTRIM s MINID x", "XTRIM none MAXLEN 1", "XTRIM s MAXLEN 1 LIMIT 5", "XTRIM s MAXLEN ~ 1 LIMIT 5", "XTRIM s MAXLEN ~ 1 LIMIT -5", "XTRIM s MAXLEN 1 MINID 2", "XADD s MAXLEN 1 MINID 2 30-0 a b", "XADD s MAXLEN ~ 100 LIMIT 5 30-0 a b", "XADD s MAXLEN 100 LIMIT 5 31-0 a b",
        lua("for i=1,450 do redis.call('XADD','big',i..'-0','a','b') end return 1"), "XTRIM big MAXLEN ~ 120", "XLEN big", "XADD big MAXLEN ~ 100 1000-0 a b", "XLEN big", "XTRIM big MINID ~ 370", "XLEN big", "XTRIM big MAXLEN 0", "XLEN big", "XINFO STREAM big",
        lua("for i=1,450 do redis.call('XADD','huge',i..'-0','a','b') end return 1"), "XTRIM huge MAXLEN ~ 0 LIMIT 250", "XLEN huge", "XTRIM huge MAXLEN ~ 0 LIMIT 0", "XLEN huge", "XSETID huge 2000",
    ],
    "group administration": [
        "XGROUP CREATE s g $", "XGROUP CREATE s g $ MKSTREAM", "XGROUP CREATE s g $ MKSTREAM", "XGROUP CREATE s g2 0", "XGROUP CREATE s g3 0 ENTRIESREAD 5", "XGROUP CREATE s g4 0 ENTRIESREAD -2", "XGROUP CREATE s g4 0 ENTRIESREAD", "XGROUP CREATE s g4 x", "XGROUP CREATE s g4 0 FOO", "XINFO GROUPS s", "XINFO GROUPS none",
        "XGROUP CREATECONSUMER s g c", "XGROUP CREATECONSUMER s g c", "XGROUP CREATECONSUMER s none c", "XGROUP CREATECONSUMER none g c", "XINFO CONSUMERS s g", "XINFO CONSUMERS s none", "XINFO CONSUMERS none g", "XGROUP DELCONSUMER s g c", "XGROUP DELCONSUMER s g c", "XGROUP DELCONSUMER s none c", "XGROUP SETID s g 5-0", "XGROUP SETID s g $", "XGROUP SETID s g 5-0 ENTRIESREAD 3",
        "XGROUP SETID s none 0", "XGROUP SETID none g 0", "XGROUP SETID s g x", "XINFO GROUPS s", "XGROUP DESTROY s g", "XGROUP DESTROY s g", "XGROUP DESTROY none g", "XGROUP FOO s g", "XGROUP CREATE s", "XGROUP", "XGROUP DESTROY s", "SET x 1", "XGROUP CREATE x g 0", "XGROUP CREATE x g 0 MKSTREAM", "XINFO GROUPS x", "XGROUP DESTROY x g", "XADD s 1-1 a b", "XGROUP CREATE s late 0-0", "XGROUP CREATE s now $", "XINFO GROUPS s", "DEL s", "XINFO GROUPS s",
    ],
    "group reading": [
        *[f"XADD s {number}-0 i {number}" for number in range(1, 7)], "XGROUP CREATE s g 0", "XREADGROUP GROUP g c1 COUNT 2 STREAMS s >", "XREADGROUP GROUP g c2 COUNT 2 STREAMS s >", "XREADGROUP GROUP g c1 STREAMS s 0", "XREADGROUP GROUP g c2 COUNT 1 STREAMS s 0", "XREADGROUP GROUP g c1 STREAMS s 1-0", "XREADGROUP GROUP g c3 STREAMS s 0", "XPENDING s g", "XPENDING s g - + 10", "XPENDING s g - + 10 c1",
        "XPENDING s g (1-0 3 10", "XPENDING s g - + 1", "XPENDING s g - + 0", "XPENDING s g - +", "XPENDING s g - + x", "XPENDING s g IDLE 1000000 - + 10", "XPENDING s g IDLE 0 - + 10 c2", "XPENDING s g IDLE x - + 10", "XPENDING s g IDLE 5", "XPENDING s none", "XPENDING none g", "XPENDING s none - + 1", "XINFO CONSUMERS s g", "XINFO GROUPS s", "XACK s g 1-0 3-0 99-0", "XACK s g 1-0", "XACK s none 1-0", "XACK none g 1-0", "XACK s g x",
        "XPENDING s g", "XDEL s 2-0", "XREADGROUP GROUP g c1 STREAMS s 0", "XREADGROUP GROUP g c1 NOACK STREAMS s >", "XPENDING s g - + 10", "XREADGROUP GROUP g c1 STREAMS s >", "XREADGROUP GROUP g c9 STREAMS s >", "XINFO CONSUMERS s g", "XREADGROUP GROUP none c STREAMS s >", "XREADGROUP GROUP g c STREAMS none >", "XREADGROUP GROUP g c STREAMS s $", "XREADGROUP GROUP g c STREAMS s x", "XREADGROUP GROUP g c STREAMS s", "XREADGROUP FOO g c STREAMS s >", "XREADGROUP GROUP g c COUNT 1 FOO STREAMS s >", "XREADGROUP GROUP g c COUNT STREAMS s >", "XREADGROUP GROUP g c COUNT 1 STREAMS s s >",
        "XGROUP SETID s g 0", "XREADGROUP GROUP g c4 STREAMS s >", "XPENDING s g", "XINFO GROUPS s", "XGROUP DELCONSUMER s g c4", "XPENDING s g", "XADD t 1-0 a b", "XGROUP CREATE t g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS s t > >", "XREADGROUP GROUP g c STREAMS s t 0 0", "XREADGROUP GROUP g c STREAMS t s > 0", "XREADGROUP GROUP g c BLOCK 10 STREAMS t 0", "XADD t 2-0 a b", "XREADGROUP GROUP g c BLOCK 1000 STREAMS s t > >",
        "SET x 1", "XREADGROUP GROUP g c STREAMS x >", "XACK x g 1-0", "XPENDING x g", "DEL s", "XREADGROUP GROUP g c STREAMS s >",
    ],
    "claiming": [
        *[f"XADD s {number}-0 i {number}" for number in range(1, 8)], "XGROUP CREATE s g 0", "XREADGROUP GROUP g c1 COUNT 5 STREAMS s >", "XCLAIM s g c2 1000000 1-0", "XCLAIM s g c2 0 1-0", "XCLAIM s g c2 0 2-0 JUSTID", "XPENDING s g - + 10", "XCLAIM s g c2 0 3-0 IDLE 5000000 RETRYCOUNT 7", "XPENDING s g - + 10", "XCLAIM s g c2 0 6-0", "XCLAIM s g c2 0 6-0 FORCE", "XCLAIM s g c2 0 7-0 FORCE JUSTID", "XPENDING s g - + 10", "XDEL s 4-0", "XCLAIM s g c2 0 4-0", "XPENDING s g - + 10",
        "XCLAIM s g c2 0 99-0 FORCE", "XCLAIM s g c2 0 5-0 TIME 1000", "XPENDING s g - + 10", "XCLAIM s g c2 0 5-0 TIME 99999999999999", "XCLAIM s g c2 0 5-0 LASTID 6-0", "XINFO GROUPS s", "XCLAIM s g c2 0 5-0 FOO", "XCLAIM s g c2 0 5-0 IDLE x", "XCLAIM s g c2 0 5-0 IDLE", "XCLAIM s g c2 0 5-0 RETRYCOUNT -1", "XCLAIM s g c2 x 5-0", "XCLAIM s none c2 0 5-0", "XCLAIM none g c2 0 5-0", "XCLAIM s g c2 0", "XCLAIM s g c2 0 x", "XCLAIM s g c2 -5 5-0", "XINFO CONSUMERS s g", "XCLAIM s g c3 1000000 3-0 IDLE 0 JUSTID", "XPENDING s g - + 10",
    ],
    "autoclaiming": [
        *[f"XADD s {number}-0 i {number}" for number in range(1, 9)], "XGROUP CREATE s g 0", "XREADGROUP GROUP g c1 STREAMS s >", "XAUTOCLAIM s g c2 1000000 0", "XAUTOCLAIM s g c2 0 0 COUNT 2", "XAUTOCLAIM s g c2 0 3 COUNT 2", "XAUTOCLAIM s g c2 0 (3-0 COUNT 2 JUSTID", "XPENDING s g - + 10", "XDEL s 1-0 2-0 5-0", "XAUTOCLAIM s g c3 0 0 COUNT 2", "XAUTOCLAIM s g c3 0 0 COUNT 3", "XPENDING s g", "XCLAIM s g c1 0 6-0 8-0 IDLE 5000000 JUSTID", "XAUTOCLAIM s g c4 1000000 - COUNT 1", "XAUTOCLAIM s g c4 1000000 0",
        "XAUTOCLAIM s g c4 0 9", "XAUTOCLAIM s g c4 0 x", "XAUTOCLAIM s g c4 x 0", "XAUTOCLAIM s g c4 0 0 COUNT 0", "XAUTOCLAIM s g c4 0 0 COUNT x", "XAUTOCLAIM s g c4 0 0 FOO", "XAUTOCLAIM s g c4 0 0 COUNT", "XAUTOCLAIM s none c4 0 0", "XAUTOCLAIM none g c4 0 0", "XAUTOCLAIM s g c4 -1 0", "XINFO CONSUMERS s g", "XDEL s 3-0 4-0 6-0 7-0 8-0", "XAUTOCLAIM s g c5 0 0", "XPENDING s g", "XINFO GROUPS s", "XAUTOCLAIM s g c5 0 0",
    ],
    "counters of groups": [
        "XGROUP CREATE s g $ MKSTREAM", "XINFO GROUPS s", *[f"XADD s {number}-0 i {number}" for number in range(1, 7)], "XINFO GROUPS s", "XREADGROUP GROUP g c COUNT 2 STREAMS s >", "XINFO GROUPS s", "XDEL s 1-0", "XINFO GROUPS s", "XDEL s 4-0", "XINFO GROUPS s", "XREADGROUP GROUP g c COUNT 1 STREAMS s >", "XINFO GROUPS s", "XREADGROUP GROUP g c COUNT 1 STREAMS s >", "XINFO GROUPS s", "XREADGROUP GROUP g c STREAMS s >", "XINFO GROUPS s", "XGROUP CREATE s h 3-0", "XGROUP CREATE s i 0", "XGROUP CREATE s j $", "XINFO GROUPS s", "XTRIM s MAXLEN 1", "XINFO GROUPS s",
        "XREADGROUP GROUP i c STREAMS s >", "XINFO GROUPS s", "XDEL s 6-0", "XINFO GROUPS s", "XINFO STREAM s", "XADD s 9-0 a b", "XINFO GROUPS s", "XREADGROUP GROUP h c STREAMS s >", "XINFO GROUPS s", "XGROUP SETID s h 0", "XINFO GROUPS s",
    ],
    "keys": [
        "MSET user:1 a user:2 b x c", "KEYS user:*", "KEYS *", "KEYS user:[12]", "KEYS user:[^1]", "KEYS user:[1-2]", "KEYS us?r:1", "KEYS nope", r"KEYS user:\1", r"KEYS \*", "KEYS u*r*1", "KEYS [", "KEYS user:[12", "KEYS user:[]1", "KEYS ?", "EXISTS x x none", "TOUCH x none", "TYPE x", "TYPE none", "DEL x none", "UNLINK user:1", "DBSIZE",
        "SET a 1 EX 1000", "RENAME a b", "TTL b", "RENAME none c", "RENAME b b", "RENAMENX b user:2", "RENAMENX b c", "RENAMENX none c", "RENAMENX c c", "COPY c d", "TTL d", "COPY c d", "COPY c d REPLACE", "COPY c c", "COPY none e", "COPY c e FOO", "COPY c e DB 0", "SCAN 0 COUNT 1000", "SCAN 0 MATCH c* COUNT 1000", "SCAN 0 COUNT 1000 TYPE string", "SCAN 0 COUNT 1000 TYPE hash", "SCAN x", "SCAN 0 COUNT 0", "SCAN 0 COUNT x", "SCAN 0 FOO 1",
        "SCAN 0 MATCH", "HSET h f v", "RENAME h d", "TYPE d", "TTL d", "COPY d h", "HSET h f w", "HGET d f", "XADD s 1-1 a b", "XGROUP CREATE s g 0", "XREADGROUP GROUP g c STREAMS s >", "COPY s t", "XACK t g 1-1", "XPENDING s g", "XPENDING t g", "ZADD z 1 a", "COPY z y", "ZADD y 2 b", "ZRANGE z 0 -1", "FLUSHDB", "DBSIZE", "RANDOMKEY", "SET only 1", "RANDOMKEY", "FLUSHALL ASYNC", "FLUSHALL FOO", "KEYS *", "DEL", "EXISTS", "RENAME a",
    ],
    "transactions": [
        "MULTI", "SET a 1", "INCR a", "EXEC", "MULTI", "SET a x", "INCR a", "GET a", "EXEC", "MULTI", "BOGUS", "SET a 9", "EXEC", "GET a", "MULTI", "SET a", "EXEC", "EXEC", "DISCARD", "MULTI", "SET a 5", "DISCARD", "GET a", "WATCH a", "SET a 2", "MULTI", "GET a", "EXEC", "WATCH a", "MULTI", "GET a", "EXEC", "WATCH a", "SET a 3", "UNWATCH", "MULTI", "GET a", "EXEC", "WATCH none", "SET none 1", "MULTI", "EXEC",
        "WATCH a", "DEL none2", "MULTI", "EXEC", "WATCH h", "HSET h f v", "MULTI", "EXEC", "WATCH a", "EXPIRE a 1000", "MULTI", "EXEC", "MULTI", "XGROUP CREATE s g 0 MKSTREAM", "XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "BLPOP l 0", "XREAD BLOCK 0 STREAMS s $", "EXEC", "MULTI", lua("return redis.call('SET','k',ARGV[1])", 0, "v"), "GET k", "EXEC", "MULTI", "PUBLISH c m", "EXEC", "WATCH a", "FLUSHALL", "MULTI", "EXEC", "MULTI", "UNWATCH", "PING", "EXEC", "WATCH", "MULTI x",
    ],
    "hexadecimal numbers": ["ZADD z 0x10 hex", "ZADD z 1 0x10", "INCRBY n 0x10"],
    "refused in transactions": ["MULTI", "MULTI", "EXEC", "MULTI", "WATCH a", "EXEC", "MULTI", "DISCARD x", "DISCARD", "EXEC", "MULTI", "BOGUS", "DISCARD", "MULTI", "EXEC"],
    "lua values": [
        lua("return 1"), lua("return 3.99"), lua("return -3.99"), lua("return 'x'"), lua("return true"), lua("return false"), lua("return nil"), lua("return"), lua("return {1,2,'x'}"), lua("return {1,nil,3}"), lua("return {1,false,true,'a'}"), lua("return {}"), lua("return {{1},{'a',{2}}}"), lua("return {a=1}"), lua("return {ok='fine'}"), lua("return {err='ERR bad'}"), lua("return {err='bad'}"), lua("return redis.status_reply('yes')"), lua("return redis.error_reply('no way')"),
        lua("return redis.error_reply('MYERR no way')"), lua("return redis.error_reply('-MYERR no way')"), lua("return redis.error_reply('oneword')"), lua("return redis.error_reply()"), lua("return redis.status_reply()"), lua("return redis.error_reply(1)"), lua("return 1,2"), lua("return 2^53"), lua("return 1e15"), lua("return tostring(1795204147.4255469)"), lua("return tostring(3)"), lua("return tostring(1e15)"), lua("return tostring(0.1)"), lua("return tonumber('1795204147.425547')"), lua("return tostring(tonumber('0x10'))"), lua("return tonumber('abc') == nil"),
        lua("return tonumber(' 12 ')"), lua("return tostring(1e100)"), lua("return tostring(2^63)"), lua("return {1.5, 2.5}"), lua("return #KEYS + #ARGV", 2, "a", "b", "c"), lua("return {KEYS[1],ARGV[1],KEYS[2]}", 1, "a", "b"), lua("return ARGV[1]"), lua("return redis.sha1hex('')"), lua("return redis.sha1hex('abc')"), lua("return string.format('%.17g', 1795204147.425547)"), lua("return type(redis.call)"), lua("return {1,{err='ERR inner'},{ok='inner'}}"), lua("return {double=3.5}"), lua("return 'a\\r\\nb'"), lua("return {ok='a\\r\\nb'}"), lua("return {err='ERR a\\r\\nb'}"),
        lua("return math.floor(3.7)"), lua("return string.rep('ab', 3)"), lua("return table.concat({1,2,3}, ',')"), lua("return select('#', 1, nil, nil)"), lua("return {unpack({1,2,3}, 2)}"), lua("local t = {} for k, v in pairs({a=1}) do t[#t+1] = k t[#t+1] = v end return t"), lua("return pcall(function() error('x') end)"), lua("return {pcall(function() error('x', 0) end)}"), lua("return {pcall(function() error({err='E x'}) end)}"), lua("return _VERSION"), lua("return 0/0"), lua("return 1/0 > 1"), lua("return -0.0"), lua("return cjson.encode({1,2,'x'})"), lua("return cjson.encode({a=1})"), lua("return cjson.decode('[1,\"b\",null]')[2]"), lua("return cjson.decode('{\"a\":{\"b\":7}}').a.b"), lua("return cjson.encode('a/b\"c')"), lua("return cjson.decode('null') == cjson.null"),
        lua("return tostring(redis.LOG_WARNING)"), lua("redis.log(redis.LOG_NOTICE, 'x') return 1"), lua("return loadstring('return 1 + 1')()"), lua("local x = 5 local f = function() return x end return f()"), lua("return next({}) == nil"), lua("return ('x'):rep(3)"), lua("return #'abc'"), lua("return 7 % 3"), lua("return tostring(nil)"), lua("return {tostring(true), tostring(1.0)}"), lua("#!lua\nreturn 5"),
    ],
    "lua calls": [
        lua("return redis.call('SET',KEYS[1],ARGV[1])", 1, "k", "v"), lua("return redis.call('GET','k')"), lua("return redis.call('GET','none')"), lua("return redis.call('GET','none') == false"), lua("return redis.call('SET','k','w').ok"), lua("return redis.call('HSET','h','a',1,'b',2.5)"), lua("return redis.call('HGETALL','h')"), lua("return redis.call('HMGET','h','a','zz','b')"), lua("local r = redis.call('HMGET','h','a','zz') return {r[1], r[2] == false, #r}"), lua("redis.call('HSET','h','n',1795204147.425547) return redis.call('HGET','h','n')"), lua("redis.call('HSET','h','n',1e20) return redis.call('HGET','h','n')"),
        lua("redis.call('HSET','h','n',100000000000000000) return redis.call('HGET','h','n')"), lua("redis.call('HSET','h','n',-5) return redis.call('HGET','h','n')"), lua("redis.call('HSET','h','n',0.1) return redis.call('HGET','h','n')"), lua("redis.call('HSET','h','n',1/0) return redis.call('HGET','h','n')"), lua("return redis.call('ZADD','z',ARGV[1],'m')", 0, "1.5"), lua("return redis.call('ZSCORE','z','m')"), lua("return tonumber(redis.call('ZSCORE','z','m')) + 1"), lua("return redis.call('ZRANGEBYSCORE','z',0,5,'WITHSCORES')"), lua("return redis.call('XADD','s','1-1','a','b')"), lua("return redis.call('XRANGE','s','-','+')"), lua("return redis.call('XRANGE','s','-','+')[1][2][1]"), lua("return redis.call('EXISTS','s')"), lua("return redis.call('INCRBY','n',3)"),
        lua("return redis.call('TYPE','s').ok"), lua("return redis.call('PING')"), lua("return redis.call('TYPE','s')"), lua("return redis.call('XREADGROUP','GROUP','g','c','BLOCK',0,'STREAMS','s','>')"), lua("redis.call('XGROUP','CREATE','s','g','0') return redis.call('XREADGROUP','GROUP','g','c','STREAMS','s','>')"), lua("return redis.call('XREADGROUP','GROUP','g','c','STREAMS','s','>')"), lua("return redis.call('XACK','s','g','1-1')"), lua("return redis.call('PUBLISH','c','m')"), lua("return redis.call('get','k')"), lua("return redis.pcall('GET','k')"), lua("return redis.call('BLPOP','nolist',0)"), lua("return redis.call('XREAD','BLOCK',0,'STREAMS','s','$')"), "EVALSHA 0000000000000000000000000000000000000000 0", "SCRIPT LOAD return(1)", "EVALSHA 098e0f0d1448c0a81dafe820f66d460eb09263da 0", "SCRIPT EXISTS 098e0f0d1448c0a81dafe820f66d460eb09263da ffff",
        "SCRIPT FLUSH", "SCRIPT EXISTS 098e0f0d1448c0a81dafe820f66d460eb09263da", "SCRIPT FLUSH FOO", "SCRIPT FOO", "EVAL return(1) x", "EVAL return(1) 5 a", "EVAL return(1) -1", "EVAL return(1)", "EVALSHA 098E0F0D1448C0A81DAFE820F66D460EB09263DA 0", ("EVAL_RO", "return redis.call('GET','k')", 0), ("EVAL_RO", "return redis.call('SET','k','x')", 0), ("EVAL_RO", "return redis.pcall('SET','k','x')", 0), "SCRIPT LOAD", ("SCRIPT", "LOAD", "return("),
    ],
    "lua errors": [
        "SET str x", lua("return redis.call('INCR','str')"), lua("return redis.call('HGET','str','f')"), lua("return redis.pcall('HGET','str','f')"), lua("return redis.pcall('HGET','str','f').err"), lua("local r = redis.pcall('INCR','str') return {r.err, type(r)}"), lua("return redis.call('NOSUCH')"), lua("return redis.pcall('NOSUCH').err"), lua("return redis.call('GET')"), lua("return redis.pcall('GET').err"), lua("return redis.call()"), lua("return redis.call('GET', {})"), lua("return redis.call('GET', true)"), lua("return redis.call('GET', nil)"), lua("error('boom')"), lua("error({err='CODE text'})"), lua("error('boom', 0)"), lua("local x = nil\nreturn x.y"), lua("return nope"), lua("nope = 1"), lua("return redis.nope"),
        lua("redis.call = 1"), lua("string.rep = 1"), lua("rawset(_G, 'leak', 1)"), lua("return leak"), lua("function leaked() end"), lua("return 5"), lua("local function f() return 1 end return f()"), lua("this is not lua"), lua("return redis.call('SUBSCRIBE','c')"), lua("return redis.call('MULTI')"), lua("return redis.call('EVAL','return 1',0)"), lua("return redis.call('WATCH','k')"), lua("return {pcall(function() return redis.call('INCR','str') end)}"), lua("return {pcall(redis.call, 'INCR', 'str')}"), lua("redis.call('SET','done','1') error('after')"), "GET done", lua("return tostring(1) .. nil"), lua("\n\nreturn redis.call('INCR','str')"), lua("return require('os')"), lua("return os.execute"), lua("return io"), lua("return redis.call('SELECT', 0)"), lua("for i = 1, 3 do redis.call('INCR', 'loop') end return redis.call('GET', 'loop')"), lua("assert(false, 'asserted')"), lua("assert(false)"), lua("return KEYS[1]", 1, "k"), lua("KEYS = {}"), lua("KEYS[1] = 'changed' return KEYS[1]", 1, "k"), lua("return getmetatable(_G)"), lua("return redis.setresp(2)"), lua("return redis.sha1hex()"),
    ],
    "connections": [
        "PING", "PING hello", "PING a b", "ECHO x", "ECHO", "SELECT 0", "SELECT x", "AUTH pw", "AUTH default pw", "AUTH other pw", "AUTH a b c", "HELLO 9", "HELLO x", "CLIENT SETNAME me", "CLIENT GETNAME", ("CLIENT", "SETNAME", "a b"), "CLIENT SETNAME", "CLIENT FOO", "CLIENT NO-EVICT ON", "CLIENT NO-EVICT FOO", "NOSUCH", "NOSUCH a b c", ("NOSUCH", "x" * 200), "WAIT 0 0", "WAIT x 0", "PUBLISH none m", "PUBSUB CHANNELS", "PUBSUB NUMSUB a b", "PUBSUB NUMPAT", "PUBSUB FOO", "PUBSUB", "PUBLISH c", "RESET", "CLIENT GETNAME", "CONFIG GET maxmemory", "CONFIG GET nothing-like-it", "UNSUBSCRIBE", "PUNSUBSCRIBE", "UNSUBSCRIBE a",
    ],
}  # fmt: skip

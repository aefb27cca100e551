"""Random stream commands, groups included."""

from __future__ import annotations

from tests.memory.choices import FAR, OLD_AGE, Arguments, Choices


def xadd(pick: Choices) -> Arguments:
    trim = pick.maybe(
        0.15, *pick.one(("MAXLEN", pick.one(0, 2, 5, 50)), ("MAXLEN", "=", 4), ("MINID", pick.id()),
        ("MINID", "=", str(pick.clock - 10)))
    )  # fmt: skip
    fields = [part for _ in range(pick.random.randint(1, 3)) for part in (pick.field(), pick.value())]
    where = pick.id() if pick.random.random() < 0.05 else pick.fresh()
    return ("XADD", pick.stream(), *pick.maybe(0.1, "NOMKSTREAM"), *trim, where, *fields)


def xdel(pick: Choices) -> Arguments:
    return ("XDEL", pick.stream(), *pick.some(pick.id, 1, 4))


def xtrim(pick: Choices) -> Arguments:
    return (
        "XTRIM",
        pick.stream(),
        *pick.one(("MAXLEN", pick.one(0, 1, 3, 8, 20)), ("MINID", pick.id())),
    )


def xgroup(pick: Choices) -> Arguments:
    stream, group = pick.stream(), pick.group()
    return pick.one(
        ("XGROUP", "CREATE", stream, group, pick.one("0", "0-0", "$", pick.id()), *pick.maybe(0.7,
        "MKSTREAM"), *pick.maybe(0.1, "ENTRIESREAD", pick.one(0, 3, -1))), ("XGROUP", "CREATE", stream,
        group, pick.one("0", "$"), "MKSTREAM"), ("XGROUP", "CREATE", stream, "g", "0", "MKSTREAM"),
        ("XGROUP", "SETID", stream, group, pick.one("0", "$", pick.id()), *pick.maybe(0.2,
        "ENTRIESREAD", pick.one(0, 3, 1000))), ("XGROUP", "DESTROY", stream, group) if
        pick.random.random() < 0.3 else ("XLEN", stream), ("XGROUP", "CREATECONSUMER", stream, group,
        pick.consumer()), ("XGROUP", "DELCONSUMER", stream, group, pick.consumer()),
    )  # fmt: skip


def xreadgroup(pick: Choices) -> Arguments:
    streams = (pick.stream(),) if pick.random.random() < 0.85 else ("st", "st2")
    return (
        "XREADGROUP", "GROUP", pick.group(), pick.consumer(), *pick.maybe(0.8, "COUNT",
        pick.random.randint(1, 4)), *pick.maybe(0.1, "NOACK"), "STREAMS", *streams, *(">" if
        pick.random.random() < 0.9 else "0" for _ in streams),
    )  # fmt: skip


def history(pick: Choices) -> Arguments:
    return (
        "XREADGROUP", "GROUP", pick.group(), pick.consumer(), *pick.maybe(0.5, "COUNT",
        pick.random.randint(0, 3)), "STREAMS", pick.stream(), pick.one("0", "0-0", pick.id()),
    )  # fmt: skip


def xack(pick: Choices) -> Arguments:
    return ("XACK", pick.stream(), pick.group(), *pick.some(pick.id, 1, 5))


def xpending(pick: Choices) -> Arguments:
    stream, group = pick.stream(), pick.group()
    return pick.one(
        ("XPENDING", stream, group),
        ("XPENDING", stream, group, *pick.maybe(0.4, "IDLE", FAR), pick.low(), pick.high(),
        pick.random.randint(0, 10), *pick.maybe(0.3, pick.consumer())),
    )  # fmt: skip


def xclaim(pick: Choices) -> Arguments:
    return (
        "XCLAIM", pick.stream(), pick.group(), pick.consumer(), pick.idle(), *pick.some(pick.id, 1,
        5), *pick.maybe(0.5, "IDLE", pick.one(OLD_AGE, 0)), *pick.maybe(0.2, "RETRYCOUNT", pick.one(0,
        3, -1)), *pick.maybe(0.2, "FORCE"), *pick.maybe(0.4, "JUSTID"), *pick.maybe(0.1, "LASTID",
        pick.id()),
    )  # fmt: skip


def xautoclaim(pick: Choices) -> Arguments:
    return (
        "XAUTOCLAIM", pick.stream(), pick.group(), pick.consumer(), pick.idle(), pick.one("0", "0-0",
        "-", pick.id(), f"({pick.id()}"), *pick.maybe(0.6, "COUNT", pick.random.randint(1, 4)),
        *pick.maybe(0.3, "JUSTID"),
    )  # fmt: skip


def xrange(pick: Choices) -> Arguments:
    count = pick.maybe(0.5, "COUNT", pick.random.randint(-1, 5))
    return pick.one(
        ("XRANGE", pick.stream(), pick.low(), pick.high(), *count), ("XREVRANGE", pick.stream(),
        pick.high(), pick.low(), *count), ("XLEN", pick.stream())
    )  # fmt: skip


def xread(pick: Choices) -> Arguments:
    return pick.one(
        (
            "XREAD",
            *pick.maybe(0.6, "COUNT", pick.random.randint(0, 4)),
            "STREAMS",
            pick.stream(),
            pick.one("0", "$", pick.id()),
        ),
        ("XREAD", "COUNT", 2, "STREAMS", "st", "st2", pick.id(), "0-0"),
    )


def xinfo(pick: Choices) -> Arguments:
    stream = pick.stream()
    return pick.one(
        ("XINFO", "STREAM", stream),
        ("XINFO", "GROUPS", stream),
        ("XINFO", "CONSUMERS", stream, pick.group()),
    )


def xsetid(pick: Choices) -> Arguments:
    last = f"{pick.clock + pick.one(-3, 0, 3)}-0"
    return (
        "XSETID",
        pick.stream(),
        last,
        *pick.maybe(0.4, "ENTRIESADDED", pick.one(1, 100, 1000), "MAXDELETEDID", pick.one("0-0", pick.id())),
    )

"""SCAN, HSCAN, SSCAN and ZSCAN: a scan returns every element that is there from its beginning to its end."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from zlib import crc32

from ..values import frozen
from .arguments import SYNTAX, Glob, glob, integer
from .replies import ErrorReply

__all__ = ["ScanOptions", "scan_options", "scan_order", "scan_page"]


@frozen
class ScanOptions:
    """``cursor`` and COUNT, MATCH, TYPE."""

    cursor: int
    count: int
    match: Glob | None
    kind: bytes | None


def scan_options(cursor: bytes, words: list[bytes], *, with_type: bool = False) -> ScanOptions:
    if not cursor.isdigit() or int(cursor) >= 2**64:
        raise ErrorReply(b"ERR invalid cursor")
    count, match, kind = 10, None, None
    if len(words) % 2:
        raise ErrorReply(SYNTAX)
    for word, value in zip(words[::2], words[1::2], strict=True):
        option = word.upper()
        if option == b"COUNT":
            count = integer(value)
            if count < 1:
                raise ErrorReply(SYNTAX)
        elif option == b"MATCH":
            match = glob(value)
        elif option == b"TYPE" and with_type:
            kind = value.lower()
        else:
            raise ErrorReply(SYNTAX)
    return ScanOptions(int(cursor), count, match, kind)


def scan_order(names: Iterable[bytes]) -> list[tuple[int, bytes]]:
    """The names in the order in which a scan visits them: by their hash.

    So elements that are added or removed meanwhile move no other element across the cursor.
    """
    return sorted((crc32(name) + 1, name) for name in names)


def scan_page(order: list[tuple[int, bytes]], options: ScanOptions) -> tuple[bytes, list[bytes]]:
    """The next cursor and the names of this page, TYPE not yet considered."""
    start = bisect_left(order, (options.cursor + 1, b""))
    stop = min(start + options.count, len(order))
    while start < stop < len(order) and order[stop][0] == order[stop - 1][0]:
        stop += 1  # equal hashes stay on one page
    page = [name for _, name in order[start:stop]]
    if options.match is not None:
        page = [name for name in page if options.match.fullmatch(name)]
    return (b"%d" % order[stop - 1][0] if stop < len(order) else b"0"), page

"""Reads the arguments of commands and prints numbers, with the server's own rules and error texts.

Source: https://redis.io/docs/latest/commands/ and the replies of redis-server 7.0.15.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache

from .replies import ErrorReply

__all__ = [
    "NOT_AN_INTEGER",
    "NO_SUCH_KEY",
    "SYNTAX",
    "WRONG_TYPE",
    "Glob",
    "Real",
    "glob",
    "integer",
    "print_real",
    "print_score",
    "rank_span",
    "real",
    "score",
    "score_bound",
    "seconds",
    "wrong_arity",
]

SYNTAX = b"ERR syntax error"
WRONG_TYPE = b"WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_AN_INTEGER = b"ERR value is not an integer or out of range"
NOT_A_FLOAT = b"ERR value is not a valid float"
NO_SUCH_KEY = b"ERR no such key"

_INTEGER = re.compile(rb"(?:0|-?[1-9][0-9]{0,18})\Z").match
_FLOAT = re.compile(
    rb"[+-]?(?:[0-9]+\.?[0-9]*(?:e[+-]?[0-9]+)?|\.[0-9]+(?:e[+-]?[0-9]+)?|inf(?:inity)?)\Z", re.I
).match

Glob = re.Pattern[bytes]
Real = Fraction


def integer(text: bytes, complaint: bytes = NOT_AN_INTEGER) -> int:
    """A signed 64-bit integer in its one canonical spelling."""
    if _INTEGER(text):
        number = int(text)
        if -(2**63) <= number < 2**63:
            return number
    raise ErrorReply(complaint)


def score(text: bytes, complaint: bytes = NOT_A_FLOAT) -> float:
    """A double; ``inf`` is one, ``nan`` is not."""
    if _FLOAT(text):
        return float(text)
    raise ErrorReply(complaint)


def seconds(text: bytes) -> float | None:
    """The timeout of a blocking list command; 0 means for ever and is returned as None."""
    number = score(text, b"ERR timeout is not a float or out of range")
    if number < 0:
        raise ErrorReply(b"ERR timeout is negative")
    if math.isinf(number):
        raise ErrorReply(b"ERR timeout is out of range")
    return number or None


def print_score(number: float) -> bytes:
    """A double as 7.0 prints it; newer servers print the shortest form, and clients read both."""
    return b"%.17g" % number


def real(text: bytes, complaint: bytes = NOT_A_FLOAT) -> Real:
    """An x87 extended double, which INCRBYFLOAT and HINCRBYFLOAT calculate with; never infinite here."""
    if not _FLOAT(text) or b"inf" in text.lower():
        raise ErrorReply(complaint)
    return _extended(Fraction(text.decode()))


def print_real(number: Real) -> bytes:
    """17 digits after the point, trailing zeros cut off (``%.17Lf``)."""
    scaled = round(_extended(number) * 10**17)
    whole, rest = divmod(abs(scaled), 10**17)
    text = f"{whole}.{rest:017d}".rstrip("0").rstrip(".")
    return (f"-{text}" if number < 0 else text).encode()


def _extended(number: Fraction) -> Fraction:
    """Round to the 64 significant bits of an extended double."""
    if not number:
        return number
    exponent = abs(number.numerator).bit_length() - number.denominator.bit_length()
    if abs(number) < Fraction(2) ** exponent:
        exponent -= 1
    scale = Fraction(2) ** (63 - exponent)
    return round(number * scale) / scale


def score_bound(text: bytes, complaint: bytes = b"ERR min or max is not a float") -> tuple[float, bool]:
    """``1.5`` or ``(1.5``: a bound of a score range, and whether it excludes the score itself."""
    exclusive = text[:1] == b"("
    return score(text[1:] if exclusive else text, complaint), exclusive


def rank_span(start: int, stop: int, length: int) -> tuple[int, int]:
    """Inclusive indices, negative from the end, as a half-open span within ``length``."""
    start = max(start + length, 0) if start < 0 else start
    stop = stop + length if stop < 0 else stop
    return start, max(start, min(stop + 1, length))


def wrong_arity(command: bytes) -> ErrorReply:
    return ErrorReply(b"ERR wrong number of arguments for '%b' command" % command)


@lru_cache(512)
def glob(pattern: bytes) -> Glob:
    """A Redis glob (``* ? [a-z] [^a] \\x``) as a regular expression; use its ``fullmatch``."""
    parts: list[bytes] = []
    at, end = 0, len(pattern)
    while at < end:
        char = pattern[at : at + 1]
        if char == b"*":
            parts.append(b".*")
        elif char == b"?":
            parts.append(b".")
        elif char == b"\\" and at + 1 < end:
            at += 1
            parts.append(re.escape(pattern[at : at + 1]))
        elif char == b"[":
            part, at = _character_class(pattern, at + 1)
            parts.append(part)
        else:
            parts.append(re.escape(char))
        at += 1
    return re.compile(b"".join(parts), re.DOTALL)


def _character_class(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The regular expression of the ``[...]`` at ``at``, and where it ends; an open one ends the pattern."""
    negated = pattern[at : at + 1] == b"^"
    at += negated
    members: list[bytes] = []
    while at < len(pattern) and pattern[at] != 0x5D:
        if pattern[at] == 0x5C and at + 1 < len(pattern):
            at += 1
            members.append(re.escape(pattern[at : at + 1]))
        elif pattern[at + 1 : at + 2] == b"-" and at + 2 < len(pattern):
            low, high = sorted((pattern[at : at + 1], pattern[at + 2 : at + 3]))
            members.append(b"%b-%b" % (re.escape(low), re.escape(high)))
            at += 2
        else:
            members.append(re.escape(pattern[at : at + 1]))
        at += 1
    if not members:
        return (b"." if negated else b"(?!)"), at
    return b"[%b%b]" % (b"^" if negated else b"", b"".join(members)), at

"""Microseconds of each step of a payload: arguments made and opened, a result made and opened.

All kinds of dockets take turns of a hundred, and the least turn of each counts: what else a machine does only adds.
``hmac`` is one HMAC-SHA256 as signatures make it, of as many bytes: below that no signature can be.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from drain import call_of, three
from meter import arguments, run

from docket import Docket
from docket.store import Message, Payloads

AT_ONCE, KEY = 100, "0190f3f2-1d5c-7bbb-8ccc-0123456789ab"
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "signed": {"signing_keys": ["k" * 32]},
    "json": {"serializer": "json"},
    "json, signed": {"serializer": "json", "signing_keys": ["k" * 32]},
}


def steps(payloads: Payloads) -> dict[str, Callable[[], object]]:
    about: Any = {"task": "three", "key": KEY, "generation": 1, "function": three}
    when, given = datetime.now(UTC), call_of(three, 17)

    def made() -> tuple[bytes, bytes]:
        return payloads.call(given, {}, task="three", key=KEY, when=when, function=three)

    message, kept = Message(KEY, when, "three", *made()), payloads.result(17, **about)
    return {
        "arguments made": made,
        "arguments opened": lambda: payloads.open_call(message, three, to_run=True),
        "result made": lambda: payloads.result(17, **about),
        "result opened": lambda: payloads.open_result(kept, failed=False, **about),
    }


def one_hmac() -> Callable[[], object]:
    inner, outer, text = hashlib.sha256(b"i" * 64), hashlib.sha256(b"o" * 64), b"x" * 240

    def made() -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(text)
        second.update(first.digest())
        return second.digest()

    return made


async def main(given: argparse.Namespace) -> dict[str, float]:
    timed: dict[str, Callable[[], object]] = {"nothing": lambda: None, "hmac": one_hmac()}
    for kind, settings in KINDS.items():
        docket = Docket(name="bench", url="memory://", **settings)
        timed |= {f"{kind}: {step}": taken for step, taken in steps(docket.payloads).items()}
    least = dict.fromkeys(timed, float("inf"))
    gc.disable()
    for _ in range(given.n):
        for name, step in timed.items():
            began = time.perf_counter()
            for _ in range(AT_ONCE):
                step()
            least[name] = min(least[name], time.perf_counter() - began)
    nothing = least.pop("nothing")
    return {name: 1e6 * (seconds - nothing) / AT_ONCE for name, seconds in least.items()}


if __name__ == "__main__":
    run(main, arguments().parse_args())

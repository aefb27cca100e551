"""How runs have ended: rows for the history of each task, and what each minute and hour saw; both are bounded.

Workers write them in batches, some time after the ends themselves: nobody who runs tasks waits for this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TypeVar, cast

from .. import clock
from ..transport import Argument, Client
from ..values import define, frozen
from . import script_calls
from .answers import answers, named, naming
from .counted import ALL_TASKS, KINDS_OF_SLOTS, STATES, Depth, EndState, RunCounts, Slots, ended_in
from .foreign import text
from .keys import Keys
from .schedule import milliseconds

__all__ = ["CHAINS_AT_ONCE", "LONGEST_KEY", "Ledger", "Row", "TaskEnds", "row_text"]

#: How many tasks have a history. Others than these are those of which no run has ended for longest.
MOST_TASKS = 500

#: How many keys of chains are kept of a task, those that ran last, and how many of them are written at once.
MOST_CHAINS, CHAINS_AT_ONCE = 1000, 400

#: How many characters of a key and of an error a row has.
LONGEST_KEY, LONGEST_ERROR = 4096, 200

LETTERS = dict(zip(STATES, "cfrx", strict=True))
_STATES: dict[str, EndState] = {letter: state for state, letter in LETTERS.items()}
BLOCKS = 100

Block = TypeVar("Block")


def _escaped(part: str) -> str:
    return part.replace("\\", "\\\\").replace("\t", "\\t")


def _unescaped(part: str) -> str:
    if "\\" not in part:
        return part
    return "\\".join(piece.replace("\\t", "\t") for piece in part.split("\\\\"))


def _written(row_id: bytes) -> int:
    """When a row was written, by the server's clock, in epoch ms."""
    return int(row_id.partition(b"-")[0])


def row_text(
    state: EndState,
    numbers: tuple[int, int],
    times: tuple[float, float | None, float],
    left_out: int,
    worker: str,
    key: str,
    error: str,
    waited: str = "",
) -> str:
    """A row as the stream has it in its field ``r``.

    What the parts are, `Row` says: ``numbers`` are the generation and the attempt, ``times`` started, ran and late.
    Most have no ``waited``.
    """
    (generation, attempt), (started, ran, late) = numbers, times
    if len(key) > LONGEST_KEY:
        key = f"{key[:LONGEST_KEY]}..."
    micros = "" if ran is None else round(ran * 1e6)
    text = (
        f"{LETTERS[state]}\t{generation}\t{attempt}\t{round(started * 1e3)}\t{micros}\t"
        f"{round(late * 1e6)}\t{left_out}\t{_escaped(worker)}\t{_escaped(key)}\t{_escaped(error[:LONGEST_ERROR])}"
    )
    return f"{text}\t{_escaped(waited[:LONGEST_KEY])}" if waited else text


@frozen
class Row:
    """How one run ended. Moments are epoch seconds, durations seconds."""

    key: str
    state: EndState
    generation: int
    attempt: int
    started: float
    ran: float | None
    """None where the body did not begin."""
    late: float
    worker: str
    error: str
    waited: str = ""
    """Its level and the row of those with which it took turns (`waited_as`)."""
    left_out: int = 0
    """How many runs ended alike in about that moment and have no row."""
    id: str = ""
    """Where it stands in the history of its task; empty as long as it is not written."""

    @classmethod
    def read(cls, row_id: str, row: str) -> Row | None:
        """None where it is none: somebody else has written it."""
        parts = row.split("\t")
        try:
            letter, generation, attempt, started, ran, late, left_out, worker, key, error, *waited = parts
            return cls(
                _unescaped(key),
                _STATES[letter],
                int(generation),
                int(attempt),
                int(started) / 1e3,
                int(ran) / 1e6 if ran else None,
                int(late) / 1e6,
                _unescaped(worker),
                _unescaped(error),
                _unescaped(waited[0]) if waited else "",
                int(left_out),
                row_id,
            )
        except (ValueError, KeyError):
            return None


@define(eq=False)
class TaskEnds:
    """How runs of a task have ended since the last batch."""

    task: str
    at: float
    """When the last one did, in epoch seconds."""
    rows: Sequence[str]
    """`row_text` of each that is to have a row."""
    counts: Mapping[int, RunCounts]
    """What was seen in each minute, by its number since the epoch."""
    chains: Sequence[str] = ()
    """The keys of perpetual runs after which another follows, each once."""

    def arguments(self) -> list[Argument]:
        """What ledger.lua takes of them."""
        slots: dict[tuple[Slots, int, int], RunCounts] = {}
        for minute, counts in self.counts.items():
            for kind in KINDS_OF_SLOTS.values():
                found = slots.setdefault((kind, *kind.place(minute * 60)), RunCounts())
                found.add(counts)
        chains = self.chains[-CHAINS_AT_ONCE:]
        said: list[Argument] = [self.task, len(self.rows), *self.rows, len(chains), *chains, len(slots)]
        for (kind, block, slot), counts in slots.items():
            words = counts.words(slot)
            said += kind.kind, block, len(words), *words
        return said


@define(eq=False)
class Ledger:
    """The history of a docket's tasks. ``ttl`` is how long rows are kept, ``kept`` how many of each task.

    Zero of the first: nothing is written; of the second: no rows, but figures.
    """

    client: Client
    keys: Keys
    ttl: timedelta
    kept: int

    @property
    def is_on(self) -> bool:
        return self.ttl > timedelta(0)

    async def write(
        self, worker: str, batch: str, tasks: Sequence[TaskEnds], at: float
    ) -> list[tuple[str, str]]:
        """Write some ends, which were counted ``at`` (epoch seconds).

        Once: what the worker writes again, as the answer was lost, has the same name of its ``batch``.
        Returns tasks and the keys of theirs that hold something else, where nothing was written.
        Raises: KeyUnreadable - that of all names does; RedisError.
        """
        call = script_calls.ledger(
            self.keys,
            worker=worker,
            batch=batch,
            at_ms=f"{at * 1e3:.0f}",
            history_kept=self.kept,
            history_ttl_ms=milliseconds(self.ttl),
            most_tasks=MOST_TASKS,
            most_chains=MOST_CHAINS,
            depths_too=int(self.client.is_memory),
            tasks=[argument for task in tasks for argument in task.arguments()],
        )
        with naming(self.keys.ended_tasks, "sorted set"):
            wrong = list(map(text, cast("list[bytes]", await self.client.run(*call))))
        return list(zip(wrong[::2], wrong[1::2], strict=True))

    # reading ---------------------------------------------------------------------------------------------

    async def tasks(self, since: float = 0.0) -> dict[str, float]:
        """When a run of each task ended last, in epoch seconds, the latest first; of those that did ``since`` then.

        Raises: KeyUnreadable; RedisError.
        """
        name = self.keys.ended_tasks
        with naming(name, "sorted set"):
            asked = "+inf", f"{since * 1e3:.0f}", "BYSCORE", "REV", "WITHSCORES"
            reply = await self.client.call("ZRANGE", name, *asked)
        flat = cast("list[bytes]", reply)
        return {text(task): float(ms) / 1e3 for task, ms in zip(flat[::2], flat[1::2], strict=True)}

    async def pages(self, starts: Mapping[str, str], count: int) -> dict[str, tuple[list[Row], str | None]]:
        """``count`` rows of each of some tasks, the latest first, and where the next of them start; None for no more.

        Each starts where it says: at ``+``, at an id, or behind one in ``(``. What is no row is left out, and so is
        what is kept for longer than ``ttl``.
        Raises: KeyUnreadable; RedisError.
        """
        asked = [
            ("XREVRANGE", self.keys.history(task), start, "-", "COUNT", count)
            for task, start in starts.items()
        ]
        oldest = (clock.timestamp() - self.ttl.total_seconds()) * 1e3 if self.is_on else 0.0
        found: dict[str, tuple[list[Row], str | None]] = {}
        for task, reply in zip(starts, answers(await self.client.call_many(asked)), strict=True):
            page = cast("list[tuple[bytes, list[bytes]]]", named(reply, self.keys.history(task), "stream"))
            is_last = len(page) < count or _written(page[-1][0]) < oldest
            rows = [
                row
                for row_id, fields in page
                if len(fields) > 1
                and _written(row_id) >= oldest
                and (row := Row.read(row_id.decode(), text(fields[1]))) is not None
            ]
            found[task] = (rows, None if is_last else f"({page[-1][0].decode()}")
        return found

    async def counts(self, task: str | None, per: str, since: float) -> list[tuple[float, RunCounts]]:
        """What each minute or hour (``per``) since a moment saw of a task, or of all: when it began, and that.

        Raises: RedisError.
        """
        kind, name = KINDS_OF_SLOTS[per], ALL_TASKS if task is None else task
        slots = list(kind.since(since, clock.timestamp()))
        blocks = await self._blocks(
            [(block, self.keys.counted(kind.kind, name, block)) for _, block, _ in slots]
        )
        return [(began, RunCounts.read(blocks[block], slot)) for began, block, slot in slots]

    async def busiest(self, most: int, since: float) -> dict[str, list[tuple[float, RunCounts]]]:
        """What each minute since a moment saw of the tasks of which most runs ended, the busiest first.

        One command, and one more for each hundred blocks: of at most `MOST_TASKS`, two for each hour.
        Raises: KeyUnreadable; RedisError.
        """
        kind = KINDS_OF_SLOTS["minute"]
        slots: dict[int, list[int]] = {}
        begins: list[tuple[float, int, int]] = []
        for began, block, slot in kind.since(since, clock.timestamp()):
            slots.setdefault(block, []).append(slot)
            begins.append((began, block, slot))
        names = await self.tasks(since)
        blocks = await self._blocks(
            [((task, block), self.keys.counted(kind.kind, task, block)) for task in names for block in slots]
        )
        sums = {task: sum(ended_in(blocks[task, block], slots[block]) for block in slots) for task in names}
        busy = sorted((task for task in names if sums[task]), key=lambda task: (-sums[task], task))[:most]
        return {
            task: [(began, RunCounts.read(blocks[task, block], slot)) for began, block, slot in begins]
            for task in busy
        }

    async def counts_of(
        self, tasks: Sequence[str], per: str, since: float
    ) -> list[list[tuple[float, RunCounts]]]:
        """As `counts`, of each of some tasks, a hundred blocks in one command. Raises: RedisError."""
        kind = KINDS_OF_SLOTS[per]
        slots = list(kind.since(since, clock.timestamp()))
        numbers = dict.fromkeys(block for _, block, _ in slots)
        blocks = await self._blocks(
            [
                ((task, block), self.keys.counted(kind.kind, task, block))
                for task in tasks
                for block in numbers
            ]
        )
        return [
            [(began, RunCounts.read(blocks[task, block], slot)) for began, block, slot in slots]
            for task in tasks
        ]

    async def depths(self, since: float) -> list[Depth]:
        """How full the docket was in each minute since a moment in which somebody noted it. Raises: RedisError."""
        slots = list(KINDS_OF_SLOTS["minute"].since(since, clock.timestamp()))
        blocks = await self._blocks([(block, self.keys.depths(block)) for _, block, _ in slots])
        found = (Depth.read(began, blocks[block], slot) for began, block, slot in slots)
        return [depth for depth in found if depth is not None]

    async def _blocks(self, wanted: Sequence[tuple[Block, str]]) -> dict[Block, bytes]:
        """Whole blocks by what stands for them; empty where there is none, or something else."""
        names = dict(wanted)
        found: dict[Block, bytes] = {}
        blocks = list(names.items())
        for at in range(0, len(blocks), BLOCKS):
            some = blocks[at : at + BLOCKS]
            reply = await self.client.call("MGET", *(name for _, name in some))
            held = cast("list[bytes | None]", reply)
            found |= {block: each or b"" for (block, _), each in zip(some, held, strict=True)}
        return found

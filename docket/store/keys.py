"""Where everything of one docket is kept. The names are the wire's, shared with pydocket 0.27."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import attrs

from ..errors import BadSetting
from ..values import frozen

__all__ = [
    "GROUP",
    "RATE_BESIDE",
    "SLOTS_BESIDE",
    "Keys",
    "Reserved",
    "level_of_row",
    "paused_task",
    "turn_awaited",
]

_GLOB = re.compile(r"[\\*?\[\]]")

GROUP = "docket-workers"
"""The consumer group of every docket."""

#: What stands behind the name of a concurrency limit, and of a rate, in the names of what is kept beside it.
SLOTS_BESIDE = (":waiters", ":owners", ":woken")
RATE_BESIDE = (":reserved",)


@frozen(slots=False)
class Channels:
    """The channels below one prefix. No task is parked at the name of a channel's making, so none is reserved."""

    prefix: str

    @cached_property
    def wake(self) -> str:
        """Something that a waiting worker should look at. pydocket does not know it."""
        return f"{self.prefix}:wake"

    @cached_property
    def cancellations(self) -> str:
        """Pattern of all cancellation requests."""
        return _GLOB.sub(r"\\\g<0>", self.prefix) + ":cancel:*"

    def state_channel(self, key: str) -> str:
        return f"{self.prefix}:state:{key}"

    def cancel_channel(self, key: str) -> str:
        return f"{self.prefix}:cancel:{key}"


@frozen(slots=False)  # with a dictionary for the names that every call needs
class Keys(Channels):
    """The keys and channels below one prefix (the docket's name; ``{name}`` with braces on a cluster).

    Every public member that returns a name, but for those of `_OF_PARKED`, is one that no task may be parked at
    (`is_reserved`): what is added here is reserved by that.
    """

    #: The docket's name, in the few names that pydocket makes of it without the braces, on a cluster too.
    name: str = attrs.field(default=attrs.Factory(lambda self: self.prefix, takes_self=True))

    @classmethod
    def on_cluster(cls, name: str) -> Keys:
        """The keys of a docket on a cluster: all of one slot, by the tag in their prefix.

        Raises: BadSetting - no tag can be made of the name.
        """
        if name.startswith("}"):
            raise BadSetting(f"on a cluster the name of a docket does not begin with '}}', as {name!r} does")
        return cls(f"{{{name}}}", name)

    @property
    def tagged(self) -> bool:
        """Whether these are a cluster's."""
        return self.prefix != self.name

    # every docket has these ------------------------------------------------------------------------------

    @cached_property
    def stream(self) -> str:
        return f"{self.prefix}:stream"

    def lane(self, level: str) -> str:
        """The stream of what is due of another level than normal; unknown to pydocket."""
        return f"{self.prefix}:ops:lane:{level}"

    @cached_property
    def lanes(self) -> str:
        """Sorted set of the workers and the levels that they serve, by their last heartbeat; unknown to pydocket."""
        return f"{self.prefix}:ops:lanes"

    @cached_property
    def queue(self) -> str:
        return f"{self.prefix}:queue"

    @cached_property
    def reserved_queue(self) -> str:
        """The queue of the keys that pydocket's scheduler must not see; their parked hashes' names begin so.

        See `is_reserved`.
        """
        return f"{self.prefix}:parked"

    @cached_property
    def strikes(self) -> str:
        return f"{self.prefix}:strikes"

    @cached_property
    def workers(self) -> str:
        return f"{self.prefix}:workers"

    @cached_property
    def sweep_lease(self) -> str:
        return f"{self.prefix}:leases:redelivery-sweep"

    @cached_property
    def groups_lease(self) -> str:
        """Which worker looks after task groups; unknown to pydocket."""
        return f"{self.prefix}:leases:task-groups"

    @cached_property
    def perpetual_lock(self) -> str:
        """Held by the worker that looks after the automatic tasks."""
        return f"{self.prefix}:perpetual:lock"

    @cached_property
    def dead(self) -> str:
        """The stream of deliveries that could not be decoded, each with the reason; unknown to pydocket."""
        return f"{self.prefix}:dead"

    @cached_property
    def limits(self) -> str:
        """Hash of the concurrency limits in use; unknown to pydocket."""
        return f"{self.prefix}:limits"

    @cached_property
    def waiting(self) -> str:
        """Set of the concurrency limits that have waiters; unknown to pydocket."""
        return f"{self.prefix}:waiting"

    @cached_property
    def draining(self) -> str:
        """The workers that were told to stop and finish what they run, by their last heartbeat; unknown to pydocket."""
        return f"{self.prefix}:ops:draining"

    @cached_property
    def pauses(self) -> str:
        """Hash of the tasks that are paused, each with who did that, when and why; unknown to pydocket."""
        return f"{self.prefix}:ops:pauses"

    @cached_property
    def expiring(self) -> str:
        """Sorted set of the keys that expire unless they begin in time, by when that is; unknown to pydocket."""
        return f"{self.prefix}:ops:expiring"

    @cached_property
    def successors(self) -> str:
        """Sorted set of the keys that run once more after their run, by when that was added; unknown to pydocket."""
        return f"{self.prefix}:ops:successors"

    @cached_property
    def groups(self) -> str:
        """Sorted set of the open task groups, each with its parent, by when to look after it; unknown to pydocket."""
        return f"{self.prefix}:groups"

    # what is kept for operators; unknown to pydocket --------------------------------------------------------

    @cached_property
    def failures(self) -> str:
        """Sorted set of the keys whose last run has failed, by when (ms)."""
        return f"{self.prefix}:ops:failures"

    @cached_property
    def retrying(self) -> str:
        """Sorted set of the keys that are tried again, by when the next attempt is (ms)."""
        return f"{self.prefix}:ops:retrying"

    @cached_property
    def failure_totals(self) -> str:
        """Hash of how many bytes all kept failures have."""
        return f"{self.prefix}:ops:totals"

    def failure(self, key: str) -> str:
        """Hash of the last failure of a task key."""
        return f"{self.prefix}:ops:failure:{key}"

    def successor(self, key: str) -> str:
        """Hash of the call with which a key runs once more after its run; unknown to pydocket, too."""
        return f"{self.prefix}:ops:successor:{key}"

    @cached_property
    def ended_tasks(self) -> str:
        """The names of the tasks of which runs have ended, by when the last one did; unknown to pydocket, as is all
        that stands below ``ops``."""
        return f"{self.prefix}:ops:names"

    @cached_property
    def described_tasks(self) -> str:
        """Hash of what workers say about the tasks that they know."""
        return f"{self.prefix}:ops:tasks"

    @cached_property
    def seen_tasks(self) -> str:
        """The names of those tasks, by when a worker described each last (ms)."""
        return f"{self.prefix}:ops:seen"

    @cached_property
    def recurrences(self) -> str:
        """Hash of those among them that repeat themselves, each with when that is."""
        return f"{self.prefix}:ops:recurrences"

    @cached_property
    def depths_turn(self) -> str:
        """Held until the minute is over in which the depths were noted."""
        return f"{self.prefix}:ops:depths-turn"

    def depths(self, block: int | str) -> str:
        """How full the docket was in each minute of an hour."""
        return f"{self.prefix}:ops:depths:{block}"

    def written(self, worker: str) -> str:
        """The last batch of ended runs that a worker has written."""
        return f"{self.prefix}:ops:written:{worker}"

    # one per task key ------------------------------------------------------------------------------------

    @staticmethod
    def is_reserved(key: str) -> bool:
        """Whether parking ``key`` where pydocket would look for it would harm the docket's own keys."""
        room, colon, _ = key.partition(":")
        if not colon:
            return room in _reserved.names
        return room in _reserved.rooms or any(word in key for word in _reserved.inner)

    def parked(self, key: str) -> str:
        return self.kept_apart(key) if self.is_reserved(key) else self.plain_parked(key)

    def kept_apart(self, key: str) -> str:
        return f"{self.reserved_queue}:{key}"

    def plain_parked(self, key: str) -> str:
        """Where pydocket parks every key."""
        return f"{self.prefix}:{key}"

    def queue_of(self, key: str) -> str:
        return self.reserved_queue if self.is_reserved(key) else self.queue

    def run(self, key: str) -> str:
        return f"{self.prefix}:runs:{key}"

    def progress(self, key: str) -> str:
        """Also the name of the channel of its events."""
        return f"{self.prefix}:progress:{key}"

    def safeguard(self, key: str) -> str:
        """Where pydocket parks the task that looks after one of its waiters; the key of that begins so, too."""
        return f"{self.prefix}:__safeguard__:{key}"

    def known(self, key: str) -> str:
        """Where pydocket before 0.14 noted that a key is taken; later ones still delete it, as the next."""
        return f"{self.prefix}:known:{key}"

    def stream_id(self, key: str) -> str:
        """Where pydocket before 0.14 noted a task's place on the stream."""
        return f"{self.prefix}:stream-id:{key}"

    # one per task group ------------------------------------------------------------------------------------

    def group(self, group_id: str) -> str:
        """Sorted set of the children of a task group; also the name of its channel. Unknown to pydocket."""
        return f"{self.prefix}:group:{group_id}"

    # one per paused task -----------------------------------------------------------------------------------

    def pause(self, task: str) -> str:
        """The limit without room for which what is paused waits; beside it, `SLOTS_BESIDE`.

        It ends with a colon, with which nothing ends that is kept beside another.
        """
        return f"{self.prefix}:ops:pause:{task}:"

    # one per level and value of those that take turns --------------------------------------------------------

    def turns(self, level: str) -> str:
        """Sorted set of the rows of those that take turns, by when theirs are; unknown to pydocket."""
        return f"{self.prefix}:ops:turns:{level}"

    def row(self, level: str, value: str) -> str:
        """Who waits for the turn of a value (`value_named`), as for a limit: beside it, `SLOTS_BESIDE`.

        It ends with a colon, as `pause` does.
        """
        return f"{self.prefix}:ops:row:{level}:{value}:"

    @staticmethod
    def value_named(argument: str, value: str) -> str:
        """What the row of a value is named by. A colon in the name of an argument is escaped: no two have the same."""
        return f"{_escaped(argument) if ':' in argument or '%' in argument else argument}:{value}"

    # one per rule of admission -----------------------------------------------------------------------------

    # ``subject`` is the name of a task, or of an argument with the text of its ``value``.

    def slots(self, subject: str, value: str | None = None, scope: str | None = None) -> str:
        """Who runs under a concurrency limit. What is kept beside it is named so, too, with `SLOTS_BESIDE` behind."""
        return ":".join(self._room("concurrency", subject, value, scope, SLOTS_BESIDE))

    def rate(self, subject: str, value: str | None = None, scope: str | None = None) -> str:
        """Which runs began lately; beside it, `RATE_BESIDE`.

        A ``scope`` stands in the place of the docket's name, here and below.
        """
        return ":".join(self._room("ratelimit", subject, value, scope, RATE_BESIDE))

    def cooldown(self, subject: str, value: str | None = None, scope: str | None = None) -> str:
        return ":".join(self._room("cooldown", subject, value, scope))

    def debounce(self, subject: str, value: str | None = None, scope: str | None = None) -> tuple[str, str]:
        """The key of the run that will begin, and when the last of the burst came."""
        room, tag = self._room("debounce", subject, value, scope)
        return f"{room}:{tag}:{{{tag}}}:winner", f"{room}:{tag}:{{{tag}}}:last_seen"

    def _room(
        self, kind: str, subject: str, value: str | None, scope: str | None, beside: tuple[str, ...] = ()
    ) -> tuple[str, str]:
        """Where rules of a kind are kept, and what this one counts, as pydocket spells it.

        What it would spell like something else is escaped: after a colon, with which no name of a task or an argument
        begins, and with a colon at the end, with which nothing ends that is kept beside another.
        """
        tag = subject if value is None else f"{subject}:{value}"
        is_plain = not scope or _reserved.rooms.isdisjoint(scope.split(":"))
        if (
            not is_plain
            or tag.startswith(":")
            or tag.endswith(beside)
            or (value is not None and ":" in subject)
        ):
            escaped = (_escaped(part) for part in (scope or "", subject, value) if part is not None)
            tag = f":{':'.join(escaped)}:"
        if not scope:
            return f"{self.prefix}:{kind}", tag
        shown = scope if is_plain else f"%{_escaped(scope)}"
        # Else pydocket leaves out the prefix; on a cluster one script could not reach such a key and the run.
        if self.tagged or kind == "concurrency":
            shown = f"{self.prefix}:{shown}"
        return f"{shown}:{kind}", tag

    # one per result, worker, task name --------------------------------------------------------------------

    @cached_property
    def results_collection(self) -> str:
        return f"{self.prefix}:results"

    def result_envelope(self, result_key: str) -> str:
        """Standalone and Sentinel: the py-key-value envelope."""
        return f"{self.prefix}:results::{result_key}"

    def result_bare(self, result_key: str) -> str:
        """Cluster: the bare value."""
        return f"{self.prefix}:results:{result_key}"

    def worker_tasks(self, worker: str) -> str:
        return f"{self.prefix}:worker-tasks:{worker}"

    def task_workers(self, task: str) -> str:
        return f"{self.prefix}:task-workers:{task}"

    def history(self, task: str) -> str:
        """The stream of its ended runs."""
        return f"{self.prefix}:ops:history:{task}"

    def chains(self, task: str) -> str:
        """The keys under which runs of it were followed by another, by when the last one was (ms)."""
        return f"{self.prefix}:ops:chains:{task}"

    def counted(self, kind: str, task: str, block: int | str) -> str:
        """What each of the ``minutes`` of an hour, or of the ``hours`` of a day, saw of it."""
        return f"{self.prefix}:ops:{kind}:{task}:{block}"


def paused_task(keys: Keys, limit: str) -> str | None:
    """The task that waits for this limit as it is paused (`Keys.pause`); None where it is a concurrency limit."""
    room, _, end = keys.pause(_ANY).partition(_ANY)
    return limit[len(room) : -len(end)] if limit.startswith(room) and limit.endswith(end) else None


def turn_awaited(keys: Keys, limit: str) -> str | None:
    """The argument and value for whose turn a row waits (`Keys.row`); None where it waits for something else."""
    room = keys.row("", "")[:-2]
    _, colon, value = limit.removeprefix(room).partition(":")
    return value[:-1] if limit.startswith(room) and colon and value.endswith(":") else None


def level_of_row(keys: Keys, limit: str) -> str:
    """The level of a row in which tasks wait for their turn."""
    return limit.removeprefix(keys.row("", "")[:-2]).partition(":")[0]


def _escaped(part: str) -> str:
    return part.replace("%", "%25").replace(":", "%3A")


#: Members of `Keys` that are no names of the docket's own: about where a task is parked, and others.
_NO_NAMES = frozenset(
    {
        "is_reserved",
        "on_cluster",
        "parked",
        "paused_by",
        "plain_parked",
        "queue_of",
        "results_collection",
        "tagged",
        "value_named",
    }
)
_ANY = "\0"


@frozen
class Reserved:
    """What keys of tasks may not be, since pydocket parks a future task at ``{prefix}:{key}``."""

    names: frozenset[str] = frozenset()
    """Keys of one word."""
    rooms: frozenset[str] = frozenset()
    """First words of longer keys."""
    inner: frozenset[str] = frozenset()
    """What stands after a scope, which is any text."""

    @classmethod
    def of(cls, keys: type[Keys]) -> Reserved:
        """The names that `keys` makes, asked for one by one."""
        names, rooms, inner = set[str](), set[str](), set[str]()
        for name in _names(keys):
            room, colon, rest = name.removeprefix("{p}:").partition(":")
            if room == _ANY:
                inner.add(f":{rest.partition(':')[0]}:")
            else:
                (rooms if colon else names).add(room)
        return cls(frozenset(names), frozenset(rooms), frozenset(inner))


def _names(keys: type[Keys]) -> Iterator[str]:
    """Every name that a docket makes, with `_ANY` for what it is given."""
    probe = keys("{p}", "p")  # a cluster's: there every name begins with the prefix
    for member in vars(keys):
        if member.startswith("_") or member in _NO_NAMES:
            continue
        made: list[Any] = [getattr(probe, member)]
        if callable(made[0]):
            most = made[0].__code__.co_argcount - 1
            least = most - len(made[0].__defaults__ or ())
            made = [made[0](*[_ANY] * least), made[0](*[_ANY] * most)]
        for one in made:
            yield from one if isinstance(one, tuple) else (one,)


_reserved = Reserved()
_reserved = Reserved.of(Keys)

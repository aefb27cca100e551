"""Where everything of one docket is kept. The names are the wire's, shared with pydocket 0.27."""

from __future__ import annotations

import re
from functools import cached_property

import attrs

from ..errors import BadSetting

__all__ = ["GROUP", "Keys"]

_GLOB = re.compile(r"[\\*?\[\]]")

GROUP = "docket-workers"
"""The consumer group of every docket."""

#: First words of names that the docket itself uses below its prefix. pydocket parks a future task at
#: ``{prefix}:{key}``, so a task key that begins so would overwrite them.
_OWN_NAMES = frozenset({"stream", "queue", "strikes", "workers", "dead", "parked", "limits", "waiting"})
_OWN_ROOMS = frozenset(
    {
        "concurrency", "cooldown", "debounce", "known", "leases", "parked", "perpetual", "progress",
        "ratelimit",
        "results", "runs", "stream-id", "task-workers", "worker-tasks",
    }
)  # fmt: skip
#: Dependencies with a ``scope`` keep theirs at ``{prefix}:{scope}:concurrency:...``.
_SCOPED = (":concurrency:", ":cooldown:", ":debounce:", ":ratelimit:")


@attrs.frozen(slots=False)  # with a dictionary for the names that every call needs
class Keys:
    """The keys and channels below one prefix (the docket's name; ``{name}`` with braces on a cluster)."""

    prefix: str
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
    def perpetual_lock(self) -> str:
        """Held by who sees to the automatic tasks."""
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
        """Set of the concurrency limits that somebody waits for; unknown to pydocket."""
        return f"{self.prefix}:waiting"

    @cached_property
    def wake(self) -> str:
        """Channel: something that a waiting worker should look at. pydocket does not know it."""
        return f"{self.prefix}:wake"

    @cached_property
    def cancellations(self) -> str:
        """Channel pattern of all cancellation requests."""
        return _GLOB.sub(r"\\\g<0>", self.prefix) + ":cancel:*"

    # one per task key ------------------------------------------------------------------------------------

    @staticmethod
    def is_reserved(key: str) -> bool:
        """Whether parking ``key`` where pydocket would look for it would harm the docket's own keys."""
        room, colon, _ = key.partition(":")
        return (room in _OWN_ROOMS if colon else room in _OWN_NAMES) or any(word in key for word in _SCOPED)

    def parked(self, key: str) -> str:
        shelf = self.reserved_queue if self.is_reserved(key) else self.prefix
        return f"{shelf}:{key}"

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

    def state_channel(self, key: str) -> str:
        return f"{self.prefix}:state:{key}"

    def cancel_channel(self, key: str) -> str:
        return f"{self.prefix}:cancel:{key}"

    # one per rule of admission -----------------------------------------------------------------------------

    def slots(self, tag: str, scope: str | None = None) -> str:
        """Who runs under a concurrency limit. ``tag`` is ``argument:value``, or the name of the task."""
        return f"{self.prefix}:{scope}:concurrency:{tag}" if scope else f"{self.prefix}:concurrency:{tag}"

    def _scope(self, scope: str | None) -> str:
        """pydocket leaves out the prefix; on a cluster one script could not reach such a key and the run."""
        if self.tagged and scope:
            return f"{self.prefix}:{scope}"
        return scope or self.prefix

    def rate(self, tag: str, scope: str | None = None) -> str:
        """Which runs began lately. A ``scope`` stands in the place of the docket's name, here and below."""
        return f"{self._scope(scope)}:ratelimit:{tag}"

    def cooldown(self, tag: str, scope: str | None = None) -> str:
        return f"{self._scope(scope)}:cooldown:{tag}"

    def debounce(self, tag: str, scope: str | None = None) -> tuple[str, str]:
        """The key of whoever will run, and when the last of the burst came."""
        name = f"{self._scope(scope)}:debounce:{tag}:{{{tag}}}"
        return f"{name}:winner", f"{name}:last_seen"

    # one per result, worker, task name --------------------------------------------------------------------

    @property
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

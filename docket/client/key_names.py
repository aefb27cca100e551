"""The names under which a docket keeps things in Redis, as its users ask for them."""

from __future__ import annotations

from ..store import GROUP, Keys

__all__ = ["KeyNames"]


class KeyNames:
    """What is called how. The names are the wire's, shared with pydocket."""

    @property
    def keys(self) -> Keys:
        raise NotImplementedError

    @property
    def prefix(self) -> str:
        """What all keys of the docket begin with."""
        return self.keys.prefix

    def key(self, suffix: str) -> str:
        """A key below the docket's prefix."""
        return f"{self.prefix}:{suffix}"

    @property
    def worker_group_name(self) -> str:
        """The consumer group of the stream."""
        return GROUP

    @property
    def queue_key(self) -> str:
        """The sorted set of what waits for its time."""
        return self.keys.queue

    @property
    def stream_key(self) -> str:
        """The stream of what is due."""
        return self.keys.stream

    @property
    def redelivery_sweep_key(self) -> str:
        """Which worker looks for abandoned deliveries."""
        return self.keys.sweep_lease

    @property
    def workers_set(self) -> str:
        """The sorted set of live workers."""
        return self.keys.workers

    @property
    def results_collection(self) -> str:
        """What the names of results begin with."""
        return self.keys.results_collection

    def known_task_key(self, task_key: str) -> str:
        """Where pydocket before 0.14 noted that a key is taken."""
        return self.keys.known(task_key)

    def parked_task_key(self, task_key: str) -> str:
        """The message of a task that waits for its time."""
        return self.keys.parked(task_key)

    def stream_id_key(self, task_key: str) -> str:
        """Where pydocket before 0.14 noted a task's place on the stream."""
        return self.keys.stream_id(task_key)

    def runs_key(self, task_key: str) -> str:
        """The record of a key's run."""
        return self.keys.run(task_key)

    def cancel_channel(self, task_key: str) -> str:
        """The channel on which a cancellation is asked for."""
        return self.keys.cancel_channel(task_key)

    def worker_tasks_set(self, worker_name: str) -> str:
        """The set of task names that a worker knows."""
        return self.keys.worker_tasks(worker_name)

    def task_workers_set(self, task_name: str) -> str:
        """The sorted set of live workers that know a task."""
        return self.keys.task_workers(task_name)

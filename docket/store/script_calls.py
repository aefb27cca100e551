"""One function per script: keys and arguments in the order of the script's header, by the names of the header.

Written by ``python -m tests.store.script_calls``; a test compares the two. Each function returns what ``Client.run``
takes. What `Keys` can name, the function names itself. The names of a fence, where they follow one another, are one
parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..transport import Argument
from .fence import Fence
from .keys import GROUP, Keys
from .lua import Call, script

__all__ = [
    "admit",
    "alive",
    "begin",
    "cancel",
    "cancel_group",
    "catalogue",
    "claim",
    "clear",
    "close_group",
    "conclude",
    "discard",
    "discard_failure",
    "draw",
    "due",
    "due_groups",
    "expire",
    "group",
    "handback",
    "heartbeat",
    "keep_children",
    "ledger",
    "look_group",
    "open_group",
    "pause",
    "place_successors",
    "progress",
    "promote",
    "recheck_group",
    "renew",
    "renew_group",
    "renew_slots",
    "reschedule",
    "resume",
    "retire",
    "retry",
    "running_keys",
    "schedule",
    "settle",
    "strike",
    "sweep_failures",
    "take",
    "take_turn",
    "takeover",
    "unfinished",
    "unheard",
    "wake",
    "watch_group",
]

# fmt: off
# ruff: noqa: PLR0913


def admit(
    keys: Keys, *,
    key: str, fence: Fence, redelivered: Argument, state_event: Argument, limits: Argument,
    rules: Sequence[Argument],
) -> Call:
    """Decide whether a claimed run may begin: by all rules of its task together, and it takes what all of
    them ask, or nothing."""
    return (
        script("admit"),
        [
            keys.run(key), keys.stream, keys.progress(key), keys.queue, keys.reserved_queue,
        ],
        [
            fence.message_id, fence.generation, fence.claim, fence.holder, GROUP, key, redelivered,
            keys.prefix, keys.state_channel(key), state_event, keys.wake, limits, *rules,
        ],
    )


def alive(
    keys: Keys, *,
    key: str,
) -> Call:
    """Whether what was placed under a key still waits or runs."""
    return (
        script("alive"),
        [
            keys.run(key), keys.stream, keys.queue, keys.reserved_queue,
        ],
        [
            key, GROUP,
        ],
    )


def begin(
    keys: Keys, *,
    key: str, worker: Argument, started_at: Argument, generation: Argument, message_id: Argument,
) -> Call:
    """Claim a run by hand, for a program that is its own worker: the given delivery, or the entry on the
    stream."""
    return (
        script("begin"),
        [
            keys.run(key), keys.stream,
        ],
        [
            keys.prefix, GROUP, worker, started_at, key, generation, message_id,
        ],
    )


def cancel(
    keys: Keys, *,
    key: str, completed_at: Argument, ttl_ms: Argument, state_event: Argument, failed_at: Argument,
) -> Call:
    """Cancel what waits under a key; ask the worker where it runs."""
    return (
        script("cancel"),
        [
            keys.run(key), keys.parked(key), keys.queue_of(key), keys.stream, keys.queue,
            keys.reserved_queue,
        ],
        [
            key, completed_at, ttl_ms, GROUP, state_event, keys.cancel_channel(key), keys.wake, keys.prefix,
            failed_at,
        ],
    )


def cancel_group(
    keys: Keys, *,
    key: str, group_id: str, fence: Fence, completed_at: Argument, ttl_ms: Argument, limit: Argument,
    again: Argument, look_after_ms: Argument, kept_ms: Argument,
) -> Call:
    """Doom a group and cancel up to `limit` of those in it who are under way."""
    return (
        script("cancel_group"),
        [
            keys.run(key), keys.stream, keys.queue, keys.reserved_queue, keys.groups, keys.group(group_id),
        ],
        [
            keys.prefix, GROUP, fence.message_id, fence.generation, fence.claim, fence.holder, key,
            group_id, completed_at, ttl_ms, limit, again, look_after_ms, kept_ms, keys.wake,
        ],
    )


def catalogue(
    keys: Keys, *,
    most: Argument, kept_ms: Argument, tasks: Sequence[Argument],
) -> Call:
    """Write what a worker knows of its tasks, for those who have none of their code."""
    return (
        script("catalogue"),
        [
            keys.described_tasks, keys.seen_tasks, keys.recurrences,
        ],
        [
            most, kept_ms, *tasks,
        ],
    )


def claim(
    keys: Keys, *,
    worker: Argument, started_at: Argument, asked: Argument, deliveries: Sequence[Argument],
) -> Call:
    """Claim deliveries that a blocking read has brought."""
    return (
        script("claim"),
        [
            keys.stream, keys.queue, keys.reserved_queue, keys.strikes,
        ],
        [
            keys.prefix, GROUP, worker, started_at, keys.wake, asked, *deliveries,
        ],
    )


def clear(
    keys: Keys, *,
    completed_at: Argument, ttl_ms: Argument, limit: Argument, start: Argument,
) -> Call:
    """Cancel up to `limit` waiting tasks; running tasks go on."""
    return (
        script("clear"),
        [
            keys.stream, keys.queue, keys.reserved_queue,
        ],
        [
            keys.prefix, GROUP, completed_at, ttl_ms, limit, start, keys.wake,
        ],
    )


def close_group(
    keys: Keys, *,
    key: str, group_id: str, fence: Fence, kept_ms: Argument,
) -> Call:
    """Say that a group was left."""
    return (
        script("close_group"),
        [
            keys.run(key), keys.groups, keys.group(group_id),
        ],
        [
            fence.message_id, fence.generation, fence.claim, fence.holder, key, group_id, kept_ms,
        ],
    )


def conclude(
    keys: Keys, *,
    key: str, generation: Argument, message_id: Argument, ttl_ms: Argument, state_event: Argument,
    record: Sequence[Argument],
) -> Call:
    """Write the final state of a run by hand, wherever it stands, and remove what would run it again."""
    return (
        script("conclude"),
        [
            keys.run(key), keys.parked(key), keys.queue_of(key), keys.stream, keys.queue,
            keys.reserved_queue,
        ],
        [
            key, generation, message_id, GROUP, ttl_ms, state_event, keys.wake, keys.prefix, *record,
        ],
    )


def discard(
    keys: Keys, *,
    message_id: Argument, worker: Argument, reason: Argument, at: Argument, ttl_ms: Argument, key: Argument,
    state_event: Argument, slots: Argument, generation: Argument, failures_kept: Argument,
    failure_ttl: Argument, failed_at: Argument, forged: Argument,
) -> Call:
    """Set a delivery aside that cannot be decoded (I9): its fields and the reason are kept for a while, its
    run fails."""
    return (
        script("discard"),
        [
            keys.stream, keys.dead, keys.queue, keys.reserved_queue,
        ],
        [
            message_id, GROUP, worker, reason, at, ttl_ms, key, state_event, keys.wake, keys.prefix, slots,
            generation, failures_kept, failure_ttl, failed_at, forged,
        ],
    )


def discard_failure(
    keys: Keys, *,
    key: str, failed_at: Argument,
) -> Call:
    """Remove what is kept of a failure."""
    return (
        script("discard_failure"),
        [
            keys.failure(key),
        ],
        [
            keys.prefix, key, failed_at,
        ],
    )


def draw(
    keys: Keys, *,
    levels: Sequence[Argument],
) -> Call:
    """Have a message on the lane of the turns of each level that nobody was given, where some wait in rows:
    whoever was to see to it has died, or too many in a row were cancelled by pydocket."""
    return (
        script("draw"),
        [
            keys.stream,
        ],
        [
            *levels,
        ],
    )


def due(
    keys: Keys, *,
    now: Argument, limit: Argument, at: Argument, ttl_ms: Argument, failures_kept: Argument,
    failure_ttl: Argument, failed_at: Argument,
) -> Call:
    """Move tasks whose time has come from the queues to the stream, at most `limit` of them."""
    return (
        script("due"),
        [
            keys.stream, keys.queue, keys.reserved_queue,
        ],
        [
            keys.prefix, now, limit, at, ttl_ms, failures_kept, failure_ttl, failed_at,
        ],
    )


def due_groups(
    keys: Keys, *,
    limit: Argument,
) -> Call:
    """Which groups are to be looked after now, and when the next one is."""
    return (
        script("due_groups"),
        [
            keys.groups,
        ],
        [
            limit,
        ],
    )


def expire(
    keys: Keys, *,
    at: Argument, ttl_ms: Argument, limit: Argument, decided: Sequence[Argument],
) -> Call:
    """End runs that have expired as they wait, on time, and say which are next."""
    return (
        script("expire"),
        [
            keys.stream, keys.queue, keys.reserved_queue, keys.expiring,
        ],
        [
            keys.prefix, GROUP, at, ttl_ms, limit, keys.wake, *decided,
        ],
    )


def group(
    keys: Keys, *,
    served: Sequence[Argument],
) -> Call:
    """Make the stream and its consumer group if they are not there, and the groups of the lanes that are
    there."""
    return (
        script("group"),
        [
            keys.stream,
        ],
        [
            GROUP, *served,
        ],
    )


def handback(
    keys: Keys, *,
    key: str, fence: Fence, now_epoch: Argument, slots: Argument, begun: Argument,
) -> Call:
    """Give one claim back: its message is queued again at once, and the attempt does not count."""
    return (
        script("handback"),
        [
            keys.run(key), keys.stream, keys.progress(key), keys.queue, keys.reserved_queue,
        ],
        [
            fence.message_id, fence.generation, fence.claim, fence.holder, GROUP, key, now_epoch,
            keys.state_channel(key), keys.wake, keys.prefix, slots, begun,
        ],
    )


def heartbeat(
    keys: Keys, *,
    worker: str, expiry_ms: Argument, known_tasks: Argument, depths_too: Argument, drains: Argument,
    serves: Argument, task_workers_prefix: Argument, tasks: Sequence[Argument],
) -> Call:
    """Record that a worker lives, and which tasks it knows; the names of dead workers are pruned on the
    way."""
    return (
        script("heartbeat"),
        [
            keys.workers, keys.worker_tasks(worker), keys.queue, keys.reserved_queue, keys.draining,
            keys.lanes,
        ],
        [
            worker, expiry_ms, known_tasks, keys.prefix, GROUP, depths_too, drains, serves,
            task_workers_prefix, *tasks,
        ],
    )


def keep_children(
    keys: Keys, *,
    group_id: str, start: Argument, count: Argument, ttl_ms: Argument, kept_ms: Argument,
    results_prefix: Argument,
) -> Call:
    """Push back when what is known of children that have ended expires: their parent may ask for it yet."""
    return (
        script("keep_children"),
        [
            keys.group(group_id),
        ],
        [
            keys.prefix, group_id, start, count, ttl_ms, kept_ms, results_prefix,
        ],
    )


def ledger(
    keys: Keys, *,
    worker: str, batch: Argument, at_ms: Argument, history_kept: Argument, history_ttl_ms: Argument,
    most_tasks: Argument, most_chains: Argument, depths_too: Argument, tasks: Sequence[Argument],
) -> Call:
    """Write how runs of some tasks have ended: rows for the history of each task, and what a minute and an
    hour saw of it."""
    return (
        script("ledger"),
        [
            keys.ended_tasks, keys.written(worker),
        ],
        [
            keys.prefix, batch, at_ms, history_kept, history_ttl_ms, most_tasks, most_chains, GROUP,
            depths_too, *tasks,
        ],
    )


def look_group(
    keys: Keys, *,
    key: str, group_id: str, look_after_ms: Argument,
) -> Call:
    """Look whether the parent of a group lives: a task by its record, a program by the moment until which
    it has renewed the group."""
    return (
        script("look_group"),
        [
            keys.run(key), keys.groups, keys.group(group_id), keys.stream, keys.queue, keys.reserved_queue,
        ],
        [
            keys.prefix, GROUP, group_id, key, look_after_ms,
        ],
    )


def open_group(
    keys: Keys, *,
    key: str, fence: Fence, place: Argument, nonce: Argument, look_after_ms: Argument,
) -> Call:
    """Open a group: that of a running task by its place among the groups of the run, or that of a plain
    program."""
    return (
        script("open_group"),
        [
            keys.run(key), keys.groups,
        ],
        [
            keys.prefix, fence.message_id, fence.generation, fence.claim, fence.holder, key, place, nonce,
            look_after_ms,
        ],
    )


def pause(
    keys: Keys, *,
    task: Argument, remark: Argument, most: Argument,
) -> Call:
    """Pause a task, or all of them: workers begin none of what they are handed from now on."""
    return (
        script("pause"),
        [
            keys.pauses,
        ],
        [
            task, remark, most, keys.wake,
        ],
    )


def place_successors(
    keys: Keys, *,
    limit: Argument,
) -> Call:
    """Place what is to run once more after runs that somebody has ended who knows of no successors
    (lib/successor.lua)."""
    return (
        script("place_successors"),
        [
            keys.stream, keys.queue, keys.reserved_queue, keys.successors,
        ],
        [
            keys.prefix, GROUP, limit,
        ],
    )


def progress(
    keys: Keys, *,
    key: str, fence: Fence, key_json: Argument, at: Argument, ttl_ms: Argument, number: Argument,
    amount: Argument, before: Argument, after: Argument, changes: Sequence[Argument],
) -> Call:
    """Write what a run reports of its progress and publish it, unless the run is over."""
    return (
        script("progress"),
        [
            keys.run(key), keys.progress(key),
        ],
        [
            fence.message_id, fence.generation, fence.claim, fence.holder, key_json, at, ttl_ms, number,
            amount, before, after, *changes,
        ],
    )


def promote(
    keys: Keys, *,
    key: str, failed_at: Argument, now_epoch: Argument, now_text: Argument, state_event: Argument,
    level: Argument,
) -> Call:
    """Let a task that waits for its time run now, and give it a level."""
    return (
        script("promote"),
        [
            keys.run(key), keys.parked(key), keys.queue_of(key), keys.retrying, keys.failure(key),
        ],
        [
            keys.prefix, key, failed_at, now_epoch, now_text, state_event, level,
        ],
    )


def recheck_group(
    keys: Keys, *,
    group_id: str, start: Argument, count: Argument, lost_too: Argument,
) -> Call:
    """Look at some of those who are under way in a group: whoever was ended by somebody that knows of no
    groups, or is gone, leaves it."""
    return (
        script("recheck_group"),
        [
            keys.stream, keys.queue, keys.reserved_queue, keys.group(group_id),
        ],
        [
            keys.prefix, GROUP, group_id, start, count, lost_too,
        ],
    )


def renew(
    keys: Keys, *,
    worker: Argument, ids: Sequence[Argument],
) -> Call:
    """Push back the redelivery of deliveries that are still ours."""
    return (
        script("renew"),
        [
            keys.stream,
        ],
        [
            GROUP, worker, *ids,
        ],
    )


def renew_group(
    keys: Keys, *,
    group_id: str, look_after_ms: Argument,
) -> Call:
    """Say that the program that has opened a group lives: until then its children are not cancelled."""
    return (
        script("renew_group"),
        [
            keys.groups, keys.group(group_id),
        ],
        [
            group_id, look_after_ms,
        ],
    )


def renew_slots(
    keys: Keys, *,
    worker: Argument, holdings: Sequence[Argument],
) -> Call:
    """Push back the moment at which the slots of deliveries that are still ours count as free."""
    return (
        script("renew_slots"),
        [
            keys.stream,
        ],
        [
            keys.prefix, GROUP, worker, *holdings,
        ],
    )


def reschedule(
    keys: Keys, *,
    worker: Argument, ended_at: Argument, ended: Sequence[Argument],
) -> Call:
    """End one claim and place the next run of its key (a retry, a perpetual task) in the same step."""
    return (
        script("reschedule"),
        [
            keys.stream, keys.queue, keys.reserved_queue,
        ],
        [
            keys.prefix, GROUP, worker, ended_at, keys.wake, *ended,
        ],
    )


def resume(
    keys: Keys, *,
    task: Argument, limit: Argument, begins: Argument,
) -> Call:
    """Move up to `limit` of the messages that wait for a task to be resumed back to the stream, in their
    order."""
    return (
        script("resume"),
        [
            keys.stream, keys.pauses, keys.limits, keys.waiting, keys.queue, keys.reserved_queue,
        ],
        [
            keys.prefix, task, limit, begins, keys.wake,
        ],
    )


def retire(
    keys: Keys, *,
    expiry_ms: Argument, consumers: Sequence[Argument],
) -> Call:
    """Remove consumers that hold nothing and whose worker is dead."""
    return (
        script("retire"),
        [
            keys.stream, keys.workers,
        ],
        [
            GROUP, expiry_ms, *consumers,
        ],
    )


def retry(
    keys: Keys, *,
    key: str, failed_at: Argument, failed_generation: Argument, when: Argument, due: Argument,
    state_event: Argument, known_strikes: Argument, ttl: Argument, call: Sequence[Argument],
) -> Call:
    """Place the call of a failure anew, and remove what is kept of the failure."""
    return (
        script("retry"),
        [
            keys.stream, keys.queue_of(key), keys.failure(key),
        ],
        [
            keys.prefix, GROUP, key, failed_at, failed_generation, when, due, state_event, known_strikes,
            ttl, *call,
        ],
    )


def running_keys(
    keys: Keys, *,
    most: Argument, most_bytes: Argument,
) -> Call:
    """The keys of tasks that workers have, the oldest deliveries first: `most` at most, and no more once
    `most_bytes` of messages were looked at."""
    return (
        script("running_keys"),
        [
            keys.stream,
        ],
        [
            GROUP, most, most_bytes,
        ],
    )


def schedule(
    keys: Keys, *,
    key: Argument, when: Argument, state_event: Argument, ttl: Argument, how: Argument,
    call: Sequence[Argument],
) -> Call:
    """Place one task under its key: now on the stream, or later on the queue."""
    return (
        script("schedule"),
        [
            keys.stream,
        ],
        [
            keys.prefix, key, when, state_event, ttl, how, *call,
        ],
    )


def settle(
    keys: Keys, *,
    worker: Argument, ended_at: Argument, ended: Sequence[Argument],
) -> Call:
    """Write the final state of one claim and acknowledge its delivery."""
    return (
        script("settle"),
        [
            keys.stream, keys.queue, keys.reserved_queue,
        ],
        [
            keys.prefix, GROUP, worker, ended_at, keys.wake, *ended,
        ],
    )


def strike(
    keys: Keys, *,
    after: Argument, count: Argument, spent_ids: Argument, spent_and_fields: Sequence[Argument],
) -> Call:
    """Add one instruction to the strikes, and remove those that have no effect from now on."""
    return (
        script("strike"),
        [
            keys.strikes,
        ],
        [
            after, count, spent_ids, *spent_and_fields,
        ],
    )


def sweep_failures(
    keys: Keys, *,
    oldest: Argument, latest: Argument, limit: Argument, passed: Argument,
) -> Call:
    """Remove failures that are too old, and those of tasks that are said to be tried again, and are not any
    more."""
    return (
        script("sweep_failures"),
        [
            keys.failures, keys.retrying, keys.failure_totals,
        ],
        [
            keys.prefix, oldest, latest, limit, passed,
        ],
    )


def take(
    keys: Keys, *,
    worker: Argument, started_at: Argument, asked: Argument, count: Argument, ended: Sequence[Argument],
) -> Call:
    """Read tasks that wait on the stream, write how claims have ended, and claim what was read, in one
    step."""
    return (
        script("take"),
        [
            keys.stream, keys.queue, keys.reserved_queue, keys.strikes,
        ],
        [
            keys.prefix, GROUP, worker, started_at, keys.wake, asked, count, *ended,
        ],
    )


def take_turn(
    keys: Keys, *,
    key: str, fence: Fence, share: Argument,
) -> Call:
    """Have a claimed run that has not begun wait for its turn: its message says no `docket:share`, since
    whoever added it did not know of any."""
    return (
        script("take_turn"),
        [
            keys.run(key), keys.stream, keys.progress(key),
        ],
        [
            fence.message_id, fence.generation, fence.claim, fence.holder, GROUP, key, keys.prefix, share,
        ],
    )


def takeover(
    keys: Keys, *,
    worker: Argument, started_at: Argument, asked: Argument, idle_ms: Argument, ids: Sequence[Argument],
) -> Call:
    """Take deliveries over from holders that are gone, and claim them, in one step."""
    return (
        script("takeover"),
        [
            keys.stream, keys.queue, keys.reserved_queue, keys.strikes,
        ],
        [
            keys.prefix, GROUP, worker, started_at, keys.wake, asked, idle_ms, *ids,
        ],
    )


def unfinished(
    keys: Keys, *,
    most: Argument,
) -> Call:
    """Count what waits or runs, at one moment: what moves meanwhile would be counted twice, or not at all."""
    return (
        script("unfinished"),
        [
            keys.stream, keys.queue, keys.reserved_queue, keys.waiting,
        ],
        [
            most,
        ],
    )


def unheard(
    keys: Keys, *,
    worker: Argument, started_at: Argument, asked: Argument, count: Argument,
    questions_and_ids: Sequence[Argument],
) -> Call:
    """Claim what the server has given to this process in answers that were lost."""
    return (
        script("unheard"),
        [
            keys.stream, keys.queue, keys.reserved_queue, keys.strikes,
        ],
        [
            keys.prefix, GROUP, worker, started_at, keys.wake, asked, count, *questions_and_ids,
        ],
    )


def wake(
    keys: Keys, *,
    limits: Sequence[Argument],
) -> Call:
    """Free the slots of holders that are gone, and wake the tasks that wait for limits that have room."""
    return (
        script("wake"),
        [
            keys.stream, keys.queue, keys.reserved_queue,
        ],
        [
            keys.prefix, keys.wake, *limits,
        ],
    )


def watch_group(
    keys: Keys, *,
    group_id: str, watched: Argument,
) -> Call:
    """Have every end in a group published from now on, not only failures and the last end."""
    return (
        script("watch_group"),
        [
            keys.group(group_id),
        ],
        [
            watched,
        ],
    )

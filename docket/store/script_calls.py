"""One function per script: the keys and arguments that its header names, in the order of the header.

Written by ``python -m tests.store.script_calls``; a test compares the two. Each function returns what ``Client.run``
takes. The names of a fence, where they follow one another, are one parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..transport import Argument
from .fence import Fence
from .lua import Call, script

# fmt: off
# ruff: noqa: PLR0913


def admit(
    *,
    run: Argument, stream: Argument, progress: Argument, queue: Argument, reserved_queue: Argument,
    fence: Fence, group: Argument, key: Argument, redelivered: Argument, prefix: Argument,
    state_channel: Argument, state_event: Argument, wake_channel: Argument, limits: Argument,
    rules: Sequence[Argument],
) -> Call:
    """Decide whether a claimed run may begin: by all rules of its task together, and it takes what all of
    them ask, or nothing."""
    return (
        script("admit"),
        [run, stream, progress, queue, reserved_queue],
        [
            fence.message_id, fence.generation, fence.claim, fence.holder, group, key, redelivered, prefix,
            state_channel, state_event, wake_channel, limits, *rules,
        ],
    )


def alive(
    *,
    run: Argument, stream: Argument, queue: Argument, reserved_queue: Argument, key: Argument,
    group: Argument,
) -> Call:
    """Whether what was placed under a key still waits or runs."""
    return (
        script("alive"),
        [run, stream, queue, reserved_queue],
        [
            key, group,
        ],
    )


def begin(
    *,
    run: Argument, stream: Argument, prefix: Argument, group: Argument, worker: Argument,
    started_at: Argument, key: Argument, generation: Argument, message_id: Argument,
) -> Call:
    """Claim a run by hand, for a program that is its own worker: the given delivery, or the entry on the
    stream."""
    return (
        script("begin"),
        [run, stream],
        [
            prefix, group, worker, started_at, key, generation, message_id,
        ],
    )


def cancel(
    *,
    run: Argument, parked: Argument, key_queue: Argument, stream: Argument, progress: Argument,
    queue: Argument, reserved_queue: Argument, plain_parked: Argument, key: Argument,
    completed_at: Argument, ttl_ms: Argument, group: Argument, state_channel: Argument,
    state_event: Argument, cancel_channel: Argument, wake_channel: Argument, prefix: Argument,
) -> Call:
    """Cancel what waits under a key; ask the worker where it runs."""
    return (
        script("cancel"),
        [run, parked, key_queue, stream, progress, queue, reserved_queue, plain_parked],
        [
            key, completed_at, ttl_ms, group, state_channel, state_event, cancel_channel, wake_channel,
            prefix,
        ],
    )


def claim(
    *,
    stream: Argument, queue: Argument, reserved_queue: Argument, strikes: Argument, prefix: Argument,
    group: Argument, worker: Argument, started_at: Argument, wake_channel: Argument, asked: Argument,
    deliveries: Sequence[Argument],
) -> Call:
    """Claim deliveries that a blocking read has brought."""
    return (
        script("claim"),
        [stream, queue, reserved_queue, strikes],
        [
            prefix, group, worker, started_at, wake_channel, asked, *deliveries,
        ],
    )


def clear(
    *,
    stream: Argument, queue: Argument, reserved_queue: Argument, prefix: Argument, group: Argument,
    completed_at: Argument, ttl_ms: Argument, limit: Argument, start: Argument, wake_channel: Argument,
) -> Call:
    """Cancel up to `limit` waiting tasks; running tasks go on."""
    return (
        script("clear"),
        [stream, queue, reserved_queue],
        [
            prefix, group, completed_at, ttl_ms, limit, start, wake_channel,
        ],
    )


def conclude(
    *,
    run: Argument, parked: Argument, key_queue: Argument, stream: Argument, progress: Argument,
    queue: Argument, reserved_queue: Argument, plain_parked: Argument, key: Argument, generation: Argument,
    message_id: Argument, group: Argument, ttl_ms: Argument, state_channel: Argument, state_event: Argument,
    wake_channel: Argument, prefix: Argument, record: Sequence[Argument],
) -> Call:
    """Write the final state of a run by hand, wherever it stands, and remove what would run it again."""
    return (
        script("conclude"),
        [run, parked, key_queue, stream, progress, queue, reserved_queue, plain_parked],
        [
            key, generation, message_id, group, ttl_ms, state_channel, state_event, wake_channel, prefix,
            *record,
        ],
    )


def discard(
    *,
    stream: Argument, dead: Argument, run: Argument, progress: Argument, queue: Argument,
    reserved_queue: Argument, message_id: Argument, group: Argument, worker: Argument, reason: Argument,
    at: Argument, ttl_ms: Argument, key: Argument, state_channel: Argument, state_event: Argument,
    wake_channel: Argument, prefix: Argument, slots: Argument, generation: Argument,
) -> Call:
    """Set a delivery aside that cannot be decoded (I9): its fields and the reason are kept for a while, its
    run fails."""
    return (
        script("discard"),
        [stream, dead, run, progress, queue, reserved_queue],
        [
            message_id, group, worker, reason, at, ttl_ms, key, state_channel, state_event, wake_channel,
            prefix, slots, generation,
        ],
    )


def due(
    *,
    stream: Argument, queue: Argument, reserved_queue: Argument, prefix: Argument, now: Argument,
    limit: Argument, at: Argument, ttl_ms: Argument,
) -> Call:
    """Move tasks whose time has come from the queues to the stream, at most `limit` of them."""
    return (
        script("due"),
        [stream, queue, reserved_queue],
        [
            prefix, now, limit, at, ttl_ms,
        ],
    )


def handback(
    *,
    run: Argument, stream: Argument, progress: Argument, queue: Argument, reserved_queue: Argument,
    fence: Fence, group: Argument, key: Argument, now_epoch: Argument, state_channel: Argument,
    wake_channel: Argument, prefix: Argument, slots: Argument,
) -> Call:
    """Give one claim back: its message is queued again at once, and the attempt does not count."""
    return (
        script("handback"),
        [run, stream, progress, queue, reserved_queue],
        [
            fence.message_id, fence.generation, fence.claim, fence.holder, group, key, now_epoch,
            state_channel, wake_channel, prefix, slots,
        ],
    )


def heartbeat(
    *,
    workers: Argument, worker_tasks: Argument, queue: Argument, reserved_queue: Argument, worker: Argument,
    expiry_ms: Argument, known_tasks: Argument, task_workers_prefix: Argument, tasks: Sequence[Argument],
) -> Call:
    """Record that a worker lives, and which tasks it knows; the names of dead workers are pruned on the
    way."""
    return (
        script("heartbeat"),
        [workers, worker_tasks, queue, reserved_queue],
        [
            worker, expiry_ms, known_tasks, task_workers_prefix, *tasks,
        ],
    )


def progress(
    *,
    run: Argument, progress: Argument, fence: Fence, key_json: Argument, at: Argument, ttl_ms: Argument,
    number: Argument, amount: Argument, before: Argument, after: Argument, changes: Sequence[Argument],
) -> Call:
    """Write what a run reports of its progress and publish it, unless the run is over."""
    return (
        script("progress"),
        [run, progress],
        [
            fence.message_id, fence.generation, fence.claim, fence.holder, key_json, at, ttl_ms, number,
            amount, before, after, *changes,
        ],
    )


def renew(
    *,
    stream: Argument, group: Argument, worker: Argument, ids: Sequence[Argument],
) -> Call:
    """Push back the redelivery of deliveries that are still ours."""
    return (
        script("renew"),
        [stream],
        [
            group, worker, *ids,
        ],
    )


def renew_slots(
    *,
    stream: Argument, prefix: Argument, group: Argument, worker: Argument, holdings: Sequence[Argument],
) -> Call:
    """Push back the moment at which the slots of deliveries that are still ours count as free."""
    return (
        script("renew_slots"),
        [stream],
        [
            prefix, group, worker, *holdings,
        ],
    )


def reschedule(
    *,
    run: Argument, parked: Argument, key_queue: Argument, stream: Argument, progress: Argument,
    queue: Argument, reserved_queue: Argument, fence: Fence, group: Argument, key: Argument, when: Argument,
    due: Argument, state_channel: Argument, state_event: Argument, wake_channel: Argument, prefix: Argument,
    slots: Argument, same: Argument, fields: Sequence[Argument],
) -> Call:
    """End one claim and place the next run of its key (a retry, a perpetual task) in the same step."""
    return (
        script("reschedule"),
        [run, parked, key_queue, stream, progress, queue, reserved_queue],
        [
            fence.message_id, fence.generation, fence.claim, fence.holder, group, key, when, due,
            state_channel, state_event, wake_channel, prefix, slots, same, *fields,
        ],
    )


def retire(
    *,
    stream: Argument, workers: Argument, group: Argument, expiry_ms: Argument, consumers: Sequence[Argument],
) -> Call:
    """Remove consumers that hold nothing and whose worker is dead."""
    return (
        script("retire"),
        [stream, workers],
        [
            group, expiry_ms, *consumers,
        ],
    )


def schedule(
    *,
    run: Argument, parked: Argument, key_queue: Argument, stream: Argument, queue: Argument,
    plain_parked: Argument, strikes: Argument, key: Argument, when: Argument, due: Argument,
    replace: Argument, rescheduled: Argument, expected: Argument, group: Argument, state_channel: Argument,
    state_event: Argument, wake_channel: Argument, known_strikes: Argument, prefix: Argument,
    fields: Sequence[Argument],
) -> Call:
    """Place one task under its key: now on the stream, or later on the queue."""
    return (
        script("schedule"),
        [run, parked, key_queue, stream, queue, plain_parked, strikes],
        [
            key, when, due, replace, rescheduled, expected, group, state_channel, state_event, wake_channel,
            known_strikes, prefix, *fields,
        ],
    )


def settle(
    *,
    run: Argument, stream: Argument, progress: Argument, result_key: Argument, queue: Argument,
    reserved_queue: Argument, fence: Fence, group: Argument, ttl_ms: Argument, state_channel: Argument,
    state_event: Argument, wake_channel: Argument, prefix: Argument, key: Argument, slots: Argument,
    result: Argument, record: Sequence[Argument],
) -> Call:
    """Write the final state of one claim and acknowledge its delivery."""
    return (
        script("settle"),
        [run, stream, progress, result_key, queue, reserved_queue],
        [
            fence.message_id, fence.generation, fence.claim, fence.holder, group, ttl_ms, state_channel,
            state_event, wake_channel, prefix, key, slots, result, *record,
        ],
    )


def strike(
    *,
    strikes: Argument, after: Argument, count: Argument, spent_ids: Argument,
    spent_and_fields: Sequence[Argument],
) -> Call:
    """Add one instruction to the strikes, and remove those that have no effect from now on."""
    return (
        script("strike"),
        [strikes],
        [
            after, count, spent_ids, *spent_and_fields,
        ],
    )


def take(
    *,
    stream: Argument, queue: Argument, reserved_queue: Argument, strikes: Argument, prefix: Argument,
    group: Argument, worker: Argument, started_at: Argument, wake_channel: Argument, asked: Argument,
    count: Argument,
) -> Call:
    """Read tasks that wait on the stream and claim them, in one step."""
    return (
        script("take"),
        [stream, queue, reserved_queue, strikes],
        [
            prefix, group, worker, started_at, wake_channel, asked, count,
        ],
    )


def takeover(
    *,
    stream: Argument, queue: Argument, reserved_queue: Argument, strikes: Argument, prefix: Argument,
    group: Argument, worker: Argument, started_at: Argument, wake_channel: Argument, asked: Argument,
    idle_ms: Argument, ids: Sequence[Argument],
) -> Call:
    """Take deliveries over from holders that are gone, and claim them, in one step."""
    return (
        script("takeover"),
        [stream, queue, reserved_queue, strikes],
        [
            prefix, group, worker, started_at, wake_channel, asked, idle_ms, *ids,
        ],
    )


def unheard(
    *,
    stream: Argument, queue: Argument, reserved_queue: Argument, strikes: Argument, prefix: Argument,
    group: Argument, worker: Argument, started_at: Argument, wake_channel: Argument, asked: Argument,
    count: Argument, questions_and_ids: Sequence[Argument],
) -> Call:
    """Claim what the server has given to this process in answers that were lost."""
    return (
        script("unheard"),
        [stream, queue, reserved_queue, strikes],
        [
            prefix, group, worker, started_at, wake_channel, asked, count, *questions_and_ids,
        ],
    )


def wake(
    *,
    stream: Argument, queue: Argument, reserved_queue: Argument, prefix: Argument, wake_channel: Argument,
    limits: Sequence[Argument],
) -> Call:
    """Free the slots of holders that are gone, and wake the tasks that wait for limits that have room."""
    return (
        script("wake"),
        [stream, queue, reserved_queue],
        [
            prefix, wake_channel, *limits,
        ],
    )

"""Spans: one per thing that is asked of a docket, one per run, and the link between the two."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from docket import (
    ConcurrencyLimit,
    CurrentDocket,
    CurrentExecution,
    Depends,
    Docket,
    Execution,
    Perpetual,
    Retry,
    Worker,
)
from docket.dependencies import AdmissionBlocked
from docket.errors import BadSetting
from docket.instrumentation import message_getter, message_setter
from docket.signals import signals
from tests.instrumentation.conftest import drained, hello
from tests.instrumentation.spans import Heard
from tests.where import one_loop

pytestmark = pytest.mark.anyio

PAST = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
FUTURE = datetime(2099, 1, 1, tzinfo=UTC)
users = trace.get_tracer("the user's")


async def refuse(retry: Retry = Retry(attempts=2)) -> None:
    raise ValueError("no")


def context_id(span: ReadableSpan) -> tuple[int, int]:
    found = span.get_span_context()
    assert found is not None
    return found.trace_id, found.span_id


def linked(span: ReadableSpan) -> list[tuple[int, int]]:
    return [(link.context.trace_id, link.context.span_id) for link in span.links]


# asking --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["add", "replace", "schedule"])
async def test_placing_is_a_span_in_the_callers_trace(docket: Docket, heard: Heard, way: str) -> None:
    with users.start_as_current_span("request") as request:
        match way:
            case "add":
                await docket.add(hello, PAST, "k")("Jane")
            case "replace":
                await docket.replace(hello, PAST, "k")("Jane")
            case _:
                await docket.schedule(Execution(docket, hello, ("Jane",), {}, "k", PAST, 1))
    span = heard.only(docket.name, f"docket.{way}")
    assert span.attributes == {
        "docket.name": docket.name,
        "docket.task": "hello",
        "docket.key": "k",
        "docket.when": PAST.isoformat(),
        "docket.attempt": 1,
        "docket.disposition": "scheduled",
        "code.function.name": "hello",
    }
    assert span.kind is SpanKind.INTERNAL
    assert span.status.status_code is StatusCode.UNSET
    assert span.parent == request.get_span_context()


async def test_the_span_of_an_add_says_that_the_key_was_there(docket: Docket, heard: Heard) -> None:
    await docket.add(hello, FUTURE, "k")("Jane")
    await docket.add(hello, FUTURE, "k")("Jane")
    said = [(span.attributes or {})["docket.disposition"] for span in heard.of(docket.name)]
    assert said == ["scheduled", "already_scheduled"]


async def test_the_span_of_an_add_that_fails_has_the_error(docket: Docket, heard: Heard) -> None:
    with pytest.raises(TypeError, match="pickled"):
        await docket.add(hello)(i for i in "Jane")  # type: ignore[arg-type]
    span = heard.only(docket.name, "docket.add")
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]


@pytest.mark.parametrize("way", ["add_many", "replace_many"])
async def test_a_batch_is_one_span_with_counts(docket: Docket, heard: Heard, way: str) -> None:
    await docket.strike(hello, "name", "==", "John")
    calls = [docket.call(hello, PAST)(name) for name in ("Jane", "John", "Joan")]
    await (docket.add_many(calls) if way == "add_many" else docket.replace_many(calls))
    assert heard.only(docket.name, f"docket.{way}").attributes == {
        "docket.name": docket.name,
        "docket.batch.count": 3,
        "docket.batch.stricken": 1,
    }


async def test_cancelling_and_clearing_are_spans(docket: Docket, heard: Heard) -> None:
    await docket.cancel("k")
    await docket.clear()
    assert [(span.name, dict(span.attributes or {})) for span in heard.of(docket.name)] == [
        ("docket.cancel", {"docket.name": docket.name, "docket.key": "k"}),
        ("docket.clear", {"docket.name": docket.name}),
    ]


async def test_strikes_and_their_lifting_are_spans(docket: Docket, heard: Heard) -> None:
    await docket.strike(hello, "name", "==", "John")
    await docket.restore(hello, "name", "==", "John")
    await docket.strike(hello)
    one = {
        "docket.task": "hello",
        "docket.parameter": "name",
        "docket.operator": "==",
        "docket.value": "'John'",
    }
    assert [(span.name, dict(span.attributes or {})) for span in heard.of(docket.name)] == [
        ("docket.strike", {"docket.name": docket.name, **one}),
        ("docket.restore", {"docket.name": docket.name, **one}),
        ("docket.strike", {"docket.name": docket.name, "docket.task": "hello"}),
    ]


# running -------------------------------------------------------------------------------------------------


async def test_a_run_is_a_trace_of_its_own_with_a_link_to_who_added_it(docket: Docket, heard: Heard) -> None:
    with users.start_as_current_span("request"):
        await docket.add(hello, PAST, "k")("Jane")
    with users.start_as_current_span("the worker's program"):
        await drained(docket)
    added, run = heard.only(docket.name, "docket.add"), heard.only(docket.name, "hello")
    assert run.attributes == {
        "docket.name": docket.name,
        "docket.worker": "w",
        "docket.task": "hello",
        "docket.key": "k",
        "docket.when": PAST.isoformat(),
        "docket.attempt": 1,
        "code.function.name": "hello",
    }
    assert run.kind is SpanKind.CONSUMER
    assert run.status.status_code is StatusCode.OK
    assert run.parent is None
    assert linked(run) == [context_id(added)]
    assert context_id(run)[0] != context_id(added)[0]


async def test_the_link_survives_scheduling(docket: Docket, heard: Heard) -> None:
    await docket.add(hello, datetime.now(UTC) + timedelta(milliseconds=50), "k")("Jane")
    await drained(docket)
    assert linked(heard.only(docket.name, "hello")) == [context_id(heard.only(docket.name, "docket.add"))]


async def test_the_runs_of_a_batch_are_linked_to_its_span(docket: Docket, heard: Heard) -> None:
    docket.register(hello)
    await docket.add_many([docket.call(hello)(name) for name in ("Jane", "Joan")])
    await drained(docket)
    batch = heard.only(docket.name, "docket.add_many")
    assert [linked(span) for span in heard.of(docket.name) if span.name == "hello"] == [
        [context_id(batch)]
    ] * 2


async def test_each_failed_attempt_is_an_error_and_linked_to_who_added_the_task(
    docket: Docket, heard: Heard
) -> None:
    await docket.add(refuse)()
    await drained(docket)
    added, *attempts = heard.of(docket.name)
    assert [(span.attributes or {})["docket.attempt"] for span in attempts] == [1, 2]
    for span in attempts:
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description == "no"
        assert linked(span) == [context_id(added)]
        [event] = span.events
        assert (event.attributes or {})["exception.type"] == "ValueError"
        assert (event.attributes or {})["exception.message"] == "no"


async def test_every_run_of_a_perpetual_task_is_linked_to_what_began_it(docket: Docket, heard: Heard) -> None:
    runs = 0

    async def again(perpetual: Perpetual = Perpetual()) -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            perpetual.cancel()

    await docket.add(again)()
    await drained(docket)
    added, *spans = heard.of(docket.name)
    assert [linked(span) for span in spans] == [[context_id(added)]] * 3


async def added_in_a_request(
    docket: Docket, heard: Heard, **worker: Any
) -> tuple[ReadableSpan, ReadableSpan]:
    """The spans of an add and of its run."""
    with users.start_as_current_span("request"):
        await docket.add(hello)("Jane")
    await drained(docket, **worker)
    return heard.only(docket.name, "docket.add"), heard.only(docket.name, "hello")


async def test_a_run_may_be_a_child_of_the_span_that_added_it(docket: Docket, heard: Heard) -> None:
    added, run = await added_in_a_request(docket, heard, parent_task_spans=True)
    assert run.parent is not None
    assert (run.parent.trace_id, run.parent.span_id) == context_id(added)
    assert run.parent.is_remote
    assert context_id(run)[0] == context_id(added)[0]
    assert linked(run) == [context_id(added)]


@one_loop
@pytest.mark.parametrize(
    ("variable", "of_docket", "of_worker", "child"),
    [
        (None, None, None, False),
        ("true", None, None, True),
        ("", None, None, False),
        ("true", False, None, False),
        (None, True, None, True),
        ("0", True, False, False),
        ("false", False, True, True),
    ],
)
async def test_the_workers_setting_counts_then_the_dockets_then_the_variable(
    heard: Heard,
    anyio_backend: object,
    monkeypatch: pytest.MonkeyPatch,
    variable: str | None,
    of_docket: bool | None,
    of_worker: bool | None,
    child: bool,
) -> None:
    if variable is not None:
        monkeypatch.setenv("DOCKET_PARENT_TASK_SPANS", variable)
    async with Docket("whose", "memory://whose", parent_task_spans=of_docket) as docket:
        added, run = await added_in_a_request(docket, heard, parent_task_spans=of_worker)
        assert (context_id(run)[0] == context_id(added)[0]) is child


async def test_a_run_that_nobody_traced_is_no_child(docket: Docket, heard: Heard) -> None:
    tracer, signals.tracer = signals.tracer, None
    await docket.add(hello)("Jane")
    signals.tracer = tracer
    await drained(docket, parent_task_spans=True)
    assert heard.only(docket.name, "hello").parent is None


def test_a_setting_that_is_neither_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadSetting, match="parent_task_spans takes True or False, not 'child'"):
        Docket("d", parent_task_spans="child")  # type: ignore[arg-type]
    with pytest.raises(BadSetting, match="parent_task_spans takes True or False, not 1"):
        Worker(Docket("d"), parent_task_spans=1)  # type: ignore[arg-type]
    monkeypatch.setenv("DOCKET_PARENT_TASK_SPANS", "child")
    with pytest.raises(BadSetting, match="DOCKET_PARENT_TASK_SPANS takes true or false, not 'child'"):
        Docket("d")


async def test_a_dependency_that_fails_is_an_error_of_the_run(docket: Docket, heard: Heard) -> None:
    def broken() -> int:
        raise LookupError("not there")

    async def task(number: int = Depends(broken)) -> None: ...

    await docket.add(task)()
    await drained(docket)
    span = heard.only(docket.name, "task")
    assert span.status.status_code is StatusCode.ERROR
    assert "Failed to resolve dependencies for parameter(s): number" in (span.status.description or "")


async def test_a_task_that_is_not_admitted_is_no_error(docket: Docket, heard: Heard) -> None:
    tries = 0

    async def admit(execution: Execution[Any] = CurrentExecution()) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise AdmissionBlocked(execution, retry_delay=timedelta(milliseconds=10))

    async def task(
        admitted: None = Depends(admit), limit: ConcurrencyLimit = ConcurrencyLimit(1)
    ) -> None: ...

    await docket.add(task)()
    await docket.add(task)()
    await drained(docket)
    runs = [span for span in heard.of(docket.name) if span.name == "task"]
    assert len(runs) == 3
    assert {span.status.status_code for span in runs} == {StatusCode.OK}


async def test_a_cancelled_run_is_no_error(docket: Docket, heard: Heard) -> None:
    begun = anyio.Event()

    async def endless() -> None:
        begun.set()
        await anyio.sleep_forever()

    await docket.add(endless, key="k")()
    async with anyio.create_task_group() as group:
        group.start_soon(drained, docket)
        await begun.wait()
        await docket.cancel("k")
    assert heard.only(docket.name, "endless").status.status_code is StatusCode.OK


async def test_an_exception_that_cannot_be_shown_is_named(docket: Docket, heard: Heard) -> None:
    class Shy(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    async def task() -> None:
        raise Shy

    await docket.add(task)()
    await drained(docket)
    span = heard.only(docket.name, "task")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "(str() of it raised RuntimeError)"
    (event,) = span.events
    assert "Shy" in str((event.attributes or {})["exception.type"])


async def test_what_a_task_does_is_in_its_span(docket: Docket, heard: Heard) -> None:
    async def parent(docket: Docket = CurrentDocket()) -> None:
        with users.start_as_current_span("inside"):
            await docket.add(hello)("Jane")

    def threaded() -> None:
        trace.get_current_span().set_attribute("seen from", "a thread")

    docket.register(hello)
    await docket.add(parent)()
    await docket.add(threaded)()  # type: ignore[arg-type]
    await drained(docket)
    run = heard.only(docket.name, "parent")
    child = next(s for s in heard.of(docket.name) if (s.attributes or {}).get("docket.task") == "hello")
    assert child.name == "docket.add"
    assert context_id(child)[0] == context_id(run)[0]
    assert (heard.only(docket.name, "threaded").attributes or {})["seen from"] == "a thread"


async def test_the_baggage_of_who_added_a_task_is_there_for_it(docket: Docket, heard: Heard) -> None:
    seen: list[Any] = []

    async def task() -> None:
        seen.append(dict(baggage.get_all()))

    token = context.attach(baggage.set_baggage("tenant", "äöü, inc."))
    try:
        await docket.add(task)()
    finally:
        context.detach(token)
    await docket.add(task)()
    await drained(docket)
    assert sorted(seen, key=len) == [{}, {"tenant": "äöü, inc."}]


async def test_a_task_knows_the_context_in_which_it_was_added(docket: Docket, heard: Heard) -> None:
    seen: list[Any] = []

    async def task(execution: Execution[Any] = CurrentExecution()) -> None:
        assert execution.trace_context is not None
        [link] = execution.incoming_span_links()
        assert trace.get_current_span(execution.trace_context).get_span_context() == link.context
        seen.append((link.context.trace_id, link.context.span_id))

    execution = await docket.add(task)()
    await drained(docket)
    added = heard.only(docket.name, "docket.add")
    assert seen == [context_id(added)]
    assert [(link.context.trace_id, link.context.span_id) for link in execution.incoming_span_links()] == seen


# messages ------------------------------------------------------------------------------------------------

TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_the_context_is_in_the_fields_of_the_message(docket: Docket, heard: Heard) -> None:
    await docket.add(hello, key="k")("Jane")
    async with docket.redis() as redis:
        [(_, fields)] = await redis.xrange(docket.stream_key)
    trace_id, span_id = context_id(heard.only(docket.name, "docket.add"))
    assert fields[b"traceparent"].decode().split("-")[1:3] == [f"{trace_id:032x}", f"{span_id:016x}"]


@pytest.mark.parametrize(("given", "links"), [(TRACEPARENT, 1), (b"rubbish", 0), (b"\xff\xfe", 0), (None, 0)])
async def test_an_execution_of_a_message_has_the_links_that_it_carries(
    docket: Docket, given: bytes | None, links: int
) -> None:
    docket.register(hello)
    message = Execution(docket, hello, ("Jane",), {}, "k", PAST, 1).as_message()
    if given is not None:
        message[b"traceparent"] = given
    execution = await Execution.from_message(docket, message, sync=False)
    assert len(execution.incoming_span_links()) == links


async def test_an_execution_may_be_made_with_a_context(docket: Docket) -> None:
    linked_to = trace.SpanContext(1, 2, is_remote=True)
    known = trace.set_span_in_context(trace.NonRecordingSpan(linked_to))
    execution = Execution(docket, hello, ("Jane",), {}, "k", PAST, 1, trace_context=known)
    assert execution.trace_context is known
    assert [link.context for link in execution.incoming_span_links()] == [linked_to]


def test_a_propagator_reads_and_writes_the_fields_of_a_message() -> None:
    message = {b"key": b"k"}
    message_setter.set(message, "tracestate", "a=b")
    assert message == {b"key": b"k", b"tracestate": b"a=b"}
    assert message_getter.get(message, "tracestate") == ["a=b"]
    assert message_getter.get(message, "baggage") is None
    assert message_getter.keys(message) == ["key", "tracestate"]


# task groups ---------------------------------------------------------------------------------------------


async def gather(names: list[str], docket: Docket = CurrentDocket()) -> None:
    async with docket.task_group() as group:
        for name in names:
            await group.add(hello if name else refuse)(*[name] * bool(name))


async def test_a_task_group_is_a_span_in_the_run_of_its_parent_and_children_lead_to_it(
    docket: Docket, heard: Heard
) -> None:
    docket.register(gather)
    await docket.add(gather, key="top")(["Jane", "Joan"])
    await drained(docket)
    run, group = heard.only(docket.name, "gather"), heard.only(docket.name, "docket.task_group")
    assert group.parent == run.get_span_context()
    attributes = group.attributes or {}
    assert (attributes["docket.key"], attributes["docket.group"]) == ("top", str(attributes["docket.group"]))
    adds = [span for span in heard.of(docket.name) if span.name == "docket.add" and span.parent]
    assert [add.parent for add in adds] == [group.get_span_context()] * 2
    children = [span for span in heard.of(docket.name) if span.name == "hello"]
    assert sorted(linked(child)[0] for child in children) == sorted(map(context_id, adds))
    assert {child.parent for child in children} == {None}
    assert group.status.status_code is StatusCode.UNSET
    assert all((group.end_time or 0) >= (child.end_time or 0) for child in children)


async def test_children_are_in_the_trace_of_their_parent_where_runs_are_children_of_what_added_them(
    docket: Docket, heard: Heard
) -> None:
    docket.register(gather)
    with users.start_as_current_span("request") as request:
        await docket.add(gather)(["Jane"])
    async with Worker(docket, parent_task_spans=True) as worker:
        await worker.run_until_finished()
    trace_id = request.get_span_context().trace_id
    traces = {span.name: context_id(span)[0] for span in heard.of(docket.name)}
    assert traces == dict.fromkeys(("docket.add", "gather", "docket.task_group", "hello"), trace_id)


async def test_the_span_of_a_group_has_the_failures_that_come_out_of_it(docket: Docket, heard: Heard) -> None:
    docket.register(gather)
    docket.register(refuse)
    await docket.add(gather)([""])
    await drained(docket)
    group = heard.only(docket.name, "docket.task_group")
    assert group.status.status_code is StatusCode.ERROR
    assert [event.name for event in group.events] == ["exception"]


async def test_a_group_of_a_program_is_a_span_in_its_trace_and_ends_as_it_is_cancelled(
    docket: Docket, heard: Heard
) -> None:
    with users.start_as_current_span("request") as request:
        with anyio.CancelScope() as scope:
            async with docket.task_group() as group:
                await group.add(hello, FUTURE)("Jane")
                scope.cancel()
        assert trace.get_current_span() is request
    span = heard.only(docket.name, "docket.task_group")
    assert span.parent == request.get_span_context()
    assert span.status.status_code is StatusCode.UNSET
    assert (span.attributes or {})["docket.key"] == ""

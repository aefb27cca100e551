"""The dashboard as an ASGI application: pages, links, streams, what it reads."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from docket import ConcurrencyLimit, Docket, Worker, clock
from docket.errors import BadSetting
from docket.web import Dashboard, Visitor, anybody, basic
from docket.web.http import Scope
from docket.web.pages import PAGES
from docket.web.sampling import Samples
from tests import where
from tests.servers import Server
from tests.trouble import REFUSALS
from tests.web.caller import Caller
from tests.web.test_markup import Read
from tests.where import slow

pytestmark = [pytest.mark.anyio, where.few_pairs]

ODD = "a/b?c#d%&é <img src=x onerror=y> \r\n\t\u202e"


#: Pages that are about one thing, with one that is not there.
OF_ONE = {"run": "?key=k", "task": "?name=t", "group": "?id=g.1"}


async def test_every_page_is_there_on_an_empty_docket(web: Caller) -> None:
    for page in PAGES:
        answer = await web.get(page.path + OF_ONE.get(page.path, ""))
        assert answer.status == (404 if page.path in OF_ONE else 200), page.path
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "trusted-types docket" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


async def test_an_odd_key_is_shown_as_text_and_leads_to_its_run(docket: Docket, web: Caller) -> None:
    await docket.add("paint", key=ODD)(3, secret="s3cret")
    page = (await web.get("work?state=due")).text
    assert "<img" not in page
    assert "\\u202e" in page
    link = page.partition('href="run?key=')[2].partition('"')[0]
    answer = await web.get(f"run?key={link}")
    assert answer.status == 200
    assert "paint(3, secret=...)" in answer.text
    assert "s3cret" not in answer.text


async def test_lists_go_on_where_the_page_before_ended(docket: Docket, web: Caller) -> None:
    calls = [
        docket.call("wash", when=clock.now() + timedelta(hours=1, seconds=n), key=f"k{n:03}")()
        for n in range(120)
    ]
    await docket.add_many(calls)
    seen: list[str] = []
    path = "work?state=later&format=json"
    while path:
        document = (await web.get(path)).json
        assert document["total"] == 120
        seen += [each["key"] for each in document["executions"]]
        after = document["next"]
        path = f"work?state=later&format=json&after={after.replace('|', '%7C')}" if after else ""
    assert seen == [f"k{n:03}" for n in range(120)]


async def test_levels_are_shown_where_there_are_others_than_normal(docket: Docket, web: Caller) -> None:
    await docket.add("paint", key="n")(1)
    assert "Priority" not in (await web.get("run?key=n")).text
    await docket.add("wash", key="h", priority="high")(1)
    await docket.store.liveness.beat("w", [], tasks_too=True, serves="normal,low")
    overview = (await web.get("")).text
    assert "Due, high" in overview
    assert "no live worker serves it" in overview
    assert "Due, low" not in overview
    assert "high" in (await web.get("run?key=h")).text.partition("Priority")[2][:60]
    assert "high" in (await web.get("work?state=due")).text.partition("run?key=h")[2][:900]
    assert "serves normal and low only" in (await web.get("workers")).text
    document = (await web.get("run?key=h&format=json")).json
    assert document["priority"] == "high"


async def test_what_runs_once_more_is_shown_with_the_run_before(docket: Docket, web: Caller) -> None:
    for key in "k", "other":
        await docket.add("wash", key=key)(1)
    claims = docket.store.claims("w")
    await claims.create_group()
    await claims.take(2)
    await docket.add("paint", key="k", if_running="once_more")(2, secret="s3cret")
    page = (await web.get("run?key=k")).text
    assert "<dt>Once more</dt><dd><code>paint(2, secret=...){k}</code></dd>" in page
    assert "s3cret" not in page
    before, _, other = (await web.get("work?state=running")).text.partition("run?key=other")
    assert ">once more</span>" in before.partition("run?key=k")[2]
    assert "nce more" not in other + (await web.get("run?key=other")).text
    document = (await web.get("run?key=k&format=json")).json
    assert (document["runs_once_more"], document["once_more"]) == (True, "paint(2, secret=...){k}")
    running = (await web.get("work?state=running&format=json")).json["executions"]
    assert [each["runs_once_more"] for each in running] == [True, False]


async def test_a_filter_stands_in_the_address(docket: Docket, web: Caller) -> None:
    await docket.add("paint", key="wall-1")()
    await docket.add("wash", key="wall-2")()
    page = (await web.get("work?state=due&task=wash&contains=WALL")).text
    assert "wall-2" in page
    assert "wall-1" not in page
    assert 'value="WALL"' in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nowhere", 404),
        ("run", 400),
        ("group", 400),
        ("work?state=x", 400),
        ("work?after=x", 400),
        ("live?of=x", 204),
    ],
)
async def test_what_is_not_there_is_said_in_a_page(web: Caller, path: str, status: int) -> None:
    assert (await web.get(path)).status == status


@pytest.mark.parametrize(
    "odd",
    [
        "%00",
        "%ED%A0%80",
        "%25ff",
        "a" * 70_000,
        "9" * 400,
        "1e999",
        "0001-01-01T00:00:00%2B23:59",
        "t:a:b",
        "|",
    ],
)
async def test_no_address_is_a_mistake_of_the_server(web: Caller, odd: str) -> None:
    for page in PAGES:
        for name in (
            "state",
            "task",
            "contains",
            "after",
            "before",
            "error",
            "since",
            "name",
            "key",
            "done",
            "n",
        ):
            answer = await web.get(f"{page.path}?{name}={odd}")
            assert answer.status in (200, 400, 404), (page.path, name)


async def test_other_methods_are_refused(web: Caller) -> None:
    answer = await web.call("PUT", "", b"", {})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    head = await web.call("HEAD", "", b"", {})
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 1000


@pytest.mark.parametrize("strips", [True, False])
async def test_it_finds_itself_wherever_it_is_mounted(dashboard: Dashboard, strips: bool) -> None:
    web = Caller(dashboard, root="/admin/ops", strips=strips)
    page = (await web.get("")).text
    assert 'href="work?state=due"' in page
    assert 'href="/' not in page
    assert (await web.get("work")).status == 200
    slashed = await web.get("work/?state=due&task=a%26b")
    assert (slashed.status, slashed.headers["location"]) == (307, "../work?state=due&task=a%26b")


async def test_the_root_without_a_slash_gets_one(dashboard: Dashboard) -> None:
    """Else relative links would lead to its neighbours."""
    web = Caller(dashboard)
    scope = {
        **web.scope("GET", "", {}),
        "path": "/admin/ops",
        "raw_path": b"/admin/ops",
        "root_path": "/admin/ops",
    }
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any: ...

    await dashboard(scope, receive, send)
    assert sent[0]["status"] == 307
    assert (b"location", b"ops/") in sent[0]["headers"]


async def test_assets_may_be_kept_for_as_long_as_they_are_the_same(web: Caller) -> None:
    page = (await web.get("")).text
    for name in ("board.css", "board.js"):
        link = f"{name}?v=" + page.partition(f"{name}?v=")[2][:16]
        answer = await web.get(link)
        assert "immutable" in answer.headers["cache-control"]
        assert (await web.get(f"{name}?v=old")).headers["cache-control"] == "no-cache"
    bodies = [(await web.get(name)).body for name in ("board.css", "board.js")]
    assert sum(map(len, bodies)) < 30_000


async def one_at_a_time(wall: int, limit: ConcurrencyLimit = ConcurrencyLimit("wall")) -> None:
    await anyio.sleep_forever()


async def test_what_keeps_a_task_waiting_is_said_with_a_link_to_it(docket: Docket, web: Caller) -> None:
    docket.register(one_at_a_time)
    await docket.pause("paint")
    await docket.add("paint", key="rests")()
    async with Worker(docket) as worker, anyio.create_task_group() as group:
        group.start_soon(worker.run_forever)
        for key in "holds", "waits":
            await docket.add(one_at_a_time, key=key)(7)
        with anyio.fail_after(20):
            while not ((counts := await docket.counts()).limited and counts.paused):
                await anyio.sleep(0.01)
        for path, words in (
            ("run?key=waits", "waits for the limit wall:7"),
            ("work?state=limited", "for wall:7"),
            ("run?key=rests", "waits for a resume"),
            ("work?state=paused", "paused"),
        ):
            page = Read((await web.get(path)).text)
            assert words in page.said.partition("Dead letters")[2], path
        links = [said.get("href") for name, said in Read((await web.get("run?key=waits")).text).elements]
        assert "limits" in links[links.index("dead") :]
        await docket.cancel("holds")
        group.cancel_scope.cancel()


async def test_the_overview_shows_the_busiest_tasks(docket: Docket, web: Caller) -> None:
    assert "No run has ended in the last hour." in (await web.get("")).text
    for n in range(3):
        await docket.add("paint", key=f"p{n}")(n)
    await docket.add("wash")()
    await Worker(docket).run_until_finished()
    page = (await web.get("?later=1")).text.partition('id="busiest"')[2]  # the reading before is that of ""
    assert 0 < page.index(">paint</a>") < page.index(">wash</a>")
    document = (await web.get("?later=1&format=json")).json
    assert list(document["busiest"]) == ["paint", "wash"]
    assert document["counts"]["due"] == 0


# live ----------------------------------------------------------------------------------------------------


async def test_a_stream_says_what_changes_and_nothing_else(docket: Docket, web: Caller) -> None:
    async with web.stream("live?of=work%3Fstate%3Ddue") as events:
        first = await events.next()
        assert set(first) >= {"tabs", "rows", "nav"}
        await docket.add("paint", key="new-one")()
        later = await events.next()
        while "new-one" not in later.get("rows", ""):
            later = await events.next()
        assert "<h1>" not in later["rows"]


async def test_a_run_tells_of_itself_at_once(docket: Docket, url: str) -> None:
    """Its events bring it up to date, long before it would be read again."""
    await docket.add("paint", when=clock.now() + timedelta(hours=1), key="k")()
    dashboard = Dashboard(docket, authorize=anybody, refresh=timedelta(minutes=5))
    async with Caller(dashboard).stream("live?of=run%3Fkey%3Dk") as events:
        assert "scheduled" in (await events.next())["state"]
        await docket.cancel("k")
        assert "cancelled" in (await events.next())["state"]
    await dashboard.aclose()


async def test_many_viewers_cost_one_reading_per_refresh(docket: Docket) -> None:
    dashboard = Dashboard(docket, authorize=anybody, refresh=timedelta(minutes=5))
    web = Caller(dashboard)
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(web.get, "work")
    assert dashboard.reads == 2  # the page, and the numbers of the navigation
    await dashboard.aclose()


async def test_what_takes_long_to_read_is_read_more_rarely(docket: Docket) -> None:
    samples, age = Samples(), 0.01

    async def read() -> int:
        await anyio.sleep(0.1)
        return samples.reads

    assert await samples.get("slow", read, age=age) == 1
    await anyio.sleep(2 * age)
    assert await samples.get("slow", read, age=age) == 1  # for half a second
    assert await samples.get("slow", read, age=0) == 2
    samples.forget()
    assert await samples.get("slow", read, age=age) == 3


async def test_closing_ends_every_stream_at_once(dashboard: Dashboard, web: Caller) -> None:
    async with web.stream("live?of=") as events:
        await events.next()
        dashboard.close()
        await events.end()
    async with web.stream("live?of=") as events:
        await events.end()


async def test_the_lifespan_leaves_the_docket(memory_url: str) -> None:
    docket = Docket("orders", memory_url)
    dashboard = Dashboard(docket, authorize=anybody)
    assert (await Caller(dashboard).get("")).status == 200
    given = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return given.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await dashboard({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    with pytest.raises(RuntimeError, match="not connected"):
        _ = docket.store


# who may look --------------------------------------------------------------------------------------------


async def test_nobody_looks_without_the_password(docket: Docket) -> None:
    web = Caller(Dashboard(docket, authorize=basic("ops", "päss:wörd")))
    for credentials in ("", "Basic !!!", "Basic b3BzOng=", "Bearer x", "Basic " + "A" * 5000):
        answer = await web.get("work", authorization=credentials)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
    import base64

    good = "Basic " + base64.b64encode("ops:päss:wörd".encode()).decode()
    assert (await web.get("work", authorization=good)).status == 200
    for path in ("health", "board.css"):
        assert (await web.get(path)).status == 200
    for path in ("live?of=", "parts?of=", "work?format=json"):
        assert (await web.get(path)).status == 401


async def test_a_hook_of_ones_own_decides_and_may_wait(docket: Docket) -> None:
    async def authorize(scope: Scope) -> Visitor | None:
        await anyio.sleep(0)
        name = dict(scope["headers"]).get(b"x-user")
        return Visitor(name.decode(), may_act=name == b"boss") if name else None

    web = Caller(Dashboard(docket, authorize=authorize))
    await docket.add("paint", key="k")()
    assert (await web.get("work")).status == 403
    assert "formaction" not in (await web.get("work", x_user="guest")).text
    assert 'formaction="cancel"' in (await web.get("work", x_user="boss")).text


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"authorize": None}, "authorize takes a function"),
        ({"authorize": anybody, "refresh": timedelta(0)}, "refresh takes a duration above zero"),
        ({"authorize": anybody, "origins": ["ops.example.org"]}, "origins takes addresses like"),
        ({"authorize": anybody, "origins": "https://ops.example.org"}, "origins takes addresses like"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(BadSetting, match=words):
        Dashboard(Docket("d", "memory://"), **settings)


def test_a_password_may_not_be_missing() -> None:
    with pytest.raises(BadSetting, match="password may not be empty"):
        basic("ops", "")
    with pytest.raises(BadSetting, match="a name without a colon"):
        basic("a:b", "x")
    assert "secret" not in repr(basic("ops", "secret"))


@slow  # and there is no full memory://
@pytest.mark.pairs(("asyncio", "redis"), ("trio", "redis"))
async def test_a_full_server_is_said_on_every_page_and_in_what_it_refuses(
    docket: Docket, web: Caller, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    assert "is full" not in (await web.get("")).text
    with REFUSALS["OOM"](server), caplog.at_level(logging.INFO, "docket.web"):
        struck = {
            "function": "paint",
            "parameter": "x",
            "operator": "==",
            "value": "large" * 1000,
            "kind": "text",
        }
        refused = await web.post("strike", struck)
        assert refused.status == 503
        assert "Nothing was changed: command not allowed" in refused.text
        assert ".." not in refused.text.partition("Nothing was changed")[2].partition("<")[0]
        assert (await web.post("pause", {"name": "paint"})).status == 303
        assert "The memory of Redis is full" in (await web.get("")).text
        assert (await web.get("?format=json")).json["counts"]["memory_full"] is True
    assert [each.getMessage()[:50] for each in caplog.records if each.name == "docket.web"] == [
        "anybody: strike on docket orders: nothing was done",
        "anybody: pause on docket orders: 1 done, 0 not: 'p",
    ]


# without a server ----------------------------------------------------------------------------------------


async def test_a_server_that_is_away_is_said_with_503(caplog: pytest.LogCaptureFixture) -> None:
    docket = Docket("orders", "redis://nobody:hunter2@127.0.0.1:9/0")
    web = Caller(Dashboard(docket, authorize=anybody))
    for path in ("", "work", "run?key=k", "health", "parts?of="):
        answer = await web.get(path)
        assert answer.status == 503, path
        assert "hunter2" not in answer.text
    assert "Redis is away" in (await web.get("work")).text
    assert 'href="work"' in (await web.get("work")).text  # the way to other pages stays
    with caplog.at_level(logging.INFO, "docket.web"):
        refused = await web.post("cancel", {"key": "k", "sure": "1"})
    assert refused.status == 503
    (line,) = [each.getMessage() for each in caplog.records if each.name == "docket.web"]
    assert line == "anybody: cancel on docket orders: it is not known what was done: 'key=k', 'sure=1'"
    async with web.stream("live?of=") as events:
        assert await events.next("away")
    await web.app.aclose()


async def test_a_delivery_that_could_not_be_read_is_counted_and_shown(docket: Docket, web: Caller) -> None:
    async with docket.redis() as redis:
        await redis.xadd(docket.stream_key, {"key": "k", "function": "paint", "args": b"<\x80>"})
    await Worker(docket).run_until_finished()
    page = (await web.get("dead")).text
    assert r"b&#x27;&lt;\x80&gt;&#x27;" in page
    assert 'Dead letters<span class="count bad">1</span>' in (await web.get("work")).text
    assert 'Dead</span><strong class="number">1</strong>' in (await web.get("")).text


async def test_a_worker_that_drains_is_told_from_the_others(docket: Docket, web: Caller) -> None:
    for name, drains in ("host#1", False), ("host#2", True):
        await docket.store.liveness.beat(name, ["mail"], tasks_too=True, drains=drains)
    assert "1 draining" in (await web.get("/")).text
    shown = await web.get("/workers")
    first, second = shown.text.split("host#1")[1].split("host#2")
    assert ("draining" in first, "draining" in second) == (False, True)
    told = (await web.get("/workers?format=json")).json["workers"]
    assert {worker["name"]: worker["draining"] for worker in told} == {"host#1": False, "host#2": True}


async def test_a_run_shows_when_it_was_due_queued_begun_and_over(docket: Docket, web: Caller) -> None:
    async def stations() -> list[str]:
        await anyio.sleep(0.03)  # as long as what was read before is young enough
        page = (await web.get("run?key=k")).text
        way = page.split('<ol class="way">')[1].split("</ol>")[0]
        return re.findall(r"<strong>(.*?)</strong>", way)

    async def mail() -> None:
        gate.begun.set()
        await gate.go.wait()

    gate = SimpleNamespace(begun=anyio.Event(), go=anyio.Event())
    docket.register(mail)
    await docket.add(mail, when=clock.now() + timedelta(days=1), key="k")()
    assert await stations() == ["Due"]
    await docket.run_now("k")
    await docket.store.due.move(1)
    assert await stations() == ["Due", "Queued", "Waits for a worker"]
    async with anyio.create_task_group() as group:
        worker = Worker(docket)
        group.start_soon(worker.run_forever)
        await gate.begun.wait()
        assert await stations() == ["Due", "Queued", "Begun", "Running"]
        worker.stop()
        gate.go.set()
    assert await stations() == ["Due", "Queued", "Begun", "Completed"]

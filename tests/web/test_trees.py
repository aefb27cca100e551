"""Trees of runs on the dashboard: drawn on the page of a run, listed on that of a group, bounded on both."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from docket import Docket, clock
from docket.store import Delivery, Ended
from docket.web import Dashboard, anybody
from tests import where
from tests.web.caller import Caller
from tests.where import one_loop, slow

pytestmark = [pytest.mark.anyio, where.few_pairs]

HOUR = timedelta(hours=1)


async def grow(docket: Docket, keys: list[str], key: str = "top") -> str:
    """A parent that runs, with children of these keys of which the first has failed; the id of its group."""
    store, claims = docket.store, docket.store.claims("w")
    await claims.create_group()
    if key == "top":
        await docket.add("wash", key=key)()
    [parent] = await claims.take(1)
    assert isinstance(parent, Delivery)
    group = await store.groups.open(key, 1, parent.fence, look_after=HOUR)
    for each in keys:
        message = docket._execution_of(docket.call("wash", key=each)(), replace=False).message()
        await store.schedule.place(message, replace=False, child_of=group.id)
    [bad] = await claims.take(1)
    assert isinstance(bad, Delivery)
    await claims.settle(bad, Ended("failed", error="Boom: <b>bang</b>"))
    return group.id


async def test_the_page_of_a_run_draws_its_tree_with_links(docket: Docket, web: Caller) -> None:
    group = await grow(docket, ["bad", "k/2 ü", "inner"])
    await docket.store.claims("w").take(1)
    page = (await web.get("run?key=top")).text
    assert "3 children: 1 failed, 2 under way" in page
    tree = page[page.index('class="tree"') :]
    assert re.findall(r'href="(run\?[^"]*)"', tree)[:3] == [
        "run?key=bad&amp;task=wash",
        "run?key=k%2F2%20%C3%BC&amp;task=wash",
        "run?key=inner&amp;task=wash",
    ]
    assert re.findall(r'class="badge [a-z]*">([a-z]*)<', tree)[:3] == ["failed", "running", "queued"]
    assert "Boom: &lt;b&gt;bang" in tree
    assert f'href="group?id={group}"' in page
    document = (await web.get("run?key=top&format=json")).json
    assert document["tree"]["run"]["groups"][0]["under_way"] == 2


async def test_a_child_is_drawn_and_listed_with_what_keeps_it(docket: Docket, web: Caller) -> None:
    group = await grow(docket, ["bad"])
    call = docket.call("wash", clock.now() + HOUR, "late", expires=2 * HOUR, priority="low")()
    message = docket._execution_of(call, replace=False).message()
    await docket.store.schedule.place(message, replace=False, child_of=group)
    await docket.add("wash", key="top", if_running="once_more")()
    for path in "run?key=top", f"group?id={group}":
        row = (await web.get(path)).text.partition("run?key=late")[2]
        assert "low priority" in row
        assert "expires <time" in row
    [late] = (await web.get(f"group?id={group}&format=json")).json["children"][1:]
    assert (late["priority"], late["runs_once_more"]) == ("low", False)
    assert (await web.get("run?key=top&format=json")).json["tree"]["run"]["runs_once_more"]


async def test_a_child_leads_to_what_is_above_it(docket: Docket, web: Caller) -> None:
    await grow(docket, ["bad", "inner"])
    await grow(docket, ["deep", "deeper"], key="inner")
    page = (await web.get("run?key=deeper")).text
    above = page[page.index("Child of") :]
    assert re.findall(r'href="(run\?[^"]*)"', above)[:2] == ["run?key=top", "run?key=inner"]
    page = (await web.get("run?key=top")).text
    assert page.count('class="tree"') == 2
    assert "Child of" not in page
    assert "2 with a task group open" in (await web.get("workers")).text
    assert (await web.get("work?state=running")).text.count(">parent<") == 2


async def test_the_children_of_a_group_are_listed_page_by_page(docket: Docket, web: Caller) -> None:
    keys = [f"k{number:03}" for number in range(120)]
    group = await grow(docket, keys)
    seen: list[str] = []
    path = f"group?id={group}"
    while path:
        page = (await web.get(path)).text
        seen += re.findall(r'href="run\?key=(k[^"]*)&amp;task=wash"', page)
        following = re.search(r'href="([^"]*)" class="button" rel="next"', page)
        path = following[1].replace("&amp;", "&") if following else ""
    assert seen == keys
    assert 'href="run?key=top"' in page
    first = (await web.get("run?key=top")).text
    assert "110 more" in first
    assert first.count("task=wash") < 15
    assert (await web.get(f"group?id={group}&after=x")).status == 400


@one_loop
@slow
async def test_a_page_of_very_many_children_takes_few_commands(redis_url: str) -> None:
    async with Docket("orders", redis_url) as docket:
        docket.register_collection("tests.web.tasks:all_tasks")
        group = await grow(docket, ["bad"])
        async with docket.redis() as redis:
            members = dict.fromkeys((f"k{number}" for number in range(100_000)), 2)
            await redis.zadd(docket.keys.group(group), members)
            for path, most in {"run?key=top": 100, f"group?id={group}": 130}.items():
                web = Caller(Dashboard(docket, authorize=anybody))
                await redis.call("CONFIG", "RESETSTAT")
                assert (await web.get(path)).status == 200
                stats = await redis.info("commandstats")
                assert sum(each["calls"] for each in stats.values()) < most
                assert max(each["usec_per_call"] for each in stats.values()) < 10_000
                await web.app.aclose()

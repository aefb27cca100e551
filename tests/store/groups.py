"""Groups to test with, and how they stand."""

from __future__ import annotations

from datetime import timedelta

from docket.store import Delivery, Ended, InGroup, OpenGroup
from tests.store.conftest import FUTURE, Heard, Store, message

LOOK = timedelta(seconds=60)

#: The score of the parent among the members of its group.
PARENT = -9


async def of_program(store: Store) -> OpenGroup:
    return await store.groups.open("", "1", None, look_after=LOOK)


async def of_task(store: Store) -> tuple[OpenGroup, Delivery]:
    """That of a running task."""
    delivery = await store.running("parent")
    return await store.groups.open("parent", "1", delivery.fence, look_after=LOOK), delivery


async def add(store: Store, group: OpenGroup, key: str = "child", *, later: bool = False) -> InGroup | None:
    sent = message(key, FUTURE) if later else message(key)
    return (await store.schedule.place(sent, replace=False, child_of=group.id)).in_group


async def scores(store: Store, group: OpenGroup) -> dict[str, float]:
    """Of the children, and of the group itself as ''; its parent is left out."""
    found = await store.client.zrange(store.keys.group(group.id), 0, -1, withscores=True)
    return {name.decode(): score for name, score in found if score != PARENT}


async def end_one(store: Store, state: str = "completed") -> str:
    """Take a task and end it; its key."""
    delivery = await store.claimed()
    await store.claims().settle(delivery, Ended(state))
    return delivery.message.key


async def of_group(heard: Heard) -> list[str]:
    """What was published about groups, to those who follow one and (``group``) to workers."""
    said: list[str] = []
    for channel, text in await heard.all():
        if channel.startswith("d:group:"):
            said.append(text)
        elif channel == "d:wake" and text.startswith("group "):
            said.append("group")
    return said

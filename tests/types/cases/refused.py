"""Each line with this comment is refused, and no other."""

from __future__ import annotations

from docket import Docket, remote_task


async def add(a: int, b: int = 0) -> int:
    return a + b


@remote_task
async def send_welcome(customer: int) -> None: ...


async def use(docket: Docket) -> None:
    await docket.add(add)("text")  # refused
    await docket.add(add)()  # refused
    docket.call(add)(1, c=2)  # refused
    await docket.replace(add, when=None, key="k")(1)  # refused
    text: str = await (await docket.add(add)(1)).get_result()  # refused
    print(text)
    docket.register("add")  # refused
    await docket.add(add, priority="urgent")(1)  # refused
    await docket.add(add, key="k", if_running="queue")(1)  # refused
    [execution] = await docket.add_many([docket.call(add)(1)])
    words: list[str] = await execution.get_result()  # refused
    print(words)
    await docket.add(send_welcome)("Jane")  # refused

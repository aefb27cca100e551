#!/usr/bin/env bash
# anyio 4.16.0 on asyncio: a child of a task group that is cancelled by asyncio's own Task.cancel() takes the whole group
# along, and the group then ends as if everything had gone well. In asyncio.TaskGroup such a child ends alone.
#
# Seen: the sibling is cancelled after one step, the block ends without an exception, and the code after it runs.
# asyncio.TaskGroup: the sibling finishes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check anyio==4.16.0
"$work/venv/bin/python" - <<'PY'
import asyncio
import sys

import anyio


async def culprit() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)


async def sibling(seen: list[str]) -> None:
    try:
        await asyncio.sleep(0.05)
        seen.append("finished")
    except asyncio.CancelledError:
        seen.append("cancelled")
        raise


async def of_anyio() -> list[str]:
    seen: list[str] = []
    async with anyio.create_task_group() as group:
        group.start_soon(sibling, seen)
        group.start_soon(culprit)
    return [*seen, "no exception"]


async def of_asyncio() -> list[str]:
    seen: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(sibling(seen))
        group.create_task(culprit())
    return [*seen, "no exception"]


ours, theirs = asyncio.run(of_anyio()), asyncio.run(of_asyncio())
print("anyio:", ours, "asyncio:", theirs)
sys.exit(not (ours == ["cancelled", "no exception"] and theirs == ["finished", "no exception"]))
PY

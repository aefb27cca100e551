"""Lua scripts by their digest; an unknown one is loaded once, however many callers run it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from ..standins import redis_errors
from ..values import frozen
from .resp import Argument, Packed, joined, pack, pack_vouched

if TYPE_CHECKING:
    from ..memory import Script as MemoryScript
    from ..memory import Twin
    from .client import Client
    from .pipeline import Pipeline
    from .pool import Pool

__all__ = ["Lua", "Script", "ScriptCall", "ensure_loaded", "pack_call", "rerun_unknown"]

#: The keys and the arguments of one call of a script.
ScriptCall = tuple[Sequence[Argument], Sequence[Argument]]


def _no_twin(sha: str) -> None:
    """A script of others: a server in this process runs its Lua."""


@frozen
class Lua:
    """The source of a script; ``sha`` is the digest by which the server knows it.

    ``vouched``: its callers check the arguments themselves (`pack_vouched`). ``twin_of`` returns by the digest the
    Python that a server in this process (memory://) runs in its place.
    """

    text: str
    vouched: bool = attrs.field(default=False, kw_only=True, eq=False)
    twin_of: Callable[[str], Twin | None] = attrs.field(default=_no_twin, kw_only=True, eq=False)
    sha: str = attrs.field(init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())

    def inside(self) -> MemoryScript:
        """The script and its twin, as a server in this process takes them."""
        from .. import memory

        return memory.Script(self.text, self.twin_of(self.sha))


def pack_call(lua: Lua, call: ScriptCall) -> Packed:
    keys, args = call
    return (pack_vouched if lua.vouched else pack)(("EVALSHA", lua.sha, len(keys), *keys, *args))


async def ensure_loaded(client: Client, pool: Pool, lua: Lua, seen: int) -> None:
    """Load ``lua``, unless another caller has done so since ``seen = pool.loads.get(lua.sha, 0)``."""
    async with pool.loading:
        if pool.loads.get(lua.sha, 0) == seen:
            await client.call("SCRIPT", "LOAD", lua.text)
            pool.loads[lua.sha] = seen + 1


async def rerun_unknown(
    client: Client, pool: Pool, lua: Lua, calls: Sequence[ScriptCall], replies: list[Any], seen: int
) -> None:
    """Load the script and repeat the calls whose reply is NOSCRIPT, in order; put the new replies in their places."""
    refused = [index for index, reply in enumerate(replies) if isinstance(reply, Exception)]
    unknown = [index for index in refused if isinstance(replies[index], redis_errors.NoScriptError)]
    if not unknown:
        return
    await ensure_loaded(client, pool, lua, seen)
    again = joined([pack_call(lua, calls[index]) for index in unknown])
    for index, reply in zip(unknown, await client.request(again, len(unknown)), strict=True):
        replies[index] = reply
    # Flushed again in between: now send the text itself, which cannot be unknown.
    unknown = [index for index in unknown if isinstance(replies[index], redis_errors.NoScriptError)]
    if unknown:
        evals = [("EVAL", lua.text, len(keys), *keys, *args) for keys, args in (calls[i] for i in unknown)]
        for index, reply in zip(unknown, await client.call_many(evals), strict=True):
            replies[index] = reply


class Script:
    """A script of ``client.register_script(text)``: ``await script(keys=[...], args=[...], client=pipe)``.

    As redis-py's AsyncScript, but for our Pipeline: that queues the call, and loads a script that the server lacks
    before it runs.
    """

    def __init__(self, client: Client, script: str | bytes) -> None:
        self.registered_client = client
        self.script = script
        self._lua = Lua(script if isinstance(script, str) else script.decode())

    @property
    def sha(self) -> str:
        return self._lua.sha

    @property
    def lua(self) -> Lua:
        return self._lua

    async def __call__(
        self,
        keys: Sequence[Argument] | None = None,
        args: Iterable[Argument] | None = None,
        client: Client | Pipeline | None = None,
    ) -> Any:
        """Run the script; in a pipeline, queue it and return the pipeline.

        Raises: ResponseError - the script's or the server's; ConnectionError, TimeoutError.
        """
        from .pipeline import Pipeline

        target = client or self.registered_client
        if isinstance(target, Pipeline):
            return target.queue_script(self._lua, list(keys or ()), list(args or ()))
        return await target.run(self._lua, list(keys or ()), list(args or ()))

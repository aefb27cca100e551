"""Commands that do something under each of the keys that they are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from attrs import field, frozen

from ..client import check_key
from .at import At
from .errors import CommandFailed
from .existing import check_docket
from .json_output import print_json
from .server import with_docket

if TYPE_CHECKING:
    from ..docket import Docket

__all__ = ["Said", "each_key"]


@frozen
class Said:
    """What became of one key: whether anything was ``done``, in words, and what ``--json`` has ``more``."""

    done: bool
    text: str
    more: Mapping[str, object] = field(factory=dict[str, object])


def each_key(
    act: Callable[[Docket, str], Awaitable[Said]],
    keys: tuple[str, ...],
    at: At,
    *,
    json: bool,
) -> None:
    """Act on each key, and say what became of it; a key given twice counts once.

    Raises: CommandFailed - nothing was done about some of them; UsageError - one is no key, and nothing was done.
    """
    keys = tuple(dict.fromkeys(map(check_key, keys)))

    async def each(opened: Docket) -> list[Said]:
        said: list[Said] = []
        for name in keys:
            said.append(one := await act(opened, name))
            if one.done and not json:
                print(one.text)  # at once: the server may go away before the next one
        if not any(one.done for one in said):
            await check_docket(opened)
        return said

    said = with_docket(each, at)
    if json:
        rows = [
            {"key": name, "done": one.done, "said": one.text, **one.more}
            for name, one in zip(keys, said, strict=True)
        ]
        print_json(at.docket, keys=rows)
    if problems := [one.text for one in said if not one.done]:
        raise CommandFailed(*problems)

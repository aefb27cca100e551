"""Writes ``docket/store/script_calls.py`` from the headers of the scripts: ``python -m tests.store.script_calls``."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path

import attrs

import docket.store
from docket.store.keys import Channels, Keys

FOLDER = Path(docket.store.__file__).parent / "scripts"
MODULE = FOLDER.parent / "script_calls.py"
FENCE = ["message_id", "generation", "claim", "holder"]

#: Names of headers that say more than the member of `Keys` that makes them; and the one that is always the same.
ALIASES = {"children": "group", "key_queue": "queue_of", "wake_channel": "wake"}
CONSTANTS = {"group": "GROUP"}

TOP = '''"""One function per script: keys and arguments in the order of the script's header, by the names of the header.

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
{all}
]

# fmt: off
# ruff: noqa: PLR0913
'''


def names(text: str, table: str) -> list[str]:
    """What a header names after KEYS or ARGV."""
    return re.findall(rf"^-- {table} (.*)$", text, re.MULTILINE)[0].split()


@attrs.define
class Function:
    """The function of one script, as its header is read."""

    parameters: dict[str, str] = attrs.field(factory=dict[str, str])

    def take(self, name: str, kind: str) -> str:
        if self.parameters.get(name) != "str":
            self.parameters[name] = kind
        return name

    def value(self, name: str, names: type[Channels]) -> str:
        """What the function sends for a name of the header; ``names`` makes those that need not be passed."""
        if name.endswith("..."):
            return "*" + self.take(name.removesuffix("..."), "Sequence[Argument]")
        if name in CONSTANTS:
            return CONSTANTS[name]
        member = ALIASES.get(name, name)
        made = inspect.getattr_static(names, member, None)
        if inspect.isfunction(made):
            whose = [self.take(each, "str") for each in [*inspect.signature(made).parameters][1:]]
            return f"keys.{member}({', '.join(whose)})"
        if made is not None or member == "prefix":
            return f"keys.{member}"
        return self.take(name, "Argument")

    def values(self, header: list[str], names: type[Channels]) -> list[str]:
        sent: list[str] = []
        while header:
            if header[:4] == FENCE:
                self.take("fence", "Fence")
                sent += [f"fence.{field}" for field in FENCE]
                header = header[4:]
            else:
                sent.append(self.value(header[0], names))
                header = header[1:]
        return sent


def wrapped(items: list[str], indent: str) -> str:
    text = ", ".join(item.replace(" ", "~") for item in items)
    lines = textwrap.fill(text, 108, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    return lines.replace("~", " ") + ","


def function(name: str, text: str) -> str:
    """The function of a script."""
    made = Function()
    keys, sent = made.values(names(text, "KEYS"), Keys), made.values(names(text, "ARGV"), Channels)
    summary = text.replace("\n-- ", " ").removeprefix("-- ").partition(". ")[0].rstrip(".") + "."
    summary = textwrap.fill(summary, 108, initial_indent='    """', subsequent_indent="    ")
    parameters = [f"{each}: {kind}" for each, kind in made.parameters.items()]
    taken = f" *,\n{wrapped(parameters, '    ')}" if parameters else ""
    return f'''

def {name}(
    keys: Keys,{taken}
) -> Call:
{summary}"""
    return (
        script("{name}"),
        [
{wrapped(keys, "            ")}
        ],
        [
{wrapped(sent, "            ")}
        ],
    )
'''


def module() -> str:
    """The text of the module."""
    scripts = sorted(FOLDER.glob("*.lua"))
    shown = "\n".join(f'    "{path.stem}",' for path in scripts)
    return TOP.replace("{all}", shown) + "".join(
        function(path.stem, path.read_text("utf-8")) for path in scripts
    )


if __name__ == "__main__":
    MODULE.write_text(module(), "utf-8")

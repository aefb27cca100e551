"""What a room shows, its ``__all__`` says."""

from __future__ import annotations

import importlib

from tests.house.tree import PACKAGE, dotted, label, parsed, sources

#: The front door has a test of its own in test_import.py.
MODULES = [path for path in sources() if path not in {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}]


def test_every_module_says_what_it_shows_and_has_it() -> None:
    for path in MODULES:
        module = importlib.import_module(dotted(path))
        assert module.__doc__, f"{label(path)} has no docstring that says what it owns"
        if path.name == "__init__.py" and len(parsed(path).body) == 1:
            continue  # a folder of a room, which is entered by the room's door
        missing = [name for name in module.__all__ if not hasattr(module, name)]
        assert not missing, f"{label(path)}: __all__ names {missing}"

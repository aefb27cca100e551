"""Foreign bytes are opened in one place: unpickling runs what strangers may have written."""

from __future__ import annotations

import ast

from tests.house.tree import label, parsed, sources

#: Modules whose loading of bytes may run code, and what in them only writes.
RUNS = {"pickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "jsonpickle"}
ONLY_WRITES = {"docket/store/errors_kept.py", "docket/store/pickles.py"}
OPENS = {"loads", "load", "Unpickler", "_loads", "_load", "open"}

#: Who may use the one function that opens pickles.
DOORS = {"docket/store/payloads.py", "docket/store/serializing.py"}


def test_only_one_file_unpickles() -> None:
    wrong: list[str] = []
    for path in sources():
        for node in ast.walk(parsed(path)):
            match node:
                case ast.Import(names=names) if RUNS & {name.name for name in names}:
                    if label(path) not in ONLY_WRITES:
                        wrong.append(f"{label(path)}:{node.lineno}: imports what unpickles")
                case ast.ImportFrom(module=module) if module in RUNS:
                    wrong.append(f"{label(path)}:{node.lineno}: takes something out of {module}")
                case ast.Attribute(value=ast.Name(id=module), attr=attr) if module in RUNS and attr in OPENS:
                    if label(path) != "docket/store/pickles.py":
                        wrong.append(f"{label(path)}:{node.lineno}: opens by {module}.{attr}")
                case _:
                    pass
    assert not wrong, "\n".join(wrong)


def test_only_the_door_of_payloads_uses_what_unpickles() -> None:
    users: set[str] = set()
    for path in sources():
        for node in ast.walk(parsed(path)):
            taken = {name.name for name in node.names} if isinstance(node, ast.ImportFrom) else set[str]()
            if (
                isinstance(node, ast.ImportFrom)
                and (node.module or "").endswith("pickles")
                and "load" in taken
            ):
                users.add(label(path))
    assert users == DOORS

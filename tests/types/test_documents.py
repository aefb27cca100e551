"""What the documents and examples show passes both type checkers, each as strict as it can be."""

from __future__ import annotations

import pytest

from tests.house.test_docs import DOCUMENTS
from tests.house.tree import ROOT, label
from tests.types.conftest import Complaints
from tests.types.documents import programs

SHOWN = [label(path) for path in [*DOCUMENTS, *sorted((ROOT / "examples").rglob("*.py"))]]


@pytest.mark.parametrize("source", SHOWN)
def test_the_python_that_people_read_is_typed_strictly(source: str, complaints: Complaints) -> None:
    found = complaints(source)
    assert not found, "\n".join(map(str, found))


def test_a_line_of_a_program_is_the_line_of_its_document() -> None:
    text = "# Title\n<!-- python\nimport a\n-->\n```python\na.b()\n```\n<!-- another program -->\n```py\nc = 1\n```\n"
    first, second = programs(text)
    assert first.splitlines() == ["", "", "import a", "", "", "a.b()", ""]
    assert second.splitlines() == [""] * 9 + ["c = 1", ""]

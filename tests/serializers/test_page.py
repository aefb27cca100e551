"""The examples of docs/serializers.md run, from top to bottom."""

from __future__ import annotations

from typing import Any

from tests.house.test_docs import blocks
from tests.house.tree import ROOT


def test_the_examples_run() -> None:
    _, found = blocks((ROOT / "docs" / "serializers.md").read_text(encoding="utf-8"))
    codes = [code for _, language, code in found if language == "python"]
    namespace: dict[str, Any] = {"__name__": "tests.serializers.test_page"}
    for code in codes:
        exec(compile(code, "docs/serializers.md", "exec", dont_inherit=True), namespace)
    assert len(codes) == 5

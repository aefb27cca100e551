"""Each culprit of the tables ends as it is documented, and nobody else does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hostile.bodies import BODIES
from tests.hostile.exceptions import EXCEPTIONS
from tests.hostile.harness import Row, Witness, rows, trial

pytestmark = pytest.mark.anyio


def loop_of(backend: tuple[str, dict[str, Any]]) -> str:
    name, options = backend
    return "uvloop" if options.get("use_uvloop") else name


@pytest.mark.parametrize("row", rows([EXCEPTIONS, BODIES]))
async def test_only_the_culprit_is_harmed(row: Row, url: str, anyio_backend: Any, witness: Witness) -> None:
    if loop_of(anyio_backend) not in row.on:
        pytest.skip("not on this loop")
    await trial(row, url, witness)

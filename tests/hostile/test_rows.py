"""Each culprit of the tables ends as it is documented, and nobody else does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hostile.bodies import BODIES
from tests.hostile.cancelling import CANCELLING
from tests.hostile.exceptions import EXCEPTIONS
from tests.hostile.harness import Row, Witness, rows, trial
from tests.hostile.messages import MESSAGES
from tests.hostile.scopes import SCOPES
from tests.hostile.telling import TELLING
from tests.hostile.times import TIMES
from tests.hostile.tricks import TRICKS
from tests.hostile.values import VALUES
from tests.where import asyncio_and_trio

pytestmark = pytest.mark.anyio

TABLES = [EXCEPTIONS, BODIES, CANCELLING, SCOPES, TELLING, VALUES, MESSAGES, TIMES, TRICKS]


def skip_elsewhere(row: Row, backend: tuple[str, dict[str, Any]]) -> None:
    name, options = backend
    if ("uvloop" if options.get("use_uvloop") else name) not in row.on:
        pytest.skip("not on this loop")


@pytest.mark.parametrize("row", rows(TABLES, slow=False))
async def test_only_the_culprit_is_harmed(row: Row, url: str, anyio_backend: Any, witness: Witness) -> None:
    skip_elsewhere(row, anyio_backend)
    await trial(row, url, witness)


@asyncio_and_trio
@pytest.mark.parametrize("row", rows(TABLES, slow=True))
async def test_nor_by_others_of_its_kind(
    row: Row, memory_url: str, anyio_backend: Any, witness: Witness
) -> None:
    skip_elsewhere(row, anyio_backend)
    await trial(row, memory_url, witness)

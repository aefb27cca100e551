"""``import docket`` is light: the heavy parts load when somebody uses them."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Top-level packages that no import of docket loads.
HEAVY = {
    "cyclopts",
    "rich",
    "lupa",
    "trio",
    "uvloop",
    "opentelemetry",
    "prometheus_client",
    "pytest",
    "unittest.mock",
}

BASE = "import anyio, redis"


def evaluated(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def cost(statement: str) -> float:
    """Seconds of processor time that a fresh interpreter spends on a statement; the best of several."""
    code = f"import time; a = time.process_time(); {statement}; print(time.process_time() - a)"
    return min(float(evaluated(code)) for _ in range(5))


def loaded(statement: str) -> set[str]:
    return set(evaluated(f"{statement}; import sys; print(*sorted(sys.modules))").split())


def test_importing_docket_costs_less_than_a_tenth_of_a_second() -> None:
    """Beyond anyio and redis, which every user of docket loads anyway."""
    assert cost(f"{BASE}; import docket") - cost(BASE) < 0.1


@pytest.mark.parametrize("module", ["docket", "docket.testing", "docket.cli"])
def test_importing_a_room_loads_nothing_heavy(module: str) -> None:
    assert not (loaded(f"{BASE}; import {module}") - loaded(BASE)) & HEAVY


def test_what_docket_exports_is_there() -> None:
    missing = evaluated(
        "import docket; print(*[n for n in getattr(docket, '__all__', ()) if not hasattr(docket, n)])"
    )
    assert not missing

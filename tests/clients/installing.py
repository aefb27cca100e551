"""What docs/from-pydocket.md says of installing, done in fresh environments by pip and by uv."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.clients.environments import Environment, run, wheels

__all__ = ["walk"]

PREFECT_BEFORE, PREFECT = "prefect==3.9.0", "prefect==3.9.1"

PROJECT = """
[project]
name = "app"
version = "1"
requires-python = ">=3.11"
dependencies = ["anydocket", "{prefect}"]

[tool.uv]
override-dependencies = ["pydocket"]

[tool.uv.sources]
anydocket = {{ path = "{ours}" }}
pydocket = {{ path = "{stand_in}" }}
"""


def same(found: str, expected: str) -> None:
    if found != expected:
        raise RuntimeError(f"found {found!r}, not {expected!r}")


def walk(work: Path) -> dict[str, str]:
    """Each step with what became of it: ``ok``, or what went wrong."""
    ours, stand_in = wheels(work / "wheels")
    outcomes: dict[str, str] = {}

    def step(name: str, does: Callable[[], None]) -> None:
        try:
            does()
        except RuntimeError as error:
            outcomes[name] = str(error)
        else:
            outcomes[name] = "ok"
        print(f"{name}: {outcomes[name]}", flush=True)

    for by in ("pip", "uv"):
        home = work / f"walk-{by}"

        def ours_first(by: str = by, home: Path = home) -> None:
            env = Environment.fresh(home, by)
            env.install(ours, stand_in)
            env.install(PREFECT_BEFORE)
            same(env.whose(), "anydocket 0.27.0")
            env.check()

        def upgraded(by: str = by, home: Path = home) -> None:
            env = Environment(home, by)
            env.install("--upgrade", PREFECT)
            same(env.whose(), "anydocket 0.27.0")
            env.check()

        def back(by: str = by, home: Path = home) -> None:
            env = Environment(home, by)
            env.uninstall("pydocket", "anydocket")
            env.install("pydocket==0.27.0")
            same(env.whose(), "pydocket 0.27.0")
            env.check()

        def pydocket_first(by: str = by, home: Path = home) -> None:
            env = Environment(home, by)  # Prefect on the real one, after the way back
            env.uninstall("pydocket")
            env.install(ours, stand_in)
            same(env.whose(), "anydocket 0.27.0")
            env.check()

        def constrained(by: str = by, home: Path = home) -> None:
            env = Environment(home, by)
            constraints = home / "constraints.txt"
            constraints.write_text(f"pydocket @ {stand_in.as_uri()}\nanydocket @ {ours.as_uri()}\n")
            eager = ["--upgrade-strategy", "eager"] if by == "pip" else []
            env.install("--upgrade", *eager, "-c", constraints, PREFECT)
            same(env.whose(), "anydocket 0.27.0")

        def ours_over_it(by: str = by, home: Path = home) -> None:
            env = Environment.fresh(home, by)
            env.install("pydocket==0.27.0")
            env.install(ours)
            if "Files of pydocket" not in env.warning():
                raise RuntimeError("no warning")

        def cured(by: str = by, home: Path = home) -> None:
            env = Environment(home, by)
            env.uninstall("pydocket", "anydocket")
            env.install(ours, stand_in)
            same(env.whose(), "anydocket 0.27.0")

        def it_over_ours(by: str = by, home: Path = home) -> None:
            env = Environment.fresh(home, by)
            env.install(ours)
            env.install("pydocket==0.27.0")
            if "Files of pydocket" not in env.warning(ok=False):
                raise RuntimeError("no warning")

        step(f"{by}: this and the stand-in, then Prefect", ours_first)
        step(f"{by}: Prefect upgraded", upgraded)
        step(f"{by}: back to pydocket", back)
        step(f"{by}: this and the stand-in in place of pydocket", pydocket_first)
        step(f"{by}: everything upgraded, under constraints", constrained)
        step(f"{by}: this over pydocket warns", ours_over_it)
        step(f"{by}: the cure", cured)
        step(f"{by}: pydocket over this warns", it_over_ours)
        step(f"{by}: the cure again", cured)

    def project() -> None:
        folder = work / "project"
        folder.mkdir(exist_ok=True)
        text = PROJECT.format(prefect=PREFECT, ours=ours, stand_in=stand_in)
        (folder / "pyproject.toml").write_text(text)
        run("uv", "sync", "--quiet", cwd=folder)
        env = Environment(folder / ".venv")
        same(env.whose(), "anydocket 0.27.0")
        env.check()
        run("uv", "sync", "--quiet", "--upgrade", cwd=folder)
        same(env.whose(), "anydocket 0.27.0")

    step("uv: a project with an override", project)
    return outcomes

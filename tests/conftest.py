"""What tests may need from the machine: captures with truth, tshark, the command line."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

# How long an example takes says how busy the machine is; benchmarks measure.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent
RunCli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def truth() -> Path:
    """The folder of captures with truth (``lab/`` and ``real/``), from FLOWSCOPE_TRUTH."""
    folder = os.environ.get("FLOWSCOPE_TRUTH")
    if not folder:
        pytest.skip("FLOWSCOPE_TRUTH is not set: no captures with truth")
    path = Path(folder)
    if not (path / "lab").is_dir():
        pytest.skip(f"FLOWSCOPE_TRUTH={folder} has no lab/")
    return path


@pytest.fixture(scope="session")
def tshark() -> str:
    """The path of tshark."""
    found = shutil.which("tshark")
    if not found:
        pytest.skip("tshark is not installed")
    return found


@pytest.fixture(scope="session")
def core() -> None:
    """Asks for the compiled core."""
    if importlib.util.find_spec("flowscope._core") is None:
        pytest.skip("flowscope._core is not built: make build")


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """Runs ``python -m flowscope`` with arguments; keyword arguments go to ``subprocess.run``."""

    def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TZ": "UTC", **options.pop("env", {})}  # type: ignore[dict-item]
        command = [sys.executable, "-m", "flowscope", *map(str, arguments)]
        usual = {"capture_output": True, "text": True, "timeout": 120, "env": environment}
        return subprocess.run(command, **{**usual, **options})  # type: ignore[call-overload]

    return run


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of small captures that belong to the project."""
    folder = ROOT / "captures"
    if not folder.is_dir():
        pytest.skip("no captures/ folder")
    return folder


#: What watches the clock while it captures or calls: one such test at a time.
_ALONE = ("tests/live/", "tests/cli/test_live.py", "tests/lab/", "tests/nat/test_datagrams_live.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers (``-n 2 --dist loadgroup``) a file stays in one, and so do all that watch the clock."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        file = item.path.relative_to(ROOT).as_posix()
        played = file.startswith(_ALONE) and not file.startswith(("tests/lab/test_worse", "tests/lab/test_degraded"))
        item.add_marker(pytest.mark.xdist_group("live" if played else file))

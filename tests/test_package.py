"""The wheel is whole: installed outside of the checkout, it has its rules, its schema and a working core."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.slow


def run(command: list[str], **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built with the checkout's own cargo target folder, so that little is compiled again."""
    if not shutil.which("cargo"):
        pytest.skip("no Rust toolchain")
    pytest.importorskip("maturin", reason="maturin is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "--no-build-isolation"]
    run([*pip, "--wheel-dir", str(folder), str(ROOT)], env={**os.environ, "PATH": binaries})
    (built,) = folder.glob("flowscope-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``flowscope`` command of a fresh environment that borrows the dependencies of this one."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    run([str(python), "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-index", str(wheel)])
    site = run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
    # Dependencies one by one: the environment's own .pth would bring the checkout along.
    borrowed = folder / "borrowed"
    borrowed.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.suffix != ".pth" and not entry.name.startswith(("flowscope", "pip", "__pycache__")):
            (borrowed / entry.name).symlink_to(entry)
    (Path(site) / "borrowed.pth").write_text(f"{borrowed}\n")
    return folder / "bin" / "flowscope"


def test_the_wheel_holds_what_is_not_code(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    package = {name for name in names if name.startswith("flowscope/")}
    kept = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.py", "*.toml", "*.json", "*.pyi", "*.css", "*.js", "py.typed")
        for path in (ROOT / "flowscope").rglob(pattern)
    }
    assert kept <= package
    assert any(name.startswith("flowscope/_core") and name.endswith((".so", ".pyd")) for name in package)
    assert "abi3" in wheel.name
    assert not [name for name in names if name.startswith(("tests/", "rust/", "captures/", "benchmarks/"))]
    assert any(name.endswith("LICENSE") for name in names)


def test_it_runs_outside_of_the_checkout(installed: Path, tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    place = run(
        [str(installed.parent / "python"), "-c", "import flowscope; print(flowscope.__file__)"], cwd=tmp_path, env=clean
    )
    assert str(ROOT) not in place
    assert "hairpin" in run([str(installed), "explain", "hairpin-mismatch"], cwd=tmp_path, env=clean)
    assert "closed-port" in run([str(installed), "rules"], cwd=tmp_path, env=clean)


def test_it_finds_the_hairpin(installed: Path, samples: Path, tmp_path: Path) -> None:
    hairpin = samples / "hairpin"
    command = [str(installed), "analyze", str(hairpin), "--topology", str(hairpin / "topology.toml")]
    report = json.loads(run([*command, "--format", "json"], cwd=tmp_path))
    assert "hairpin-mismatch" in {finding["rule"] for finding in report["findings"]}

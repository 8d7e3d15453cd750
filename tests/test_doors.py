"""One door per package: who may import what, and what `--help` must not wait for."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "flowscope"

DOORS = {
    "scapy": ("capture/live.py",),
    "pyshark": ("capture/wireshark.py",),
    "networkx": ("graph/",),
    "click": ("cli/",),
    "rich": ("cli/",),
    "flowscope._core": ("capture/", "live/", "__init__.py"),
    "psutil": ("host/",),
    "yaml": ("cloud/yaml_text.py",),
}
"""Package, and the modules that may import it."""

RIVER = ("capture/", "nat/", "rules/", "graph/")
"""Stages in the order of the river; none imports from one further down. Types may be named in any direction."""


def imports(path: Path, types: bool = True) -> Iterator[str]:
    """Names that a module imports; without ``types`` not those under TYPE_CHECKING."""
    tree = ast.parse(path.read_text())
    hidden = set()
    if not types:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                hidden |= {id(inner) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("package", DOORS)
def test_one_door_per_package(package: str) -> None:
    trespassers = [
        place(path)
        for path in modules()
        if any(name == package or name.startswith(f"{package}.") for name in imports(path))
        and not place(path).startswith(DOORS[package])
    ]
    assert not trespassers


def test_stages_import_only_from_upstream() -> None:
    wrong = []
    for path in modules():
        stage = next((at for at, folder in enumerate(RIVER) if place(path).startswith(folder)), None)
        if stage is None:
            continue
        down = tuple(f"flowscope.{folder.rstrip('/')}" for folder in (*RIVER[stage + 1 :], "cli"))
        wrong += [f"{place(path)} imports {name}" for name in imports(path, types=False) if name.startswith(down)]
    assert not wrong


def test_package_names_are_nouns_of_the_field() -> None:
    forbidden = {"utils", "util", "helpers", "helper", "common", "models", "types", "misc"}
    assert not [place(path) for path in modules() if path.stem in forbidden or path.parent.name in forbidden]


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(argument: str) -> None:
    code = (
        "import sys\nfrom flowscope.cli import run\n"
        f"assert run([{argument!r}]) == 0\n"
        "heavy = {'polars', 'networkx', 'scapy', 'pyshark', 'rich', 'numpy', 'flowscope._core'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, flowscope\n"
        "heavy = {'polars', 'networkx', 'scapy', 'pyshark', 'rich', 'click'} & set(sys.modules)\n"
        "assert {'analyze', 'Analysis', 'Finding', '__version__'} <= set(dir(flowscope))\n"
        "assert flowscope.Finding.__name__ == 'Finding'\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr


def test_version_is_the_same_everywhere() -> None:
    import tomllib

    import flowscope

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    workspace = tomllib.loads((ROOT / "rust/Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert flowscope.__version__ == project == workspace

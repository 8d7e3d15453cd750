"""flowscope reads packet captures, follows each connection across load balancers and NAT, and names what is wrong.

``analyze`` does the main job and returns an ``Analysis`` with its ``Finding`` list. The names are loaded when they are
first used, so that ``flowscope --help`` does not wait for Polars.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowscope.analysis import Analysis, analyze
    from flowscope.findings import Finding

__all__ = ["Analysis", "Finding", "__version__", "analyze"]

__version__ = "0.1.0"

_HOMES = {"Analysis": "flowscope.analysis", "analyze": "flowscope.analysis", "Finding": "flowscope.findings"}


def __getattr__(name: str) -> object:
    """Loads a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted({*globals(), *__all__})

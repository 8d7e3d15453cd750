"""The Rust core, or one clear sentence when it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowscope.errors import FlowscopeError

if TYPE_CHECKING:
    from flowscope._core import Engine
    from flowscope.settings import Settings


def new_engine(settings: Settings) -> Engine:
    """An engine that follows flows as the settings say.

    Raises:
        FlowscopeError: the compiled part of flowscope is missing or was built for another Python.
    """
    try:
        from flowscope import _core
    except ImportError as error:
        raise FlowscopeError(
            f"the compiled core (flowscope._core) cannot be loaded ({error}): run `make build` in the checkout, "
            "or install the package with pip"
        ) from None
    return _core.Engine(
        from_ns=settings.from_ns,
        to_ns=settings.to_ns,
        max_frames=settings.max_frames,
        community_id=settings.community_id,
    )

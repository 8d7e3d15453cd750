"""The Rust core and what it hands over, or one clear sentence when it is not there."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

import polars as pl

from flowscope.errors import FlowscopeError

if TYPE_CHECKING:
    from flowscope._core import Annotator as Annotator
    from flowscope._core import Engine, Tables
    from flowscope._core import Selection as Selection
    from flowscope.settings import Settings


@dataclass(frozen=True, slots=True)
class Frames:
    """The core's tables of one stretch of traffic (:mod:`flowscope.tables`); a flow's number is its row."""

    flows: pl.DataFrame
    events: pl.DataFrame
    messages: pl.DataFrame
    issues: pl.DataFrame
    addresses: pl.DataFrame
    points: pl.DataFrame

    @classmethod
    def of(cls, tables: Tables) -> Frames:
        """What the core handed over; nothing is copied."""
        return cls(
            flows=pl.DataFrame(tables.flows),
            events=pl.DataFrame(tables.events),
            messages=pl.DataFrame(tables.messages),
            issues=pl.DataFrame(tables.issues),
            addresses=pl.DataFrame(tables.addresses),
            points=pl.DataFrame(tables.points),
        )


def _core() -> ModuleType:
    try:
        from flowscope import _core as core
    except ImportError as error:
        raise FlowscopeError(
            f"the compiled core (flowscope._core) cannot be loaded ({error}): run `make build` in the checkout, "
            "or install the package with pip"
        ) from None
    return core


def new_engine(settings: Settings) -> Engine:
    """An engine that follows flows as the settings say.

    Raises:
        FlowscopeError: the compiled part of flowscope is missing or was built for another Python.
    """
    engine: Engine = _core().Engine(
        from_ns=settings.from_ns,
        to_ns=settings.to_ns,
        max_frames=settings.max_frames,
        community_id=settings.community_id,
    )
    return engine


def new_selection(
    *,
    flows: list[tuple[bytes, int, bytes, int, int, int, int, int]],
    frames: list[int],
    everything: bool,
    settings: Settings,
) -> Selection:
    """What picks frames out of one capture; arguments are those of the core, bounds those of the settings.

    Raises:
        FlowscopeError: the compiled part of flowscope is missing.
    """
    selection: Selection = _core().Selection(
        flows=flows,
        frames=frames,
        everything=everything,
        from_ns=settings.from_ns,
        to_ns=settings.to_ns,
        max_frames=settings.max_frames,
    )
    return selection


def new_annotator(comments: dict[int, list[str]], section_comment: str, *, frames_only: bool = False) -> Annotator:
    """What copies one capture and writes comments, by frame number, into it.

    Args:
        comments: by frame number.
        section_comment: of the whole.
        frames_only: leave out blocks that Wireshark numbers as frames and that hold none.

    Raises:
        FlowscopeError: the compiled part of flowscope is missing.
    """
    annotator: Annotator = _core().Annotator(comments, section_comment, frames_only=frames_only)
    return annotator

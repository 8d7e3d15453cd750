"""The view of ``flowscope live`` on a terminal."""

from flowscope.cli.live_lines import Lines as Screen

__all__ = ["Screen"]

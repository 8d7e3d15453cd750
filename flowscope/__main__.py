"""``python -m flowscope`` and the ``flowscope`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    from flowscope.cli import run

    sys.exit(run())


if __name__ == "__main__":
    main()

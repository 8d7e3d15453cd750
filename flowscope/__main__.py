"""``python -m flowscope`` and the ``flowscope`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    try:
        from flowscope.cli import run
    except KeyboardInterrupt:
        # Ctrl-C before there is anything that could say so better.
        sys.exit(130)
    sys.exit(run())


if __name__ == "__main__":
    main()

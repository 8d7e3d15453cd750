"""The command line: one file per command, one index.

Modules here import click and nothing heavier; Polars and the rest come when a command runs.
"""

from __future__ import annotations

import difflib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from flowscope import __version__
from flowscope.cli.output import reader_gone, settle_stdout
from flowscope.cli.progress import tell, told
from flowscope.errors import FlowscopeError

COMMANDS = (
    "analyze",
    "live",
    "flows",
    "paths",
    "probes",
    "snat",
    "topology",
    "graph",
    "report",
    "verify",
    "extract",
    "annotate",
    "dissect",
    "rules",
    "explain",
    "doctor",
)
"""Every command, in the order of the help; each is the ``command`` of the module of its name."""


class _Commands(click.Group):
    """Imports a command's module only when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"flowscope.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = difflib.get_close_matches(args[0], COMMANDS, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"commands are {', '.join(COMMANDS)}."
            if not close and os.path.exists(args[0]):
                hint = f"to analyse it: flowscope analyze {args[0]}"
            raise click.UsageError(f"No such command {args[0]!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`flowscope COMMAND --help` shows a command's options and examples.",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Follow connections across load balancers and NAT in packet captures, and name what is wrong."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code.

    0: it ran. 1: ``--fail-on`` found something. 2: nothing could be done; one line on stderr says what and how to mend
    it. 130: interrupted.
    """
    told.clear()
    try:
        code = cli.main(arguments, prog_name="flowscope", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "flowscope"
        return _failed(f"{error.format_message().rstrip('.')} (see `{command} --help`)")
    except click.ClickException as error:
        return _failed(error.format_message())
    except FlowscopeError as error:
        return _failed(str(error))
    except (click.Abort, KeyboardInterrupt):
        tell("interrupted")
        return 130
    except BrokenPipeError:
        reader_gone()
        return 0
    except SystemExit as end:
        # click ends so, with 1, when the reader of stdout has gone; 1 is for --fail-on alone.
        if end.code != 1:
            raise
        reader_gone()
        return 0
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _failed(f"{place}{(error.strerror or str(error)).lower()}")
    except MemoryError:
        return _failed("out of memory: analyse fewer captures at once, or a part of them with --from, --to or -c")
    except Exception as error:
        if logging.getLogger("flowscope").isEnabledFor(logging.DEBUG):
            traceback.print_exc()
        what = str(error).split("\n", 1)[0]
        return _failed(f"internal error: {type(error).__name__}: {what} (a bug: please report it; -vv shows where)")


def _failed(message: str) -> int:
    settle_stdout()
    if message not in told:
        tell(message)
    return 2

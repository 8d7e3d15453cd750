"""``flowscope rules``: every check by name."""

from __future__ import annotations

import difflib
import json
from typing import Any

import click

from flowscope.cli.options import screen_width, wants_colour
from flowscope.report.document import head
from flowscope.report.layout import columns, labelled
from flowscope.report.paint import painter


@click.command(
    "rules",
    short_help="What flowscope can find.",
    epilog="`flowscope explain RULE` shows what a rule looks for, and what looks like it.",
)
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--no-color", is_flag=True, help="No colours (so does NO_COLOR).")
def command(format_: str, no_color: bool) -> int:
    """List the rules: what flowscope can find."""
    found = [rule_object(name) for name in _index()]
    if format_ == "json":
        click.echo(json.dumps({**head(), "rules": found}, indent=1))
        return 0
    paint = painter(wants_colour(no_color))
    heads = columns((rule["name"], rule["severity"], ".") for rule in found)
    for rule, head_line in zip(found, heads, strict=True):
        severity, label = rule["severity"], head_line[:-1]
        painted = label.replace(f"  {severity}", f"  {paint(severity, severity)}", 1)
        for line in labelled(painted, rule["summary"], len(label), screen_width() or 1000):
            click.echo(line)
    return 0


def known_rule(name: str, place: str) -> str:
    """The name of a rule, when there is one.

    Raises:
        click.UsageError: there is none; says which was meant.
    """
    names = list(_index())
    if name not in names:
        close = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {close[0]!r}?" if close else "`flowscope rules` lists them"
        raise click.UsageError(f"{place}: there is no rule {name!r}: {hint}")
    return name


def rule_object(name: str) -> dict[str, Any]:
    """A rule as the JSON report has it: name, severity, one sentence."""
    rule = _index()[name]
    return {
        "name": name,
        "severity": str(rule.SEVERITY),
        "summary": rule_page(name).split("\n\n", 1)[0].replace("\n", " "),
    }


def rule_page(name: str) -> str:
    """The documentation of a rule, as its module has it."""
    import inspect

    return inspect.cleandoc(_index()[name].__doc__ or "")


def _index() -> Any:
    from flowscope.rules import RULES

    return RULES

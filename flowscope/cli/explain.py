"""``flowscope explain``: the page of one rule."""

from __future__ import annotations

import json
import re

import click

from flowscope.cli.options import wants_colour
from flowscope.cli.rules import known_rule, rule_object, rule_page
from flowscope.report.document import head
from flowscope.report.paint import painter

# Headings of a rule's page: a few words on a line of their own, with or without marks of Markdown.
_HEADING = re.compile(r"#+ .+|[A-Z][a-z][\w' -]{2,30}:?")


@click.command(
    "explain",
    short_help="The page of one rule.",
    epilog="""\b
Examples:
  flowscope explain hairpin-mismatch
  flowscope explain closed-port --format json""",
)
@click.argument("rule")
@click.option("--format", "format_", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--no-color", is_flag=True, help="No colours (so does NO_COLOR).")
def command(rule: str, format_: str, no_color: bool) -> int:
    """Say what a rule looks for, why it matters, what looks like it, and what to check next."""
    name = known_rule(rule, "explain")
    if format_ == "json":
        click.echo(json.dumps({**head(), "rules": [{**rule_object(name), "page": rule_page(name)}]}, indent=1))
        return 0
    paint = painter(wants_colour(no_color))
    click.echo(f"{paint(name, 'heading')}\n")
    for line in rule_page(name).splitlines():
        click.echo(paint(line, "heading") if _HEADING.fullmatch(line) else line)
    return 0

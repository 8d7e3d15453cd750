"""``flowscope explain``: the page of one rule."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator

import click

from flowscope.cli.options import screen_width, wants_colour
from flowscope.cli.rules import known_rule, rule_object, rule_page
from flowscope.report.document import head
from flowscope.report.paint import painter

# Headings of a rule's page: a few words on a line of their own, with or without marks of Markdown.
_PAGE_WIDTH = 120
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
    page, width = rule_page(name), screen_width()
    for line in page.splitlines() if width is None or width >= _PAGE_WIDTH else fitted(page, max(width, 40)):
        click.echo(paint(line, "heading") if _HEADING.fullmatch(line) else line)
    return 0


def fitted(page: str, width: int) -> Iterator[str]:
    """The lines of a page for a narrow screen: paragraphs are filled anew, commands stay on their line.

    Args:
        page: filled to 120 columns.
        width: of the screen.
    """
    lines: list[str] = []
    section = before = ""
    for line in page.splitlines():
        section = line if _HEADING.fullmatch(line) else section
        # A line goes on in the next one where the first word of that had no more room.
        full = bool(line.strip()) and len(before) + 1 + len(line.split()[0]) > _PAGE_WIDTH
        if full and section != "Example" and not line.lstrip().startswith("- "):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line)
        before = line
    for line in lines:
        if line.lstrip().startswith("$ "):
            yield line
            continue
        margin = " " * (len(line) - len(line.lstrip()))
        hang = margin + "  " * line.lstrip().startswith("- ")
        yield from textwrap.wrap(
            line, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False
        ) or [""]

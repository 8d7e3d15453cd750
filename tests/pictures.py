"""Makes the pictures of ``docs/`` anew: ``python -m tests.pictures`` (needs Chromium and the built core)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from flowscope.analysis import analyze
from flowscope.report.html import render
from tests.browser import Browser

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

PICTURES = (
    ("report-hairpin", "hairpin", 1280, 1000, "light", ""),
    ("report-hairpin-dark", "hairpin", 1280, 1000, "dark", ""),
    ("report-phone", "hairpin", 390, 844, "light", ""),
    ("ladder-hairpin", "hairpin", 1280, 900, "light", "#F1 .drawing svg"),
    ("ladder-closed-port", "closed-port", 1280, 900, "light", "#F1 .drawing svg"),
    ("ladder-asymmetric-return", "asymmetric-return", 1280, 900, "light", "#F1 .drawing svg"),
    ("ladder-snat", "snat-exhaustion", 1280, 900, "light", "#F1 .drawing svg"),
    ("graph-closed-port", "closed-port", 1280, 900, "light", ".graph-view"),
    ("graph-hairpin", "hairpin", 1280, 900, "dark", ".graph-view"),
    ("probes", "probes-all-down-closed", 1280, 900, "light", "#probes .drawing"),
    ("snat", "snat-exhaustion", 1280, 900, "light", "#snat .chart"),
)
"""Name, sample, width, height, colour scheme, and the part of the page (empty: its top)."""


def main() -> None:
    """Writes all of them."""
    with tempfile.TemporaryDirectory() as folder:
        browser = Browser(Path(folder) / "profile")
        pages: dict[str, Path] = {}
        for name, sample, width, height, scheme, part in PICTURES:
            if sample not in pages:
                pages[sample] = Path(folder) / f"{sample}.html"
                captures = ROOT / "captures" / sample
                analysis = analyze([captures.relative_to(ROOT)], topology=f"captures/{sample}/topology.toml")
                pages[sample].write_text(render(analysis), encoding="utf-8")
            browser.open(pages[sample], width, height, scheme)
            browser.picture(DOCS / f"{name}.png", part)
        browser.close()


if __name__ == "__main__":
    main()

"""The page as its readers meet it: in a browser, in both colour schemes, on a desk and on a telephone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowscope.analysis import Analysis, analyze
from flowscope.graph import export
from flowscope.report.html import render
from tests.browser import Browser, chromium

pytestmark = pytest.mark.usefixtures("core")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium()
    one = Browser(tmp_path_factory.mktemp("chromium"))
    yield one
    one.close()


@pytest.fixture(scope="module")
def hairpin(samples: Path) -> Analysis:
    return analyze([samples / "hairpin"], topology=str(samples / "hairpin/topology.toml"))


@pytest.fixture(scope="module")
def page(hairpin: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render(hairpin), encoding="utf-8")
    return file


def quiet(browser: Browser, page: Path) -> None:
    """Nothing was complained about, and nothing was asked for but the page."""
    assert browser.console == []
    assert browser.requests == [page.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_everything_is_on_show(browser: Browser, page: Path, width: int, scheme: str) -> None:
    browser.open(page, width, scheme=scheme)
    for selector in ("h1", "#F1 .ladder", "svg.path-graph .node", "#path-table tbody tr", "#flow-table tbody tr"):
        box = browser.value(
            f"(() => {{ const one = document.querySelector('{selector}'); one.scrollIntoView();"
            " const box = one.getBoundingClientRect(); return [box.width, box.height]; })()"
        )
        assert min(box) > 5, selector
    # The page itself never scrolls sideways; wide drawings scroll in their own frames.
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
    paper = browser.value("getComputedStyle(document.body).backgroundColor")
    ink = browser.value("getComputedStyle(document.body).color")
    assert contrast(paper, ink) > 7
    assert (luminance(paper) < 0.1) == (scheme == "dark")
    quiet(browser, page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_failed_can_be_read(browser: Browser, page: Path, scheme: str) -> None:
    browser.open(page, scheme=scheme)
    paper = browser.value("getComputedStyle(document.body).backgroundColor")
    for selector, colour in (
        ("#F1 .loop", "fill"),
        ("#F1 .badge", "color"),
        (".edge.failed .edge-label", "fill"),
        (".hint", "color"),
    ):
        found = browser.value(f"getComputedStyle(document.querySelector('{selector}')).{colour}")
        assert contrast(paper, found) > 4.5, (selector, found)


def test_the_switch_turns_dark_to_light(browser: Browser, page: Path) -> None:
    browser.open(page, scheme="dark")
    browser.click("#theme")
    assert luminance(browser.value("getComputedStyle(document.body).backgroundColor")) > 0.9


def test_tables_filter_sort_and_open(browser: Browser, page: Path) -> None:
    browser.open(page)
    shown = "[...document.querySelectorAll('#path-table tbody tr')].map((row) => row.textContent)"
    assert all("unanswered" in row for row in browser.value(shown))
    browser.value("document.querySelector('#path-table input').focus()")
    browser.ask("Input.insertText", {"text": "be2 F2"})
    assert "of 21 paths" in browser.value("document.querySelector('#path-table .controls').textContent")
    assert all("F2" in row for row in browser.value(shown))
    first = browser.value(shown)[0]
    browser.click("#path-table th:nth-child(2) button")
    browser.click("#path-table th:nth-child(2) button")
    assert (
        browser.value("document.querySelector('#path-table th:nth-child(2)').getAttribute('aria-sort')") == "descending"
    )
    assert browser.value(shown)[0] != first
    browser.click("#path-table tbody tr button.open")
    opened = browser.value("document.querySelector('#path-table tr.opened').textContent")
    assert "10.0.0.12:" in opened
    assert "→ 10.0.0.12:8080" in opened
    assert "be2: flow" in opened
    browser.click("#path-table tbody tr button.open")
    assert browser.value("document.querySelector('#path-table tr.opened')") is None


def test_a_route_opens_its_healthy_paths(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.click("button.show-route[data-filter$='10.0.0.13:8080']")
    text = browser.value("document.querySelector('#path-table').textContent")
    assert "of 19 paths" in text
    assert "established" in text
    quiet(browser, page)


def test_an_endpoint_can_be_asked_for_exactly(browser: Browser, page: Path) -> None:
    browser.open(page)
    for words, number in (
        ("10.0.0.1", 90),
        ("=10.0.0.1:", 0),
        ("=10.0.0.13:", 19),
        ("=10.0.0.13:80", 0),
        ("=10.0.0.13:8080", 19),
    ):
        browser.value(f"pathTable.filter({words!r}, '')")
        assert browser.value("pathTable.rows.length") == number, words


def test_the_graph_is_selected_zoomed_and_moved(browser: Browser, page: Path) -> None:
    browser.open(page)
    box = "document.querySelector('svg.path-graph').getAttribute('viewBox')"
    whole = browser.value(box)
    browser.click("#graph-controls [data-zoom=in]")
    assert float(browser.value(box).split()[2]) < float(whole.split()[2])
    middle = browser.value(
        "(() => { const box = document.querySelector('svg.path-graph').getBoundingClientRect();"
        " return [box.x + box.width / 2, box.y + box.height - 12]; })()"
    )
    before = browser.value(box)
    for kind, at in (("mousePressed", 0), ("mouseMoved", 40), ("mouseReleased", 40)):
        place = {"x": middle[0] + at, "y": middle[1], "button": "left", "clickCount": 1}
        browser.ask("Input.dispatchMouseEvent", {"type": kind, **place})
    assert browser.value(box) != before
    browser.click("#graph-controls [data-zoom=fit]")
    assert [float(one) for one in browser.value(box).split()] == [float(one) for one in whole.split()]
    browser.click(".path-graph .node.frontend")
    assert "10.0.0.100:80" in browser.value("document.getElementById('graph-details').textContent")
    assert browser.value("document.querySelectorAll('.path-graph .node.on').length") == 6
    # By keyboard, too: an edge is focused and chosen, and let go of.
    browser.value("document.querySelector('.path-graph .edge.failed').focus()")
    browser.press("Enter", 13, "\r")
    assert "findings F" in browser.value("document.getElementById('graph-details').textContent")
    browser.press("Escape", 27)
    assert browser.value("document.querySelector('.path-graph.chosen')") is None


def test_the_paths_of_a_place_are_shown(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.click(".path-graph [id^='node-'][data-key='n3']")
    browser.click("#graph-details button")
    text = browser.value("document.querySelector('#path-table .controls').textContent")
    shown = browser.value("[...document.querySelectorAll('#path-table tbody tr')].map((row) => row.textContent)")
    words = browser.value("document.querySelector('#path-table input').value")
    assert words.startswith("=10.0.0.")
    assert "No paths" not in text
    assert all(words[1:] in row for row in shown)


def test_the_ladder_shows_the_looped_syn(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.value("document.querySelectorAll('#F1 .ladder:first-of-type .packet.looped').length") >= 1
    text = browser.value("document.querySelector('#F1 .ladder').textContent")
    assert "back to be1, which had sent it: from 10.0.0.11:60568 to 10.0.0.11:8080" in text
    assert "#26" in text
    assert "#49" in text
    # A reader of the screen hears each packet.
    browser.value("document.querySelector('#F1 .packet').focus()")
    assert browser.value("document.activeElement.getAttribute('aria-label')").startswith("SYN, sequence number")


def test_the_first_stop_of_the_keyboard_is_the_way_past_the_navigation(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.press("Tab", 9)
    assert browser.value("document.activeElement.textContent") == "Skip to the content"
    assert browser.value("document.activeElement.getBoundingClientRect().y") >= 0


def test_on_paper_there_are_no_buttons_and_everything_is_dark_on_white(browser: Browser, page: Path) -> None:
    browser.open(page, scheme="dark")
    browser.ask("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.value("getComputedStyle(document.querySelector('.top')).display") == "none"
    assert browser.value("[...document.querySelectorAll('button')].every((one) => one.offsetParent === null)")
    assert luminance(browser.value("getComputedStyle(document.body).backgroundColor")) > 0.9
    assert browser.value("document.querySelector('#F1 .ladder').getBoundingClientRect().height") > 50
    for drawn, part in ((".hop", "stroke"), (".tip", "fill"), (".loop", "fill")):
        colour = browser.value(f"getComputedStyle(document.querySelector('#F1 .ladder {drawn}')).{part}")
        assert contrast("rgb(255, 255, 255)", colour) > 4.5, (drawn, colour)
    browser.ask("Emulation.setEmulatedMedia", {"media": ""})


def test_names_of_places_fit_their_boxes(browser: Browser, page: Path) -> None:
    """Letters of any width: what is shown of a name is at most as wide as its box."""
    browser.open(page)
    wide = """[...document.querySelectorAll('.lane')].map((lane) => {
        const box = lane.querySelector('rect').getBBox().width;
        return ['.name', '.detail'].map((one) => {
            const text = lane.querySelector(one);
            text.textContent = text.classList.contains('name') ? '2001:db8:0…345:678:80' : 'client, captu…ve-node-one0';
            return text.getBBox().width - box;
        });
    }).flat()"""
    assert max(browser.value(wide)) < 0


def test_evidence_can_be_read_on_a_phone(browser: Browser, samples: Path, tmp_path: Path) -> None:
    analysis = analyze([samples / "hairpin" / "be1.pcap"])
    file = tmp_path / "report.html"
    # Over midnight the times bear dates.
    file.write_text(render(analysis).replace(">23:44:", ">2026-11-20 23:44:"), encoding="utf-8")
    browser.open(file, width=420)
    cells = "[...document.querySelectorAll('#F1 .frames tbody td:last-child')]"
    assert browser.value(f"Math.max(...{cells}.map((one) => one.getBoundingClientRect().height))") < 120
    assert browser.value(f"Math.max(...{cells}.map((one) => one.getBoundingClientRect().right)) <= innerWidth")


@pytest.mark.parametrize("sample", ["probes-all-down-closed", "snat-exhaustion"])
def test_other_drawings(browser: Browser, samples: Path, tmp_path: Path, sample: str) -> None:
    analysis = analyze([samples / sample], topology=str(samples / sample / "topology.toml"))
    file = tmp_path / "report.html"
    file.write_text(render(analysis), encoding="utf-8")
    browser.open(file)
    section = "probes" if sample.startswith("probes") else "snat"
    assert browser.value(f"document.querySelector('#{section} svg.timeline').getBoundingClientRect().width") > 500
    quiet(browser, file)


def test_the_graph_alone(browser: Browser, hairpin: Analysis, tmp_path: Path) -> None:
    for name in ("html", "svg"):
        file = tmp_path / f"paths.{name}"
        with file.open("wb") as out:
            export(hairpin, name, out)
        if name == "html":
            browser.open(file)
            browser.click(".path-graph .node.member")
            assert browser.value("document.querySelectorAll('.path-graph .on').length") > 2
        else:
            browser.ask("Page.navigate", {"url": file.as_uri()})
            browser.wait("document.querySelectorAll('.node').length === 6")
        assert browser.console == []


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)`` (WCAG 2.2)."""
    parts = [float(one) / 255 for one in colour[colour.index("(") + 1 : colour.index(")")].split(",")[:3]]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_attacks_do_nothing(browser: Browser, tmp_path: Path) -> None:
    from tests.report.findings import hairpin as finding
    from tests.report.test_markup import ATTACKS
    from tests.traffic import balanced, capture, point

    for at, attack in enumerate(ATTACKS):
        report: Any = balanced(
            captures=[capture(0, attack), capture(1, "vm1.pcap")],
            points=[point(0, attack), point(1, "vm1", interface=attack)],
            findings=[finding(title=attack, summary=attack, cause=attack, remedy=(attack,), next_capture=attack)],
            problems=[attack],
        )
        file = tmp_path / f"{at}.html"
        file.write_text(render(report), encoding="utf-8")
        browser.open(file)
        assert browser.value("document.querySelectorAll('img, script:not([type])').length") == 1
        quiet(browser, file)

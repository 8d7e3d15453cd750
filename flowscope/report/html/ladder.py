"""Ladder diagrams: the packets of a path between its lifelines, downwards in time on one corrected clock."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from flowscope.report.html.ladder_rows import ago, ladder_rows
from flowscope.report.html.packets import Hop, Packet, Sighting
from flowscope.report.layout import shortened
from flowscope.report.markup import Element, add, element

if TYPE_CHECKING:
    from flowscope.report.html.route import Route
    from flowscope.report.html.view import View

_LEFT = 128
_RIGHT = 28
_HEAD = 66
_ROW = 50
_LETTER = 6.15
"""Average width of a letter of the labels, in their own units."""


def ladder(
    view: View, route: Route, found: Sequence[Packet], cited: Collection[tuple[int, int]], title: str, ending: str
) -> Element:
    """The drawing.

    Args:
        view: names captures.
        route: lifelines.
        found: packets in order of time.
        cited: captures and frames that a finding cites; they are marked.
        title: what the drawing shows, for those who do not see it.
        ending: what became of the path, in words; stands below the last packet.
    """
    lines = list(ladder_rows(found, cited))
    many = max(len(route.lanes) - 1, 1)
    gap = min(max(780.0 / many, 262.0), 430.0)
    wide = max(_LEFT + _RIGHT + 230 + gap * many, 940.0)
    xs = [_LEFT + 80 + gap * at for at in range(len(route.lanes))]
    drawing = _Drawing(view, route, xs, cited, found[0].at_ns)
    body: list[Element] = []
    y = _HEAD + 14.0
    for line in lines:
        if line.packet is None:
            body.append(element("text", f"⋮  {line.words}", x=xs[0] + 16, y=y + 12, class_="pause"))
            y += 30
            continue
        drawn, y = drawing.packet(line.packet, line.alike, y)
        body.append(drawn)
    height = y + 40
    lanes = [drawing.lane(at, height - 30) for at in range(len(route.lanes))]
    body.append(element("text", ending, x=_LEFT - 8, y=height - 8, class_="ending"))
    words = " ".join(drawing.sentences)
    picture = element(
        "svg",
        element("title", title),
        element("desc", f"{words} {ending}"),
        *lanes,
        *body,
        viewBox=f"0 0 {wide:.0f} {height:.0f}",
        width=wide,
        height=height,
        role="group",
        aria_label=title,
        class_="ladder",
    )
    return element("div", picture, class_="scroll drawing", role="region", aria_label=title, tabindex=0)


class _Drawing:
    def __init__(
        self, view: View, route: Route, xs: Sequence[float], cited: Collection[tuple[int, int]], begin_ns: int
    ) -> None:
        self.view, self.route, self.xs, self.cited, self.begin_ns = view, route, xs, cited, begin_ns
        self.told: set[tuple[int, int]] = set()
        self.sentences: list[str] = []

    def lane(self, at: int, bottom: float) -> Element:
        """A lifeline with its name."""
        lane, x = self.route.lanes[at], self.xs[at]
        return element(
            "g",
            element("rect", x=x - 92, y=8, width=184, height=44, rx=6),
            element("text", shortened(lane.title, 21), x=x, y=26, class_="name"),
            element("text", shortened(lane.detail, 30), x=x, y=43, class_="detail"),
            element("title", f"{lane.title}: {lane.detail}"),
            element("line", x1=x, x2=x, y1=52, y2=bottom),
            class_="lane" if lane.captured else "lane unseen-place",
        )

    def packet(self, packet: Packet, alike: Sequence[Packet], y: float) -> tuple[Element, float]:
        """A packet with its hops; a new row begins where it turns around."""
        sentence = self._sentence(packet, alike)
        self.sentences.append(sentence)
        state = "looped" if packet.looped else "lost" if packet.lost else "reset" if packet.flags & 4 else ""
        group = element(
            "g",
            element("title", sentence),
            class_=f"packet {state} {'back' if packet.half else 'out'}",
            tabindex=0,
            role="img",
            aria_label=sentence,
        )
        rows = _turns(packet.hops)
        notes = self._notes(packet, alike)
        height = _ROW * max(len(rows), 1) + 18 * len(notes)
        add(group, element("rect", x=4, y=y - 6, width=self.xs[-1] + 120, height=height, rx=4, class_="hit"))
        ys = [y + 22 + _ROW * at for at in range(max(len(rows), 1))]
        for at, row in enumerate(rows):
            add(group, self._time(packet, row, at, ys[at]))
            for order, hop in enumerate(row):
                back = packet.looped and at > 0
                add(group, *self._hop(packet, hop, ys[at], order == 0, back))
            if at:
                add(group, self._turn(row[0].source, ys[at - 1], ys[at], 1 if row[0].target < row[0].source else -1))
        if not rows:
            add(group, self._time(packet, [], 0, ys[0]))
        for at, here in enumerate(_rows_of(packet, rows)):
            turns = (at + 1 < len(rows) and rows[at + 1][0].source, at > 0 and rows[at][0].source)
            for lane, some in here.items():
                bent = (
                    -8
                    if turns[0] is not False and lane == turns[0]
                    else 17
                    if turns[1] is not False and lane == turns[1]
                    else 0
                )
                add(group, *self._dots(packet, lane, some, rows[at] if rows else [], ys[at], bent))
        for lane in sorted(packet.missed):
            for hop, y_of in ((hop, ys[at]) for at, row in enumerate(rows) for hop in row if hop.fate == "seen"):
                if min(hop.source, hop.target) < lane < max(hop.source, hop.target):
                    add(group, element("circle", cx=self.xs[lane], cy=y_of, r=6, class_="missed"))
        if packet.looped:
            add(group, element("circle", cx=self.xs[packet.sightings[-1].lane], cy=ys[-1], r=11, class_="ring"))
        for at, (text, kind) in enumerate(notes):
            add(group, element("text", text, x=self.xs[0] + 16, y=ys[-1] + 33 + 18 * at, class_=kind))
        return group, y + height

    def _notes(self, packet: Packet, alike: Sequence[Packet]) -> list[tuple[str, str]]:
        """Words below a packet, each with its class."""
        notes = []
        if packet.looped:
            lane = self.route.lanes[packet.sightings[-1].lane]
            source, target = self.route.tuples[packet.sightings[-1].leg]
            notes.append((f"↩ back to {lane.title}, which had sent it: from {source} to {target}", "loop"))
        elif packet.half and packet.sightings[-1].lane == 0 and packet.sightings[-1].leg and not self.route.split:
            source, called = self.route.tuples[packet.sightings[-1].leg][1], self.route.tuples[0][1]
            notes.append((f"↩ the answer comes from {source}; {self.route.lanes[0].title} had called {called}", "loop"))
        if packet.missed:
            names = ", ".join(self.route.lanes[lane].title for lane in sorted(packet.missed))
            notes.append((f"○ not seen at {names}", "loop"))
        if alike:
            times = ", ".join(f"+{ago(one.at_ns - self.begin_ns)}" for one in alike[:8])
            more = f" and {len(alike) - 8} more" if len(alike) > 8 else ""
            notes.append((f"the same {len(alike)} times more: {times}{more}", "again"))
        return notes

    def _turn(self, lane: int, above: float, below: float, side: int) -> Element:
        """The bend of a packet that turns around at a lifeline."""
        x = self.xs[lane]
        return element(
            "path",
            d=f"M{x:.1f} {above:.1f}c{side * 46} 0 {side * 46} {below - above:.1f} 0 {below - above:.1f}",
            class_="bend",
        )

    def _time(self, packet: Packet, row: Sequence[Hop], at: int, y: float) -> Element:
        """When the packet was first seen in this row."""
        begins = row[0].begins if at else None
        since = (begins.at_ns if begins is not None else packet.at_ns) - self.begin_ns
        text = f"+{ago(since)}" if since else self.view.moment(packet.at_ns)[-15:]
        return element("text", text, x=_LEFT - 8, y=y + 4, class_="time")

    def _hop(self, packet: Packet, hop: Hop, y: float, first: bool, back: bool) -> Iterator[Element]:
        source, target = self.xs[hop.source], self.xs[hop.target]
        way = 1 if target > source else -1
        middle = (source + target) / 2
        begin = source if hop.fate != "appears" else middle
        end = middle + way * 12 if hop.fate == "lost" else target - way * 6
        leg = min(hop.leg, 3)
        yield element(
            "line", x1=begin, x2=end, y1=y, y2=y, class_=f"hop leg{leg} {hop.fate}{' returned' if back else ''}"
        )
        if hop.fate == "lost":
            x = end + way * 6
            yield element("path", d=f"M{x - 6:.1f} {y - 6:.1f}l12 12m0 -12l-12 12", class_="cross")
            where = self.route.lanes[hop.target].title
            yield element(
                "text", f"not seen at {shortened(where, 18)}", x=x + way * 14, y=y + 4,
                class_=f"gone {'after' if way > 0 else 'before'}",
            )  # fmt: skip
        else:
            tip = target - way * 6
            yield element(
                "path",
                d=f"M{tip:.1f} {y:.1f}l{-way * 9} -5v10z",
                class_=f"tip leg{leg} {hop.fate}{' returned' if back else ''}",
            )
        if hop.fate == "appears":
            yield element("circle", cx=begin, cy=y, r=4, class_="sprung")
        label_x = (begin + (end if hop.fate == "lost" else target)) / 2
        if packet.missed:
            # Beside the places that it passed unseen, not on them.
            label_x = begin + (target - begin) * 0.27
        if first or hop.fate == "appears":
            yield element("text", packet.what, x=label_x, y=y - 7, class_="label")
        if (hop.leg, packet.half) not in self.told and hop.leg < len(self.route.tuples):
            self.told.add((hop.leg, packet.half))
            source_text, target_text = self.route.tuples[hop.leg][:: 1 if packet.half == 0 else -1]
            if hop.fate != "lost" or abs(end - begin) > 180:
                text = f"{source_text} → {target_text}"
                room = int((abs(end - begin) - 12) / _LETTER)
                yield element("text", shortened(text, max(room, 16)), x=label_x, y=y + 15, class_="tuple")

    def _dots(
        self, packet: Packet, lane: int, some: Sequence[Sighting], row: Sequence[Hop], y: float, bent: int
    ) -> Iterator[Element]:
        """The frames of a packet at one lifeline: two of them where a translator was seen from both sides."""
        x = self.xs[lane]
        proves = any((one.capture, one.frame) in self.cited for one in some)
        yield element("circle", cx=x, cy=y, r=4.5 if proves else 3.5, class_="dot cited" if proves else "dot")
        # The numbers stand beside the line on the side where no arrow is, else above it.
        ends = [(min(hop.source, hop.target), max(hop.source, hop.target)) for hop in row]
        right = any(low <= lane < high for low, high in ends)
        left = any(low < lane <= high for low, high in ends)
        ring = 5 if packet.looped and some[-1] is packet.sightings[-1] else 0
        side, move, up = ("before", -9 - ring, 4) if right and not left else ("after", 9 + ring, 4)
        if bent:
            side, move, up = "after", 8, bent
        elif right and left:
            side, move, up = "after", 6, -8
        text = " ".join(f"#{one.frame}" for one in some)
        yield element("text", text, x=x + move, y=y + up, class_=f"frame {side}")

    def _sentence(self, packet: Packet, alike: Sequence[Packet]) -> str:
        lanes = self.route.lanes
        seen = ", ".join(
            f"{lanes[one.lane].title} (frame {one.frame} of {self.view.captures.get(one.capture, '?')}, "
            f"{self.view.moment(one.at_ns)}, TTL {one.ttl})"
            for one in packet.sightings
        )
        text = f"{packet.what}, sequence number {packet.seq}, seen at {seen}."
        for hop in packet.hops:
            if hop.fate == "lost":
                text += f" It was not seen at {lanes[hop.target].title}."
            elif hop.fate == "appears":
                text += f" It was not seen at {lanes[hop.source].title} before."
        if packet.looped:
            text += f" It came back to {lanes[packet.sightings[-1].lane].title}, which had sent it."
        if alike:
            text += f" The same again {len(alike)} times."
        return text


def _rows_of(packet: Packet, rows: Sequence[Sequence[Hop]]) -> list[dict[int, list[Sighting]]]:
    """The sightings of each row, by lifeline."""
    found: list[dict[int, list[Sighting]]] = [{} for _ in rows] or [{}]
    placed: set[int] = set()
    for at, row in enumerate(rows):
        for hop in row:
            for one in (hop.begins, hop.ends):
                if one is not None and id(one) not in placed:
                    placed.add(id(one))
                    found[at].setdefault(one.lane, []).append(one)
    for one in packet.sightings:
        if id(one) not in placed:
            found[-1].setdefault(one.lane, []).append(one)
    return found


def _turns(hops: Sequence[Hop]) -> list[list[Hop]]:
    """Hops in rows: a new one where the packet turns around."""
    rows: list[list[Hop]] = []
    way = 0
    for hop in hops:
        now = 1 if hop.target > hop.source else -1
        if rows and now == way:
            rows[-1].append(hop)
        else:
            rows.append([hop])
        way = now
    return rows

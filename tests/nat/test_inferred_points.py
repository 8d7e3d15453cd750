"""A point stands where the packets prove it; what is likely is a guess."""

from __future__ import annotations

from flowscope.nat.inference import infer_topology
from flowscope.nat.inferred import Inferred, point_part
from flowscope.nat.places import Place
from tests.nat.balancers import Seen
from tests.traffic import capture, point

CLIENT, FRONT, MEMBER = "198.51.100.7", ("203.0.113.9", 443), ("10.1.0.4", 9443)


def seen(points: tuple[int, ...] = (0,), count: int = 3, client: str = CLIENT) -> Seen:
    found = Seen()
    for at in range(count):
        src = (client, 40000 + at)
        found.path((src, FRONT), (src, MEMBER), points=points)
    return found


def place(found: Seen, host: str, sure: bool, at: int = 0) -> dict[int, Place]:
    return {at: Place(at, frozenset({found.texts.index(host)}), sure, 0, 1)}


def node(inferred: Inferred, at: int = 0) -> tuple[str | None, str | None]:
    """The node of a point, and the one guessed."""
    hint = inferred.topology.points[at]
    return hint.node, next((one.value for one in inferred.guesses.get(point_part(hint), ())), None)


def test_both_sides_of_a_translator_are_at_it() -> None:
    assert node(infer_topology(seen().window())) == ("lb", None)
    assert node(infer_topology(seen(count=2).window())) == (None, None)


def test_a_member_that_calls_itself_is_not_the_balancer() -> None:
    assert node(infer_topology(seen(client=MEMBER[0]).window())) == (None, None)


def test_a_sure_place_is_a_node_and_an_unsure_one_a_guess() -> None:
    found = seen(points=())
    for sure, said in ((True, (MEMBER[0], None)), (False, (None, MEMBER[0]))):
        assert node(infer_topology(found.window(places=place(found, MEMBER[0], sure)))) == said


def test_the_balancers_and_the_clients_hosts() -> None:
    found = seen(points=())
    assert node(infer_topology(found.window(places=place(found, FRONT[0], True)))) == (None, "lb")
    assert node(infer_topology(found.window(places=place(found, CLIENT, False)))) == (None, "client")


def test_files_are_named_so_that_they_are_found() -> None:
    captures = [capture(0, "x/a.pcap"), capture(1, "y/a.pcap"), capture(2, "z/b.pcap")]
    points = [point(0, "a"), point(1, "a#2"), point(2, "b")]
    hints = infer_topology(seen().window(captures=captures, points=points)).topology.points
    assert [(one.file, one.name) for one in hints] == [("x/a.pcap", "a"), ("y/a.pcap", "a#2"), ("b.pcap", "b")]


def test_interfaces_of_one_file() -> None:
    captures = [capture(0, "a.pcapng", points=(0, 1))]
    points = [
        point(0, "a:in0", captures=(0,), interface="in0"),
        point(1, "a:1", captures=(0,), interface=None),
    ]
    (hint,) = infer_topology(seen().window(captures=captures, points=points)).topology.points
    assert (hint.name, hint.interface) == ("a:in0", "in0")


def test_a_file_name_that_no_toml_can_hold() -> None:
    captures = [capture(0, b"\xff.pcap".decode("utf-8", "surrogateescape"))]
    assert infer_topology(seen().window(captures=captures)).topology.points == ()

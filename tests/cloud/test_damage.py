"""Whatever a given file holds: it is read, or one line says why not. Never another error, never a long wait."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowscope.cloud.definition_files import read_definitions
from flowscope.cloud.flow_log_files import read_flow_log_file
from flowscope.cloud.listening_files import read_listening_file
from flowscope.cloud.security_files import join_security, read_security_file
from flowscope.errors import FlowscopeError
from tests.cloud.test_flow_log_files import HEADER, RECORD, V2, nsg_record
from tests.cloud.test_listening_files import BSD, LINUX, LSOF, SS_ALL, WINDOWS

SAMPLES = sorted((Path(__file__).parent / "samples").iterdir())
TEXTS = [path.read_bytes() for path in SAMPLES] + [
    text.encode()
    for text in (
        BSD,
        LINUX,
        LSOF,
        SS_ALL,
        WINDOWS,
        f"{HEADER}\n{RECORD}\n",
        json.dumps({"records": [nsg_record(2, V2)]}),
    )
]
READERS: list[Callable[[str], Any]] = [
    lambda path: join_security([read_security_file(path)], {}),
    read_flow_log_file,
    lambda path: read_listening_file(path, {}),
    lambda path: read_definitions([path]),
]


def tried(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for read in READERS:
        try:
            read(str(path))
        except FlowscopeError as error:
            assert "\n" not in str(error) and str(path) in str(error), repr(str(error))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage") / "given"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(TEXTS), st.integers(0, 2**32))
def test_bytes_that_were_cut_turned_or_repeated(scratch: Path, text: bytes, seed: int) -> None:
    rng = random.Random(seed)
    content = bytearray(text)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(content) or 1)
        match rng.randrange(4):
            case 0:
                del content[at:]
            case 1:
                content[at : at + 1] = bytes([rng.randrange(256)])
            case 2:
                content[at:at] = content[at : at + rng.randrange(60)]
            case 3:
                del content[at : at + rng.randrange(40)]
    tried(scratch, bytes(content))


values = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2**40)
    | st.text(max_size=6)
    | st.builds(list)
    | st.builds(dict)
    | st.sampled_from(["10.0.0.1", "a/b", "0"])
)
TREES = [json.loads(text) for text in TEXTS if text[:1] == b"{"]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        found += places(one, (*path, key))
    return found


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(TREES), st.data())
def test_values_of_another_kind_in_json(scratch: Path, tree: Any, data: st.DataObject) -> None:
    changed = json.loads(json.dumps(tree))
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.sampled_from(places(changed)[1:] or [()]))
        if not where:
            continue
        inside = changed
        for key in where[:-1]:
            inside = inside[key]
        inside[where[-1]] = data.draw(values)
    tried(scratch, json.dumps(changed).encode())


def test_names_that_steer_a_terminal_are_made_harmless(scratch: Path) -> None:
    name = "deny\x1b]0;x\x07\n\u202e\ud800all"
    rule = {"name": name, "priority": 100, "direction": "Inbound", "access": "Deny", "protocol": "*"}
    scratch.write_text(json.dumps({"name": name, "securityRules": [rule], "defaultSecurityRules": []}))
    (found,) = read_security_file(str(scratch)).sets
    for text in (found.name, found.rules[0].name):
        assert text.replace("\n", "").isprintable() and text.encode()
    scratch.write_bytes(b"tcp 0 0 127.0.0.1:8080 0.0.0.0:* LISTEN 1/sh\x1b[2Jop\n")
    (socket,) = read_listening_file(str(scratch), {}).sockets
    assert socket.process == "sh\ufffd[2Jop"


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_bytes_of_no_kind(scratch: Path, content: bytes) -> None:
    tried(scratch, content)

"""Service tags in every form they come in, and what they are worth: which probers they tell."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest

from flowscope.cloud.service_tags import ServiceTags, read_service_tags
from flowscope.errors import GivenFileError
from flowscope.nat.profile_file import load_profiles

TAG = "AzureFrontDoor.Backend"
PREFIXES = ["13.73.248.16/29", "2a01:111:2050::/44"]
LISTED = {
    "changeNumber": 122,
    "cloud": "Public",
    "values": [
        {"name": TAG, "id": TAG, "properties": {"region": "", "addressPrefixes": PREFIXES}},
        {"name": "Sql.westus", "id": "Sql.westus", "properties": {"region": "westus", "addressPrefixes": []}},
    ],
}


def tags(folder: Path, content: Any, encoding: str = "utf-8") -> ServiceTags:
    file = folder / "tags.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding)
    return read_service_tags(file)


def flattened() -> Any:
    return {
        "Name": "Public", "Cloud": "Public", "ChangeNumber": "122",
        "Values": [{"Name": TAG, "Properties": {"AddressPrefixes": PREFIXES}},
                   {"Name": "Sql.westus", "AddressPrefixes": []}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (LISTED, "utf-8"),
        (LISTED, "utf-16"),
        (LISTED, "utf-8-sig"),
        ({"parameters": {}, "responses": {"200": {"body": {**LISTED, "changeNumber": "122"}}}}, "utf-8"),
        (flattened(), "utf-16"),
    ],
)
def test_every_form_says_the_same(tmp_path: Path, content: Any, encoding: str) -> None:
    found = tags(tmp_path, content, encoding)
    assert (found.cloud, found.change) == ("Public", "122")
    assert dict(found.prefixes) == {TAG.lower(): tuple(map(ipaddress.ip_network, PREFIXES)), "sql.westus": ()}
    assert [str(network) for network, policy in found.ranges(load_profiles()) if policy == "front-door"] == PREFIXES
    assert found.missing(load_profiles()) == []
    assert dict(found.given.read) == {"tags": 2, "prefixes": 2}


def test_a_file_without_the_tag_is_said(tmp_path: Path) -> None:
    found = tags(tmp_path, {**LISTED, "values": LISTED["values"][1:]})  # type: ignore[index]
    assert found.ranges(load_profiles()) == ()
    (sentence,) = found.missing(load_profiles())
    assert TAG in sentence and "give the whole file" in sentence


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("[]", "service tags are wanted"),
        ('{"values": [', "cut"),
        ('{"securityRules": []}', "--nsg"),
        (
            '{"values": [{"name": "A", "properties": {"addressPrefixes": ["nowhere"]}}]}',
            "'nowhere' is no address prefix",
        ),
        ('{"values": [{"name": "A", "properties": {"addressPrefixes": [7]}}]}', "is no address prefix"),
    ],
)
def test_what_is_none_is_said_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(GivenFileError) as raised:
        tags(tmp_path, content)
    assert said in str(raised.value) and "\n" not in str(raised.value)

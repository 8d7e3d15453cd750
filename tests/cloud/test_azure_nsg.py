"""Azure groups: four forms, keys in any case, one meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowscope.cloud.azure_nsg import read_groups
from flowscope.cloud.evaluate import evaluate
from flowscope.cloud.names import Names
from flowscope.cloud.security_files import join_security, read_security_file
from flowscope.cloud.security_rules import RuleSet
from flowscope.errors import GivenFileError
from tests.cloud.rule_lines import packet

SAMPLES = Path(__file__).parent / "samples"


def sets(name: str) -> list[RuleSet]:
    return list(read_security_file(str(SAMPLES / name)).sets)


def lowered(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {change(key): lowered(one, change) for key, one in value.items()}
    return [lowered(one, change) for one in value] if isinstance(value, list) else value


def test_the_command_lines_form() -> None:
    (found,) = sets("az-nsg-show.json")
    assert (found.name, found.level, len(found.rules)) == ("shop-nsg", "interface", 9)
    deny = next(rule for rule in found.rules if rule.name == "deny-legacy")
    assert deny.text == "deny any protocol from 198.51.100.0/24, 203.0.113.0/24 to any, port 8443"
    shop = next(rule for rule in found.rules if rule.name == "allow-shop")
    assert (shop.source.names, shop.destination_ports) == (("Internet",), ((443, 443), (8443, 8444)))
    assert next(rule for rule in found.rules if rule.name == "from-web").source.names == ("group web",)
    assert sum(rule.default for rule in found.rules) == 6


def test_what_powershell_redirects_is_the_same() -> None:
    plain, redirected = sets("az-nsg-show.json"), sets("az-nsg-show-powershell.json")
    assert [one.rules for one in plain] == [one.rules for one in redirected]


@pytest.mark.parametrize("change", [str.upper, str.lower, lambda key: key[0].upper() + key[1:]])
def test_keys_in_any_case(change: Any, tmp_path: Path) -> None:
    tree = json.loads((SAMPLES / "az-nsg-show.json").read_text())
    path = tmp_path / "spelled"
    path.write_text(json.dumps(lowered(tree, change)))
    assert [one.rules for one in read_security_file(str(path)).sets] == [one.rules for one in sets("az-nsg-show.json")]


def test_arm_nests_and_tells_where_it_stands() -> None:
    (found,) = sets("arm-nsg-list.json")
    assert (found.name, len(found.rules), found.level) == ("db-nsg", 7, "unknown")
    assert found.rules[0].destination_ports == ((5432, 5432),)
    assert [str(one) for one in found.hosts or ()] == ["10.1.0.9/32", "10.1.2.0/24"]


def test_effective_rules_keep_subnet_and_interface_apart() -> None:
    subnet, nic = sets("az-effective-nsg.json")
    assert [(one.name, one.level) for one in (subnet, nic)] == [("subnet-nsg", "subnet"), ("nic-nsg", "interface")]
    assert subnet.rules[0].name == "allow-https" and subnet.rules[-1].default
    answer = evaluate([nic, subnet], packet("in tcp 198.51.100.7:4 > 10.1.0.4:443"), Names())
    assert (answer.decision, answer.group and answer.group.name, answer.rule_name) == ("deny", "nic-nsg", "deny-https")
    # The expanded prefixes say what the tag holds: this address is in it, and that one is not.
    inside = evaluate([subnet], packet("in tcp 10.1.0.9:4 > 10.1.0.4:80"), Names())
    outside = evaluate([subnet], packet("in tcp 10.2.0.9:4 > 10.1.0.4:80"), Names())
    assert (inside.decision, outside.decision) == ("allow", "deny")


def test_powershells_effective_rules() -> None:
    (found,) = sets("powershell-effective-nsg.json")
    assert (found.rules[0].allow, found.rules[0].destination_ports) == (False, ((443, 443),))


def test_network_watchers_view_is_completed_by_its_flat_rules() -> None:
    subnet, nic = sets("network-watcher-view.json")
    assert [(one.name, one.level) for one in (subnet, nic)] == [("subnet-nsg", "subnet"), ("nic-nsg", "interface")]
    answer = evaluate([nic, subnet], packet("in tcp 198.51.100.7:4 > 10.1.0.4:80"), Names())
    assert (answer.group and answer.group.name, answer.rule_name) == ("subnet-nsg", "deny-web")
    assert not answer.also


def test_networks_and_interfaces_say_whose_rules_they_are() -> None:
    files = [
        read_security_file(str(SAMPLES / name))
        for name in ("az-nsg-show.json", "az-vnet-show.json", "az-nic-show.json")
    ]
    joined = join_security(files, {})
    assert [str(one) for one in joined.sets[0].hosts or ()] == ["10.1.0.0/24", "10.1.0.5/32"]
    assert [str(one) for one in joined.names.virtual_network] == ["10.1.0.0/16", "10.9.0.0/16"]
    sets_, told = joined.before("10.1.0.5")
    assert told and joined.before("10.2.0.5") == ([], False)
    asg = evaluate(sets_, packet("in tcp 10.1.0.5:4 > 10.1.0.4:9000"), joined.names)
    assert (asg.decision, asg.rule_name) == ("allow", "from-web")


def test_a_repeated_answer_counts_once() -> None:
    one = {"effectiveSecurityRules": [], "association": None, "networkSecurityGroup": None}
    assert len(read_groups({"responses": {"200": {"body": one}, "202": {"body": dict(one)}}}, "f")) <= 1


def test_two_rules_of_one_priority_are_both_named(tmp_path: Path) -> None:
    tree = json.loads((SAMPLES / "az-nsg-show.json").read_text())
    tree["securityRules"][0]["priority"] = 200
    path = tmp_path / "double.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(GivenFileError, match=r"'allow-shop' and 'deny-legacy' of shop-nsg both have priority 200"):
        read_security_file(str(path))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:900], r"not valid JSON at line \d+, column \d+ \(the file is cut\); export it again"),
        (lambda text: text.replace('"priority": 300', '"priority": "soon"'), "has priority 'soon', not a number"),
        (lambda text: text.replace('"priority": 300', '"priority": null'), "'allow-shop' has no priority"),
        (lambda text: text.replace('"8443-8444"', '"8444-8443"'), "'8444-8443', no port and no range"),
        (lambda text: text.replace('"protocol": "Tcp"', '"protocol": "Tpc"'), "protocol 'Tpc', none that is known"),
        (lambda text: text.replace('"access": "Allow"', '"access": "Maybe"'), "access 'Maybe'"),
        (lambda text: '[["allow-shop", 300]]', "values without keys"),
        (lambda text: "[]", "empty list: the command found nothing or failed"),
        (lambda text: "", "is empty"),
        (lambda text: "name,priority\n", "is no JSON; --nsg takes"),
        (lambda text: '{"records":[{"flowTuples":[]}]}', "a flow log: give it with --flow-log"),
        (lambda text: "[" * 200 + "]" * 200, "nested deeper than 60 levels"),
        (lambda text: "[" * 200_000, "nested deeper than 60 levels"),
        (lambda text: '{"securityRules": [7]}', "a rule that is no object"),
    ],
)
def test_what_is_damaged_gets_one_clear_line(tmp_path: Path, damage: Any, said: str) -> None:
    path = tmp_path / "damaged.json"
    path.write_text(damage((SAMPLES / "az-nsg-show.json").read_text()))
    with pytest.raises(GivenFileError, match=said) as error:
        read_security_file(str(path))
    assert str(error.value).startswith(str(path)) and "\n" not in str(error.value)

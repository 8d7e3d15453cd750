"""Every file of the shared samples is read whole: what the readers count is what a plain look at the text counts."""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.cloud.sample_table import OPTIONS, rows

SAMPLES = Path(os.environ.get("FLOWSCOPE_TRUTH", "none")).parent / "samples"
FILES = sorted(path for path in SAMPLES.glob("*/*") if path.is_file()) if SAMPLES.is_dir() else []

if not FILES:
    pytest.skip("no samples/ beside FLOWSCOPE_TRUTH", allow_module_level=True)


def text_of(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith(codecs.BOM_UTF16_LE):
        return data.decode("utf-16")
    return data.decode("utf-8-sig", "replace")


def dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from dicts(one)
    elif isinstance(value, list):
        for one in value:
            yield from dicts(one)


def distinct(path: Path, *keys: str) -> int:
    """Objects that have all of these keys, equal ones once (examples repeat their answer)."""
    found = {json.dumps(one, sort_keys=True) for one in dicts(json.loads(text_of(path))) if set(keys) <= one.keys()}
    return len(found)


def per_group(path: Path, group: str, *lists: str) -> int:
    groups = {json.dumps(one, sort_keys=True): one for one in dicts(json.loads(text_of(path))) if group in one}
    return sum(len(one.get(name) or []) for one in groups.values() for name in lists)


def lines(path: Path, pattern: str) -> int:
    return len(re.findall(pattern, text_of(path), re.MULTILINE))


def expected(path: Path) -> dict[str, int]:
    """Counts by a plain look at the text."""
    folder = path.parent.name
    if folder == "azure-nsg" and "view" in path.name:
        # Each association of the view is a group; the defaults and the flat rules complete both.
        body = json.loads(text_of(path))["responses"]["200"]["body"]["networkInterfaces"][0]["securityRuleAssociations"]
        own = [len(body[key]["securityRules"]) for key in body if key.endswith("Association")]
        shared = len(body["defaultSecurityRules"]) + len(body["effectiveSecurityRules"])
        return {"groups": len(own), "rules": sum(own) + shared * len(own)}
    if folder == "azure-nsg":
        return {"rules": distinct(path, "priority", "access", "direction") if "properties" not in text_of(path)
                else per_group_nested(path)}  # fmt: skip
    if folder == "aws-net":
        groups = per_group(path, "IpPermissions", "IpPermissions", "IpPermissionsEgress")
        entries = per_group(path, "NetworkAclId", "Entries")
        return {"rules": groups + entries}
    if folder == "azure-flow":
        tuples = re.findall(r'"([0-9]{10,13},[^"]*)"', text_of(path))
        return {"tuples": len(tuples), "records": len(set(tuples))}
    if path.suffix == ".parquet":
        table = pl.read_parquet(path)
        return {"records": table.filter(pl.col("log_status") == "OK").height}
    if folder == "aws-flow":
        return {"records": lines(path, r"^(?!.*(srcaddr|NODATA|SKIPDATA)).*\S"),
                "without-data": lines(path, r"NODATA|SKIPDATA")}  # fmt: skip
    if folder == "listeners":
        if path.name.startswith("lsof"):
            return {"sockets": lines(path, r"\sIPv[46]\s")}
        internet = re.split(r"(?m)^Active .*(?:UNIX|LOCAL|kernel).*$", text_of(path))[0]
        rows_ = [line for line in internet.split("\n") if re.search(r"(?i)(^|\s)(tcp|udp)(4|6|46)?\s", line[:40])]
        # A socket that is bound to no port is none that anybody can call.
        return {"sockets": sum(not re.search(r"\s\*\.\*\s+\*\.\*", line) for line in rows_)}
    if folder == "azure-lb":
        return {}
    if folder == "aws-elb" and path.suffix == ".json":
        return {"load balancers": distinct(path, "LoadBalancerName"),
                "target groups": distinct(path, "TargetGroupName"),
                "targets": distinct(path, "TargetHealth")}  # fmt: skip
    if folder == "haproxy":
        return {"servers": lines(path, r"^\s+server\s"), "frontends": lines(path, r"^frontend\s"),
                "backends": lines(path, r"^backend\s"), "listens": lines(path, r"^listen\s")}  # fmt: skip
    if path.suffix == ".yaml":
        return {"services": lines(path, r"^  kind: Service$"), "endpoints": lines(path, r"^  kind: Endpoints$")}
    if folder == "kubernetes":
        return {"services": distinct(path, "spec") + distinct(path, "Spec")}
    return {}


def per_group_nested(path: Path) -> int:
    found = [one["properties"] for one in dicts(json.loads(text_of(path))) if isinstance(one.get("properties"), dict)]
    groups = {json.dumps(one, sort_keys=True): one for one in found if "securityRules" in one}
    return sum(len(one["securityRules"]) + len(one["defaultSecurityRules"]) for one in groups.values())


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name in OPTIONS], ids=lambda path: path.name)
def test_is_read_whole(path: Path) -> None:
    (row,) = rows([path])
    if path.name == "target-health-query.txt":
        assert "values without keys" in row.said
        return
    assert row.read, row.said
    wanted = {name: number for name, number in expected(path).items() if number or name == "sockets"}
    assert {name: row.read.get(name, 0) for name in wanted} == wanted
    assert not row.read.get("unreadable")

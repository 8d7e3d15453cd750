"""Who this process becomes, and what it says when it may not capture."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flowscope.errors import FlowscopeError
from flowscope.host import rights


def test_capabilities_are_read(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapEff:\t0000000000003000\n")
    held = rights.effective_capabilities(str(status))
    assert held is not None
    assert held >> rights.NET_RAW & 1 and held >> rights.NET_ADMIN & 1 and not held & 1
    assert rights.effective_capabilities(str(tmp_path / "missing")) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives up root")
def test_root_becomes_the_caller_else_nobody() -> None:
    caller = rights.user_to_become(None, {"SUDO_UID": "65534"})
    assert caller is not None and caller.uid == 65534
    nobody = rights.user_to_become(None, {})
    assert nobody is not None and nobody.name == "nobody"
    assert rights.user_to_become("root", {"SUDO_UID": "65534"}) is None
    with pytest.raises(FlowscopeError, match="no user no-such-user"):
        rights.user_to_become("no-such-user", {})


def test_what_is_missing_is_said_with_the_command_that_grants_it() -> None:
    for program in ("dumpcap", "scapy"):
        assert "setcap cap_net_raw,cap_net_admin=eip" in rights.how_to_grant(program)

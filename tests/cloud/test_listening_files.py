"""Lists of listeners: tools, systems, columns; what is no list; when a missing port proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowscope.cloud.listening import Listening, whose
from flowscope.cloud.listening_files import read_listening_file
from flowscope.errors import GivenFileError

WINDOWS = """
Active Connections

  Proto  Local Address          Foreign Address        State           PID
  TCP    0.0.0.0:80             0.0.0.0:0              LISTENING       4
 Can not obtain ownership information
  TCP    127.0.0.1:8080         0.0.0.0:0              ABH\u00d6REN        912
 [shop.exe]
  TCP    10.1.0.4:49888         203.0.113.9:443        ESTABLISHED     912
  TCP    [::]:80                [::]:0                 LISTENING       4
  TCP    [fe80::1%5]:445        [::]:0                 LISTENING       4
  UDP    0.0.0.0:500            *:*                                    4
  UDP    [::1]:1900             *:*                                    7
"""
LINUX = """Active Internet connections (servers and established)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 127.0.0.1:8080          0.0.0.0:*               LISTEN      912/shop
tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      1206/sshd
tcp        0      0 10.1.0.4:22             198.51.100.7:50000      ESTABLISHED 1300/sshd: me
tcp6       0      0 :::80                   :::*                    LISTEN      77/nginx: master
tcp6       0      0 ::1:25                  :::*                    LISTEN      99/master
udp        0      0 0.0.0.0:68              0.0.0.0:*                           1939/dhclient
raw6       0      0 :::58                   :::*                    7           865/NetworkManager
Active UNIX domain sockets (servers and established)
Proto RefCnt Flags       Type       State         I-Node   PID/Program name     Path
unix  2      [ ACC ]     STREAM     LISTENING     13851    1/systemd            /run/lvm/lvmpolld.socket
"""
NAMED = """Active Internet connections (only servers)
Proto Recv-Q Send-Q Local Address           Foreign Address         State
tcp        0      0 0.0.0.0:http-alt        0.0.0.0:*               LISTEN
tcp        0      0 0.0.0.0:shop-rpc        0.0.0.0:*               LISTEN
tcp        0      0 localhost:ipp           0.0.0.0:*               LISTEN
"""
BSD = """Active Internet connections (including servers)
Proto Recv-Q Send-Q Local Address          Foreign Address        (state)
tcp4       0      0 10.1.0.4.22            198.51.100.7.56321     ESTABLISHED
tcp4       0      0 127.0.0.1.8080         *.*                    LISTEN
tcp46      0      0 *.80                   *.*                    LISTEN
tcp6       0      0 2001:db8:1:2:3:4:5.443 *.*                    LISTEN
udp6       0      0 *.514                  *.*
udp4       0      0 *.*                    *.*
"""
MACOS_A = """Active Internet connections
Socket           Flowhash Proto Recv-Q Send-Q  Local Address      Foreign Address    (state)
7fb03cb94d505aed cedd0cbf tcp4       0      0  192.168.1.221.5486 140.82.113.26.443  ESTABLISHED
7fb03cb94d505aee cedd0cc0 tcp4       0      0  *.8080             *.*                LISTEN
"""
BUSYBOX = """[FW: 1]
Active Internet connections (only servers)
Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name
tcp        0      0 127.0.0.1:8080          0.0.0.0:*                           1335/telnetd
[FW: 2]
Active Internet connections (only servers)
tcp        0      0 0.0.0.0:8080            0.0.0.0:*               LISTEN      1470/telnetd
"""
SS = """State    Recv-Q   Send-Q     Local Address:Port       Peer Address:Port   Process
LISTEN   129      128        10.1.0.4:8080            0.0.0.0:*           users:(("shop",pid=912,fd=6))
\t skmem:(r0,rb131072,t0,tb87040,f0,w0,o0,bl0,d0) cubic cwnd:10
LISTEN   0        128        127.0.0.53%lo:53         0.0.0.0:*
LISTEN   0        128        [::]:80                  [::]:*
LISTEN   0        511        *:443                    *:*
ESTAB    0        0          10.1.0.4:22              198.51.100.7:50000
"""
SS_ALL = """Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process
nl    UNCONN 0      0      rtnl:kernel         *
u_str LISTEN 0      128    /run/x.sock 8080    * 0
udp   UNCONN 0      0      [fe80::1]%eth0:123  [::]:*
tcp   LISTEN 0      128    127.0.0.1:8080      0.0.0.0:*         users:(("shop",pid=912,fd=6))
"""
SS_FILTERED = "Recv-Q Send-Q Local Address:Port Peer Address:Port\n0      128    127.0.0.1:8080     0.0.0.0:*\n"
SS_PLAIN = "LISTEN 0 128 127.0.0.1:8080 0.0.0.0:*\n"
LSOF = """COMMAND    PID  TID    USER   FD      TYPE DEVICE  SIZE/OFF     NODE NAME
systemd      1         root   10u     IPv6  12345      0t0      TCP *:22 (LISTEN)
my shop    912 913     web     6u     IPv4  23456      0t0      TCP 127.0.0.1:8080 (LISTEN)
my shop    912         web     7u     IPv4  23457      0t0      TCP 10.1.0.4:49888->203.0.113.9:https (ESTABLISHED)
dnsmasq    700         root    4u     IPv4  34567      0t0      UDP *:domain
shop       912         web    cwd      DIR    8,1     4096        2 /
"""
LSOF_MINE = "\n".join(line for line in LSOF.split("\n") if "root" not in line)
LSOF_NONE = """COMMAND    PID  TID    USER   FD      TYPE DEVICE  SIZE/OFF     NODE NAME
systemd      1         root  cwd   unknown                           /proc/1/cwd (readlink: Permission denied)
"""


def read(folder: Path, text: str, encoding: str = "utf-8") -> Listening:
    path = folder / "list.txt"
    path.write_bytes(text.replace("\n", "\r\n").encode(encoding) if encoding != "utf-8" else text.encode())
    return read_listening_file(str(path), {})


CASES = [
    # text, tool, TCP listeners, all sockets, whole
    (WINDOWS, "netstat", {"0.0.0.0:80", "127.0.0.1:8080", "[::]:80", "[fe80::1]:445"}, 7, True),
    (LINUX, "netstat", {"127.0.0.1:8080", "0.0.0.0:22", "[::]:80", "[::1]:25"}, 6, True),
    (NAMED, "netstat", {"0.0.0.0:8080", "0.0.0.0:None"}, 2, False),
    (BSD, "netstat", {"127.0.0.1:8080", "*:80", "2001:db8:1:2:3:4:5:None"}, 5, False),
    (MACOS_A, "netstat", {"0.0.0.0:8080"}, 2, True),
    (BUSYBOX, "netstat", {"127.0.0.1:8080", "0.0.0.0:8080"}, 2, True),
    (SS, "ss", {"10.1.0.4:8080", "127.0.0.53:53", "[::]:80", "*:443"}, 5, True),
    (SS_ALL, "ss", {"127.0.0.1:8080"}, 2, True),
    (SS_FILTERED, "ss", {"127.0.0.1:8080"}, 1, True),
    (SS_PLAIN, "ss", {"127.0.0.1:8080"}, 1, True),
    (LSOF, "lsof", {"[::]:22", "127.0.0.1:8080"}, 4, True),
    (LSOF_MINE, "lsof", {"127.0.0.1:8080"}, 2, False),
    (LSOF_NONE, "lsof", set(), 0, False),
]


@pytest.mark.parametrize(("text", "tool", "listening", "sockets", "whole"), CASES)
def test_tools(tmp_path: Path, text: str, tool: str, listening: set[str], sockets: int, whole: bool) -> None:
    one = read(tmp_path, text)
    found = {
        each.text.replace("[2001:db8:1:2:3:4:5]", "2001:db8:1:2:3:4:5")
        for each in one.sockets
        if each.listens and each.protocol == "tcp"
    }
    assert (one.given.kind, found, len(one.sockets), one.complete) == (tool, listening, sockets, whole)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp850", "cp1252"])
def test_encodings_of_windows_consoles(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, WINDOWS, encoding).ports == [80, 445, 8080]


@pytest.mark.parametrize(
    ("text", "address", "port", "here", "elsewhere"),
    [
        (LINUX, "10.1.0.4", 8080, False, ["127.0.0.1:8080"]),
        (LINUX, "10.1.0.4", 22, True, ["0.0.0.0:22"]),
        # A wildcard of version 6 takes version 4, too.
        (LINUX, "10.1.0.4", 80, True, ["[::]:80"]),
        (LINUX, "2001:db8::4", 22, False, ["0.0.0.0:22"]),
        (LINUX, "10.1.0.4", 68, False, []),
        (SS, "10.1.0.4", 443, True, ["*:443"]),
        (SS, "10.1.0.5", 8080, False, ["10.1.0.4:8080"]),
    ],
)
def test_what_listens_for_an_endpoint(
    tmp_path: Path, text: str, address: str, port: int, here: bool, elsewhere: list[str]
) -> None:
    one = read(tmp_path, text)
    assert bool(one.at(address, port)) is here
    assert [each.text for each in one.elsewhere(port)] == elsewhere


def test_queues_and_processes(tmp_path: Path) -> None:
    (socket,) = read(tmp_path, SS).at("10.1.0.4", 8080)
    assert (socket.process, socket.queued, socket.queue_limit) == ("shop", 129, 128)
    assert read(tmp_path, WINDOWS).elsewhere(8080)[0].process == "shop.exe"


def test_an_address_in_the_list_says_whose_it_is(tmp_path: Path) -> None:
    mine, bare = read(tmp_path, LINUX), read(tmp_path, SS_PLAIN)
    assert whose([mine, bare], "10.1.0.4") == (mine, True)
    assert whose([mine, bare], "10.1.0.5") is None
    assert whose([bare], "10.1.0.5") == (bare, False)
    placed = read_listening_file(f"{tmp_path / 'list.txt'}=10.1.0.9", {})
    assert whose([placed], "10.1.0.9") == (placed, True) and whose([placed], "10.1.0.5") is None


@pytest.mark.parametrize(("text", "said"), [
    ("", "is empty"),
    ("hello\n", "has no row of a socket; --listening takes what `ss -ltn`"),
    ("[]", "is JSON; --listening takes"),
    ("-bash: ss: command not found\n", "has no row of a socket"),
])  # fmt: skip
def test_what_is_no_list_gets_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(GivenFileError, match=said):
        read(tmp_path, text)

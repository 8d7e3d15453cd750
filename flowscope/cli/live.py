"""``flowscope live``: the same on live traffic, with findings as they appear."""

from __future__ import annotations

from dataclasses import replace

import click

from flowscope.cli.options import Request, reads_captures


@click.command(
    "live",
    short_help="Watch traffic as it happens, and report at the end.",
    epilog="""\b
Examples:
  flowscope live -i eth0
  flowscope live -i eth0 -i eth1 -f 'tcp port 80' -w lb.pcapng
  flowscope live -i any --topology lb.toml -a duration:60 --format json -o report.json
  ssh vm1 tcpdump -U --immediate-mode -w - | flowscope live - --point '-=vm1'
  flowscope live <(ssh vm1 tcpdump -U -w -) <(ssh lb tcpdump -U -w -)
  flowscope live growing.pcap
  flowscope live -i eth0 -w ring.pcapng -b filesize:100000 -b files:10""",
)
@reads_captures(["text", "json", "jsonl"], without=["captures", "display_filter"])
@click.argument("sources", nargs=-1, metavar="[CAPTURE]...")
@click.option("-i", "--interface", "interfaces", multiple=True, metavar="IFACE", help="Capture here; may be repeated.")
@click.option("-f", "capture_filter", metavar="FILTER", help="Capture filter (BPF), as for tcpdump.")
@click.option("-w", "write", metavar="FILE", help="Keep the frames (several sources: FILE-NAME each).")
@click.option("-b", "ring", multiple=True, metavar="KEY:VALUE", help="Ring of files: filesize:KB, files:N, duration:S.")
@click.option("-a", "until", multiple=True, metavar="KEY:VALUE", help="Stop at duration:S, filesize:KB or packets:N.")
@click.option(
    "-B", "buffer_mib", type=click.IntRange(1, 2047), default=64, show_default=True, help="Kernel buffer, MiB."
)
@click.option("--promiscuous", is_flag=True, help="Also frames that are not for this host.")
@click.option("--program", type=click.Choice(["dumpcap", "tcpdump", "scapy"]), help="Capture with this, not the best.")
@click.option("--max-flows", type=click.IntRange(min=100), default=50_000, show_default=True, help="Flows in memory.")
@click.option("-Z", "user", metavar="USER", help="As root: become USER (default: who called sudo, else nobody).")
def command(
    request: Request,
    *,
    sources: tuple[str, ...],
    interfaces: tuple[str, ...],
    capture_filter: str | None,
    write: str | None,
    ring: tuple[str, ...],
    until: tuple[str, ...],
    buffer_mib: int,
    promiscuous: bool,
    program: str | None,
    max_flows: int,
    user: str | None,
) -> int:
    """Follow live traffic, say what is wrong as it happens, and end with the report that analyze gives.

    Capture with -i, or name CAPTUREs that are being written: - for standard input, a named pipe, a growing file.
    Ctrl-C once stops, analyses and reports; twice ends at once. Exit code 0 when the report was given.
    """
    from flowscope.cli.live_plan import Plan
    from flowscope.cli.live_run import run

    plan = Plan(
        interfaces=interfaces,
        captures=sources,
        filter=capture_filter,
        write=write,
        ring=tuple(word for one in ring for word in one.split(",")),
        until=tuple(word for one in until for word in one.split(",")),
        buffer_mib=buffer_mib,
        promiscuous=promiscuous,
        program=program,
        max_flows=max_flows,
        user=user,
        count=request.settings.max_frames,
    )
    return run(replace(request, captures=sources), plan)

"""From the texts of a topology to the numbers of the tables."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import polars as pl


def address_numbers(addresses: pl.DataFrame, texts: Iterable[str]) -> dict[str, int]:
    """Numbers of these addresses, for those that occur in the captures.

    Args:
        addresses: the core's address table.
        texts: canonical addresses.
    """
    wanted = pl.Series(sorted(set(texts)), dtype=pl.String)
    if not wanted.len():
        return {}
    return dict(addresses.filter(pl.col("text").is_in(wanted.implode())).select("text", "address").iter_rows())


def with_numbers(addresses: pl.DataFrame, texts: Iterable[str]) -> pl.DataFrame:
    """The table with these addresses too: of a host that was captured no packet may carry its own address."""
    listed = set(texts)
    unknown = sorted(listed - set(address_numbers(addresses, listed)))
    rows = []
    for number, text in enumerate(unknown, addresses.height):
        address = ipaddress.ip_address(text)
        value = int(address) + (0xFFFF << 32 if address.version == 4 else 0)
        rows.append({"address": number, "text": text, "high": value >> 64, "low": value & (2**64 - 1)})
    return pl.concat([addresses, pl.DataFrame(rows, schema=addresses.schema)]) if rows else addresses


def endpoint_numbers(addresses: pl.DataFrame, ends: Iterable[tuple[str, int]]) -> pl.Series:
    """These endpoints as single numbers, see :func:`endpoint`."""
    listed = list(ends)
    number = address_numbers(addresses, (address for address, _ in listed))
    return pl.Series([number[address] * 65536 + port for address, port in listed if address in number], dtype=pl.UInt64)


def endpoint(side: str) -> pl.Expr:
    """Address number and port of ``src``, ``dst``, ... as one number that compares and joins fast."""
    return pl.col(side).cast(pl.UInt64) * 65536 + pl.col(f"{side}_port").cast(pl.UInt64)

"""One table of a topology file, read key by key, every value checked on the way out."""

from __future__ import annotations

import difflib
import ipaddress
import math
import re
from typing import Any, Final, Literal, NoReturn, TypeVar, cast, overload

from flowscope.errors import TopologyError
from flowscope.nat.topology import Network


class _Required(str):
    """Stands where a key has no default."""


REQUIRED: Final = _Required("required")
Choice = TypeVar("Choice", bound=str)


class TableReader:
    """Takes the values of one TOML table; unknown keys are refused, by :meth:`only` before, or by :meth:`done` after.

    Args:
        file: name of the file, for errors.
        key: dotted key of the table in it, empty for the document.
        content: the table.
    """

    def __init__(self, file: str, key: str, content: dict[str, Any]) -> None:
        self._file, self._key, self._content = file, key, content
        self._known: list[str] = []

    def wrong(self, key: str, expected: str, value: object = REQUIRED) -> NoReturn:
        """Raises the error for one key: what should stand there, and what does."""
        found = "" if value is REQUIRED else f", not {_shown(value)}"
        raise TopologyError(self._file, self._dotted(key), f"expected {expected}{found}")

    def only(self, *known: str) -> None:
        """Refuses every key but these, with the one that was likely meant."""
        for key in self._content:
            if key not in known:
                close = difflib.get_close_matches(key, known, 1, 0.5)
                hint = f"did you mean {close[0]!r}? " if close else ""
                shown = key if key.isprintable() else repr(key)
                text = f"unknown key; {hint}known here: {', '.join(known)}"
                raise TopologyError(self._file, self._dotted(shown), text)

    def done(self) -> None:
        """Refuses keys that nobody asked for."""
        self.only(*self._known)

    def has(self, key: str) -> bool:
        """True when the key is given."""
        return key in self._content

    def tables(self, key: str) -> list[TableReader]:
        """An array of tables; empty when it is not given."""
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            self.wrong(key, f"an array of tables ([[{key}]])", value)
        return [TableReader(self._file, f"{self._dotted(key)}[{at}]", one) for at, one in enumerate(value)]

    def table(self, key: str) -> TableReader | None:
        """A table inside this one; None when it is not given."""
        value = self._take(key, None)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(key, "a table", value)
        return TableReader(self._file, self._dotted(key), value)

    @overload
    def text(self, key: str, default: str = REQUIRED) -> str: ...
    @overload
    def text(self, key: str, default: None) -> str | None: ...
    def text(self, key: str, default: str | None = REQUIRED) -> str | None:
        """Text that is not empty."""
        value = self._take(key, default, "a text")
        if value is not None and (not isinstance(value, str) or not value):
            self.wrong(key, "a text that is not empty", value)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty when it is not given."""
        value = self._take(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            self.wrong(key, "a list of texts", value)
        return tuple(value)

    def choice(self, key: str, choices: tuple[Choice, ...], default: Choice) -> Choice:
        """One of a few words."""
        value = self._take(key, default)
        if value not in choices:
            self.wrong(key, " or ".join(repr(str(one)) for one in choices), value)
        return cast(Choice, value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            self.wrong(key, "true or false", value)
        return value

    @overload
    def seconds(self, key: str, default: float) -> float: ...
    @overload
    def seconds(self, key: str, default: None) -> float | None: ...
    def seconds(self, key: str, default: float | None) -> float | None:
        """A time span in seconds, above zero."""
        value = self._take(key, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not (0 < value < math.inf):
            self.wrong(key, "a number of seconds above 0", value)
        return float(value)

    def hold(self, key: str) -> float | None:
        """How long something is held, in seconds; zero is not at all, None when it is not given."""
        value = self._take(key, None)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not (0 <= value < math.inf):
            self.wrong(key, "a number of seconds from 0", value)
        return float(value)

    def count(self, key: str, default: None) -> int | None:
        """A whole number from 1; None when it is not given."""
        value = self._take(key, default)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            self.wrong(key, "a whole number from 1", value)
        return value

    @overload
    def port(self, key: str) -> int: ...
    @overload
    def port(self, key: str, default: None) -> int | None: ...
    def port(self, key: str, default: str | None = REQUIRED) -> int | None:
        """A port number."""
        value = self._take(key, default, "a port (1 to 65535)")
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536):
            self.wrong(key, "a port (1 to 65535)", value)
        return value

    def port_range(self, key: str, default: tuple[int, int]) -> tuple[int, int]:
        """Two ports and what lies between: ``"1024-65535"``."""
        value = self._take(key, None)
        if value is None:
            return default
        match = re.fullmatch(r"([0-9]{1,5})(?:\s*-\s*([0-9]{1,5}))?", value) if isinstance(value, str) else None
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 0 < first <= last < 65536:
            self.wrong(key, 'a range of ports such as "1024-65535"', value)
        return first, last

    def address(self, key: str) -> str:
        """An IPv4 or IPv6 address, as canonical text."""
        expected = 'an address such as "10.0.0.4" or "2001:db8::4"'
        value = self._take(key, REQUIRED, expected)
        try:
            if not isinstance(value, str) or "%" in value:
                raise ValueError
            return str(ipaddress.ip_address(value))
        except ValueError:
            self.wrong(key, expected, value)

    def networks(self, key: str) -> tuple[Network, ...]:
        """A list of addresses or prefixes; a single text is a list of one."""
        value = self._take(key, [])
        listed = [value] if isinstance(value, str) else value
        expected = 'a list of addresses or prefixes such as ["10.0.0.0/24"]'
        if not isinstance(listed, list):
            self.wrong(key, expected, value)
        networks: list[Network] = []
        for at, one in enumerate(listed):
            try:
                if not isinstance(one, str) or "%" in one:
                    raise ValueError
                networks.append(ipaddress.ip_network(one))
            except ValueError as error:
                note = " (its host bits are set)" if "host bits" in str(error) else ""
                self.wrong(f"{key}[{at}]", 'an address or a prefix such as "10.0.0.0/24"', f"{one}{note}")
        return tuple(networks)

    def _take(self, key: str, default: object, expected: Literal[""] | str = "") -> Any:
        self._known.append(key)
        if key not in self._content and default is REQUIRED:
            # A slip in the key's own name is the likelier story than a key forgotten.
            unknown = [one for one in self._content if one not in self._known]
            for slip in difflib.get_close_matches(key, unknown, 1, 0.7):
                raise TopologyError(self._file, self._dotted(slip), f"unknown key; did you mean {key!r}?")
            self.wrong(key, f"{expected}; the key is missing")
        return self._content.get(key, default)

    def _dotted(self, key: str) -> str:
        return f"{self._key}.{key}" if self._key else key


def _shown(value: object) -> str:
    """A value of the file in an error line: short, on one line, no control characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

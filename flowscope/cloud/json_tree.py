"""JSON as clouds print it: keys in any case, payloads in wrappers, `properties` nested or flattened.

Versions of one tool differ in the case of keys (``backendIPConfigurations``, ``backendIpConfigurations``), REST answers
wrap what the command line prints bare, and recordings wrap both. So keys are compared without case, and what is looked
for is found wherever it stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from flowscope.cloud.text import GivenBytes, decode, harmless
from flowscope.errors import GivenFileError

#: Real exports nest about fifteen deep, recordings some more.
DEEPEST = 60

Object = dict[str, Any]


def parse_json(given: GivenBytes) -> Any:
    """The value of a JSON file, or the list of the values of a file with one per line; all keys in lower case.

    Raises:
        GivenFileError: it is cut or no JSON; the line and column are named.
    """
    text = decode(given).lstrip("\ufeff")
    decoder = json.JSONDecoder(strict=False)
    values, at = [], 0
    try:
        while at < len(text):
            if text[at].isspace():
                at += 1
                continue
            value, at = decoder.raw_decode(text, at)
            values.append(lower_keys(value, given.path))
    except json.JSONDecodeError as error:
        # Columns of a one-line file of half a megabyte are of use, its text is not.
        cut = error.pos >= len(text.rstrip()) or "Unterminated" in error.msg
        why = "the file is cut" if cut else error.msg[0].lower() + error.msg[1:]
        raise GivenFileError(
            given.path, f"not valid JSON at line {error.lineno}, column {error.colno} ({why}); export it again"
        ) from None
    except RecursionError:
        raise GivenFileError(
            given.path, f"JSON nested deeper than {DEEPEST} levels: no export looks like this"
        ) from None
    return values[0] if len(values) == 1 else values


def looks_like_json(text: str) -> bool:
    """True when the first mark is one of JSON."""
    return text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")


def lower_keys(value: Any, path: str, depth: int = 0) -> Any:
    """The same tree with all keys in lower case, and texts that can be shown.

    Raises:
        GivenFileError: it is nested deeper than any export.
    """
    if depth > DEEPEST:
        raise GivenFileError(path, f"JSON nested deeper than {DEEPEST} levels: no export looks like this")
    if isinstance(value, dict):
        return {str(key).lower(): lower_keys(one, path, depth + 1) for key, one in value.items()}
    if isinstance(value, list):
        return [lower_keys(one, path, depth + 1) for one in value]
    return harmless(value) if isinstance(value, str) else value


def objects(value: Any) -> Iterator[Object]:
    """Every object of a tree, outer ones first."""
    if isinstance(value, dict):
        yield value
        for one in value.values():
            yield from objects(one)
    elif isinstance(value, list):
        for one in value:
            yield from objects(one)


def outermost(value: Any, wanted: Callable[[Object], bool]) -> list[Object]:
    """Objects that answer a description, without looking into them; equal copies once."""
    found: list[Object] = []
    for one in _walk(value, wanted):
        if one not in found:
            found.append(one)
    return found


def _walk(value: Any, wanted: Callable[[Object], bool]) -> Iterator[Object]:
    if isinstance(value, dict):
        if wanted(value):
            yield value
            return
        for one in value.values():
            yield from _walk(one, wanted)
    elif isinstance(value, list):
        for one in value:
            yield from _walk(one, wanted)


def flat(value: object) -> Object:
    """The object with what its ``properties`` hold beside its own keys: ARM nests, the command line does not."""
    if not isinstance(value, dict):
        return {}
    inner = value.get("properties")
    return {**value, **inner} if isinstance(inner, dict) else value


def items(value: Object, *names: str) -> list[Any]:
    """The list under the first of these keys that holds one; null, absent and empty mean the same."""
    for name in names:
        found = value.get(name)
        if isinstance(found, list):
            return found
    return []


def texts(value: Object, *names: str) -> list[str]:
    """All texts under these keys: single ones (also with commas between them) and lists; blanks left out."""
    found: list[str] = []
    for name in names:
        one = value.get(name)
        listed = one if isinstance(one, list) else [one]
        for each in listed:
            if isinstance(each, int) and not isinstance(each, bool):
                found.append(str(each))
            elif isinstance(each, str):
                found += [part.strip() for part in each.split(",") if part.strip()]
    return list(dict.fromkeys(found))


def last_part(identifier: object) -> str:
    """The name at the end of a resource id or ARN."""
    return str(identifier).rstrip("/").rsplit("/", 1)[-1] if isinstance(identifier, str) else ""

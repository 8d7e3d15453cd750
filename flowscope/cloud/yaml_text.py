"""YAML as a tree like that of JSON: plain values only, no aliases, all documents of a file.

PyYAML's safe loader builds no objects, but an alias can stand for millions of copies; kubectl writes none.
"""

from __future__ import annotations

from typing import Any

import yaml

from flowscope.cloud.json_tree import lower_keys
from flowscope.cloud.text import GivenBytes, decode
from flowscope.errors import GivenFileError


def parse_yaml(given: GivenBytes) -> Any:
    """The documents of a YAML file as one list, all keys in lower case.

    Raises:
        GivenFileError: it is cut, no YAML, nested too deep, or uses aliases.
    """
    try:
        documents = list(yaml.load_all(decode(given), Loader=_PlainLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise GivenFileError(
            given.path, f"not valid YAML{place} ({getattr(error, 'problem', None) or error}); export it again"
        ) from None
    except (RecursionError, ValueError) as error:
        raise GivenFileError(given.path, f"not usable YAML ({type(error).__name__}); export it again as JSON") from None
    return [lower_keys(one, given.path) for one in documents if one is not None]


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
    """The safe loader without aliases, and without dates: a time stays its text."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "aliases are not read", mark)
        return super().compose_node(parent, index)


_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

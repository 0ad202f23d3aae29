"""A text of YAML or TOML as a tree whose every value knows its line. No value shows itself: any may be a secret.

YAML is read from PyYAML's events, not its loaders: no tag makes an object, a key that stands twice is refused, and an
alias is copied only as long as the whole stays small. Plain words are what they are in IoT Edge's reader (YAML 1.2):
`true` and `false` are booleans, `yes`, `no`, `on` and `off` are words.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from leafward.toml_lines import KeyPath, error_line, find_lines, line_of

MAX_SIZE = 256 * 1024  # octets of a file; the templates have 20 KiB, most of it comments
MAX_DEPTH = 32
MAX_NODES = 20_000  # aliases multiply what they name


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. `text` is it as written, `value` what it means there."""

    line: int
    text: str = field(repr=False)
    value: object = field(repr=False)


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    line: int
    nodes: "tuple[Node, ...]" = field(repr=False)


@dataclass(frozen=True, slots=True)
class Branch:
    """A table. `lines` has the line of each key; `line` is that of the table itself, 1 for the whole file."""

    line: int
    nodes: "Mapping[str, Node]" = field(repr=False)
    lines: Mapping[str, int] = field(repr=False)


Node: TypeAlias = Scalar | Items | Branch


class Unreadable(Exception):
    """The text is no YAML or TOML that we read. `line` is None where that cannot be told."""

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.line = line


def read_toml(text: str) -> Branch:
    """Raises `Unreadable`."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(str(error), error_line(error, text)) from error
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    return _branch(tables, find_lines(text), ())


def _branch(table: Mapping[str, Any], lines: Mapping[KeyPath, int], path: KeyPath) -> Branch:
    nodes = {key: _node(value, lines, (*path, key)) for key, value in table.items()}
    return Branch(line_of(lines, path) or 1, nodes, {key: line_of(lines, (*path, key)) or 1 for key in table})


def _node(value: object, lines: Mapping[KeyPath, int], path: KeyPath) -> Node:
    if len(path) > MAX_DEPTH:
        raise Unreadable("it is nested too deeply", line_of(lines, path))
    if isinstance(value, dict):
        return _branch(value, lines, path)
    line = line_of(lines, path) or 1
    if isinstance(value, list):
        return Items(line, tuple(_node(one, lines, (*path, index)) for index, one in enumerate(value)))
    return Scalar(line, str(value), value)


def read_yaml(text: str) -> Branch:
    """Raises `Unreadable`."""
    try:
        return _YamlTree(yaml.parse(text, Loader=yaml.SafeLoader)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(error.problem or error.context or "it is no YAML", mark.line + 1 if mark else None) from None
    except yaml.reader.ReaderError as error:
        raise Unreadable(
            f"a character is not allowed: {error.reason}", text.count("\n", 0, error.position) + 1
        ) from None
    except (yaml.YAMLError, RecursionError):
        raise Unreadable("it is no YAML that we read") from None


class _YamlTree:
    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        self._anchors: dict[str, Node] = {}
        self._size = 0

    def document(self) -> Branch:
        """The one table of a file; an empty file is an empty table."""
        root: Node = Branch(1, {}, {})
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise Unreadable("got a second document, expected one", _line(event))
                root = self._node(next(self._events), 0)
        if isinstance(root, Scalar) and root.value is None:
            return Branch(1, {}, {})
        if not isinstance(root, Branch):
            raise Unreadable("expected keys with values", root.line)
        return Branch(1, root.nodes, root.lines)

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise Unreadable("it is nested too deeply", _line(event))
        node = self._alias(event) if isinstance(event, yaml.AliasEvent) else self._new(event, depth)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _new(self, event: yaml.Event, depth: int) -> Node:
        self._count(1, event)
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in _TAGS:
            raise Unreadable(f"the tag {tag} is not understood", _line(event))
        if isinstance(event, yaml.MappingStartEvent):
            return self._table(event, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._items(event, depth)
        assert isinstance(event, yaml.ScalarEvent)
        plain = event.implicit[0] and tag is None
        return Scalar(_line(event), event.value, _plain(event.value) if plain else event.value)

    def _table(self, start: yaml.Event, depth: int) -> Branch:
        nodes: dict[str, Node] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise Unreadable("expected a word as key", _line(event))
            if event.value in nodes:
                why = f"the key {event.value!r} stands here a second time, first in line {lines[event.value]}"
                raise Unreadable(why, _line(event))
            lines[event.value] = _line(event)
            nodes[event.value] = self._node(next(self._events), depth + 1)
        return Branch(_line(start), nodes, lines)

    def _items(self, start: yaml.Event, depth: int) -> Items:
        nodes = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            nodes.append(self._node(event, depth + 1))
        return Items(_line(start), tuple(nodes))

    def _alias(self, event: yaml.AliasEvent) -> Node:
        if event.anchor not in self._anchors:
            # Also one inside of what it names: that would have no end.
            raise Unreadable(f"the alias *{event.anchor} names nothing before it", _line(event))
        node = self._anchors[event.anchor]
        self._count(_size(node), event)
        return node

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._size += nodes
        if self._size > MAX_NODES:
            raise Unreadable(f"it has more than {MAX_NODES} values", _line(event))


def _size(node: Node) -> int:
    if isinstance(node, Scalar):
        return 1
    inner = node.nodes.values() if isinstance(node, Branch) else node.nodes
    return 1 + sum(map(_size, inner))


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return 1 if mark is None else int(mark.line) + 1


_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq")}
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")


def _plain(text: str) -> object:
    """What a word without quotes means; a number other than a plain whole one stays a text."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    return int(text) if _NUMBER.fullmatch(text) else text

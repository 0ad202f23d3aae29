"""A table of the file, asked key by key. What is asked for is known; what is left over at `close` is refused.

    with Table(...) as provisioning:
        source = provisioning.choice("source", ("manual", "dps"), required=True)

Every answer is a value with its place, or None where there is none or a wrong one, which is then a fault.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

from leafward.wire.iotedge_config.documents import Branch, Items, Node, Scalar
from leafward.wire.iotedge_config.findings import Findings
from leafward.wire.iotedge_config.locations import file_path, key_location
from leafward.wire.iotedge_config.values import KeyLocation, Located, Secret

T = TypeVar("T")

LONGEST_SHOWN = 60  # characters of a value that a fault repeats
_LENIENT = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Table:
    """`key` is the table's own, dotted; empty for the whole file. Not for several threads."""

    def __init__(self, branch: Branch, key: str, findings: Findings, line: int | None = None) -> None:
        self.key = key
        self.line = line or branch.line
        self.findings = findings
        self._branch = branch
        self._known: dict[str, None] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()

    def close(self) -> None:
        """Refuses every key that nobody asked for."""
        for name in self._branch.nodes:
            if name not in self._known:
                self.findings.unknown(self.place(name), self._branch.lines[name], list(self._known))

    def place(self, name: str) -> str:
        """The whole key of `name`."""
        return f"{self.key}.{name}" if self.key else name

    def line_of(self, name: str) -> int:
        """Where `name` stands, else the table."""
        return self._branch.lines.get(name, self.line)

    def has(self, *names: str) -> bool:
        """Whether any of the keys has a value (a YAML key with nothing behind it has none)."""
        return any(self._node(name) is not None for name in names)

    def known(self, *names: str) -> None:
        """Names that belong here, though nothing is asked of them now."""
        self._known.update(dict.fromkeys(names))

    def fault(self, name: str, message: str, *, got: str | None = None) -> None:
        """A fault at `name`, or at the table where there is no such key."""
        self.findings.fault(self.place(name), self.line_of(name), message, got=got)

    def note(self, name: str, message: str) -> None:
        """A note at `name`."""
        self.findings.note(self.place(name), self.line_of(name), message)

    def ignored(self, names: Collection[str], why: str) -> None:
        """Keys that are known and mean nothing here: a note for each that is there."""
        for name in names:
            if self._asked(name) is not None:
                self.note(name, why)

    def misplaced(self, names: Collection[str], why: str) -> None:
        """Keys that are known, and must not stand here together with what does."""
        for name in names:
            if self._asked(name) is not None:
                self.fault(name, why)

    def text(self, name: str, *, required: bool = False, show: bool = True) -> Located[str] | None:
        """Text, never empty. `show`: a fault may repeat it. What a template says to replace is refused."""
        node = self._asked(name)
        if node is None:
            if required:
                self.fault(name, "missing, expected a value")
            return None
        found = self._as_text(name, node, show=show)
        if found is None:
            return None
        if not found.value.strip():
            self.fault(name, "empty, expected a value")
            return None
        if found.value.startswith("<") and found.value.endswith(">"):
            self.fault(name, "still what the template says, expected a value of your own")
            return None
        return found

    def secret(self, name: str, *, required: bool = False) -> Located[Secret] | None:
        """Text that no fault repeats."""
        found = self.text(name, required=required, show=False)
        return None if found is None else Located(Secret(found.value), found.key, found.line)

    def parsed(
        self, name: str, parse: Callable[[str], T], *, required: bool = False, show: bool = True
    ) -> Located[T] | None:
        """Text as `parse` reads it; its ValueError is the fault."""
        found = self.text(name, required=required, show=show)
        if found is None:
            return None
        try:
            return Located(parse(found.value), found.key, found.line)
        except ValueError as error:
            self.fault(name, str(error), got=_shown(found.value) if show else None)
            return None

    def choice(self, name: str, choices: Sequence[str], *, required: bool = False) -> Located[str] | None:
        """One of a few words."""

        def parse(text: str) -> str:
            if text not in choices:
                raise ValueError(f"got {_shown(text)}, expected {' or '.join(map(repr, choices))}")
            return text

        return self.parsed(name, parse, required=required)

    def path(self, name: str, *, required: bool = False) -> Located[str] | None:
        """The path of a file, from a URI or as it is."""
        return self.parsed(name, lambda text: file_path(text, relative=self.findings.lenient), required=required)

    def key_at(self, name: str, *, required: bool = False) -> Located[KeyLocation] | None:
        """Where a private key is. Never repeated: there may be a PIN in it."""
        relative = self.findings.lenient
        return self.parsed(name, lambda text: key_location(text, relative=relative), required=required, show=False)

    def boolean(self, name: str) -> Located[bool] | None:
        """True or false; in YAML also as a word."""
        node = self._asked(name)
        if node is None:
            return None
        if isinstance(node, Scalar):
            if isinstance(node.value, bool):
                return Located(node.value, self.place(name), self.line_of(name))
            if self.findings.lenient and node.text.lower() in _LENIENT:
                return Located(_LENIENT[node.text.lower()], self.place(name), self.line_of(name))
        self.fault(name, f"got {_kind(node)}, expected true or false")
        return None

    def number(self, name: str, *, least: int = 0, most: int = 2**32 - 1) -> Located[int] | None:
        """A whole number from `least` to `most`."""
        node = self._asked(name)
        if node is None:
            return None
        value = node.value if isinstance(node, Scalar) else None
        if self.findings.lenient and isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value[:20])
        if not isinstance(value, int) or isinstance(value, bool):
            self.fault(name, f"got {_kind(node)}, expected a whole number")
            return None
        if not least <= value <= most:
            self.fault(name, f"got {value}, expected {least} to {most}", got=str(value))
            return None
        return Located(value, self.place(name), self.line_of(name))

    def table(self, name: str) -> "Table | None":
        """The table at `name`; None where there is none. Whoever takes it closes it."""
        node = self._asked(name)
        if node is None:
            return None
        if not isinstance(node, Branch):
            self.fault(name, f"got {_kind(node)}, expected a table")
            return None
        # In YAML a table begins at its first key; what is missing in it is told at its own.
        return Table(node, self.place(name), self.findings, self.line_of(name))

    def is_table(self, name: str) -> bool:
        """Whether a table stands there: some keys take a text or a table."""
        return isinstance(self._node(name), Branch)

    def is_text(self, name: str) -> bool:
        """Whether a text stands there: some keys take a word or a number."""
        node = self._node(name)
        return isinstance(node, Scalar) and isinstance(node.value, str)

    def tables(self, name: str) -> "list[Table]":
        """A list of tables."""
        found = []
        for index, node in enumerate(self._items(name)):
            place = f"{self.place(name)}.{index}"
            if isinstance(node, Branch):
                found.append(Table(node, place, self.findings))
            else:
                self.findings.fault(place, node.line, f"got {_kind(node)}, expected a table")
        return found

    def paths(self, name: str) -> tuple[Located[str], ...]:
        """A list of paths of files."""
        inner = Branch(self.line_of(name), {}, {})
        found = []
        for index, node in enumerate(self._items(name)):
            one = Table(
                Branch(inner.line, {str(index): node}, {str(index): node.line}), self.place(name), self.findings
            )
            if (path := one.path(str(index))) is not None:
                found.append(path)
        return tuple(found)

    def texts(self, name: str, *, show: bool = True) -> Mapping[str, Located[str]]:
        """A table whose keys are the file's own and whose values are texts."""
        table = self.table(name)
        if table is None:
            return {}
        found = {key: table.text(key, show=show) for key in table.names()}
        return {key: value for key, value in found.items() if value is not None}

    def free(self, name: str, kind: type[Branch] | type[Items] = Branch) -> None:
        """A table, or a list, that is not looked into: its content is another program's."""
        node = self._asked(name)
        if node is not None and not isinstance(node, kind):
            self.fault(name, f"got {_kind(node)}, expected {'a table' if kind is Branch else 'a list'}")

    def names(self) -> list[str]:
        """Every key that stands here."""
        return list(self._branch.nodes)

    def _items(self, name: str) -> Sequence[Node]:
        node = self._asked(name)
        if node is not None and not isinstance(node, Items):
            self.fault(name, f"got {_kind(node)}, expected a list")
        return node.nodes if isinstance(node, Items) else ()

    def _asked(self, name: str) -> Node | None:
        self._known[name] = None
        return self._node(name)

    def _node(self, name: str) -> Node | None:
        node = self._branch.nodes.get(name)
        return None if isinstance(node, Scalar) and node.value is None else node

    def _as_text(self, name: str, node: Node, *, show: bool) -> Located[str] | None:
        if isinstance(node, Scalar) and (isinstance(node.value, str) or self.findings.lenient):
            return Located(node.text, self.place(name), self.line_of(name))
        got = _shown(node.text) if show and isinstance(node, Scalar) else None
        self.fault(name, f"got {got or _kind(node)}, expected text", got=got)
        return None


def _kind(node: Node) -> str:
    if isinstance(node, Branch):
        return "a table"
    if isinstance(node, Items):
        return "a list"
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "text"}
    return kinds.get(type(node.value), "another kind of value")


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")

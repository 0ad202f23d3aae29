"""On which line of a TOML text each key stands. tomllib tells no lines, and a fault is mended where it is seen.

Reads only the skeleton of a text that tomllib has read: headers, keys, and where values end. Of a text that is no TOML
it finds what stands before the first thing it does not understand, and never raises.

Beside `errors` and `disk`, because `store` (leafward.toml) and `wire` (IoT Edge's config.toml) both need it.
"""

import bisect
import contextlib
import re
import tomllib
from collections.abc import Mapping
from typing import TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]

_BLANK = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
# Strings of several lines may end in up to two quotes of their own before the three that close them.
_SCALAR = re.compile(
    r'''"""(?:[^"\\]|\\[\s\S]|"{1,2}(?!"))*"{3,5}|"""'''
    r"""|'''(?:[^']|'{1,2}(?!'))*'{3,5}"""
    r"""|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^,\]}\n#"'\[{][^,\]}\n#]*"""
)
_AT_LINE = re.compile(r"\(at line (\d+), column \d+\)")


def find_lines(text: str) -> dict[KeyPath, int]:
    """Every key and element of `text` with its line, counted from 1: (`device`, `names`, 0) -> 7.

    A table has the line of its header; one that is only implied (by `[a.b]` or `a.b = 1`) that of its first mention.
    """
    found = _Skeleton(text)
    # Deeper than this interpreter goes, tomllib refuses a text as well.
    with contextlib.suppress(_NotUnderstood, RecursionError):
        found.read()
    return found.lines


def error_line(error: tomllib.TOMLDecodeError, text: str) -> int | None:
    """The line that a refusal of tomllib's is about."""
    told = _AT_LINE.search(str(error))
    if told is not None:
        return int(told[1])
    return len(text.splitlines()) or 1 if "end of document" in str(error) else None


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of `path`, or of what is nearest above it: what is missing has its table's."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _NotUnderstood(Exception):
    """This is no TOML from here on."""


class _Skeleton:
    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._line_ends = [place for place, letter in enumerate(text) if letter == "\n"]
        # How many elements each array of tables has so far: a header names the last of them.
        self._elements: dict[KeyPath, int] = {}

    def read(self) -> None:
        table: KeyPath = ()
        while self._skip(_BETWEEN):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._assignment(table)

    def _header(self) -> KeyPath:
        line, many = self._line(), self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        *above, name = self._key()
        path: KeyPath = ()
        for part in above:
            path = (*path, part)
            self.lines.setdefault(path, line)
            path = self._last_element(path)
        path = (*path, name)
        if many:
            self.lines.setdefault(path, line)
            self._elements[path] = self._elements.get(path, 0) + 1
            path = self._last_element(path)
        self.lines[path] = line
        self._expect("]]" if many else "]")
        return path

    def _last_element(self, path: KeyPath) -> KeyPath:
        return (*path, self._elements[path] - 1) if path in self._elements else path

    def _assignment(self, table: KeyPath) -> None:
        """A key, dotted or not, and its value."""
        line, path = self._line(), table
        for part in self._key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self._expect("=")
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        opening = self._text[self._at : self._at + 1]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._match(_SCALAR)

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while not self._closed("]"):
            self.lines[*path, index] = self._line()
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while not self._closed("}"):
            self._assignment(path)

    def _closed(self, bracket: str) -> bool:
        """Goes on to the next element; True behind the bracket that closes them all."""
        self._skip(_BETWEEN)
        if self._text.startswith(",", self._at):
            self._at += 1
            self._skip(_BETWEEN)
        if not self._text.startswith(bracket, self._at):
            return False
        self._at += 1
        return True

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_BLANK)
            parts.append(_name(self._match(_KEY_PART)))
            self._skip(_BLANK)
            if not self._text.startswith(".", self._at):
                return parts
            self._at += 1

    def _skip(self, what: re.Pattern[str]) -> bool:
        """Passes over blanks; whether anything is left."""
        self._match(what)
        return self._at < len(self._text)

    def _match(self, what: re.Pattern[str]) -> str:
        found = what.match(self._text, self._at)
        if found is None:
            raise _NotUnderstood
        self._at = found.end()
        return found[0]

    def _expect(self, what: str) -> None:
        if not self._text.startswith(what, self._at):
            raise _NotUnderstood
        self._at += len(what)

    def _line(self) -> int:
        return bisect.bisect_left(self._line_ends, self._at) + 1


def _name(part: str) -> str:
    """A part of a key as tomllib has it."""
    if part.startswith('"'):
        try:
            return next(iter(tomllib.loads(f"{part} = 0")))
        except tomllib.TOMLDecodeError:
            raise _NotUnderstood from None
    return part.strip("'")

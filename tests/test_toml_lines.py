"""Lines of keys in TOML, held against tomllib: what it finds has a line, and the line is where the key stands."""

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.toml_lines import KeyPath, error_line, find_lines, line_of

TEXT = '''a = 1
[b.c] # a table
"q\\u0041.x" = """
several lines "" of it
"""""
d = [1, # one
  {x = 1, y.z = 2},
 [3]]
[[e]]
f=1
[e.g]
h = 1979-05-27 07:32:00
[[e]]
'lit.eral' = \'\'\'
]]''\'\'\'
e2 = { n = "#" }
[e.g]
i = 'it'
[[e.n]]
'''


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_each_kind_of_key(line_end: str) -> None:
    lines = find_lines(TEXT.replace("\n", line_end))
    assert lines == {
        ("a",): 1,
        ("b",): 2,
        ("b", "c"): 2,
        ("b", "c", "qA.x"): 3,
        ("b", "c", "d"): 6,
        ("b", "c", "d", 0): 6,
        ("b", "c", "d", 1): 7,
        ("b", "c", "d", 1, "x"): 7,
        ("b", "c", "d", 1, "y"): 7,
        ("b", "c", "d", 1, "y", "z"): 7,
        ("b", "c", "d", 2): 8,
        ("b", "c", "d", 2, 0): 8,
        ("e",): 9,
        ("e", 0): 9,
        ("e", 0, "f"): 10,
        ("e", 0, "g"): 11,
        ("e", 0, "g", "h"): 12,
        ("e", 1): 13,
        ("e", 1, "lit.eral"): 14,
        ("e", 1, "e2"): 16,
        ("e", 1, "e2", "n"): 16,
        ("e", 1, "g"): 17,
        ("e", 1, "g", "i"): 18,
        ("e", 1, "n"): 19,
        ("e", 1, "n", 0): 19,
    }
    assert set(lines) == set(paths_of(tomllib.loads(TEXT)))


def test_a_header_counts_more_than_its_first_mention() -> None:
    assert find_lines("[a.b]\n[a]\nc = 1\n")["a",] == 2


def test_what_is_missing_has_the_line_of_its_table() -> None:
    lines = find_lines("x = 1\n[a]\nb = 1\n")
    assert line_of(lines, ("a", "hostname")) == 2
    assert line_of(lines, ("nothing",)) is None


@pytest.mark.parametrize(
    ("text", "line"), [("a = 1\nb = \n", 2), ("a = 1\na = 2\n", 2), ("a = 1\n\nb = [", 3), ("a = 1\nb = 'x\n", 2)]
)
def test_a_refusal_of_tomllib_has_its_line(text: str, line: int) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    assert error_line(caught.value, text) == line


def paths_of(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    """Every key and element of decoded TOML."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, one in inner for found in ((*path, key), *paths_of(one, (*path, key)))]


@settings(max_examples=60)
@given(st.text(alphabet="ab=[]{}.,#\"'\\ \n1", max_size=60))
def test_any_text_is_read_without_an_error(text: str) -> None:
    """What tomllib takes has a line for everything in it; what it refuses does no harm."""
    lines = find_lines(text)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(lines) == set(paths_of(tables))


names = st.one_of(
    st.text(alphabet="abc-_1", min_size=1, max_size=3),
    st.text(alphabet='é "#=.]\t', min_size=1, max_size=3).map(lambda name: f"k{name}"),
)
scalars = st.sampled_from(
    ["1", "true", '"# ] }"', "'x'", '"""\nlong\n\\" "" """', "'''\n'\n'''", "1979-05-27 07:32:00"]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda found: "[\n" + ", # next\n".join(found) + "\n]")
        | st.dictionaries(names, inner.filter(lambda one: "\n" not in one), max_size=2).map(
            lambda found: "{" + ", ".join(f"{quoted(key)} = {one}" for key, one in found.items()) + "}"
        )
    ),
    max_leaves=5,
)


def quoted(name: str) -> str:
    escapes = {'"': '\\"', "\t": "\\t"}
    return (
        name
        if name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        else ('"' + "".join(escapes.get(letter, letter) for letter in name) + '"')
    )


statements = st.one_of(
    st.tuples(st.lists(names, min_size=1, max_size=2), values).map(
        lambda found: f"{'.'.join(map(quoted, found[0]))} = {found[1]}"
    ),
    st.lists(names, min_size=1, max_size=3).map(lambda path: f"[{' . '.join(map(quoted, path))}]"),
    st.lists(names, min_size=1, max_size=2).map(lambda path: f"[[{'.'.join(map(quoted, path))}]]"),
    st.sampled_from(["", "# a comment = [", "  "]),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(statements, max_size=8))
def test_a_line_is_where_a_key_begins_to_be(found: list[str]) -> None:
    """Without that line and what follows it tomllib does not know the key; with its statement it does."""
    text = taken(found)
    tables, lines = tomllib.loads(text), find_lines(text)
    assert set(lines) == set(paths_of(tables))
    rows = text.split("\n")
    for path, line in lines.items():
        if isinstance(path[-1], str) and not has_element(path):
            before = "\n".join(rows[: line - 1])
            assert path not in keys_before(before) or rows[line - 1].startswith("[")


def taken(found: list[str]) -> str:
    """The statements that together are TOML."""
    text = ""
    for one in found:
        try:
            tomllib.loads(text + one + "\n")
        except tomllib.TOMLDecodeError:
            continue
        text += one + "\n"
    return text


def has_element(path: KeyPath) -> bool:
    return any(isinstance(part, int) for part in path)


def keys_before(text: str) -> set[KeyPath]:
    try:
        return set(paths_of(tomllib.loads(text)))
    except tomllib.TOMLDecodeError:  # the line is in the middle of a value
        return set()

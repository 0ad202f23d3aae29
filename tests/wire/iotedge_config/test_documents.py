"""YAML and TOML as trees with lines; nothing is executed, nothing grows, nothing is told twice."""

import tomllib
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from leafward.wire.iotedge_config.documents import (
    MAX_DEPTH,
    Branch,
    Items,
    Node,
    Scalar,
    Unreadable,
    read_toml,
    read_yaml,
)


def plain(node: Node) -> Any:
    if isinstance(node, Branch):
        return {key: plain(one) for key, one in node.nodes.items()}
    return [plain(one) for one in node.nodes] if isinstance(node, Items) else node.value


def test_each_value_of_yaml_has_its_line() -> None:
    tree = read_yaml("# first\na: 1\nb:\n  c: 'x'\n  d:\n    - one\n    - two: 2\n")
    b = tree.nodes["b"]
    assert isinstance(b, Branch)
    d = b.nodes["d"]
    assert isinstance(d, Items)
    assert tree.lines == {"a": 2, "b": 3}
    assert b.lines == {"c": 4, "d": 5}
    assert [node.line for node in d.nodes] == [6, 7]


def test_each_value_of_toml_has_its_line() -> None:
    tree = read_toml("a = 1\n[b]\nc = 'x'\nd = [\n'one',\n{two = 2}]\n")
    b = tree.nodes["b"]
    assert isinstance(b, Branch)
    d = b.nodes["d"]
    assert isinstance(d, Items)
    assert (tree.lines, b.lines, b.line) == ({"a": 1, "b": 2}, {"c": 3, "d": 4}, 2)
    assert [node.line for node in d.nodes] == [5, 6]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("yes", "yes"), ("no", "no"), ("on", "on"), ("~", None), ("", None),
        ("12", 12), ("-3", -3), ("012", "012"), ("0x10", "0x10"), ("1.5", "1.5"), ("2001-01-01", "2001-01-01"),
        ("'12'", "12"), ('"true"', "true"), ("!!str 12", "12"), ("192.0.2.7", "192.0.2.7"), ("1_000", "1_000"),
    ],
)  # fmt: skip
def test_words_of_yaml_mean_what_they_mean_to_iotedge(text: str, value: object) -> None:
    assert plain(read_yaml(f"key: {text}\n")) == {"key": value}


@pytest.mark.parametrize(
    ("text", "why", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "a second time, first in line 1", 3),
        ("a:\n  b: 1\n  b: 1\n", "a second time, first in line 2", 3),
        ("a: 1\n---\nb: 1\n", "second document", 2),
        ("- a\n", "expected keys", 1),
        ("text\n", "expected keys", 1),
        ("a: !!python/object/apply:os.system [x]\n", "the tag", 1),
        ("a: !secret x\n", "the tag !secret", 1),
        ("a: *none\n", "names nothing", 1),
        ("a: &a [*a]\n", "names nothing", 1),
        ("? [a]\n: b\n", "expected a word", 1),
        ("a: [1\nb: 2\n", "", 2),
        ("a: 'x\n", "", 2),
        ("a: \x01\n", "not allowed", 1),
        ("a: b: c\n", "", 1),
        ("\ta: b\n", "", 1),
        ("a: " + "[" * 50 + "]" * 50, "nested too deeply", 1),
        ("a: " + "{a: " * 3000, "nested too deeply", 1),
    ],
)
def test_what_is_no_yaml_of_ours_is_refused_with_its_line(text: str, why: str, line: int) -> None:
    with pytest.raises(Unreadable) as caught:
        read_yaml(text)
    assert why in str(caught.value)
    assert caught.value.line == line


def test_aliases_are_read_until_they_explode() -> None:
    assert plain(read_yaml("a: &a {x: 1}\nb: *a\n")) == {"a": {"x": 1}, "b": {"x": 1}}
    bomb = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 12))
    with pytest.raises(Unreadable, match="more than"):
        read_yaml(bomb)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~\n"])
def test_an_empty_yaml_is_an_empty_table(text: str) -> None:
    assert plain(read_yaml(text)) == {}


@pytest.mark.parametrize("text", ["a = 1\na = 1\n", "a = " + "[" * 5000, "[a\n", f"a = {'[' * 40}{']' * 40}"])
def test_what_is_no_toml_of_ours_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        read_toml(text)


def test_nothing_shows_a_value() -> None:
    for tree in (read_yaml("a: [{b: hidden}]\n"), read_toml("a = [{b = 'hidden'}]\n")):
        assert "hidden" not in repr(tree)
        assert "hidden" not in repr(tree.nodes["a"])


words = st.text(alphabet="ab: -#'\"\n\u00e9{", max_size=5)
trees = st.dictionaries(
    words,
    st.recursive(
        st.one_of(words, st.integers(-99, 99), st.booleans()),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@settings(max_examples=80, deadline=None)
@given(trees, st.booleans())
def test_yaml_is_what_pyyaml_wrote(tree: dict[str, Any], flow: bool) -> None:
    assert plain(read_yaml(yaml.safe_dump(tree, default_flow_style=flow, allow_unicode=True))) == tree


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet="ab:-{}[]&*!#'\"|>?,% \n\t1=.", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_yaml, read_toml):
        try:
            tree = read(text)
        except Unreadable:
            continue
        if read is read_toml:
            assert plain(tree) == tomllib.loads(text)
        assert isinstance(tree, Branch)


def test_the_deepest_that_is_read() -> None:
    assert isinstance(read_yaml("a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)), Branch)
    assert Scalar(1, "x", "x") == Scalar(1, "x", "x")

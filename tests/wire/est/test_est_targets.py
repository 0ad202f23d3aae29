"""Paths of EST (RFC 7030 3.2.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import NotFound, SettingsError
from leafward.wire.est.targets import Operation, Target, is_label, parse_label, parse_target, target_path


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("label", [None, "device_ca", "a", "A.b~c-9"])
def test_a_path_is_read_as_it_was_written(operation: Operation, label: str | None) -> None:
    assert parse_target(target_path(operation, label)) == Target(operation, label)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/.well-known/est",
        "/.well-known/est/",
        "/.well-known/est/simpleenrol",
        "/.well-known/est/SimpleEnroll",
        "/.well-known/est/a/b/simpleenroll",
        "/.well-known/est//simpleenroll",
        "/.well-known/est/../simpleenroll",
        "/.well-known/est/cacerts/simpleenroll",
        "/.well-known/est/simpleenroll/",
        "/.well-known/establish/simpleenroll",
        "simpleenroll",
        "cacerts",
    ],
)
def test_anything_else_is_not_there(path: str) -> None:
    with pytest.raises(NotFound):
        parse_target(path)


@given(st.text(max_size=80))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Whatever a stranger asks for is a target or `NotFound`."""
    try:
        target = parse_target(f"/.well-known/est/{text}")
    except NotFound:
        return
    assert target.label is None or is_label(target.label)


@pytest.mark.parametrize("operation", Operation)
def test_only_questions_are_asked_with_get(operation: Operation) -> None:
    assert (operation.method == "GET") == (operation.value in {"cacerts", "csrattrs"})


@pytest.mark.parametrize("label", ["", "a b", "simpleenroll", "-x", "a/b", "x" * 65, "ü"])
def test_a_label_in_the_settings_must_fit_into_a_path(label: str) -> None:
    with pytest.raises(SettingsError, match="label"):
        parse_label(label)

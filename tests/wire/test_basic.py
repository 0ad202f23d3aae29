"""HTTP Basic credentials (RFC 7617)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError
from leafward.wire.basic import BasicCredentials, basic_header, parse_basic

names = st.text(max_size=20).filter(lambda text: ":" not in text)


@given(names, st.text(max_size=40))
def test_there_and_back(name: str, password: str) -> None:
    credentials = BasicCredentials(name, password)
    assert parse_basic(basic_header(credentials)) == credentials


def test_the_password_is_never_shown() -> None:
    assert "s3cret" not in repr(BasicCredentials("pump", "s3cret"))


@pytest.mark.parametrize("header", ["", "Bearer abc", "SharedAccessSignature sr=x", "Digest username=x"])
def test_other_schemes_are_none(header: str) -> None:
    assert parse_basic(header) is None


@pytest.mark.parametrize(
    "text",
    [b"no colon", b"\xff\xfe:x", b"x:" + b"y" * 1000],
    ids=["no-colon", "not-utf-8", "too-long"],
)
def test_damaged_ones_are_refused_without_repeating_them(text: bytes) -> None:
    value = base64.b64encode(text).decode()
    with pytest.raises(EncodingError) as refused:
        parse_basic(f"Basic {value}")
    assert value not in str(refused.value)


def test_what_is_no_base64_is_refused() -> None:
    with pytest.raises(EncodingError):
        parse_basic("Basic ***")

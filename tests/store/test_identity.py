"""store/identity.py: an identity that cannot log in, or could too easily, is none."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import InputError
from leafward.store.identity import Identity, parse_thumbprint

KEY, SHA256, SHA1 = b"k" * 32, "ab" * 32, "cd" * 20
SAS = Identity("leaf1", None, "sas", True, "1", KEY, KEY, None, None, datetime(2026, 1, 1, tzinfo=UTC))
CA = replace(SAS, auth="x509-ca", primary_key=None, secondary_key=None)
THUMBPRINT = replace(CA, auth="x509-thumbprint", primary_thumbprint=SHA256)


@pytest.mark.parametrize(
    ("identity", "changes"),
    [
        (SAS, {"auth": "none"}),
        (SAS, {"auth": "SAS"}),
        (SAS, {"primary_key": None}),
        (SAS, {"primary_key": b""}),
        (SAS, {"primary_key": b"k" * 15}),
        (SAS, {"primary_key": b"k" * 65}),
        (SAS, {"secondary_key": b"short"}),
        (SAS, {"primary_thumbprint": SHA256}),
        (SAS, {"created": datetime(2026, 1, 1)}),  # noqa: DTZ001 - the fault that is tested
        (CA, {"primary_key": KEY}),
        (CA, {"secondary_key": KEY}),
        (CA, {"secondary_thumbprint": SHA1}),
        (THUMBPRINT, {"primary_thumbprint": None}),
        (THUMBPRINT, {"primary_thumbprint": None, "secondary_thumbprint": SHA1}),
        (THUMBPRINT, {"primary_thumbprint": ""}),
        (THUMBPRINT, {"secondary_thumbprint": "x"}),
    ],
)
def test_refused(identity: Identity, changes: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        replace(identity, **changes)
    assert caught.value.why or caught.value.hint


def test_one_of_two_is_enough() -> None:
    replace(SAS, secondary_key=None)
    replace(THUMBPRINT, secondary_thumbprint=SHA1.upper())


@pytest.mark.parametrize("text", [SHA256, SHA256.upper(), SHA1, ":".join(["AB"] * 32), ":".join(["cd"] * 20)])
def test_thumbprints_are_kept_in_lower_case(text: str) -> None:
    assert replace(THUMBPRINT, primary_thumbprint=text).primary_thumbprint in (SHA256, SHA1)


@pytest.mark.parametrize(
    "text", ["", "ab", SHA256[:-1], SHA256 + "a", "g" * 64, " " + SHA256[1:], "é" * 40, "٣" * 64, SHA1 + "\n"]
)
def test_what_is_no_thumbprint(text: str) -> None:
    with pytest.raises(InputError, match="64"):
        parse_thumbprint(text)


@given(st.text(max_size=80))
def test_any_text_is_a_thumbprint_or_refused(text: str) -> None:
    try:
        parsed = parse_thumbprint(text)
    except InputError:
        return
    assert parsed is not None
    bytes.fromhex(parsed)


def test_keys_are_not_shown() -> None:
    shown = repr(replace(SAS, primary_key=b"s3cret-s3cret-s3cret"))
    assert "s3cret" not in shown
    assert "leaf1" in shown


def test_label() -> None:
    assert SAS.label == "leaf1"
    assert replace(SAS, module_id="$edgeHub").label == "leaf1/$edgeHub"

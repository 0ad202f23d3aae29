"""Cutting a certificate at what differs and putting it together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import EncodingError
from leafward.pki.der import OCTET_STRING, SEQUENCE, bounds, contents, element, elements, header
from leafward.pki.template import Template, bit_string


@given(st.integers(0, 70_000))
def test_lengths_there_and_back(length: int) -> None:
    data = header(OCTET_STRING, length) + bytes(length)
    assert bounds(data, 0) == (OCTET_STRING, len(data) - length, len(data))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("30", id="no length"),
        pytest.param("3005aa", id="longer than the data"),
        pytest.param("308105aabbccddee", id="long form of a short length"),
        pytest.param("30820080" + "00" * 128, id="leading zero octet"),
        pytest.param("3080aa0000", id="indefinite"),
        pytest.param("3085000000000100", id="five octets of length"),
        pytest.param("3082", id="cut off in the length"),
        pytest.param("", id="nothing"),
    ],
)
def test_lengths_that_der_does_not_allow(data: str) -> None:
    with pytest.raises(EncodingError):
        bounds(bytes.fromhex(data), 0)


@given(st.binary(max_size=40), st.integers(0, 45))
def test_any_octets_are_read_or_refused(data: bytes, at: int) -> None:
    try:
        _, begin, end = bounds(data, at)
        list(elements(data, begin, end))
    except EncodingError:
        return
    assert at < begin <= end <= len(data)


def test_an_element_of_another_kind() -> None:
    with pytest.raises(EncodingError, match="0x04"):
        contents(element(OCTET_STRING, b"x"), 0, SEQUENCE)


def test_what_is_no_template(gateway) -> None:
    """A certificate with a SAN, one with more names than ours, one with something behind it, a damaged one."""
    good = gateway.issue("leaf_device").leaf.tbs_certificate_bytes
    assert Template.of(good)
    unfit = [
        gateway.issue("hub_server").leaf.tbs_certificate_bytes + b"\x00",
        good[:-1],
        b"",
        good.replace(bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d0f")),
        good.replace(bytes.fromhex("a003020102"), bytes.fromhex("a003020101")),
    ]
    for tbs in unfit:
        with pytest.raises(EncodingError):
            Template.of(tbs)


def test_any_octet_changed_is_another_template_or_none(gateway) -> None:
    """A template never turns one certificate into another."""
    good = gateway.issue("device_identity").leaf.tbs_certificate_bytes
    for at in range(len(good)):
        changed = good[:at] + bytes([good[at] ^ 0x01]) + good[at + 1 :]
        try:
            Template.of(changed)
        except EncodingError:
            continue


def test_the_octets_of_a_key(hierarchy) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = hierarchy.key().public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert bit_string(spki) == key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

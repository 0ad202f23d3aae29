"""Names at the door: what is taken, how it is kept, what is refused and why."""

import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import NameFormatError
from leafward.pki.names import (
    HostName,
    common_name,
    module_dns_name,
    module_uri,
    parse_common_name,
    parse_device_id,
    parse_host,
    parse_module_id,
    parse_serial_number,
    subject,
)

LABEL = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9_])?", fullmatch=True)
HOST = st.lists(LABEL, min_size=1, max_size=5).map(".".join).filter(lambda text: not text.split(".")[-1].isdigit())


@given(HOST)
def test_a_host_name_is_kept_lower_cased(text: str) -> None:
    host = parse_host(text.upper())
    assert host == HostName(text)
    assert str(host) == text
    assert parse_host(str(host)) == host


@given(st.text(max_size=80))
def test_any_text_is_a_host_or_refused(text: str) -> None:
    try:
        host = parse_host(text)
    except NameFormatError:
        return
    if isinstance(host, HostName):
        assert host.text == host.text.lower()
        assert host.text.isascii()
        x509.DNSName(host.text)


@given(st.ip_addresses())
def test_an_address_is_no_name(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert parse_host(str(address)) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "length"),
        ("a" * 64, "label"),
        (".".join(["a" * 60] * 5), "length"),
        ("a..b", "label"),
        (".a", "label"),
        ("gateway.", "dot"),
        ("*.example", "wildcard"),
        ("-a.example", "label"),
        ("a-.example", "label"),
        ("a b", "label"),
        ("a\n", "label"),
        ("a\0b", "label"),
        ("gäteway", "ASCII"),
        ("\u212aelvin", "ASCII"),  # KELVIN SIGN: its lower case is an ASCII k, which would smuggle another name in
        ("1.2.3", "address"),
        ("256.1.1.1", "address"),
        ("fe80::1%eth0", "zone"),
        ("[::1]", "label"),
        ("host:8883", "label"),
    ],
)
def test_host_refused(text: str, why: str) -> None:
    with pytest.raises(NameFormatError, match=why):
        parse_host(text)


@pytest.mark.parametrize("text", ["1host", "my_gateway", "a", "xn--gteway-bua", "7.example", "a.b-c.d"])
def test_host_taken(text: str) -> None:
    assert parse_host(text) == HostName(text)


def test_host_name_made_directly_is_checked_too() -> None:
    for text in ("Upper", "*", "-"):
        with pytest.raises(NameFormatError):
            HostName(text)


@pytest.mark.parametrize("parse", [parse_device_id, parse_module_id])
@pytest.mark.parametrize("text", ["leaf1", "a" * 128, "Pump-7:line_2", "$edgeHub", "a.b=c@d%20", "x!(1),*?'"])
def test_id_taken_as_it_stands(parse, text: str) -> None:
    assert parse(text) == text


@pytest.mark.parametrize("parse", [parse_device_id, parse_module_id])
@pytest.mark.parametrize("text", ["", "a" * 129, "a/b", "a+b", "#", "a b", "ä", "a\n", ".", "..", "...", "a\0"])
def test_id_refused(parse, text: str) -> None:
    with pytest.raises(NameFormatError):
        parse(text)


@pytest.mark.parametrize("text", ["", "a" * 65, " a", "a ", "a\tb", "a\x7f", "\ud800"])
def test_common_name_refused(text: str) -> None:
    with pytest.raises(NameFormatError):
        parse_common_name(text)


def _fits(text: str) -> bool:
    return text.isprintable() and text == text.strip() and len(text.encode()) <= 64


@pytest.mark.parametrize("text", ["", "a" * 65, "a_b", "ü", "a*"])
def test_serial_number_refused(text: str) -> None:
    with pytest.raises(NameFormatError):
        parse_serial_number(text)


@given(st.text(min_size=1, max_size=64).filter(_fits))
def test_a_subject_gives_its_common_name_back(text: str) -> None:
    assert common_name(subject(text)) == text


def test_string_types() -> None:
    """CN is a UTF8String (tag 0c), serialNumber a PrintableString (tag 13)."""
    der = subject("pump", "SN-1").public_bytes()
    assert b"\x55\x04\x03\x0c\x04pump" in der
    assert b"\x55\x04\x05\x13\x04SN-1" in der


def test_an_empty_subject() -> None:
    assert subject(None).public_bytes() == b"\x30\x00"
    assert common_name(subject(None)) is None


def test_two_common_names_identify_nobody() -> None:
    both = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in ("leaf1", "leaf2")])
    assert common_name(both) is None


@pytest.mark.parametrize(
    ("module_id", "name"),
    [("$edgeHub", "edgehub"), ("Filter_2", "filter2"), ("9a-", "a"), ("123", None), ("m" * 70, "m" * 63)],
)
def test_module_dns_name(module_id: str, name: str | None) -> None:
    assert module_dns_name(module_id) == name


@given(st.from_regex(r"[A-Za-z0-9.%_*?!(),:=@$'-]{1,128}", fullmatch=True))
def test_module_dns_name_is_a_host(module_id: str) -> None:
    name = module_dns_name(module_id)
    assert name is None or parse_host(name) == HostName(name)


def test_module_uri_escapes_ids() -> None:
    assert module_uri("hub.example", "a/b", "$edge Hub") == "azureiot://hub.example/devices/a%2Fb/modules/%24edge%20Hub"

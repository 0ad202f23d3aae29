"""What a ClientHello says, against hellos that real clients write: the standard library's and pyOpenSSL's."""

import ssl
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from leafward.wire.tls import lowlevel, lowlevel_context
from leafward.wire.tls.client_hello import may_become_hello, opening_of, parse_client_hello


def hello_of(name: str | None = "pump.example", **settings: Any) -> bytes:
    """The standard library's first flight."""
    context = ssl.create_default_context()
    context.check_hostname = name is not None
    if name is None:
        context.verify_mode = ssl.CERT_NONE
    for setting, value in settings.items():
        setattr(context, setting, value)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def newer_hello_of(groups: tuple[str, ...]) -> bytes:
    """As the newer OpenSSL writes it."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    assert lowlevel_context.set_groups(context, groups)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        lowlevel.Engine(context, incoming, outgoing, server_side=False).handshake()
    return outgoing.read()


def test_a_name_and_both_versions() -> None:
    hello = parse_client_hello(hello_of("Pump.Example"))
    assert hello is not None
    assert hello.server_name == "pump.example"
    assert hello.versions == ("TLSv1.3", "TLSv1.2")
    assert "X25519" in hello.groups
    assert hello.ciphers > 3


def test_no_name() -> None:
    """As a client that connects to an address."""
    hello = parse_client_hello(hello_of(None))
    assert hello is not None
    assert hello.server_name is None


def test_an_old_client() -> None:
    """It has no list of versions: the one it writes is the newest it knows."""
    hello = parse_client_hello(hello_of(maximum_version=ssl.TLSVersion.TLSv1_2))
    assert hello is not None
    assert hello.versions == ("TLSv1.2",)


def test_a_post_quantum_client() -> None:
    """Its share does not fit one segment; the hello is one all the same."""
    data = newer_hello_of(("X25519MLKEM768", "X25519"))
    hello = parse_client_hello(data)
    assert hello is not None
    assert hello.groups == ("X25519MLKEM768", "X25519")
    assert len(data) > 1400


def test_a_hello_in_many_records() -> None:
    """RFC 8446 5.1: a message may be cut anywhere."""
    data = hello_of()
    message = data[5:]
    pieces = [message[at : at + 40] for at in range(0, len(message), 40)]
    cut = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)
    assert parse_client_hello(cut) == parse_client_hello(data)


def test_a_hello_cut_short() -> None:
    """Nothing is guessed from a part."""
    data = hello_of()
    assert all(parse_client_hello(data[:size]) is None for size in range(len(data)))


@given(data=st.binary(max_size=200), at=st.integers(0, 500))
@settings(max_examples=60)
def test_nothing_breaks_it(data: bytes, at: int) -> None:
    """Noise, and noise in the middle of a hello."""
    parse_client_hello(data)
    parse_client_hello(b"\x16\x03\x01" + data)
    whole = HELLO
    parse_client_hello(whole[:at] + data + whole[at + len(data) :])
    opening_of(data)


HELLO = hello_of()


def test_what_may_still_become_a_hello() -> None:
    """Every beginning of one may; another record, another message, an empty record and one too large may not."""
    assert all(may_become_hello(HELLO[:size]) for size in range(len(HELLO) + 1))
    for other in ("15", "80", "1602", "1603010000", "1603014001", "160301010002"):
        assert not may_become_hello(bytes.fromhex(other)), other


def test_a_name_that_is_none() -> None:
    """It goes to a log and a screen: control characters do not."""
    data = HELLO.replace(b"pump.example", b"pump\x1b[2Jmple")
    hello = parse_client_hello(data)
    assert hello is not None
    assert hello.server_name is not None
    assert hello.server_name.isprintable()


@pytest.mark.parametrize(
    ("data", "opening"),
    [
        (b"", "nothing"),
        (HELLO, "tls"),
        (b"GET / HTTP/1.1\r\n", "http"),
        (b"POST /devices/x", "http"),
        (bytes.fromhex("101000044d515454"), "mqtt"),
        (bytes.fromhex("10a00100044d515454"), "mqtt"),
        (bytes.fromhex("101200064d514973647003"), "mqtt"),
        (b"AMQP\x00\x01\x00\x00", "amqp"),
        (b"SSH-2.0-x", "ssh"),
        (b"PROXY TCP4 1.2.3.4", "proxy"),
        (b"\x00\x01\x02", "other"),
    ],
)
def test_what_a_peer_speaks(data: bytes, opening: str) -> None:
    assert opening_of(data) == opening

"""Shared access signatures: our two ends against each other, and every way a token can be wrong."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leafward.errors import AccessDenied, EncodingError
from leafward.wire.sas import SasToken, check_audience, resource_of, sign, verify

KEY = bytes(range(32))
NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = int(NOW.timestamp()) + 3600
HOSTS = ("edge.example", "hub.example")

STRANGE = "hub.example/devices/it's(a)*leaf!"


@given(st.text(min_size=1, max_size=60).filter(lambda text: text.isprintable()), st.binary(min_size=1, max_size=64))
def test_what_one_end_signs_the_other_verifies(resource: str, key: bytes) -> None:
    """sign -> parse -> verify, any resource, any key."""
    token = SasToken.parse(sign(resource, key, LATER))
    assert (token.resource, token.expiry, token.key_name) == (resource, LATER, None)
    verify(token, key, NOW)


def test_a_known_token() -> None:
    """The exact bytes, from an independent computation (openssl dgst -hmac)."""
    token = sign("hub.example/devices/leaf1", b"key", 1900000000)
    assert token == (
        "SharedAccessSignature sr=hub.example%2Fdevices%2Fleaf1"
        "&sig=bBE6mSUhQ%2BMQq1Oo7tiFMXnxoNtqIDPEVgB%2BO7etMeQ%3D&se=1900000000"
    )


@pytest.mark.parametrize(
    "encoded",
    [
        quote(STRANGE, safe=""),
        quote(STRANGE, safe="!'()*"),
        quote(STRANGE, safe="").lower(),
        quote(STRANGE, safe="/"),
    ],
    ids=["python", "javascript", "lower-case-hex", "slashes-kept"],
)
def test_the_text_as_sent_is_what_was_signed(encoded: str) -> None:
    """SDKs encode a resource differently; each signs what it sends, and each verifies."""
    digest = hmac.digest(KEY, f"{encoded}\n{LATER}".encode(), hashlib.sha256)
    signature = quote(base64.b64encode(digest), safe="")
    token = SasToken.parse(f"SharedAccessSignature sr={encoded}&sig={signature}&skn=&se={LATER}")
    verify(token, KEY, NOW)
    check_audience(token, HOSTS, "it's(a)*leaf!")


def test_a_key_name_is_kept() -> None:
    """skn, as provisioning has it."""
    token = SasToken.parse(sign("0ne/registrations/leaf1", KEY, LATER, "registration"))
    assert token.key_name == "registration"
    verify(token, KEY, NOW)


def test_another_key_is_refused() -> None:
    """Signed with another key -> AccessDenied, even when the token is late as well."""
    for expiry in (LATER, 1):
        token = SasToken.parse(sign("hub.example/devices/leaf1", KEY, expiry))
        with pytest.raises(AccessDenied, match="not made with this identity's key"):
            verify(token, bytes(32), NOW)


@pytest.mark.parametrize("field", ["sr=hub.example%2Fdevices%2Fleaf2", f"se={LATER + 1}"])
def test_a_changed_field_is_refused(field: str) -> None:
    """Another resource or expiry under the same signature -> AccessDenied."""
    name = field[:3]
    parts = sign("hub.example/devices/leaf1", KEY, LATER).removeprefix("SharedAccessSignature ").split("&")
    changed = "&".join(field if part.startswith(name) else part for part in parts)
    with pytest.raises(AccessDenied):
        verify(SasToken.parse(f"SharedAccessSignature {changed}"), KEY, NOW)


@pytest.mark.parametrize(("seconds", "refused"), [(-1, True), (0, True), (1, False)])
def test_expiry_to_the_second(seconds: int, refused: bool) -> None:
    """A token is good until its second comes, not in it; `skew` moves that second."""
    token = SasToken.parse(sign("r", KEY, int(NOW.timestamp()) + seconds))
    verify(token, KEY, NOW, skew=timedelta(seconds=2))
    if refused:
        with pytest.raises(AccessDenied, match="expired"):
            verify(token, KEY, NOW)
    else:
        verify(token, KEY, NOW)


@pytest.mark.parametrize(
    ("resource", "device", "module"),
    [
        ("hub.example/devices/leaf1", "leaf1", None),
        ("HUB.example/DEVICES/Leaf1", "leaf1", None),
        ("edge.example/devices/gw/modules/$edgeHub", "gw", "$edgeHub"),
        ("edge.example/devices/a%2Bb", "a+b", None),
    ],
)
def test_audience_fits(resource: str, device: str, module: str | None) -> None:
    """Host and ids without case; ids that an SDK encoded once more."""
    check_audience(SasToken(resource, b"", 0), HOSTS, device, module)


@pytest.mark.parametrize(
    ("resource", "device", "module"),
    [
        ("other.example/devices/leaf1", "leaf1", None),
        ("hub.example/devices/leaf2", "leaf1", None),
        ("hub.example/devices/leaf1/modules/m", "leaf1", None),
        ("hub.example/devices/gw", "gw", "m"),
        ("hub.example/devices/gw/modules/n", "gw", "m"),
        ("hub.example/devices/leaf1/", "leaf1", None),
        ("hub.example", "leaf1", None),
        ("", "leaf1", None),
        ("hub.example/devices/%zz", "leaf1", None),
    ],
)
def test_audience_of_something_else(resource: str, device: str, module: str | None) -> None:
    """Another host, device or module; a device's token for its module; too short; too long."""
    with pytest.raises(AccessDenied):
        check_audience(SasToken(resource, b"", 0), HOSTS, device, module)


def test_no_host_allowed_is_no_host() -> None:
    """An empty set of hosts refuses all."""
    with pytest.raises(AccessDenied):
        check_audience(SasToken(resource_of("hub.example", "a"), b"", 0), (), "a")


GOOD = "SharedAccessSignature sr=r&sig=" + quote(base64.b64encode(bytes(32)), safe="") + "&se=1"
MALFORMED = {
    "empty": "",
    "scheme_only": "SharedAccessSignature",
    "other_scheme": GOOD.replace("SharedAccessSignature", "Bearer"),
    "no_sr": GOOD.replace("sr=r&", ""),
    "sr_empty": GOOD.replace("sr=r", "sr="),
    "no_se": GOOD.replace("&se=1", ""),
    "se_twice": GOOD + "&se=2",
    "unknown_field": GOOD + "&x=y",
    "field_without_value": GOOD + "&skn",
    "se_not_a_number": GOOD.replace("se=1", "se=soon"),
    "se_negative": GOOD.replace("se=1", "se=-1"),
    "se_with_a_zero_in_front": GOOD.replace("se=1", "se=01"),
    "se_fraction": GOOD.replace("se=1", "se=1.5"),
    "se_other_digits": GOOD.replace("se=1", "se=\u0661"),
    "se_beyond_year_9999": GOOD.replace("se=1", "se=253402300800"),
    "se_huge": GOOD.replace("se=1", "se=" + "9" * 1000),
    "sig_short": GOOD.replace(quote(base64.b64encode(bytes(32)), safe=""), "AAAA"),
    "sig_not_base64": GOOD.replace("sig=A", "sig=*"),
    "sig_stray_bits": GOOD.replace("AA%3D", "AB%3D"),
    "sig_blank": GOOD.replace("sig=A", "sig=A "),
    "sr_broken_escape": GOOD.replace("sr=r", "sr=%2"),
    "sr_not_utf8": GOOD.replace("sr=r", "sr=%ff"),
    "too_long": GOOD.replace("sr=r", "sr=" + "r" * 5000),
}


@pytest.mark.parametrize("defect", MALFORMED)
def test_malformed(defect: str) -> None:
    """Named after the defect; the error does not repeat the signature."""
    with pytest.raises(EncodingError) as caught:
        SasToken.parse(MALFORMED[defect])
    assert "AAAAAAA" not in f"{caught.value} {caught.value.hint}"


def test_the_good_one_is_good() -> None:
    """The base of the malformed ones parses, and its signature is not in its repr."""
    token = SasToken.parse(GOOD)
    assert token.signature == bytes(32)
    assert "signature" not in repr(token)


@given(st.sampled_from(["leaf1", STRANGE, "gw/modules/$edgeHub"]), st.none() | st.just("registration"))
def test_the_python_sdk_and_we_agree(python_sdk: Callable[[str], ModuleType], name: str, key_name: str | None) -> None:
    """The SDK's own token for the same key and expiry is ours, byte for byte, and verifies."""

    def signature(message: str) -> str:
        return base64.b64encode(hmac.digest(KEY, message.encode(), hashlib.sha256)).decode()

    resource = f"hub.example/devices/{name}"
    theirs = python_sdk("common/auth/sastoken.py").RenewableSasToken(
        resource, SimpleNamespace(sign=signature), key_name, ttl=10**9
    )
    token = SasToken.parse(str(theirs))
    verify(token, KEY, NOW)
    assert token.resource == resource
    assert str(theirs) == sign(resource, KEY, theirs.expiry_time, key_name)

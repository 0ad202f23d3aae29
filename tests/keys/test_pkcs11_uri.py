"""keys/pkcs11_uri.py: RFC 7512, read strictly."""

from pathlib import Path

import pytest

pytest.importorskip("pkcs11", reason="the Python module pkcs11 is not installed")

from leafward.errors import SettingsError
from leafward.keys.key_reference import KeyReference
from leafward.keys.pkcs11_uri import Pkcs11Uri


def parse(rest: str) -> Pkcs11Uri:
    return Pkcs11Uri.parse(KeyReference("pkcs11", rest))


def test_all_of_it() -> None:
    uri = parse(
        "token=The%20Maker;serial=9e63;manufacturer=SoftHSM%20project;model=v2;slot-id=7;object=root%3Bca;id=%01%ff;"
        "type=private?pin-source=file:/etc/a%20pin&module-path=/usr/lib/x.so"
    )
    assert dict(uri.token) == {
        "token": "The Maker",
        "serial": "9e63",
        "manufacturer": "SoftHSM project",
        "model": "v2",
        "slot-id": "7",
    }
    assert (uri.object, uri.id) == ("root;ca", b"\x01\xff")
    assert (uri.pin_source, uri.module_path) == (Path("/etc/a pin"), Path("/usr/lib/x.so"))
    assert uri.token_label.startswith("the token token=The Maker;")


def test_least_of_it() -> None:
    uri = parse("object=root")
    assert not uri.token
    assert uri.pin_source is uri.module_path is uri.id is None


@pytest.mark.parametrize("source", ["file:/etc/pin", "file:///etc/pin", "/etc/pin"])
def test_forms_of_a_path(source: str) -> None:
    assert parse(f"object=o?pin-source={source}").pin_source == Path("/etc/pin")


@pytest.mark.parametrize(
    "rest",
    [
        "token=t",
        "object=",
        "object",
        "object=o;",
        "object=o;object=p",
        "object=o;colour=red",
        "object=o;type=cert",
        "object=o;slot-id=first",
        "object=%ff",
        "object=%00",
        "object=o?pin-source=pin",
        "object=o?pin-source=|cat%20pin",
        "object=o?pin-source=file://host/pin",
        "object=o?pin-source=file:/a&pin-source=file:/b",
        "object=o?module-path=x.so",
        "object=o?module-name=x",
        "object=o?debug=1",
    ],
)
def test_what_is_not_understood_is_refused(rest: str) -> None:
    with pytest.raises(SettingsError, match="pkcs11:"):
        parse(rest)


@pytest.mark.parametrize("rest", ["object=o?pin-value=1234", "object=o;pin-value=1234", "object=o?PIN-VALUE=1234"])
def test_pin_in_a_reference_is_refused_and_not_repeated(rest: str) -> None:
    with pytest.raises(SettingsError, match=r"(?i)pin-value") as caught:
        parse(rest)
    assert "1234" not in f"{caught.value} {caught.value.hint}"
    assert "pin-source" in (caught.value.hint or "")

"""Names, parsed into types at the door and compared as types after.

A host name is kept lower-cased, because DNS compares without case and some TLS stacks and file names do not. An
address is not a name: it goes into another kind of SAN (RFC 5280 4.2.1.6), so it has another type.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote

from cryptography import x509
from cryptography.x509.oid import NameOID

from leafward.errors import NameFormatError

MAX_COMMON_NAME = 64  # characters; ub-common-name, RFC 5280 appendix A.1
MAX_SERIAL_NUMBER = 64  # characters; ub-serial-number, RFC 5280 appendix A.1
MAX_HOST_NAME = 253  # octets of text; RFC 1035 2.3.4 counts 255 with the length octets
MAX_ID = 128  # characters of a device or module id, as IoT Hub has it

# RFC 1123 section 2.1, and the underscore, which real machines and containers have and TLS stacks accept.
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
# The characters of IoT Hub's registry. '/', '+' and '#' are not among them: they have a meaning in MQTT topics.
_ID = re.compile(r"[A-Za-z0-9.%_*?!(),:=@$'-]+")
# Of the provisioning service: the last is a letter, a digit or a dash; case does not matter.
_REGISTRATION_ID = re.compile(r"[A-Za-z0-9._:-]{0,127}[A-Za-z0-9-]")
_PRINTABLE_STRING = re.compile(r"[A-Za-z0-9 '()+,./:=?-]+")  # X.680 section 41.4


@dataclass(frozen=True, slots=True, order=True)
class HostName:
    """A DNS name, lower-cased, without a trailing dot, never a wildcard. Make one with `parse_host`."""

    text: str

    def __post_init__(self) -> None:
        _check_host_name(self.text)

    def __str__(self) -> str:
        return self.text


Host: TypeAlias = HostName | ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_host(text: str) -> Host:
    """A host name (lower-cased) or an IP address. Raises `NameFormatError` saying which part is wrong.

    >>> parse_host("IotEdgeGW.local")
    HostName(text='iotedgegw.local')
    >>> parse_host("192.168.1.7")
    IPv4Address('192.168.1.7')
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return HostName(text.lower()) if text.isascii() else HostName(text)
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise NameFormatError(f"the address '{text}' has a zone", hint="leave out the '%' and what follows it")
    return address


def parse_gateway_host(text: str) -> Host:
    """A host that a server certificate is made for: as `parse_host`, and letters, digits and hyphens only.

    Raises `NameFormatError` for an underscore, which OpenSSL takes in a certificate and other verifiers do not.
    """
    host = parse_host(text)
    if isinstance(host, HostName) and "_" in host.text:
        raise NameFormatError(
            f"the host name '{host}' has an underscore",
            why="some TLS clients refuse certificates for such a name (RFC 1123 section 2.1)",
            hint="give the gateway a name of letters, digits, hyphens and dots",
        )
    return host


def parse_device_id(text: str) -> str:
    """A device id, as it stands: ids are case-sensitive. Raises `NameFormatError`."""
    return _parse_id(text, "device id")


def parse_module_id(text: str) -> str:
    """A module id, as it stands ("$edgeHub"). Raises `NameFormatError`."""
    return _parse_id(text, "module id")


def parse_registration_id(text: str) -> str:
    """A registration id, or an enrolment group's, as it stands; case does not matter. Raises `NameFormatError`."""
    if not _REGISTRATION_ID.fullmatch(text):
        why = "expected 1 to 128 letters, digits and - . _ : with a letter, a digit or a dash at the end"
        raise NameFormatError(f"{text[:128]!r} is no registration id", why=why)
    return text


def parse_common_name(text: str) -> str:
    """A common name of 1 to 64 octets, printable, no blanks around. Raises `NameFormatError`."""
    # RFC 5280 counts characters; `cryptography` counts octets of UTF-8, which is the stricter of the two.
    size = len(text.encode("utf-8", "surrogatepass"))
    if not 1 <= size <= MAX_COMMON_NAME:
        why = f"expected 1 to {MAX_COMMON_NAME} octets of UTF-8, got {size}"
        raise NameFormatError("a common name of the wrong length", why=why, hint="choose a shorter name")
    if not text.isprintable() or text != text.strip():
        raise NameFormatError(f"the common name {text!r} has a control character, or a blank at an end")
    return text


def parse_serial_number(text: str) -> str:
    """A subject's serialNumber: 1 to 64 characters of PrintableString (RFC 5280 A.1). Raises `NameFormatError`."""
    if len(text) > MAX_SERIAL_NUMBER or not _PRINTABLE_STRING.fullmatch(text):
        why = "expected 1 to 64 letters, digits, blanks and '()+,-./:=?"
        raise NameFormatError(f"the serial number {text!r} does not fit into a certificate", why=why)
    return text


def subject(common_name: str | None, serial_number: str | None = None) -> x509.Name:
    """A subject: CN as UTF8String, serialNumber as PrintableString; empty where both are None."""
    attributes = []
    if common_name is not None:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, parse_common_name(common_name)))
    if serial_number is not None:
        attributes.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, parse_serial_number(serial_number)))
    return x509.Name(attributes)


def common_name(name: x509.Name) -> str | None:
    """The common name; None where there is none, or more than one: an ambiguous name identifies nobody."""
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(found) != 1:
        return None
    value = found[0].value
    return value if isinstance(value, str) else None


def module_dns_name(module_id: str) -> str | None:
    """The DNS name of a module beside its host's ("$edgeHub" -> "edgehub"); None where nothing is left of the id.

    As the security daemon makes it: leading non-letters dropped, lower-cased, [a-z0-9-] kept, at most 63.
    """
    letters = re.sub(r"[^a-z0-9-]", "", re.sub(r"^[^a-z]+", "", module_id.lower()))
    return letters[:63].rstrip("-") or None


def module_uri(hub_name: str, device_id: str, module_id: str) -> str:
    """The name of a module as a URI: "azureiot://hub/devices/dev/modules/mod", ids percent-encoded (RFC 3986 2.1)."""
    return (
        f"azureiot://{quote(hub_name, safe='')}/devices/{quote(device_id, safe='')}/modules/{quote(module_id, safe='')}"
    )


def _parse_id(text: str, kind: str) -> str:
    if not 1 <= len(text) <= MAX_ID:
        raise NameFormatError(
            f"a {kind} of the wrong length", why=f"expected 1 to {MAX_ID} characters, got {len(text)}"
        )
    if not _ID.fullmatch(text):
        wrong = next(letter for letter in text if not _ID.fullmatch(letter))
        why = f"the character {wrong!r} is not allowed"
        raise NameFormatError(
            f"{text!r} is no {kind}", why=why, hint="use letters, digits and - . _ : = @ $ ' % * ? ! ( ) ,"
        )
    if not text.strip("."):
        raise NameFormatError(f"{text!r} is no {kind}", why="it has nothing but dots, and would name a folder")
    return text


def _check_host_name(text: str) -> None:
    what = f"{text!r} is no host name"
    if not 1 <= len(text) <= MAX_HOST_NAME:
        raise NameFormatError("a host name of the wrong length", why=f"expected 1 to 253 characters, got {len(text)}")
    if "*" in text:
        raise NameFormatError(what, why="it has a wildcard", hint="name each host")
    if not text.isascii():
        raise NameFormatError(what, why="it has letters outside ASCII", hint="write it in its 'xn--' form")
    if text.endswith("."):
        raise NameFormatError(what, why="it ends with a dot", hint="leave the last dot out")
    for label in text.split("."):
        if not _LABEL.fullmatch(label):
            why = f"the label {label!r} is not 1 to 63 letters, digits, hyphens and underscores"
            raise NameFormatError(
                what, why=why, hint="labels are parted by dots and neither begin nor end with a hyphen"
            )
    if label.isdigit():
        # "1.2.3" is read as an address by some resolvers and as a name by others.
        raise NameFormatError(what, why="it looks like an address and is none", hint="write four numbers from 0 to 255")

"""URIs as IoT Edge writes them: certificates in files, keys in files and tokens, the addresses of the two APIs.

Each raises `ValueError` with a sentence that shows nothing of a PIN.
"""

import ipaddress
import re
from collections.abc import Collection
from urllib.parse import unquote, urlsplit

from leafward.wire.iotedge_config.values import ApiUri, KeyLocation, Secret

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # two letters at least: one is a drive of Windows
_DRIVE = re.compile(r"/[A-Za-z]:(/|$)")
_TOKEN = ("token", "slot-id")
_CONTROLS = re.compile(r"[\0-\x1f\x7f]")
_PIN = re.compile(r"pin-value", re.IGNORECASE)


def file_path(text: str, *, relative: bool) -> str:
    """The path of `file:///var/secrets/ca.pem`, or of a plain path; `relative`: one that is not absolute too.

    >>> file_path("file:///var/secrets/device%20ca.pem", relative=False)
    '/var/secrets/device ca.pem'
    """
    scheme = _SCHEME.match(text)
    path = text if scheme is None else _path_of_uri(text, scheme[1].lower())
    if not path or _CONTROLS.search(path):
        raise ValueError("expected a path, got none or one with a control character")
    absolute = path.startswith(("/", "\\")) or re.match(r"[A-Za-z]:[/\\]", path) is not None
    if not absolute and not relative:
        raise ValueError(f"got {path!r}, expected file:/// and an absolute path")
    return path


def _path_of_uri(text: str, scheme: str) -> str:
    if scheme != "file":
        raise ValueError(f"got the scheme {scheme!r}, expected file:/// and an absolute path")
    parts = urlsplit(text)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"got the host {parts.netloc[:60]!r}, expected three slashes: file:///path")
    if parts.query or parts.fragment:
        raise ValueError("got a '?' or '#', expected file:/// and a path (as %3F and %23 in it)")
    path = unquote(parts.path)
    return path[1:] if _DRIVE.match(path) else path


def key_location(text: str, *, relative: bool) -> KeyLocation:
    """Where a key is: a file as `file_path` reads it, or `pkcs11:token=…;object=…?pin-value=…`."""
    if not text.startswith("pkcs11:"):
        scheme = _SCHEME.match(text)
        if scheme is not None and scheme[1].lower() != "file":
            raise ValueError(f"got the scheme {scheme[1]!r}, expected file:/// or pkcs11:")
        return KeyLocation("file", file_path(text, relative=relative))
    found = slot_location(text)
    if not re.search(r"(^|;)(object|id)=.", found.rest):
        raise ValueError("expected object= to name the key in the token")
    return found


def slot_location(text: str) -> KeyLocation:
    """A PKCS#11 URI that names a token, with or without a key. Where both are given a slot counts, not a token's label.

    >>> slot_location("pkcs11:slot-id=0;object=edge%20ca?pin-value=1234")
    KeyLocation(scheme='pkcs11', rest='slot-id=0;object=edge%20ca', pin=Secret(***))
    """
    if not text.startswith("pkcs11:"):
        raise ValueError("expected pkcs11:token=LABEL or pkcs11:slot-id=NUMBER")
    path, _, query = text.removeprefix("pkcs11:").partition("?")
    parts = [part for part in path.split(";") if part]
    names = {part.partition("=")[0] for part in parts if part.partition("=")[2]}
    if not names & set(_TOKEN):
        raise ValueError("expected pkcs11:token=LABEL or pkcs11:slot-id=NUMBER")
    slot = next((part.partition("=")[2] for part in parts if part.startswith("slot-id=")), "0")
    if not re.fullmatch(r"[0-9]{1,20}", slot):
        raise ValueError("expected slot-id= to be a number")
    if "slot-id" in names:
        parts = [part for part in parts if not part.startswith("token=")]
    if _PIN.search(path):
        raise ValueError("expected a '?' before pin-value=")
    asked = [part for part in query.split("&") if part]
    kept = [part for part in asked if not part.startswith("pin-value=")]
    if len(asked) > len(kept) + 1 or any(_PIN.search(part) for part in kept):
        raise ValueError("expected one pin-value= with a value, behind the '?'")
    pins = [Secret(unquote(part.partition("=")[2])) for part in asked if part not in kept]
    rest = ";".join(parts) + (f"?{'&'.join(kept)}" if kept else "")
    return KeyLocation("pkcs11", rest, pins[0] if pins and pins[0].reveal() else None)


def api_uri(text: str, schemes: Collection[str]) -> ApiUri:
    """`unix:///run/iotedge/workload.sock`, `http://localhost:8081` or `fd://aziot-edged.workload.socket`.

    >>> str(api_uri("unix:///run/iotedge/workload.sock", ("unix",)))
    'unix:///run/iotedge/workload.sock'
    """
    scheme, found, rest = text.partition("://")
    if not found or scheme not in schemes:
        raise ValueError(f"expected {' or '.join(f'{one}://' for one in schemes)}")
    if scheme == "unix":
        if not rest.startswith("/") or _CONTROLS.search(rest):
            raise ValueError("expected unix:/// and the absolute path of a socket")
        return ApiUri("unix", rest[1:] if _DRIVE.match(rest) else rest)
    if scheme == "fd":
        if not re.fullmatch(r"[A-Za-z0-9_.@-]*/?", rest):
            raise ValueError("expected fd:// and the name of a systemd socket")
        return ApiUri("fd", rest.removesuffix("/"))
    return ApiUri("http", _host_and_port(text))


def _host_and_port(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port is None or "@" in parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("expected http://HOST:PORT")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(uri: ApiUri) -> bool:
    """Whether an http address is reached from this machine only."""
    host = uri.rest.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

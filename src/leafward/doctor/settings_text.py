"""A connection string as text: what is wrong with it, told field by field. Values that may be secrets are not shown."""

from collections.abc import Iterator

from leafward.doctor.noted import Noted
from leafward.errors import EncodingError
from leafward.store.identity import LONGEST_KEY, SHORTEST_KEY
from leafward.wire.base64_text import decode_base64

_KEY = "SharedAccessKey"
_SERVICE = "SharedAccessKeyName"


def string_faults(text: str) -> Iterator[Noted]:
    """What can be said better than the reader of connection strings says it, which stops at its first fault."""
    fields = [part.partition("=") for part in text.strip().strip("\"'").split(";")]
    key = next((value for name, _, value in fields if name == _KEY), None)
    if text.strip()[:1] in "\"'" and text.strip():
        yield _malformed("quotes around it", "Take the quotes away: they belong to the shell, not to the string.")
    elif any(name == _SERVICE for name, _, _ in fields):
        yield _malformed(
            "a service's connection string (SharedAccessKeyName)",
            "Use the device's connection string, not the service's: leafward device show ID --secrets prints it.",
        )
    elif key is not None and (why := _no_key(key)):
        yield Noted(
            code="shared-access-key-invalid",
            got=why,
            expected=f"{SHORTEST_KEY} to {LONGEST_KEY} bytes in base64",
            who="leaf",
            fix="Copy the key again, with the '=' at its end: leafward device show ID --secrets prints it.",
        )


def _no_key(text: str) -> str | None:
    try:
        size = len(decode_base64(text, _KEY))
    except EncodingError:
        return f"{len(text)} characters that are no base64"
    return None if SHORTEST_KEY <= size <= LONGEST_KEY else f"{size} bytes"


def _malformed(got: str, fix: str) -> Noted:
    return Noted(
        code="connection-string-malformed",
        got=got,
        expected="HostName=…;DeviceId=…;SharedAccessKey=…;GatewayHostName=…",
        who="leaf",
        fix=fix,
    )

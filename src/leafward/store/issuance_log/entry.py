"""What stands in an entry of the log: one signature of the maker's, as lines of text. Pure.

    leafward/issuance/v1
    device_ca                       kind: a certificate profile, or crl, ocsp, ceremony
    2026-11-24T22:11:04Z            when it was recorded, UTC
    3fa8…                           key id of the CA that signed (hex; empty where it has none)
    4d2c…                           serial number, or the number of a CRL or a ceremony's transcript (hex)
    9be1…                           SHA-256 of what was signed (hex of 32 bytes), or of the transcript

The certificate itself is no part of it: the log may be shown to anybody without showing who was issued what.
"""

import contextlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from leafward.errors import EncodingError

FIRST_LINE = "leafward/issuance/v1"
CEREMONY = "ceremony"
# No certificate: these have no row in the inventory of certificates.
OTHER_KINDS = frozenset({"crl", "ocsp", CEREMONY})

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_FORM = re.compile(
    rb"leafward/issuance/v1\n"
    rb"([a-z][a-z0-9_-]{0,63})\n"
    rb"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)\n"
    rb"((?:[0-9a-f]{2}){0,64})\n"
    rb"(0|[1-9a-f][0-9a-f]{0,63})\n"
    rb"([0-9a-f]{64})\n"
)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry. `time` is aware, `issuer_key_id` and `sha256` are lower-case hex. Raises `EncodingError` if not so."""

    kind: str
    time: datetime
    issuer_key_id: str
    serial: int
    sha256: str

    def __post_init__(self) -> None:
        if self.time.tzinfo is None:
            raise EncodingError("the time of a log entry has no time zone", why="expected an aware datetime")
        if self.serial < 0 or fields_of(self.to_bytes()) is None:
            raise EncodingError("a log entry cannot be written", why=f"got {self!r}")

    @property
    def is_certificate(self) -> bool:
        """Whether a certificate was signed, and not a CRL or an OCSP response, nor a transcript written."""
        return self.kind not in OTHER_KINDS

    def to_bytes(self) -> bytes:
        """The bytes that are logged."""
        time = self.time.astimezone(UTC).strftime(_TIME)
        lines = (FIRST_LINE, self.kind, time, self.issuer_key_id, f"{self.serial:x}", self.sha256)
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")

    @classmethod
    def parse(cls, data: bytes) -> "LogEntry":
        """Reads what `to_bytes` wrote, and nothing else. Raises `EncodingError`."""
        fields = fields_of(data)
        if fields is not None:
            kind, time, issuer_key_id, serial, sha256 = fields
            with contextlib.suppress(ValueError):  # a 31st of February
                return cls(
                    kind, datetime.strptime(time, _TIME).replace(tzinfo=UTC), issuer_key_id, int(serial, 16), sha256
                )
        raise EncodingError("the log entry is malformed", why=f"got {data[:80]!r}, expected {FIRST_LINE} …")


def fields_of(data: bytes) -> tuple[str, str, str, str, str] | None:
    """The lines of an entry below its first; None where that is no entry. Much quicker than `LogEntry.parse`."""
    match = _FORM.fullmatch(data)
    if match is None:
        return None
    kind, time, issuer_key_id, serial, sha256 = (field.decode("ascii") for field in match.groups())
    return kind, time, issuer_key_id, serial, sha256

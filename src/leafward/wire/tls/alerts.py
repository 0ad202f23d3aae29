"""TLS alerts as data: which alert ended a handshake, who sent it, and what it says about whose fault it is.

A leaf device that refuses the hub's certificate says why in one number. Without this room that number is lost in the
text of an `ssl.SSLError`; with it the hub can report, and the doctor can explain, what the leaf did not like.
Numbers and names: RFC 8446 6, the TLS Alert registry of IANA for the older ones.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

ALERTS: Final[Mapping[int, tuple[str, str]]] = MappingProxyType(
    {
        0: ("close_notify", "the connection was closed in good order"),
        10: ("unexpected_message", "a message came out of turn"),
        20: ("bad_record_mac", "a record did not decrypt: damaged on the way, or other keys"),
        21: ("decryption_failed", "a record did not decrypt"),
        22: ("record_overflow", "a record is larger than TLS allows"),
        30: ("decompression_failure", "a record did not decompress"),
        40: ("handshake_failure", "no cipher, group or signature algorithm in common"),
        41: ("no_certificate", "there is no certificate to present"),
        42: ("bad_certificate", "the certificate was refused; most clients say this for a wrong host name"),
        43: ("unsupported_certificate", "the certificate is of a kind, or for a use, that is not accepted"),
        44: ("certificate_revoked", "the certificate was revoked"),
        45: ("certificate_expired", "a certificate of the chain is out of its time, or the peer's clock is wrong"),
        46: ("certificate_unknown", "the certificate was refused for a reason that was not told"),
        47: ("illegal_parameter", "a value in the handshake is out of range"),
        48: ("unknown_ca", "the root of the presented chain is not trusted, or the chain is incomplete"),
        49: ("access_denied", "the certificate is valid and its holder may not do this"),
        50: ("decode_error", "a message could not be decoded"),
        51: ("decrypt_error", "a signature or a Finished message did not verify: wrong key, or changed on the way"),
        60: ("export_restriction", "the key is too strong for an export cipher"),
        70: ("protocol_version", "no TLS version in common"),
        71: ("insufficient_security", "the offered ciphers are too weak"),
        80: ("internal_error", "an error that has nothing to do with the other side"),
        86: ("inappropriate_fallback", "the client fell back to an older TLS version without need"),
        90: ("user_canceled", "the user gave up"),
        100: ("no_renegotiation", "renegotiation is refused"),
        109: ("missing_extension", "an extension that must be there is missing"),
        110: ("unsupported_extension", "an extension came that was not asked for"),
        111: ("certificate_unobtainable", "the certificate could not be fetched"),
        112: ("unrecognized_name", "there is no server of that name here"),
        113: ("bad_certificate_status_response", "the stapled OCSP answer is not acceptable"),
        114: ("bad_certificate_hash_value", "the certificate is not the one that was announced"),
        115: ("unknown_psk_identity", "there is no such pre-shared key"),
        116: ("certificate_required", "a client certificate is needed"),
        120: ("no_application_protocol", "no application protocol (ALPN) in common"),
    }
)

_NUMBERS: Final = {name: number for number, (name, _) in ALERTS.items()} | {"user_cancelled": 90}
# OpenSSL numbers the reason of an alert it received 1000 above the alert (SSL_AD_REASON_OFFSET).
_REASON_OFFSET: Final = 1000
_RECEIVED: Final = re.compile(r"(?:SSLV3|TLSV1|TLSV13|SSL/TLS)_(?:ALERT_)?(\w+)")
_ALERT_RECORD: Final = re.compile(rb"\x15\x03[\x00-\x04]\x00\x02([\x01\x02])(.)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `from_peer` is True when the other side sent it, False when we did.

    >>> Alert.of(48, from_peer=True).name
    'unknown_ca'
    """

    number: int
    name: str
    meaning: str
    from_peer: bool

    @classmethod
    def of(cls, number: int, *, from_peer: bool) -> "Alert":
        """The alert of that number; an unregistered one is named by its number."""
        name, meaning = ALERTS.get(number, (f"alert_{number}", "not a registered alert"))
        return cls(number, name, meaning, from_peer)


def alert_of(error: BaseException) -> Alert | None:
    """The alert that `error` stands for, or None when no alert was exchanged or it went out encrypted.

    Takes the errors of this package and those of the standard library's `ssl`.
    """
    alert = getattr(error, "alert", None)
    if isinstance(alert, Alert):
        return alert
    reason = getattr(error, "reason", None) if isinstance(error, ssl.SSLError) else None
    match = _RECEIVED.fullmatch(reason or "")
    number = _NUMBERS.get(match[1].lower()) if match else None
    return None if number is None else Alert.of(number, from_peer=True)


def received_alert(reason_code: int) -> Alert | None:
    """The alert behind OpenSSL's numeric reason, None where the reason is no received alert."""
    number = reason_code - _REASON_OFFSET
    return Alert.of(number, from_peer=True) if 0 <= number <= 255 else None


def sent_alert(ciphertext: bytes) -> Alert | None:
    """The alert at the end of what we are about to send, while records are still in the clear (RFC 8446 5.1)."""
    match = _ALERT_RECORD.search(ciphertext)
    return Alert.of(match[2][0], from_peer=False) if match else None


def reason_name(reason_code: int, text: str) -> str:
    """The reason as the standard library spells it, such as TLSV1_ALERT_UNKNOWN_CA, from OpenSSL's code and text."""
    alert = received_alert(reason_code)
    if alert is None or alert.number not in ALERTS:
        return text.upper().replace(" ", "_")
    return f"{_prefix(alert.number)}_{'USER_CANCELLED' if alert.number == 90 else alert.name.upper()}"


def _prefix(number: int) -> str:
    """The family a reason is filed under: the alerts of SSL 3.0, those of the TLS extensions, of TLS 1.3, the rest."""
    if number <= 20 or number in range(30, 48):
        return "SSLV3_ALERT"
    if number in range(110, 115):
        return "TLSV1"
    return "TLSV13_ALERT" if number in {109, 116} else "TLSV1_ALERT"

"""What a failed handshake says about whose fault it is, in the doctor's codes.

A leaf device tells in one number why it left. Beside it we know what it asked for, what it was shown, and our own time:
an alert that means "expired" is our fault when the certificate is, and else the fault of the device's clock. Where two
causes look alike from here, the likelier is named and the other stands in `alternatives`; where nothing can be told
apart, the code is `refused-in-handshake`.

What each client sends was measured (docs/hub-failures.md). OpenSSL and what is built on it say unknown_ca for a path
that ends nowhere, bad_certificate for a wrong name or a date still to come, certificate_expired for one that is past.
GnuTLS says bad_certificate and Java certificate_unknown for everything. Node says nothing, nor does curl about a name:
they close. Java and small clients ask for no name where it has one label only; others write an address there.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from leafward.pki.chain import Chain, fingerprint
from leafward.pki.extension import value
from leafward.pki.names import common_name
from leafward.wire.tls.client_hello import ClientHello, Opening

# Symptoms that are no alert.
CLOSED, TIMED_OUT, LEFT, NOT_TLS = "closed", "timed-out", "left-without-a-word", "not-tls"


@dataclass(frozen=True, slots=True)
class Shown:
    """The chain that a client was shown: what of it a client may object to."""

    sha256: str
    common_name: str | None
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    complete: bool
    for_servers: bool
    size: int


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a handshake. `symptom` is an alert's name or one of ours; `by_client`: who sent the alert.

    `hello` is None where it was not understood; `names`: every name that the hub has a certificate for.
    """

    symptom: str
    by_client: bool | None
    opening: Opening
    hello: ClientHello | None
    server_name: str | None
    shown: Shown
    names: frozenset[str]
    now: datetime


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A code of the doctor's, and those that it may be besides."""

    code: str
    alternatives: tuple[str, ...] = ()


@lru_cache(maxsize=16)
def shown(chain: Chain) -> Shown:
    """What there is to say of a chain. `not_before` and `not_after` are the narrowest of all its certificates."""
    leaf = chain.leaf
    san = value(leaf, x509.SubjectAlternativeName)
    usage = value(leaf, x509.ExtendedKeyUsage)
    return Shown(
        sha256=fingerprint(leaf),
        common_name=common_name(leaf.subject),
        names=() if san is None else tuple(name.lower() for name in san.get_values_for_type(x509.DNSName)),
        addresses=() if san is None else tuple(map(str, san.get_values_for_type(x509.IPAddress))),
        not_before=max(one.not_valid_before_utc for one in chain),
        not_after=min(one.not_valid_after_utc for one in chain),
        complete=chain.is_complete,
        for_servers=usage is None or ExtendedKeyUsageOID.SERVER_AUTH in usage,
        size=sum(len(one.public_bytes(Encoding.DER)) for one in chain),
    )


def diagnose(sight: Sight) -> Diagnosis:
    """The likeliest cause."""
    if sight.opening not in ("tls", "nothing") or sight.symptom == NOT_TLS:
        return Diagnosis("not-tls")
    return _BY_SYMPTOM.get(sight.symptom, _unclear)(sight)


def _unknown_ca(sight: Sight) -> Diagnosis:
    if sight.by_client is False:
        return Diagnosis("refused-in-handshake")
    if not sight.shown.complete:
        return Diagnosis("intermediate-missing", ("root-not-trusted",))
    return Diagnosis("root-not-trusted", ("root-same-name-different-key",))


def _out_of_time(sight: Sight) -> Diagnosis | None:
    """Where our own clock sees it as well, the certificate is at fault and not the client's clock."""
    if sight.now > sight.shown.not_after:
        return Diagnosis("certificate-expired")
    if sight.now < sight.shown.not_before:
        return Diagnosis("certificate-not-yet-valid")
    return None


def _wrong_name(sight: Sight) -> Diagnosis | None:
    """Where the client told whom it looks for, and that is not us."""
    name = sight.server_name
    if name is None or name in sight.names or f"*.{name.partition('.')[2]}" in sight.names:
        return None
    try:
        address = str(ipaddress.ip_address(name))
    except ValueError:
        return Diagnosis("hostname-mismatch")
    if address in sight.shown.addresses:
        return None
    return Diagnosis("hostname-mismatch" if sight.shown.addresses else "ip-san-missing")


def _some_name(sight: Sight) -> tuple[str, ...]:
    """The codes for a name that may be wrong, and was not told: an address, or a client that never tells."""
    if sight.server_name is not None:
        return ()
    return ("hostname-mismatch",) if sight.shown.addresses else ("hostname-mismatch", "ip-san-missing")


def _bad_certificate(sight: Sight) -> Diagnosis:
    if sight.by_client is False:
        return Diagnosis("refused-in-handshake")
    if (found := _out_of_time(sight) or _wrong_name(sight)) is not None:
        return found
    likely = (*_some_name(sight), "clock-wrong", "root-not-trusted", "signature-invalid")
    return Diagnosis(likely[0], likely[1:])


def _certificate_unknown(sight: Sight) -> Diagnosis:
    found = _out_of_time(sight) or _wrong_name(sight)
    return found or Diagnosis("root-not-trusted", (*_some_name(sight), "clock-wrong", "intermediate-missing"))


def _expired(sight: Sight) -> Diagnosis:
    return _out_of_time(sight) or Diagnosis("clock-wrong")


def _unsupported(sight: Sight) -> Diagnosis:
    if not sight.shown.for_servers:
        return Diagnosis("eku-missing-server-auth")
    return Diagnosis("refused-in-handshake", ("unsupported-algorithm", "eku-missing-server-auth"))


def _no_agreement(sight: Sight) -> Diagnosis:
    """mbedTLS and others say handshake_failure for whatever they do not like; ours means what it says."""
    return Diagnosis("no-shared-cipher", ("root-not-trusted", "hostname-mismatch") if sight.by_client else ())


def _left(sight: Sight) -> Diagnosis:
    """Closed without a word, in the handshake or right after it."""
    found = _out_of_time(sight) or _wrong_name(sight)
    return found or Diagnosis("refused-in-handshake", ("root-not-trusted", *(_some_name(sight) or ("clock-wrong",))))


def _timed_out(sight: Sight) -> Diagnosis:
    """A hello and then silence: what we answered has some kilobytes, and is the first thing that a bad path loses."""
    return Diagnosis("connect-timeout", ("chain-too-large-for-small-devices",) if sight.hello is not None else ())


def _unclear(sight: Sight) -> Diagnosis:
    """An alert that says nothing of the certificate; a client of Mosquitto's says internal_error for a wrong name."""
    return (_wrong_name(sight) if sight.by_client else None) or Diagnosis("refused-in-handshake")


_BY_SYMPTOM = {
    "unknown_ca": _unknown_ca,
    "bad_certificate": _bad_certificate,
    "certificate_unknown": _certificate_unknown,
    "certificate_expired": _expired,
    "certificate_revoked": lambda _sight: Diagnosis("certificate-revoked"),
    "unsupported_certificate": _unsupported,
    "decrypt_error": lambda _sight: Diagnosis("root-same-name-different-key", ("signature-invalid",)),
    "protocol_version": lambda _sight: Diagnosis("tls-version-unsupported"),
    "inappropriate_fallback": lambda _sight: Diagnosis("tls-version-unsupported"),
    "handshake_failure": _no_agreement,
    "insufficient_security": lambda sight: Diagnosis("weak-key" if sight.by_client else "no-shared-cipher"),
    "unrecognized_name": lambda _sight: Diagnosis("hostname-mismatch"),
    "certificate_verify_failed": lambda _sight: Diagnosis("weak-key"),
    LEFT: _left,
    CLOSED: _left,
    TIMED_OUT: _timed_out,
}

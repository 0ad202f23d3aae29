"""Which part of its issuer's revocation list a certificate belongs to: told to it before it is signed, for good.

    ADDRESS/KEYID/complete.crl    all certificates of a CA
    ADDRESS/KEYID/7.crl           the seventh thousand of them, in the order of issuing

In the order of issuing, not by a digest of the serial number: a part is full after a thousand certificates whoever is
revoked, a maker of ten devices has one part, the certificates of a part end together so that old parts come to rest,
and a lot's certificates share one template.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509

from leafward.pki.contents import SHORT_LIFE, authority_key_identifier
from leafward.pki.pointers import NO_POINTERS, Pointers, list_addresses
from leafward.pki.profile import (
    AUTHORITY_INFORMATION_ACCESS,
    CRL_DISTRIBUTION_POINTS,
    NO_REV_AVAIL,
    OCSP_NO_CHECK,
    Profile,
)
from leafward.pki.validity import FOREVER, NO_EXPIRY
from leafward.store.revocations import COMPLETE, RevocationLists

# A full part, all of it revoked, is 40 kB to whoever fetches it, and signed in a few milliseconds.
CAPACITY = 1000
ENDING = ".crl"
COMPLETE_NAME = "complete"


@dataclass(frozen=True, slots=True)
class Publishing:
    """Where revocations are told, and for how long what was said holds. An address of None: not there.

    The addresses are http: and end without a slash, as in certificates.
    """

    crl_url: str | None = None
    ocsp_url: str | None = None
    crl_lifetime: timedelta = timedelta(days=7)
    ocsp_lifetime: timedelta = timedelta(days=1)

    def list_address(self, issuer_key_id: str, partition: int) -> str:
        """The address of a part, as its certificates have it. Only with `crl_url`."""
        return f"{self.crl_url}/{issuer_key_id}/{list_name(partition)}"

    @property
    def list_path(self) -> str:
        """The path under which lists are served."""
        return urlsplit(self.crl_url).path if self.crl_url else "/crl"

    @property
    def ocsp_path(self) -> str:
        """The path under which questions are answered."""
        return urlsplit(self.ocsp_url).path if self.ocsp_url else "/ocsp"


NOWHERE = Publishing()
_UNTOLD = (NO_REV_AVAIL, OCSP_NO_CHECK)


class Shards:
    """Gives out pointers. Thread-safe; shared by every process and station on the database."""

    def __init__(self, lists: RevocationLists, publishing: Publishing) -> None:
        self._lists = lists
        self._publishing = publishing

    def pointers(
        self, profile: Profile, issuer: x509.Certificate, lifetime: timedelta | None, *, now: datetime, count: int = 1
    ) -> Pointers:
        """The pointers for the next `count` certificates of a kind by an issuer, of which none may be signed after all.

        `lifetime` is as for `Issuer.prepare`. Raises `StoreError`.
        """
        publishing = self._publishing
        end = _end(lifetime or profile.lifetime, issuer, now)
        if profile.row(NO_REV_AVAIL) and end - now <= SHORT_LIFE:
            return NO_POINTERS
        crl = ocsp = None
        if publishing.crl_url and profile.row(CRL_DISTRIBUTION_POINTS):
            key_id = key_id_of(issuer)
            crl = self._lists.take(
                key_id,
                count=count,
                until=end,
                capacity=CAPACITY,
                address=lambda partition: publishing.list_address(key_id, partition),
            )
        if profile.row(AUTHORITY_INFORMATION_ACCESS):
            ocsp = publishing.ocsp_url
        return Pointers(crl, ocsp) if crl or ocsp else NO_POINTERS

    def partition_of(self, certificate: x509.Certificate, issuer_key_id: str) -> int | None:
        """Which list speaks for a certificate; None where nobody looks into any. Raises `StoreError`.

        A certificate may say that it is told nowhere whether it is revoked (RFC 9608, RFC 6960 4.2.2.2.1): for its
        sake no complete list is begun beside the parts.
        """
        if self._publishing.crl_url and any(one.oid in _UNTOLD for one in certificate.extensions):
            return None
        return self._lists.partition_of(issuer_key_id, list_addresses(certificate))


def list_name(partition: int) -> str:
    """The file's name of a list.

    >>> list_name(7), list_name(0)
    ('7.crl', 'complete.crl')
    """
    return (COMPLETE_NAME if partition == COMPLETE else str(partition)) + ENDING


def partition_named(name: str) -> int | None:
    """The list of a file's name; None for a name that no list has.

    >>> partition_named("7.crl"), partition_named("complete.crl"), partition_named("07.crl")
    (7, 0, None)
    """
    stem = name.removesuffix(ENDING)
    if stem == COMPLETE_NAME:
        return COMPLETE if name != stem else None
    partition = int(stem) if stem.isascii() and stem.isdigit() and len(stem) < 10 else COMPLETE
    return partition if partition != COMPLETE and list_name(partition) == name else None


def key_id_of(issuer: x509.Certificate) -> str:
    """What the certificates of a CA call its key (their AKI), in lower-case hexadecimal, as the inventory has it."""
    identifier = authority_key_identifier(issuer).key_identifier
    assert identifier is not None
    return identifier.hex()


def _end(lifetime: timedelta, issuer: x509.Certificate, now: datetime) -> datetime:
    asked = NO_EXPIRY if lifetime == FOREVER or lifetime > NO_EXPIRY - now else now + lifetime
    return min(asked, issuer.not_valid_after_utc)

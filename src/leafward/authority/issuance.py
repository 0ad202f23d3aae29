"""What the maker's authority issues: roots, intermediates, device CAs, device identities and leaf certificates.

Each function checks, signs once, and records the certificate in the ledger before it is handed out.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509

from leafward.authority.authorities import Authorities, Authority
from leafward.authority.crl_shards import NOWHERE, Publishing, Shards
from leafward.authority.earlier_version import take_over
from leafward.authority.elsewhere import NO_LIMITS, Limits
from leafward.authority.ledger import Entry, Ledger
from leafward.authority.succession import predecessor
from leafward.errors import RuleViolation
from leafward.keys.key_store import KeyReference
from leafward.keys.serial import new_serial
from leafward.pki.chain import Chain, is_issued_by
from leafward.pki.issuer import prepare_root
from leafward.pki.key_types import KeyType
from leafward.pki.names import parse_common_name
from leafward.pki.pointers import NO_POINTERS, Pointers
from leafward.pki.profile import Profile
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.store.revocations import RevocationLists

# A device CA needs room for the workload CA below it, an intermediate right above it for both.
DEPTH_BELOW_LAST_INTERMEDIATE = 2


class Issuance:
    """The maker's authority in `folder`. `now` is an aware UTC datetime everywhere.

    `database` is a PostgreSQL URL where several stations share one; without it, it is `maker.db` in the folder. Opened
    when it is first needed; `close` it. Each method that issues raises as `Ledger.record`, and then nothing was issued.
    `publishing` says where revocations are told; what is issued below the roots points there.
    """

    def __init__(self, folder: Path, *, database: str | None = None, publishing: Publishing = NOWHERE) -> None:
        self.folder = folder
        self.authorities = Authorities(folder)
        self.publishing = publishing
        self._database = database

    @cached_property
    def ledger(self) -> Ledger:
        """The inventory and the issuance log."""
        ledger = Ledger.open(self.folder, database=self._database)
        try:
            take_over(self.folder, self.authorities, ledger)
        except BaseException:
            ledger.close()
            raise
        return ledger

    @property
    def has_issued(self) -> bool:
        """Whether there is anything to read: looking at an empty home makes nothing in it."""
        return self._database is not None or "ledger" in self.__dict__ or self.folder.is_dir()

    def pointers(
        self, kind: Profile, issuer: x509.Certificate, lifetime: timedelta | None, *, now: datetime, count: int = 1
    ) -> Pointers:
        """Where it is told whether the next `count` certificates of a kind by an issuer are revoked.

        Their place in the issuer's list is theirs from now on. Raises `StoreError`.
        """
        if self.publishing.crl_url is None and self.publishing.ocsp_url is None:
            return NO_POINTERS
        shards = Shards(RevocationLists(self.ledger.engine), self.publishing)
        return shards.pointers(kind, issuer, lifetime, now=now, count=count)

    def root(
        self,
        name: str,
        key_type: KeyType,
        *,
        now: datetime,
        lifetime: timedelta | None = None,
        at: KeyReference | None = None,
    ) -> Authority:
        """A new root CA, its key made `at` a reference, else beside it. Raises `AlreadyExists` for a name in use."""
        subject = parse_common_name(name)
        return self.authorities.add(
            subject,
            key_type,
            lambda key: prepare_root(key, common_name=subject, now=now, serial=new_serial(), lifetime=lifetime).sign(),
            at=at,
            record=lambda chain: self.record("root_ca", chain),
            recorded=self.has_recorded,
        )

    def intermediate(
        self,
        name: str,
        key_type: KeyType,
        *,
        now: datetime,
        issuer: Authority | None = None,
        intermediates_below: int = 0,
        lifetime: timedelta | None = None,
        at: KeyReference | None = None,
        limits: Limits = NO_LIMITS,
    ) -> Authority:
        """A new intermediate CA under `issuer`, with room below it for as many more as are said, held to `limits`."""
        parent = (issuer or self.authorities.default_issuer()).issuer()
        subject, kind = parse_common_name(name), profile("intermediate_ca")
        pointers = self.pointers(kind, parent.chain.leaf, lifetime, now=now)
        return self.authorities.add(
            subject,
            key_type,
            lambda key: parent.prepare(
                kind,
                limits.on(CertificateRequest(public_key=key.public_key(), common_name=subject, pointers=pointers)),
                now=now,
                serial=new_serial(),
                lifetime=lifetime,
                path_length=DEPTH_BELOW_LAST_INTERMEDIATE + intermediates_below,
            ).sign(),
            at=at,
            record=lambda chain: self.record("intermediate_ca", chain),
            recorded=self.has_recorded,
        )

    def issue(
        self,
        kind: Profile,
        request: CertificateRequest,
        *,
        now: datetime,
        issuer: Authority | None = None,
        lifetime: timedelta | None = None,
        path_length: int | None = None,
        replacing: bool = False,
        renewing: bool = False,
    ) -> Chain:
        """A certificate of a profile below the roots and intermediates; recorded before it is returned.

        A name that lives is refused, unless the certificate takes its place: `replacing` it with any key, or `renewing`
        it with the key it has. Raises `AlreadyExists` that names who lives, `NotFound` where nobody lives to be
        renewed, `RequestError` where a renewal brings another key: nothing was signed then.
        """
        signer = (issuer or self.authorities.default_issuer()).issuer()
        old = predecessor(self.ledger.inventory, kind, request, now=now, replacing=replacing, renewing=renewing)
        pointed = replace(request, pointers=self.pointers(kind, signer.chain.leaf, lifetime, now=now))
        chain = signer.prepare(
            kind, pointed, now=now, serial=new_serial(), lifetime=lifetime, path_length=path_length
        ).sign()
        entry = Entry.of(kind.kind, chain.leaf)
        self.ledger.record([entry], replacing={entry.sha256: old} if replacing or renewing else None)
        return chain

    def record(self, kind: str, chain: Chain) -> int:
        """Writes a signature down, before its certificate is handed out. Its index in the log."""
        return self.ledger.record([Entry.of(kind, chain.leaf)])[0]

    def has_recorded(self, chain: Chain) -> bool:
        """Whether this very certificate is in the ledger."""
        return self.ledger.inventory.has(Entry.of("", chain.leaf).sha256)

    def chain_of(self, certificate: x509.Certificate) -> Chain:
        """The chain of a certificate that one of the authorities here issued, leaf first; itself where none did."""
        issuers = (authority.chain for authority in self.authorities)
        chain = next((chain for chain in issuers if is_issued_by(certificate, chain.leaf)), None)
        return Chain.of(certificate, *(chain or ()))

    def close(self) -> None:
        """Closes the ledger. May be repeated; what is asked of it later opens it again."""
        if (ledger := self.__dict__.pop("ledger", None)) is not None:
            ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def refuse_hostname(name: str, hostname: str | None) -> None:
    """Rule 1: a device CA is not named like the host. Raises `RuleViolation` where it would be."""
    if hostname is not None and name.lower() == hostname.lower():
        raise RuleViolation(
            "common-name-equals-device-ca",
            f"a CA must not be named {name!r}",
            why="that is the gateway's hostname, and a chain with the same name twice is refused by some verifiers",
            hint=f"name it {name}.ca",
        )

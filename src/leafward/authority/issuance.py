"""What the maker's authority issues: roots, intermediates, device CAs, device identities and leaf certificates.

Each function checks, signs once, and keeps the certificate under `issued/` before it is handed out.
"""

from datetime import datetime, timedelta
from pathlib import Path

from leafward import disk
from leafward.authority.authorities import Authorities, Authority
from leafward.errors import RuleViolation
from leafward.keys.serial import new_serial
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.issuer import prepare_root
from leafward.pki.key_types import KeyType
from leafward.pki.names import parse_common_name
from leafward.pki.profile import Profile
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest

# A device CA needs room for the workload CA below it, an intermediate right above it for both.
DEPTH_BELOW_LAST_INTERMEDIATE = 2


class Issuance:
    """The maker's authority in `folder`. `now` is an aware UTC datetime everywhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authorities = Authorities(folder)

    def root(self, name: str, key_type: KeyType, *, now: datetime, lifetime: timedelta | None = None) -> Authority:
        """A new root CA. Raises `AlreadyExists` where one of that name stands."""
        subject = parse_common_name(name)
        return self.authorities.add(
            subject,
            key_type,
            lambda key: prepare_root(key, common_name=subject, now=now, serial=new_serial(), lifetime=lifetime).sign(),
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
    ) -> Authority:
        """A new intermediate CA under `issuer`, with room below it for as many more as are said."""
        parent = (issuer or self.authorities.default_issuer()).issuer()
        subject = parse_common_name(name)
        return self.authorities.add(
            subject,
            key_type,
            lambda key: parent.prepare(
                profile("intermediate_ca"),
                CertificateRequest(public_key=key.public_key(), common_name=subject),
                now=now,
                serial=new_serial(),
                lifetime=lifetime,
                path_length=DEPTH_BELOW_LAST_INTERMEDIATE + intermediates_below,
            ).sign(),
        )

    def issue(
        self,
        kind: Profile,
        request: CertificateRequest,
        *,
        now: datetime,
        issuer: Authority | None = None,
        lifetime: timedelta | None = None,
    ) -> Chain:
        """A certificate of a profile below the roots and intermediates; kept under `issued/` before it is returned."""
        signer = issuer or self.authorities.default_issuer()
        chain = signer.issuer().prepare(kind, request, now=now, serial=new_serial(), lifetime=lifetime).sign()
        self._keep(chain)
        return chain

    def issued(self) -> list[Chain]:
        """Everything issued and kept, newest last."""
        folder = self.folder / "issued"
        files = sorted(folder.glob("*.pem")) if folder.is_dir() else []
        chains = [Chain.from_pem(disk.read_file(file)) for file in files]
        return sorted(chains, key=lambda chain: chain.leaf.not_valid_before_utc)

    def _keep(self, chain: Chain) -> None:
        folder = self.folder / "issued"
        disk.make_folder(folder)
        disk.write_file(folder / f"{fingerprint(chain.leaf)}.pem", chain.to_pem(), mode=disk.PUBLIC)


def refuse_hostname(name: str, hostname: str | None) -> None:
    """Rule 1: a device CA is not named like the host. Raises `RuleViolation` where it would be."""
    if hostname is not None and name.lower() == hostname.lower():
        raise RuleViolation(
            "common-name-equals-device-ca",
            f"a device CA must not be named {name!r}",
            why="that is the gateway's hostname, and a chain with the same name twice is refused by some verifiers",
            hint=f"name it {name}.ca",
        )

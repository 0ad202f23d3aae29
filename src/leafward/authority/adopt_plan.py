"""What a folder's certificates are, and what becomes of each: worked out before anything is asked or changed.

CA, self-signed or with its issuers here      an authority; with its key if that is in the folder
device CA                                     in the inventory; its key is its gateway's and stays where it is
what one of these authorities issued          in the inventory, revoked where the index or a list says so
all else                                      skipped, with the reason
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from leafward.authority.adopt_folder import FoundFolder, Skipped
from leafward.authority.elsewhere import refuse_unfit
from leafward.errors import RuleViolation, UsageError
from leafward.pki.chain import Chain, fingerprint, is_issued_by, is_self_signed
from leafward.pki.extension import path_length, purposes, says_ca
from leafward.pki.names import common_name
from leafward.pki.paths import Pool, candidate_paths
from leafward.pki.profiles import PROFILES
from leafward.pki.revocation import REMOVED, UNSPECIFIED
from leafward.pki.summary import WORKLOAD_CA_NAMES

AUTHORITY_KINDS = ("root_ca", "intermediate_ca")
# How the scripts begin the names of a device CA's files; its certificate says no more than any other CA's.
_DEVICE_CA_FILES = ("iot-edge-device-ca-", "iot-edge-device-", "new-edge-device")
_IDENTITY_FILES = "iot-edge-device-identity-"
_VERIFICATION = "verif"
# A flaw of a root's certificate that EasyRSA's have: strict verifiers refuse all that is below.
_MENDABLE = frozenset({"basic-constraints-not-critical"})


@dataclass(frozen=True)
class Revoked:
    """Since when (aware UTC), and why."""

    when: datetime
    reason: str


@dataclass(frozen=True)
class Member:
    """A certificate of the hierarchy: its chain up to the root, its kind, its first file, and whether it is revoked.

    `to_mend`: a root with a flaw in its certificate, of which a better one for the same name and key is to be made.
    """

    chain: Chain
    kind: str
    path: Path
    revoked: Revoked | None = None
    to_mend: bool = False

    @property
    def is_authority(self) -> bool:
        """Whether it will issue from here."""
        return self.kind in AUTHORITY_KINDS

    @property
    def name(self) -> str:
        """The common name, or the whole one."""
        subject = self.chain.leaf.subject
        return common_name(subject) or subject.rfc4514_string()


@dataclass
class Plan:
    """Authorities from the roots down, then what they issued, the oldest first; and what is skipped."""

    folder: FoundFolder
    authorities: list[Member] = field(default_factory=list)
    issued: list[Member] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def make_plan(
    folder: FoundFolder,
    known: Sequence[x509.Certificate],
    *,
    now: datetime,
    roles: Mapping[Path, str] | None = None,
    mend_roots: bool = False,
) -> Plan:
    """The plan for a folder.

    `known` are the CAs of the home; `roles` say what some files hold, where a person knows better. `mend_roots` takes
    flawed roots too. `now` is aware UTC. Raises `UsageError` for a role that is none, or of a file without a
    certificate.
    """
    _check_roles(folder, roles or {})
    plan = Plan(folder, skipped=list(folder.skipped))
    certificates = list(folder.certificates.values())
    everything = [*certificates, *known]
    pool, roots = Pool(everything), Pool(one for one in everything if is_self_signed(one))
    revoked = _revocations(folder, plan)
    refused: set[str] = set()
    chains = _chains(certificates, pool, roots, plan, folder)
    for chain in sorted(chains, key=lambda one: (len(one), one.leaf.not_valid_before_utc, fingerprint(one.leaf))):
        digest = fingerprint(chain.leaf)
        path = folder.paths[digest][0]
        kind = _kind(chain, folder, certificates, roles or {})
        member = Member(chain, kind, path, revoked.get(digest))
        if any(fingerprint(above) in refused for above in chain.issuers):
            plan.skipped.append(Skipped(path, f"{member.name!r} hangs below a CA that is not taken over"))
        elif member.is_authority:
            _place_authority(plan, member, refused, now, mend_roots=mend_roots)
        else:
            _place_issued(plan, member, refused)
    plan.issued.sort(key=lambda one: (one.chain.leaf.not_valid_before_utc, fingerprint(one.chain.leaf)))
    return plan


def _place_authority(plan: Plan, member: Member, refused: set[str], now: datetime, *, mend_roots: bool) -> None:
    try:
        refuse_unfit(member.chain, now=now, depth_below=0)
    except RuleViolation as error:
        mendable = member.kind == "root_ca" and error.code in _MENDABLE
        if mendable and mend_roots:
            plan.authorities.append(replace(member, to_mend=True))
            return
        refused.add(fingerprint(member.chain.leaf))
        help_ = "; --mend-root makes a better certificate for the same name and key" if mendable else ""
        plan.skipped.append(Skipped(member.path, f"the CA {member.name!r} cannot issue: {error}{help_}"))
        return
    if member.revoked is not None:
        # It stays in the inventory, for the list of whoever revoked it; nothing is to be issued below it.
        plan.issued.append(member)
        refused.add(fingerprint(member.chain.leaf))
        plan.skipped.append(Skipped(member.path, f"the CA {member.name!r} is revoked: recorded, and issues nothing"))
        return
    plan.authorities.append(member)


def _place_issued(plan: Plan, member: Member, refused: set[str]) -> None:
    if member.kind in ("device_ca", "workload_ca"):
        refused.add(fingerprint(member.chain.leaf))  # what a gateway issues is its operator's affair
    if member.kind == "workload_ca":
        plan.skipped.append(Skipped(member.path, f"{member.name!r} is a gateway's own workload CA"))
        return
    if len(member.chain) == 1:
        plan.skipped.append(Skipped(member.path, f"{member.name!r} is signed by its own key, and is no CA"))
        return
    plan.issued.append(member)


def _chains(
    certificates: Sequence[x509.Certificate], pool: Pool, roots: Pool, plan: Plan, folder: FoundFolder
) -> list[Chain]:
    found = []
    for certificate in certificates:
        path = next(candidate_paths(certificate, pool, roots), None)
        if path is None and not (is_self_signed(certificate)):
            where = folder.paths[fingerprint(certificate)][0]
            issuer = certificate.issuer.rfc4514_string()
            name = certificate.subject.rfc4514_string()
            plan.skipped.append(Skipped(where, f"'{name}' is foreign: its issuer '{issuer}' is not here"))
            continue
        found.append(Chain(path or (certificate,)))
    return found


def _kind(
    chain: Chain, folder: FoundFolder, certificates: Sequence[x509.Certificate], roles: Mapping[Path, str]
) -> str:
    leaf, paths = chain.leaf, folder.paths[fingerprint(chain.leaf)]
    told = next((roles[path.resolve()] for path in paths if path.resolve() in roles), None)
    if told is not None:
        return told
    if not says_ca(leaf):
        return _end_entity_kind(leaf, [path.name for path in paths])
    if len(chain) == 1:
        return "root_ca"
    return _ca_kind(leaf, [path.name for path in paths], certificates)


def _ca_kind(leaf: x509.Certificate, files: Sequence[str], certificates: Sequence[x509.Certificate]) -> str:
    name = (common_name(leaf.subject) or "").lower()
    if name.startswith(WORKLOAD_CA_NAMES):
        return "workload_ca"
    below = [one for one in certificates if one is not leaf and says_ca(one) and is_issued_by(one, leaf)]
    if any(not (common_name(one.subject) or "").lower().startswith(WORKLOAD_CA_NAMES) for one in below):
        return "intermediate_ca"
    named = any(file.startswith(_DEVICE_CA_FILES) for file in files)
    return "device_ca" if named or path_length(leaf) == 1 or name.endswith(".ca") else "intermediate_ca"


def _end_entity_kind(leaf: x509.Certificate, files: Sequence[str]) -> str:
    if any(file.startswith(_IDENTITY_FILES) for file in files):
        return "device_identity"
    if any(_VERIFICATION in file.lower() for file in files):
        return "verification"
    wanted = purposes(leaf) or frozenset()
    is_server = ExtendedKeyUsageOID.SERVER_AUTH in wanted and ExtendedKeyUsageOID.CLIENT_AUTH not in wanted
    return "hub_server" if is_server else "leaf_device"


def _check_roles(folder: FoundFolder, roles: Mapping[Path, str]) -> None:
    having = {path.resolve() for paths in folder.paths.values() for path in paths}
    for path, kind in roles.items():
        if kind not in PROFILES:
            raise UsageError(f"no kind {kind!r}", hint=f"one of {', '.join(PROFILES)}")
        if path not in having:
            raise UsageError(f"{path} has no certificate of this folder", hint="give a certificate's file")


def _revocations(folder: FoundFolder, plan: Plan) -> dict[str, Revoked]:
    """Fingerprint -> since when and why, out of every index and every list that a CA of the folder signed."""
    found: dict[str, Revoked] = {}
    for line in folder.revoked:
        name = line.subject.rpartition("/CN=")[2].partition("/")[0]
        matching = [one for one in folder.certificates.values() if one.serial_number == line.serial]
        named = [one for one in matching if common_name(one.subject) == name] or matching
        if not named:
            why = f"{line.subject} with the serial {line.serial:X} is revoked, and its certificate is not in the folder"
            plan.skipped.append(Skipped(line.path, why))
        for one in named:
            found[fingerprint(one)] = Revoked(line.revoked, line.reason)
    for path, crl in folder.crls:
        if not _add_listed(crl, folder, found):
            plan.skipped.append(Skipped(path, f"the list of '{crl.issuer.rfc4514_string()}' is signed by no CA here"))
    return found


def _add_listed(crl: x509.CertificateRevocationList, folder: FoundFolder, found: dict[str, Revoked]) -> bool:
    signer = signer_of(crl, folder)
    if signer is None:
        return False
    for digest, one in folder.certificates.items():
        if digest in found or one.issuer != crl.issuer:
            continue
        entry = crl.get_revoked_certificate_by_serial_number(one.serial_number)
        if entry is not None and is_issued_by(one, signer) and (reason := _listed_reason(entry)) != REMOVED:
            found[digest] = Revoked(entry.revocation_date_utc, reason)
    return True


def signer_of(crl: x509.CertificateRevocationList, folder: FoundFolder) -> x509.Certificate | None:
    """The CA of the folder that signed a list."""
    named = (one for one in folder.certificates.values() if one.subject == crl.issuer and says_ca(one))
    return next((one for one in named if crl.is_signature_valid(one.public_key())), None)  # type: ignore[arg-type]


def _listed_reason(entry: x509.RevokedCertificate) -> str:
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except (x509.ExtensionNotFound, ValueError):
        return UNSPECIFIED

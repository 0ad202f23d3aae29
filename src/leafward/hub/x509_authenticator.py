"""Client certificates: by thumbprint, or by a path to our trust bundle.

The TLS layer takes any certificate, self-signed ones included, and has proved that the peer holds its key. Whether it
means anything is decided here, by what the registry says of the device.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import LeafwardError
from leafward.hub.peer import Peer
from leafward.hub.refusals import Refusal
from leafward.hub.revocation import CertificateId, id_of
from leafward.pki import extension
from leafward.pki.chain import Chain
from leafward.pki.names import common_name
from leafward.pki.paths import public_key_bytes
from leafward.pki.validity import Validity
from leafward.pki.verify import verify
from leafward.store.identity import Identities, Identity

# Codes that are worded from a client's side, where the chain judged is the server's.
_CLIENT_CODES = {"intermediate-missing": "client-chain-incomplete", "self-signed-server": "root-not-trusted"}


# A CA, whichever certificate it has just now: its name and its public key.
CaIdentity = tuple[bytes, bytes]


def ca_identity(certificate: x509.Certificate) -> CaIdentity:
    """The CA that a certificate is of: one that was renewed with the same key is the same CA."""
    return certificate.subject.public_bytes(), public_key_bytes(certificate)


@dataclass(frozen=True, slots=True)
class Trust:
    """What client certificates are judged by. They must lead to one of `anchors`, the trust bundle, and moreover be
    issued for this gateway: all gateways of a maker have the same root, and each could sign for every device.

    `through`: CAs of which one must be on the path, which are this gateway's device CA and those that the operator
    named. `above`: the CAs above that device CA; what they sign themselves is accepted, what other CAs below them
    sign is not. `workload_ca_subjects`: a workload CA stands below the device CA and gives every module a client
    certificate in a name the module chose. Were its certificates accepted, a module could come as any leaf device.
    """

    anchors: tuple[x509.Certificate, ...] = ()
    workload_ca_subjects: frozenset[bytes] = frozenset()
    through: frozenset[CaIdentity] = frozenset()
    above: frozenset[CaIdentity] = frozenset()

    def wrong_issuer(self, path: Sequence[x509.Certificate]) -> Refusal | None:
        """Why the CAs of a path that leads to an anchor, leaf first, may not speak for a device of ours."""
        issuers = path[1:]
        if any(issuer.subject.public_bytes() in self.workload_ca_subjects for issuer in issuers):
            return Refusal("issued-for-a-module", "issued by a workload CA, which names modules and not devices")
        identities = [ca_identity(issuer) for issuer in issuers]
        if not identities or (identities[0] not in self.above and self.through.isdisjoint(identities)):
            issuer = issuers[0].subject.rfc4514_string() if issuers else "nobody"
            why = f"issued by {issuer}, which is not this gateway's device CA, nor above it, nor named in leaf_cas"
            return Refusal("issued-for-another-gateway", why)
        return None


class X509Authenticator:
    """Judges client certificates. `trust` gives the anchors of this moment: the manager may change them."""

    def __init__(
        self, registry: Identities, trust: Callable[[], Trust], *, revoked: Callable[[Iterable[CertificateId]], bool]
    ) -> None:
        """`revoked` says whether one of these certificates is (`Revocations.any_of`)."""
        self._registry = registry
        self._trust = trust
        self._revoked = revoked

    def admit(
        self, device_id: str, module_id: str | None, certificates: Sequence[x509.Certificate], now: datetime
    ) -> Peer | Refusal:
        """The peer, or why not. `certificates` are those presented, leaf first, and not empty."""
        if module_id is not None:
            return Refusal("module-with-certificate", "a module signs in with its key, not with a certificate")
        identity = self._registry.get(device_id)
        try:
            validity = Validity.of(certificates[0])
            judgement = self._judge(device_id, identity, validity, certificates, now)
        except LeafwardError as error:
            return Refusal("certificate-malformed", str(error))
        if isinstance(judgement, Refusal) or identity is None:
            return judgement if isinstance(judgement, Refusal) else Refusal("device-unknown", "not in the registry")
        return Peer(device_id, None, validity.not_after, (identity,), proved=judgement)

    def opens(self, certificates: Sequence[x509.Certificate], now: datetime) -> bool:
        """Whether a device registered as x509-ca, under the leaf's name, would be let in with these, leaf first."""
        try:
            name = common_name(certificates[0].subject) if certificates else None
            path = None if name is None else self._path(name, certificates, now)
        except LeafwardError:
            return False
        return path is not None and not isinstance(path, Refusal) and not self._revoked(map(id_of, path))

    def _judge(
        self,
        device_id: str,
        identity: Identity | None,
        validity: Validity,
        certificates: Sequence[x509.Certificate],
        now: datetime,
    ) -> Refusal | tuple[CertificateId, ...]:
        """What was proved, or why not. Whoever is refused after the dates has cost a path validation: how long a
        refusal takes tells nobody which ids exist, nor how they prove themselves."""
        refusal = _not_for_certificates(identity)
        if not validity.contains(now):
            code = "certificate-expired" if now > validity.not_after else "certificate-not-yet-valid"
            return refusal or Refusal(code, f"valid {validity.not_before} to {validity.not_after}, it is {now}")
        if refusal is None and identity is not None and identity.auth == "x509-thumbprint":
            refusal = _wrong_thumbprint(identity, certificates[0])
            if refusal is None:
                return self._standing((id_of(certificates[0]),))
        path = self._path(device_id, certificates, now)
        if refusal is not None:
            return refusal
        if isinstance(path, Refusal):
            return path
        return self._standing(tuple(map(id_of, path)))

    def _standing(self, proved: tuple[CertificateId, ...]) -> Refusal | tuple[CertificateId, ...]:
        if self._revoked(proved):
            return Refusal("certificate-revoked", "it, or a CA above it, was taken back: on a list, or by a wipe")
        return proved

    def _path(
        self, device_id: str, certificates: Sequence[x509.Certificate], now: datetime
    ) -> Refusal | Sequence[x509.Certificate]:
        """The path to an anchor, leaf first, of a certificate that may speak for this device; or why there is none."""
        leaf, trust = certificates[0], self._trust()
        name = common_name(leaf.subject)
        if name != device_id:
            return Refusal("common-name-not-device-id", f"got {name!r}, expected {device_id!r}")
        if extension.says_ca(leaf):
            return Refusal("leaf-is-a-ca", "a CA certificate is no device's own")
        verdict = verify(Chain.of(leaf, *certificates[1:]), trust.anchors, now=now, purpose="client")
        if not verdict.valid or verdict.path is None:
            code = verdict.rule or "root-not-trusted"
            return Refusal(_CLIENT_CODES.get(code, code), verdict.reason or "no path to the trust bundle")
        return trust.wrong_issuer(verdict.path) or verdict.path


def _not_for_certificates(identity: Identity | None) -> Refusal | None:
    """Why the registry has nobody of this id who may come with a certificate."""
    if identity is None:
        return Refusal("device-unknown", "not in the registry")
    if not identity.enabled:
        return Refusal("device-disabled", "disabled in the registry")
    if identity.auth == "sas":
        return Refusal("credential-of-other-type", "a certificate for a device that is registered for SAS")
    return None


def _wrong_thumbprint(identity: Identity, leaf: x509.Certificate) -> Refusal | None:
    der = leaf.public_bytes(Encoding.DER)
    # SHA-1 because IoT Hub registers it still; it only names a certificate whose key TLS has proved.
    seen = [hashlib.sha256(der).hexdigest(), hashlib.sha1(der, usedforsecurity=False).hexdigest()]
    for registered in (identity.primary_thumbprint, identity.secondary_thumbprint):
        wanted = (registered or "").replace(":", "").lower()
        if wanted and any(hmac.compare_digest(wanted, thumbprint) for thumbprint in seen):
            return None
    return Refusal("thumbprint-mismatch", f"got sha256 {seen[0]}, which is not registered")

"""What a person or a program is told of a certificate: its role in the hierarchy and the fields that matter.

`leafward chain`, `leafward up` and the doctor show certificates by these values; the JSON keys are a contract.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from leafward.pki import extension
from leafward.pki.chain import Chain, fingerprint, is_self_signed
from leafward.pki.key_types import key_name
from leafward.pki.names import common_name

WORKLOAD_CA_NAMES = ("iotedge workload ca", "iotedged workload ca")


@dataclass(frozen=True)
class CertificateSummary:
    """One certificate in words. Times are RFC 3339 in UTC, `serial` and `sha256` lower-case hexadecimal."""

    role: str
    subject: str
    common_name: str | None
    issuer: str
    serial: str
    not_before: str
    not_after: str
    key: str
    sha256: str
    ca: bool
    path_length: int | None
    san: tuple[str, ...]


def summarise(certificate: x509.Certificate, role: str) -> CertificateSummary:
    """The summary of a certificate that plays `role`."""
    return CertificateSummary(
        role=role,
        subject=certificate.subject.rfc4514_string(),
        common_name=common_name(certificate.subject),
        issuer=certificate.issuer.rfc4514_string(),
        serial=f"{extension.serial_number(certificate):x}",
        not_before=f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
        not_after=f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        key=key_name(certificate),
        sha256=fingerprint(certificate),
        ca=extension.says_ca(certificate),
        path_length=_path_length(certificate),
        san=alternative_names(certificate),
    )


def describe_chain(source: str, chain: Chain) -> dict[str, object]:
    """The JSON value of `leafward chain`: certificates leaf first, whether it is complete, and its anchor."""
    summaries = [summarise(c, role) for c, role in zip(chain.certificates, roles(chain.certificates), strict=True)]
    complete = chain.is_complete
    return {
        "source": source,
        "certificates": [{**asdict(s), "san": list(s.san)} for s in summaries],
        "complete": complete,
        "anchor": summaries[-1].sha256 if complete else None,
    }


def roles(certificates: Sequence[x509.Certificate]) -> list[str]:
    """The role of each certificate of a leaf-first chain, as a profile kind.

    Worked out from what the certificates say, as a chain from elsewhere carries no label: the device CA is the CA above
    the workload CA, or the only CA with path length 1; other CAs that are not self-signed are intermediates.
    """
    found = [_role(certificate) for certificate in certificates]
    for position, role in enumerate(found[1:], start=1):
        below = found[position - 1]
        signs_leaves = below in _SIGNED_BY_DEVICE_CA and _path_length(certificates[position]) == 1
        if role == "intermediate_ca" and (below == "workload_ca" or signs_leaves):
            found[position] = "device_ca"
    if found[0] == "intermediate_ca" and _path_length(certificates[0]) == 1:
        found[0] = "device_ca"
    return found


_SIGNED_BY_DEVICE_CA = ("leaf_device", "verification")


def _role(certificate: x509.Certificate) -> str:
    if extension.says_ca(certificate):
        if is_self_signed(certificate):
            return "root_ca"
        name = (common_name(certificate.subject) or "").lower()
        return "workload_ca" if name.startswith(WORKLOAD_CA_NAMES) else "intermediate_ca"
    return "hub_server" if _is_server(certificate) else "leaf_device"


def alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The subject alternative names as `DNS:gateway`, `IP:192.0.2.1`, `URI:…` (RFC 5280 4.2.1.6)."""
    names = extension.value(certificate, x509.SubjectAlternativeName) or ()
    return tuple(f"{_NAME_KINDS.get(type(name), type(name).__name__)}:{name.value}" for name in names)


_NAME_KINDS: dict[type, str] = {
    x509.DNSName: "DNS",
    x509.IPAddress: "IP",
    x509.UniformResourceIdentifier: "URI",
    x509.RFC822Name: "email",
    x509.DirectoryName: "directory",
    x509.RegisteredID: "OID",
}


def _path_length(certificate: x509.Certificate) -> int | None:
    constraints = extension.value(certificate, x509.BasicConstraints)
    return constraints.path_length if constraints is not None else None


def _is_server(certificate: x509.Certificate) -> bool:
    usage = extension.value(certificate, x509.ExtendedKeyUsage)
    return usage is not None and ExtendedKeyUsageOID.SERVER_AUTH in usage

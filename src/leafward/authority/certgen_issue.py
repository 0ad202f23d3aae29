"""One certificate of certgen's: built by our profiles, signed, judged by every rule, and only then handed to anybody.

The authority's own issuer rehearses each certificate with throw-away keys before the real one signs, because what an
HSM signed is in the world. Here the key is in memory and the certificate in nobody's hands until the rules have seen
it, so the real one is judged; a rehearsal would need an RSA-4096 key of its own, as dear as the certificate.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography import x509

from leafward.errors import NameFormatError
from leafward.pki.admission import check_chain, check_key_belongs, check_rsa_2048
from leafward.pki.chain import Chain
from leafward.pki.contents import Names, authority_key_identifier, extensions, names_of, own_key_identifier
from leafward.pki.extension import path_length
from leafward.pki.key_types import PrivateKey, key_type_of
from leafward.pki.names import Host, HostName, parse_common_name, parse_host
from leafward.pki.profile import (
    CLIENT_AUTH,
    SERVER_AUTH,
    SUBJECT_ALTERNATIVE_NAME,
    ExtensionRow,
    Presence,
    Profile,
)
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.pki.rule import Context, Purpose
from leafward.pki.rules import RULES, refuse
from leafward.pki.rules.post_quantum_chain import CODE as POST_QUANTUM_RULE
from leafward.pki.validity import Validity

# The profile of each kind of paper. A server's subject is as it was typed; its SAN is what is compared.
_KINDS = {
    "root": "root_ca",
    "intermediate": "intermediate_ca",
    "device-ca": "device_ca",
    "client": "leaf_device",
    "verification": "leaf_device",
    "identity": "device_identity",
    "server": "hub_server",
}
_RULES = tuple(rule for rule in RULES if rule.code != POST_QUANTUM_RULE)
_BELOW_ROOT = 3  # intermediate, device CA, and the workload CA that the gateway makes
_SAN = ExtensionRow(SUBJECT_ALTERNATIVE_NAME, Presence.OPTIONAL, critical=False)


@dataclass(frozen=True)
class Signer:
    """A CA of the folder: its chain up to the root, and its key."""

    chain: Chain
    key: PrivateKey = field(repr=False)


def issue(
    kind: str,
    common_name: str,
    key: PrivateKey,
    signer: Signer | None,
    *,
    now: datetime,
    lifetime: timedelta,
    serial: int,
    server_and_client: bool = False,
) -> Chain:
    """A certificate for the public half of `key`, by `signer`; without one, by `key` itself: a root.

    `now` is aware UTC; the lifetime is capped by every CA above. Raises `NameFormatError` for a name that does not fit,
    `RuleViolation` for what a rule refuses or a signer whose chain or key does not hold.
    """
    if signer is not None:
        check_key_belongs(signer.chain.leaf, signer.key.public_key())
        check_chain(signer.chain)
    table = _profile(kind, server_and_client)
    names = _names(kind, table, parse_common_name(common_name), key)
    validity = _validity(signer, now, lifetime)
    check_rsa_2048(key.public_key(), validity, allowed=False)
    builder = _builder(table, names, key, signer, validity=validity, now=now, serial=serial)
    signing_key = key if signer is None else signer.key
    certificate = builder.sign(signing_key, key_type_of(signing_key.public_key()).signature_hash)
    chain = Chain((certificate, *(signer.chain if signer is not None else ())))
    _judge(chain, kind, table, names, now)
    return chain


def check_root(root: x509.Certificate, now: datetime) -> None:
    """Raises `RuleViolation` for somebody's root below which nothing here could be issued."""
    refuse(Context(chain=Chain.of(root), now=now, purpose="ca", depth_below=_BELOW_ROOT), _RULES)


def _profile(kind: str, server_and_client: bool) -> Profile:
    found = profile(_KINDS[kind])
    if server_and_client and not found.ca:
        return replace(
            found,
            extended_key_usage=(CLIENT_AUTH, SERVER_AUTH),
            key_usage_with_rsa=frozenset({"key_encipherment"}),
            extensions=(*found.extensions, _SAN),
        )
    return found


def _names(kind: str, table: Profile, common_name: str, key: PrivateKey) -> Names:
    if kind == "server":
        return Names(common_name, None, (_general_name(parse_host(common_name)),))
    request = CertificateRequest(public_key=key.public_key(), common_name=common_name)
    if kind == "identity":
        # IEEE 802.1AR wants a serialNumber in the subject; the scripts give none, and no service asks for it.
        table = replace(table, subject=replace(table.subject, serial_number=Presence.OPTIONAL))
    names = names_of(table, request)
    host = _host(common_name) if table.row(SUBJECT_ALTERNATIVE_NAME) else None
    return replace(names, alternative=(_general_name(host),)) if host is not None else names


def _host(text: str) -> Host | None:
    try:
        return parse_host(text)
    except NameFormatError:
        return None


def _general_name(host: Host) -> x509.GeneralName:
    return x509.DNSName(host.text) if isinstance(host, HostName) else x509.IPAddress(host)


def _validity(signer: Signer | None, now: datetime, lifetime: timedelta) -> Validity:
    if signer is None:
        return Validity.starting(now, lifetime, None)
    windows = [Validity.starting(now, lifetime, Validity.of(above)) for above in signer.chain]
    return Validity(max(one.not_before for one in windows), min(one.not_after for one in windows))


def _builder(
    table: Profile,
    names: Names,
    key: PrivateKey,
    signer: Signer | None,
    *,
    validity: Validity,
    now: datetime,
    serial: int,
) -> x509.CertificateBuilder:
    public_key = key.public_key()
    by = own_key_identifier(public_key) if signer is None else authority_key_identifier(signer.chain.leaf)
    builder = (
        x509.CertificateBuilder()
        .subject_name(names.subject)
        .issuer_name(names.subject if signer is None else signer.chain.leaf.subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
    )
    for value, critical in extensions(
        table, names, public_key, authority=by, validity=validity, now=now, path_length=table.path_length
    ):
        builder = builder.add_extension(value, critical)
    return builder


def _judge(chain: Chain, kind: str, table: Profile, names: Names, now: datetime) -> None:
    purpose: Purpose = "ca" if table.ca else "server" if kind == "server" else "client"
    context = Context(
        chain=chain,
        now=now,
        host=parse_host(names.common_name) if kind == "server" and names.common_name else None,
        purpose=purpose,
        depth_below=(path_length(chain.leaf) or 0) if table.ca else 0,
    )
    refuse(context, _RULES)

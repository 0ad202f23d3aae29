"""What a registry and a certificate say of the device that a connection string names."""

import hmac
from collections.abc import Iterator

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from leafward.doctor.noted import Noted
from leafward.pki.chain import fingerprint, is_self_signed
from leafward.pki.extension import common_names
from leafward.pki.link import Link
from leafward.pki.paths import Pool, candidate_paths
from leafward.store.identity import Identity
from leafward.wire.connection_string import ConnectionString

_SHOW = "leafward device show ID --secrets --json prints what the leaf is to be told"


def identity_faults(
    told: ConnectionString, identity: Identity | None, client: tuple[x509.Certificate, ...]
) -> Iterator[Noted]:
    """Whether the device may come in, and with what. `identity` None: it is not registered."""
    label = told.device_id if told.module_id is None else f"{told.device_id}/{told.module_id}"
    if identity is None:
        yield Noted(
            code="device-unknown",
            got=f"no identity {label!r} in the registry",
            expected="one of exactly this id",
            who="operator",
            fix=f"leafward device list shows the ids; leafward device add {told.device_id} registers it.",
        )
        return
    if not identity.enabled:
        yield Noted(
            code="device-disabled",
            got=f"{label} is disabled",
            expected="an identity that is enabled",
            who="operator",
            fix=f"leafward device enable {told.device_id}",
        )
    yield from _credential(told, identity)
    if identity.auth == "x509-thumbprint" and client:
        yield from _thumbprint(identity, client[0])


def _credential(told: ConnectionString, identity: Identity) -> Iterator[Noted]:
    keys = [key for key in (identity.primary_key, identity.secondary_key) if key is not None]
    given = told.shared_access_key
    if given is not None and not any(hmac.compare_digest(given, key) for key in keys):
        got = (
            "another key than the registered ones"
            if keys
            else f"a key, where the device is registered by {identity.auth}"
        )
        yield Noted(
            code="sas-signature-wrong",
            got=got,
            expected="the primary or secondary key of the device" if keys else "its client certificate",
            who="leaf",
            fix=f"Put the registered credential into the leaf's settings: {_SHOW}.",
        )
    if told.x509 and identity.auth == "sas":
        yield Noted(
            code="credential-missing",
            got="x509=true, where the device is registered with a key",
            expected="SharedAccessKey=…",
            who="leaf",
            fix=f"Use the connection string with the key: {_SHOW}.",
        )


def _thumbprint(identity: Identity, certificate: x509.Certificate) -> Iterator[Noted]:
    registered = [one for one in (identity.primary_thumbprint, identity.secondary_thumbprint) if one is not None]
    own = {fingerprint(certificate), certificate.fingerprint(hashes.SHA1()).hex()}  # noqa: S303 - as IoT Hub keeps them
    if not own & set(registered):
        yield Noted(
            code="thumbprint-mismatch",
            got=fingerprint(certificate),
            expected=" or ".join(registered),
            who="operator",
            fix=f"Register the certificate that the device has: leafward device remove {identity.device_id}, then "
            "leafward device add with --auth x509-thumbprint.",
            certificate=fingerprint(certificate),
        )


def certificate_faults(
    told: ConnectionString,
    identity: Identity | None,
    client: tuple[x509.Certificate, ...],
    anchors: tuple[x509.Certificate, ...],
    more: tuple[x509.Certificate, ...],
) -> Iterator[Noted]:
    """What a hub that trusts `anchors` has against the chain that the device sends. `more` are other CAs at hand."""
    by_thumbprint = identity is not None and identity.auth == "x509-thumbprint"
    names = common_names(client[0])
    if told.device_id not in names and not by_thumbprint:
        yield Noted(
            code="common-name-not-device-id",
            got=", ".join(names) or "no common name",
            expected=told.device_id,
            who="maker",
            fix=f"Issue the certificate for the id: leafward ca leaf {told.device_id}; or connect as the id it has.",
            certificate=fingerprint(client[0]),
        )
    if not by_thumbprint and not is_self_signed(client[0]):
        yield from _incomplete(client, anchors, more)


def _incomplete(
    client: tuple[x509.Certificate, ...], anchors: tuple[x509.Certificate, ...], more: tuple[x509.Certificate, ...]
) -> Iterator[Noted]:
    roots = Pool(anchors)
    if next(candidate_paths(client[0], Pool(client[1:]), roots), None) is not None:
        return
    completed = bool(anchors) and next(candidate_paths(client[0], Pool((*client[1:], *more)), roots), None) is not None
    top = _top(client)
    if not completed and (is_self_signed(top) or len(client) > 1):
        return  # another fault of the chain, which has a rule of its own
    yield Noted(
        code="client-chain-incomplete",
        severity="error" if completed or anchors else "warning",
        got=f"{len(client)} certificate{'s' if len(client) > 1 else ''}, the last issued by "
        f"{top.issuer.rfc4514_string()!r}",
        expected="every certificate from the device's own up to a CA that the hub trusts",
        who="leaf",
        fix="Put the CAs above it behind the device's certificate in one file, and give the SDK that file: "
        "cat DEVICE CA… > CHAIN.",
        certificate=fingerprint(client[0]),
    )


def _top(client: tuple[x509.Certificate, ...]) -> x509.Certificate:
    """As far up as what is sent leads."""
    top, left = client[0], list(client[1:])
    while issuer := next((one for one in left if Link(top, one).signed), None):
        left.remove(issuer)
        top = issuer
    return top

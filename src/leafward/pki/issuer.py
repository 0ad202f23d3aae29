"""Issuer: prepare (check, and let the rules judge a throw-away copy) -> sign once.

What is signed is what was checked: `Prepared` holds the finished builder and compares what the key signed with the copy
the rules saw. The issuer's key is a handle; it is asked for its public half and for a signature, never for its bytes.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Self

from cryptography import x509

from leafward.errors import RequestError, RuleViolation
from leafward.pki.admission import RSA_2048_RULE, check_chain, check_key_belongs, check_rsa_2048, check_serial
from leafward.pki.chain import Chain
from leafward.pki.constraints import Restrictions, are_constrained
from leafward.pki.contents import (
    Names,
    authority_key_identifier,
    extensions,
    names_of,
    own_key_identifier,
    restrictions_of,
)
from leafward.pki.extension import path_length as path_length_of
from leafward.pki.issuer_kind import check_issuer_kind
from leafward.pki.key_types import PrivateKey, key_type_of
from leafward.pki.prepared import Prepared
from leafward.pki.profile import OCSP_SIGNING, SERVER_AUTH, Profile
from leafward.pki.profiles import profile as profile_of
from leafward.pki.rehearsal import shadow_of, signed_by_throw_away
from leafward.pki.request import CertificateRequest, check_key
from leafward.pki.rule import Context, Purpose
from leafward.pki.rules import RULES, refuse
from leafward.pki.rules.post_quantum_chain import CODE as POST_QUANTUM_RULE
from leafward.pki.validity import FOREVER, Validity


class Issuer:
    """A CA certificate with its chain and the handle of its key.

    `kind` says which kind of CA it is where the caller knows; without it, the certificate is asked.
    Raises `RuleViolation`: "key-mismatch" where the key is not the certificate's, "chain-out-of-order" or
    "signature-invalid" where the chain does not hold together.
    """

    def __init__(self, chain: Chain, key: PrivateKey, *, kind: str | None = None) -> None:
        self.chain = chain
        self._key = key
        self._kind = kind
        self.key_type = key_type_of(key.public_key())
        check_key_belongs(chain.leaf, key.public_key())
        check_chain(chain)

    def __repr__(self) -> str:
        return f"<Issuer {self.chain.leaf.subject.rfc4514_string()!r}>"

    @property
    def key(self) -> PrivateKey:
        """The handle of the CA's key, for those who sign for this CA elsewhere: a lot's certificates, CRLs, answers."""
        return self._key

    @classmethod
    def self_signed_root(
        cls,
        key: PrivateKey,
        *,
        common_name: str,
        now: datetime,
        serial: int,
        lifetime: timedelta | None = None,
        path_length: int | None = None,
    ) -> Self:
        """A new root, signed and ready to issue."""
        root = prepare_root(
            key, common_name=common_name, now=now, serial=serial, lifetime=lifetime, path_length=path_length
        )
        return cls(root.sign(), key, kind="root_ca")

    def prepare(
        self,
        profile: Profile,
        request: CertificateRequest,
        *,
        now: datetime,
        serial: int,
        lifetime: timedelta | None = None,
        path_length: int | None = None,
        allow_rsa_2048_after_2030: bool = False,
        allow_post_quantum_server: bool = False,
    ) -> Prepared:
        """A certificate of a kind for a request, checked and judged, ready to be signed once.

        `now` is aware UTC; `lifetime` None is the profile's, and each is capped by the issuer's end. `path_length` is
        for kinds that leave it open; without it, it is one less than the issuer's, or none. A server certificate below
        an ML-DSA key, which no TLS 1.2 client verifies, is made with `allow_post_quantum_server` only.

        Raises `RequestError`, `NameFormatError` for what the request may not ask, `RuleViolation` for what a rule
        refuses: nothing has been signed then.
        """
        check_serial(serial)
        validity = self._validity(profile, now, lifetime)
        builder = _builder(
            profile,
            request,
            self._names(profile, request),
            restrictions=restrictions_of(profile, request, self.chain.leaf),
            issuer_name=self.chain.leaf.subject,
            authority=self._authority,
            validity=validity,
            now=now,
            serial=serial,
            path_length=_path_length(profile, path_length, path_length_of(self.chain.leaf)),
        )
        check_rsa_2048(request.public_key, validity, allow_rsa_2048_after_2030)
        rehearsal = signed_by_throw_away(builder, self.key_type)
        chain = Chain((rehearsal, *self._shadow))
        allowed = {RSA_2048_RULE: allow_rsa_2048_after_2030, POST_QUANTUM_RULE: allow_post_quantum_server}
        _judge(chain, profile, request, now, allowed)
        check_issuer_kind(profile, self.chain.leaf, self._kind)
        return Prepared(builder, self._key, self.key_type, rehearsal=rehearsal, issuer=self.chain)

    @cached_property
    def _shadow(self) -> Chain:
        return shadow_of(self.chain)

    @cached_property
    def _authority(self) -> x509.AuthorityKeyIdentifier:
        return authority_key_identifier(self.chain.leaf)

    def _names(self, profile: Profile, request: CertificateRequest) -> Names:
        """The names, without an address as common name where a CA above is fenced: OpenSSL would take it for a DNS
        name outside of the fence. Servers are called by their SAN.
        """
        names = names_of(profile, request)
        addressed = any(
            isinstance(one, x509.IPAddress) and str(one.value) == names.common_name for one in names.alternative
        )
        return replace(names, common_name=None) if addressed and are_constrained(self.chain) else names

    def _validity(self, profile: Profile, now: datetime, lifetime: timedelta | None) -> Validity:
        """Inside the window of every certificate above: a chain ends with the first of its certificates that ends."""
        asked = _lifetime(profile, lifetime)
        windows = [Validity.starting(now, asked, Validity.of(certificate)) for certificate in self.chain]
        left = Validity.of(self.chain.leaf).not_after - now
        if left <= profile.issuer_margin:
            why = f"{int(left.total_seconds())} seconds left, expected more than {profile.issuer_margin}"
            hint = "renew the device CA: leafward ca device"
            raise RuleViolation("device-ca-expiring", "the device CA is about to expire", why=why, hint=hint)
        return Validity(max(one.not_before for one in windows), min(one.not_after for one in windows))


def prepare_root(
    key: PrivateKey,
    *,
    common_name: str,
    now: datetime,
    serial: int,
    lifetime: timedelta | None = None,
    path_length: int | None = None,
    allow_rsa_2048_after_2030: bool = False,
    whole_name: x509.Name | None = None,
) -> Prepared:
    """A self-signed root CA; `lifetime` FOREVER gives one without an end. Raises as `Issuer.prepare`.

    `whole_name` is the subject where it is more than the common name: another root's, whose place this one takes.
    """
    return _prepare_self_signed(
        profile_of("root_ca"),
        key,
        common_name,
        now=now,
        serial=serial,
        lifetime=lifetime,
        path_length=path_length,
        allow_rsa_2048_after_2030=allow_rsa_2048_after_2030,
        whole_name=whole_name,
    )


def prepare_self_signed_leaf(
    key: PrivateKey, *, common_name: str, now: datetime, serial: int, lifetime: timedelta | None = None
) -> Prepared:
    """A leaf device's certificate signed by its own key, for a hub that knows it by its thumbprint."""
    return _prepare_self_signed(profile_of("leaf_device"), key, common_name, now=now, serial=serial, lifetime=lifetime)


def _prepare_self_signed(
    profile: Profile,
    key: PrivateKey,
    common_name: str,
    *,
    now: datetime,
    serial: int,
    lifetime: timedelta | None,
    path_length: int | None = None,
    allow_rsa_2048_after_2030: bool = False,
    whole_name: x509.Name | None = None,
) -> Prepared:
    public_key = key.public_key()
    request = CertificateRequest(public_key=public_key, common_name=common_name)
    check_serial(serial)
    names = replace(names_of(profile, request), whole=whole_name)
    validity = Validity.starting(now, _lifetime(profile, lifetime), None)
    builder = _builder(
        profile,
        request,
        names,
        restrictions=restrictions_of(profile, request, None),
        issuer_name=names.subject,
        authority=own_key_identifier(public_key),
        validity=validity,
        now=now,
        serial=serial,
        path_length=_path_length(profile, path_length, None),
    )
    check_rsa_2048(public_key, validity, allow_rsa_2048_after_2030)
    key_type = key_type_of(public_key)
    rehearsal = signed_by_throw_away(builder, key_type)
    _judge(shadow_of(Chain.of(rehearsal)), profile, None, now, {RSA_2048_RULE: allow_rsa_2048_after_2030})
    return Prepared(builder, key, key_type, rehearsal=rehearsal, issuer=None)


def _builder(
    profile: Profile,
    request: CertificateRequest,
    names: Names,
    *,
    restrictions: Restrictions,
    issuer_name: x509.Name,
    authority: x509.AuthorityKeyIdentifier,
    validity: Validity,
    now: datetime,
    serial: int,
    path_length: int | None,
) -> x509.CertificateBuilder:
    check_key(request.public_key)
    if request.asks_for_ca and not profile.ca:
        why = f"it asks for CA:TRUE or keyCertSign, and a {profile.kind} is no CA"
        raise RequestError("the request asks to be a CA", why=why, hint="make the request without them")
    builder = (
        x509.CertificateBuilder()
        .subject_name(names.subject)
        .issuer_name(issuer_name)
        .public_key(request.public_key)
        .serial_number(serial)
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
    )
    for extension, critical in extensions(
        profile,
        names,
        request.public_key,
        authority=authority,
        validity=validity,
        now=now,
        path_length=path_length,
        restrictions=restrictions,
        pointers=request.pointers,
    ):
        builder = builder.add_extension(extension, critical)
    return builder


def _judge(
    chain: Chain, profile: Profile, request: CertificateRequest | None, now: datetime, allowed: Mapping[str, bool]
) -> None:
    """Lets every rule see the throw-away chain. A self-signed one has a shadow's key, so no key is named with it."""
    purpose = _purpose(profile)
    context = Context(
        chain=chain,
        now=now,
        host=request.hosts[0] if request and request.hosts else None,
        purpose=purpose,
        key=request.public_key if request else None,
        depth_below=(path_length_of(chain.leaf) or 0) if profile.ca else 0,
    )
    rules = tuple(rule for rule in RULES if not allowed.get(rule.code))
    refuse(context, rules)


def _purpose(profile: Profile) -> Purpose:
    if profile.ca:
        return "ca"
    if OCSP_SIGNING in profile.extended_key_usage:
        return "responder"
    return "server" if SERVER_AUTH in profile.extended_key_usage else "client"


def _lifetime(profile: Profile, asked: timedelta | None) -> timedelta:
    if asked == FOREVER and not profile.may_never_expire:
        raise RuleViolation("lifetime-invalid", f"a {profile.kind} certificate must end", hint="give a number of days")
    return profile.lifetime if asked is None else asked


def _path_length(profile: Profile, asked: int | None, issuers: int | None) -> int | None:
    if asked is not None and (asked < 0 or not profile.ca):
        raise RequestError(f"a {profile.kind} certificate cannot have the path length {asked}")
    if profile.path_length is not None:
        if asked not in (None, profile.path_length):
            why = f"got {asked}, expected {profile.path_length}"
            raise RequestError(f"the path length of a {profile.kind} is fixed", why=why, hint="leave it out")
        return profile.path_length
    if asked is not None or issuers is None or not profile.ca:
        return asked
    return max(issuers - 1, 0)

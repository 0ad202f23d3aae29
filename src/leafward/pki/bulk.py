"""BulkIssuer: the fast path of a factory line. The same certificates as `Issuer` makes, many a second.

For each kind of key, one request goes through `Issuer.prepare`: every rule judges it. What was prepared becomes a
`Template`; for each further request only what differs is checked again (serial number, name, key, whether it asks to be
a CA), put in its place, and signed by the issuer's key. A request that is unusual in any way (further names, a name
that a CA above has, a fenced CA) is prepared and signed by the ordinary path, so refusals are the same too.

A batch is worked on in steps (prepare all, sign all), because Python and OpenSSL push each other out of the processor's
cache. What the key returns is not trusted blindly: a broken HSM must be noticed. Verifying a P-256 signature takes
three times as long as making one in memory, so the first and the last of a batch and one in `CHECKED_ONE_IN` are read
back and verified before anything of the batch is returned: a key that returns garbage spoils no batch, and one that
fails now and then is found soon. The form of every signature is looked at. RSA and Ed25519 signatures are all verified,
which is cheap beside making them.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from leafward.errors import EncodingError, LeafwardError, NameFormatError, RuleViolation
from leafward.pki.admission import MAX_SERIAL_OCTETS, MIN_SERIAL_OCTETS, check_serial
from leafward.pki.bulk_request import P256, BulkRequest
from leafward.pki.chain import is_issued_by
from leafward.pki.constraints import are_constrained
from leafward.pki.der import BIT_STRING, SEQUENCE, header
from leafward.pki.extension import common_names
from leafward.pki.issuer import Issuer
from leafward.pki.key_types import DEFAULT_KEY_TYPE, KeyType, PrivateKey
from leafward.pki.names import MAX_COMMON_NAME, parse_common_name, parse_serial_number
from leafward.pki.p256_point import POINT_AT
from leafward.pki.pointers import NO_POINTERS, Pointers
from leafward.pki.prepared import Prepared
from leafward.pki.profile import Presence, Profile
from leafward.pki.rehearsal import throw_away_key
from leafward.pki.request import CertificateRequest
from leafward.pki.template import Template, bit_string
from leafward.pki.validity import Validity

CHECKED_ONE_IN = 128
_LEAST_SERIAL, _SERIALS_END = 1 << 8 * (MIN_SERIAL_OCTETS - 1) - 1, 1 << 8 * MAX_SERIAL_OCTETS - 1
_sha1 = hashlib.sha1  # names a key, protects nothing (RFC 5280 4.2.1.2)

# A request, the common name that its certificate gets whatever it says itself, and the serial number.
Asked: TypeAlias = tuple[BulkRequest, str, int]
_Unsigned: TypeAlias = tuple[Template, bytes]


class BulkIssuer:
    """Issues certificates of one profile, batch after batch.

    `now` is aware UTC and stands for every certificate: make a new issuer when time has passed. `lifetime` is as for
    `Issuer.prepare`; `pointers` are in each certificate. The first and the last signature of a batch are verified, and
    one in `checked_one_in` between them: a lone certificate always is. 1 verifies every signature; use it where the key
    is slow anyway. One thread at a time: P-256 signing gains nothing from threads. Use processes.

    Raises what `Issuer.prepare` raises where the issuer may not sign such a certificate at all: expired, not valid yet,
    of the wrong kind.
    """

    def __init__(
        self,
        issuer: Issuer,
        profile: Profile,
        *,
        now: datetime,
        lifetime: timedelta | None = None,
        checked_one_in: int = CHECKED_ONE_IN,
        pointers: Pointers = NO_POINTERS,
    ) -> None:
        self._issuer, self._profile = issuer, profile
        self._now, self._lifetime, self._pointers = now, lifetime, pointers
        self._sign = signature_maker(issuer.key, issuer.key_type)
        self._is_ec = issuer.key_type.algorithm == "ec"
        self._verify = _verifier(issuer)
        self._every = checked_one_in if self._is_ec else 1
        self._templates: dict[str, Template] = {}
        self._tails: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        self._names_above = frozenset(name.casefold() for one in issuer.chain for name in common_names(one))
        self._wants_number = profile.subject.serial_number is Presence.REQUIRED
        self._has_number = profile.subject.serial_number is not Presence.ABSENT
        self._by_template = _has_the_usual_form(profile)
        self.validity = self._rehearse()
        if are_constrained(issuer.chain):  # its fence judges names one by one
            self._by_template = False
            self._templates.clear()

    def issue(self, request: BulkRequest | CertificateRequest, common_name: str, serial: int) -> bytes:
        """The DER of one certificate, its signature verified.

        Its TBS is the one that `Issuer.prepare` makes of the same arguments. Raises what `prepare` and `sign` raise.
        """
        if not isinstance(request, BulkRequest):
            request = BulkRequest.of(request)
        (made,) = self.issue_batch([(request, common_name, serial)])
        if isinstance(made, LeafwardError):
            raise made
        return made

    def issue_batch(self, asked: Sequence[Asked]) -> list[bytes | LeafwardError]:
        """The DER of a certificate for each request, or, in its place, why it is refused.

        Raises `RuleViolation` ("signature-invalid") where a signature is wrong, and what the key raises where it cannot
        sign: then nothing of the batch is returned, and all of it may be asked for again with other serial numbers.
        """
        prepared = self._prepare_all(asked)
        if len(prepared) == 1 and isinstance(prepared[0], tuple):
            return [self._issue_alone(prepared[0])]
        sign = self._sign
        waiting = [(at, one) for at, one in enumerate(prepared) if isinstance(one, tuple)]
        signatures = [sign(tbs) for _, (_, tbs) in waiting]
        made: list[bytes | LeafwardError | Prepared] = list(prepared)  # type: ignore[arg-type]  # tuples are replaced
        for (at, unsigned), signature in zip(waiting, signatures, strict=True):
            made[at] = self._join(unsigned, signature)
        for place in {*range(0, len(waiting), self._every), len(waiting) - 1} if waiting else ():
            at, (_, tbs) = waiting[place]
            self._check(made[at], tbs, signatures[place])
        return [_signed(one) if isinstance(one, Prepared) else one for one in made]

    def _issue_alone(self, unsigned: _Unsigned) -> bytes:
        """What a batch of one comes to."""
        signature = self._sign(unsigned[1])
        made = self._join(unsigned, signature)
        self._check(made, unsigned[1], signature)
        return made

    def _prepare_all(self, asked: Sequence[Asked]) -> list[_Unsigned | Prepared | LeafwardError]:
        """What `_prepare` makes of each, with a short way for the plainest."""
        prepared: list[_Unsigned | Prepared | LeafwardError] = []
        template, above, no_number = self._templates.get(P256), self._names_above, not self._wants_number
        for request, name, serial in asked:
            if (
                template is not None
                and no_number
                and request.key_type == P256
                and request.plain
                and request.serial_number is None
                and not request.asks_for_ca
                and name.isascii()
                and _is_plain(name)
                and name.casefold() not in above
                and _LEAST_SERIAL <= serial < _SERIALS_END
            ):
                spki = request.spki
                key_id = _sha1(spki[POINT_AT:], usedforsecurity=False).digest()
                number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
                prepared.append((template, template.fill(number, name.encode(), spki, key_id)))
            else:
                prepared.append(self._prepare(request, name, serial))
        return prepared

    def _prepare(self, request: BulkRequest, common_name: str, serial: int) -> _Unsigned | Prepared | LeafwardError:
        """A TBS that waits for its signature; by the ordinary path a `Prepared`; or a refusal."""
        try:
            template = self._templates.get(request.key_type) or self._make_template(request, common_name, serial)
            if template is None or not self._is_usual(request, common_name):
                return self._ordinary(request, common_name, serial)
            if not _LEAST_SERIAL <= serial < _SERIALS_END:
                check_serial(serial)
        except LeafwardError as refusal:
            return refusal
        spki, number = request.spki, request.serial_number
        octets = spki[POINT_AT:] if request.key_type == P256 else bit_string(spki)
        tbs = template.fill(
            serial.to_bytes(serial.bit_length() // 8 + 1, "big"),
            common_name.encode(),
            spki,
            _sha1(octets, usedforsecurity=False).digest(),
            None if number is None else number.encode(),
        )
        return template, tbs

    def _join(self, unsigned: _Unsigned, signature: bytes) -> bytes:
        """A whole certificate (RFC 5280 4.1)."""
        template, tbs = unsigned
        if self._is_ec and (signature[:1] != b"\x30" or signature[1] != len(signature) - 2):
            raise _wrong_signature("it is no ECDSA signature")
        sizes = (len(tbs), len(signature))
        around = self._tails.get(sizes)
        if around is None:
            tail = template.algorithm + header(BIT_STRING, sizes[1] + 1) + b"\x00"
            around = self._tails[sizes] = header(SEQUENCE, sizes[0] + len(tail) + sizes[1]), tail
        return b"".join((around[0], tbs, around[1], signature))

    def _check(self, der: object, tbs: bytes, signature: bytes) -> None:
        """Reads a certificate back and verifies it with the issuer's public key."""
        assert isinstance(der, bytes)
        try:
            certificate = x509.load_der_x509_certificate(der)
        except ValueError as error:
            raise _wrong_signature(f"the certificate does not read back: {error}") from error
        # What was read back is what was signed, or the signature of something else would be looked at.
        same = certificate.tbs_certificate_bytes == tbs and certificate.signature == signature
        if not (same and self._verify(certificate, tbs, signature)):
            raise _wrong_signature("it does not verify with the issuer's public key")

    def _is_usual(self, request: BulkRequest, name: str) -> bool:
        """Whether nothing about a request needs a rule's judgement but what the template's request has shown."""
        if not (request.plain and _is_plain(name)) or name.casefold() in self._names_above:
            return False
        if request.asks_for_ca and not self._profile.ca:
            return False
        if request.serial_number is None:
            return not self._wants_number
        return self._has_number and parse_serial_number(request.serial_number) == request.serial_number

    def _rehearse(self) -> Validity | None:
        """Shows the rules a certificate of this kind before anybody asks for one; its window of time.

        None where the profile's form is not known: then its window is not known either before it is made.
        """
        if not self._by_template:
            return None
        name = next(name for name in ("a", "b", "c", "d", "e", "f", "g", "h", "i") if name not in self._names_above)
        key = throw_away_key(DEFAULT_KEY_TYPE).public_key()
        number = "1" if self._wants_number else None
        request = BulkRequest.of(CertificateRequest(public_key=key, serial_number=number))
        return Validity.of(self._keep_template(request, self._ordinary(request, name, _LEAST_SERIAL)).rehearsal)

    def _make_template(self, request: BulkRequest, common_name: str, serial: int) -> Template | None:
        """The template for a further kind of key; None where the ordinary path has to do it."""
        if not self._by_template:
            return None
        self._keep_template(request, self._ordinary(request, common_name, serial))
        return self._templates.get(request.key_type)

    def _keep_template(self, request: BulkRequest, prepared: Prepared) -> Prepared:
        try:
            self._templates[request.key_type] = Template.of(prepared.rehearsal.tbs_certificate_bytes)
        except EncodingError:
            self._by_template = False
        return prepared

    def _ordinary(self, request: BulkRequest, common_name: str, serial: int) -> Prepared:
        named = replace(request.in_full(), common_name=common_name, pointers=self._pointers)
        return self._issuer.prepare(self._profile, named, now=self._now, serial=serial, lifetime=self._lifetime)


def signature_maker(key: PrivateKey, key_type: KeyType) -> Callable[[bytes], bytes]:
    """Signs octets as the certificate builder would: with the hash that goes with the key."""
    digest = key_type.signature_hash
    if isinstance(key, ec.EllipticCurvePrivateKey):
        assert digest is not None
        ecdsa = ec.ECDSA(digest)
        return lambda data: key.sign(data, ecdsa)
    if isinstance(key, rsa.RSAPrivateKey):
        assert digest is not None
        pkcs1 = padding.PKCS1v15()
        return lambda data: key.sign(data, pkcs1, digest)
    return key.sign


def _verifier(issuer: Issuer) -> Callable[[x509.Certificate, bytes, bytes], bool]:
    """Whether the issuer signed: of (certificate, its TBS, its signature). An EC key is kept: reading it from the
    issuer's certificate each time takes as long as making a signature.
    """
    public, digest = issuer.chain.leaf.public_key(), issuer.key_type.signature_hash
    if not isinstance(public, ec.EllipticCurvePublicKey) or digest is None:
        return lambda certificate, _tbs, _signature: is_issued_by(certificate, issuer.chain.leaf)
    verify, ecdsa = public.verify, ec.ECDSA(digest)

    def verifies(_: x509.Certificate, tbs: bytes, signature: bytes) -> bool:
        try:
            verify(signature, tbs, ecdsa)
        except InvalidSignature:
            return False
        return True

    return verifies


def _signed(prepared: Prepared) -> bytes:
    return prepared.sign().leaf.public_bytes(Encoding.DER)


def _is_plain(name: str) -> bool:
    """Whether a name is a common name as it stands. The ordinary path says what is wrong with others."""
    if name.isascii():
        # A wildcard is no name of a device.
        usual = 0 < len(name) <= MAX_COMMON_NAME and name.isprintable() and "*" not in name
        return usual and name[0] != " " and name[-1] != " "
    try:
        parse_common_name(name)
    except NameFormatError:
        return False
    return True


def _has_the_usual_form(profile: Profile) -> bool:
    row = profile.subject
    asked = (row.hosts, row.extra_dns, row.uris)
    return not row.from_host and row.common_name is not Presence.ABSENT and Presence.REQUIRED not in asked


def _wrong_signature(why: str) -> RuleViolation:
    hint = "check the key's device or file; nothing of this batch was handed out"
    return RuleViolation("signature-invalid", "the key made a wrong signature", why=why, hint=hint)

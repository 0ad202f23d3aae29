"""The receipt of a wipe: what a device says that it destroyed, signed by its device CA, checked with the root alone.

    -----BEGIN CMS-----            SignedData (`signed_data`): the statement below as JSON; the device CA's chain up to
                                   the root; the list by which the device CA retires what hung below it

The statement names keys and certificates by their digests and counts everything else: it tells a buyer nothing of what
the former owner called the gateway, its modules or its leaf devices.

A receipt proves who speaks, and that nothing of it was changed. It is the device's own statement: whoever has the
device's rights can have it signed, and nobody can prove by a signature that no copy of a key was made before.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from leafward.errors import EncodingError
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.extension import common_names, unreadable
from leafward.pki.issuer import Issuer
from leafward.pki.paths import Path, Pool, candidate_paths, likeliest_path
from leafward.pki.pem import read_blocks, write_block
from leafward.pki.rule import Context
from leafward.pki.rules import check
from leafward.pki.signed_data import SignedData, decode, encode, sign_data
from leafward.pki.verify import Verdict

LABEL = "CMS"
# A workload CA hung below the device CA.
_DEPTH_BELOW = 1

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=256)]
Number = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class DestroyedKey(_Part):
    """A private key that is gone: what it was for, SHA-256 of its public half, and of its certificate if it had one."""

    kind: Text
    key: Sha256 | None = None
    certificate: Sha256 | None = None


class RetiredCertificate(_Part):
    """A certificate that the list retires: its digest and serial number (hexadecimal)."""

    kind: Text
    sha256: Sha256
    serial: Annotated[str, Field(pattern=r"^[0-9a-f]{1,40}$")]


class Statement(_Part):
    """What the device says. Times are aware UTC, by the device's clock, or by its time floor where `clock_behind`.

    `owner_epoch` is the number of the owner whose time ended; `counts` how many of each there were, None where a
    database did not read; `retired` the workload CAs on the list and `retired_leaf_certificates` how many others are;
    `chain` the device CA's certificates up to the root by digest; `challenge` the buyer's text, if there was one.
    """

    format: Literal["leafward wipe receipt"] = "leafward wipe receipt"
    version: Literal[1] = 1
    device: Text
    development: bool
    owner_epoch: Annotated[int, Field(ge=1)]
    begun: AwareDatetime
    finished: AwareDatetime
    clock_behind: bool
    challenge: Text | None = None
    keys: tuple[DestroyedKey, ...]
    counts: dict[Text, Number | None]
    retired: tuple[RetiredCertificate, ...]
    retired_leaf_certificates: Number
    crl_number: Annotated[int, Field(ge=1)]
    crl_sha256: Sha256
    chain: tuple[Sha256, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt that reads; nothing of it is believed yet (see `judge_receipt`)."""

    statement: Statement
    signed: SignedData
    crl: x509.CertificateRevocationList

    @property
    def device_ca(self) -> x509.Certificate:
        """Who says it signed."""
        return self.signed.chain.leaf


def sign_receipt(statement: Statement, device_ca: Issuer, crl: bytes) -> bytes:
    """The receipt as a PEM file. `crl` is DER. Raises what `sign_data` raises."""
    return write_block(LABEL, encode(sign_data(statement.model_dump_json().encode(), device_ca, crl)))


def device_name(device_ca: x509.Certificate) -> str:
    """What a statement calls the device: the device CA's common name, or nothing."""
    return next(iter(common_names(device_ca)), "")


def read_receipt(data: bytes) -> Receipt:
    """Reads a receipt, strictly: no byte can be another, before, in or after it. Raises `EncodingError`."""
    blocks = read_blocks(data)
    if len(blocks) != 1 or blocks[0].label != LABEL:
        raise EncodingError(
            "this is no receipt", why=f"got {blocks[0].name}, expected one PEM block of the kind {LABEL}"
        )
    if write_block(LABEL, blocks[0].data) != data:
        raise EncodingError("the receipt was changed", why="there is text around it, or its lines were broken anew")
    signed = decode(blocks[0].data)
    try:
        return Receipt(Statement.model_validate_json(signed.content), signed, x509.load_der_x509_crl(signed.crl))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        why = f"{'.'.join(map(str, first['loc'])) or 'statement'}: {first['msg']}"
        raise EncodingError(
            "the receipt's statement cannot be read", why=why, hint="ask for a newer leafward"
        ) from error
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise EncodingError("the receipt's revocation list does not decode", why=str(error) or None) from error


def judge_receipt(
    receipt: Receipt,
    anchors: Sequence[x509.Certificate],
    *,
    now: datetime,
    crls: Sequence[x509.CertificateRevocationList] = (),
    challenge: str | None = None,
) -> Verdict:
    """Whether the receipt is a device's of this root. `now` is aware UTC: the chain must be valid then.

    `crls` are the maker's lists, if they are to be asked; `challenge` is what the statement must hold. The verdict's
    path is the device CA's. Rules are those of `verify`, and "receipt-signature", "receipt-statement", "receipt-list",
    "receipt-challenge".
    """
    fault = next(_faults(receipt, challenge), None)
    if fault is not None:
        return Verdict(False, fault[1], fault[0])
    return _judge_chain(receipt.signed.chain, tuple(anchors), now, tuple(crls))


def _faults(receipt: Receipt, challenge: str | None) -> Iterator[tuple[str, str]]:
    """(rule, reason) of what is wrong with the receipt by itself, the signature first."""
    said = receipt.statement
    if not receipt.signed.is_signed:
        yield (
            "receipt-signature",
            "the signature is not the device CA's: the statement was changed, or another signed it",
        )
    if said.chain != tuple(fingerprint(one) for one in receipt.signed.chain):
        yield "receipt-statement", "the chain in the receipt is not the one that the statement names"
    if device_name(receipt.device_ca) != said.device:
        yield "receipt-statement", f"the statement is of {said.device!r}, and the device CA is another's"
    yield from _list_faults(receipt)
    if challenge is not None and said.challenge != challenge:
        yield (
            "receipt-challenge",
            f"the statement answers another challenge: got {said.challenge!r}, expected {challenge!r}",
        )


def _list_faults(receipt: Receipt) -> Iterator[tuple[str, str]]:
    said, crl = receipt.statement, receipt.crl
    if hashlib.sha256(receipt.signed.crl).hexdigest() != said.crl_sha256:
        yield "receipt-list", "the revocation list is not the one that the statement names"
    if not _is_list_of(crl, receipt.device_ca):
        yield "receipt-list", "the revocation list is not signed by the device CA"
        return
    if (number := _number(crl)) != said.crl_number:
        yield "receipt-list", f"the revocation list has another number: got {number}, expected {said.crl_number}"
    for one in said.retired:
        if crl.get_revoked_certificate_by_serial_number(int(one.serial, 16)) is None:
            yield "receipt-list", f"the revocation list does not retire the {one.kind} with the serial {one.serial}"


def _is_list_of(crl: x509.CertificateRevocationList, device_ca: x509.Certificate) -> bool:
    try:
        key = device_ca.public_key()
        return crl.issuer == device_ca.subject and crl.is_signature_valid(key)  # type: ignore[arg-type]  # CA keys sign
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _number(crl: x509.CertificateRevocationList) -> int | None:
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (x509.ExtensionNotFound, ValueError):
        return None


def _judge_chain(
    chain: Chain, anchors: Path, now: datetime, crls: tuple[x509.CertificateRevocationList, ...]
) -> Verdict:
    """The device CA by the rules for a CA that signs. `verify` judges TLS peers, and the library knows nothing else."""
    material, roots = Pool(chain.issuers), Pool(one for one in anchors if not unreadable(one))
    paths = list(candidate_paths(chain.leaf, material, roots)) or [likeliest_path(chain.leaf, material, roots)]
    refused: Verdict | None = None
    for path in paths:
        question = Context(
            chain=Chain(path), now=now, anchors=roots.certificates, purpose="ca", crls=crls, depth_below=_DEPTH_BELOW
        )
        error = next((finding for finding in check(question) if finding.severity == "error"), None)
        if error is None and question.anchored:
            return Verdict(True, path=path)
        reason = "the chain does not end at a trusted root" if error is None else error.reason
        refused = refused or Verdict(False, reason, "root-not-trusted" if error is None else error.code)
    assert refused is not None
    return refused

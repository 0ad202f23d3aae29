"""What is carried between a machine online and the one that holds the root key: a folder on a stick.

    request.json     what is to be signed: for each request its file, digest, profile, name and limits
    1-NAME.csr       PKCS#10 requests; they prove that their senders hold the keys
    response.json    what was signed: for each request its file and digest, and the digest of request.json
    1-NAME.pem       the signed chains, leaf first
    NAME-7.crl       the revocation lists that were asked for, DER
    transcript.txt   the written record of the machine that signed
    transcript.tlog-proof   the proof that it is in that machine's issuance log, which is signed

Nothing secret is on it. Whoever finds or swaps it can replace what is asked for, so the digest of request.json is read
on the first machine, carried on paper, and compared on the second.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from leafward import disk
from leafward.errors import AlreadyExists, Damaged, EncodingError, NotFound
from leafward.pki.chain import Chain
from leafward.pki.request import MAX_REQUEST, CertificateRequest

REQUEST = "request.json"
RESPONSE = "response.json"
TRANSCRIPT = "transcript.txt"
PROOF = "transcript.tlog-proof"
MAX_ITEMS = 1000
MAX_REVOKED = 10_000

# A plain file name: what stands in a bundle must not lead out of its folder.
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FileName = Annotated[str, StringConstraints(pattern=f"^{_FILE.pattern}$")]
_Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
_Serial = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{1,40}$")]
_KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{2,128}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_Bundle = TypeVar("_Bundle", bound=_Part)


class Item(_Part):
    """One certificate that is asked for. What it names is for the signer to judge, as any request."""

    file: _FileName
    sha256: _Sha256
    profile: str
    name: str
    days: int | None = Field(default=None, ge=1)
    path_length: int | None = Field(default=None, ge=0)
    permit_dns: list[str] = []
    permit_ip: list[str] = []
    policies: list[str] = []
    serial_number: str | None = None

    @property
    def lifetime(self) -> timedelta | None:
        """How long it shall live; None: as its profile says."""
        return None if self.days is None else timedelta(days=self.days)


class Revoked(_Part):
    """A certificate that is to be revoked: its serial number, and why, by the names of RFC 5280 5.3.1."""

    serial: _Serial
    reason: str


class ListItem(_Part):
    """The revocation lists of a CA that are asked for; `issuer` is the SHA-256 of its certificate."""

    issuer: _Sha256
    days: int | None = Field(default=None, ge=1, le=3650)
    revoke: list[Revoked] = Field(default=[], max_length=MAX_REVOKED)

    @property
    def lifetime(self) -> timedelta | None:
        """How long they shall hold; None: as the signing machine is set."""
        return None if self.days is None else timedelta(days=self.days)


class RequestBundle(_Part):
    """`request.json`. `made` is RFC 3339 in UTC."""

    format: Literal["leafward/ceremony-request/v1"] = "leafward/ceremony-request/v1"
    made: str
    machine: str
    items: list[Item] = Field(max_length=MAX_ITEMS)
    lists: list[ListItem] = Field(default=[], max_length=MAX_ITEMS)

    @classmethod
    def read(cls, stick: Path) -> Self:
        """The bundle in a folder, with every file in it compared to its digest. Raises `NotFound`, `EncodingError`,
        `Damaged`."""
        bundle = _read(cls, stick / REQUEST)
        for item in bundle.items:
            _hold(stick / item.file, item.sha256)
        return bundle

    def request_of(self, stick: Path, item: Item) -> CertificateRequest:
        """The PKCS#10 request of an item. Raises as `CertificateRequest.from_csr`."""
        return CertificateRequest.from_csr(disk.read_file(stick / item.file, limit=MAX_REQUEST))


class Signed(_Part):
    """One signed chain."""

    request: _FileName
    file: _FileName
    sha256: _Sha256


class SignedList(_Part):
    """One signed revocation list; `partition` is its part, 0 for the complete one."""

    file: _FileName
    sha256: _Sha256
    issuer_key_id: _KeyId
    partition: int = Field(ge=0)


class ResponseBundle(_Part):
    """`response.json`. `request` is the digest of the `request.json` that it answers.

    `proof` is None where the machine that signed could not sign its log.
    """

    format: Literal["leafward/ceremony-response/v1"] = "leafward/ceremony-response/v1"
    request: _Sha256
    signed: str
    machine: str
    items: list[Signed] = Field(max_length=MAX_ITEMS)
    lists: list[SignedList] = Field(default=[], max_length=MAX_ITEMS)
    transcript: _Sha256
    proof: _Sha256 | None = None

    @classmethod
    def read(cls, stick: Path) -> Self:
        """The answer in a folder, with every file compared to its digest, and that of the request it answers."""
        bundle = _read(cls, stick / RESPONSE)
        _hold(stick / REQUEST, bundle.request)
        _hold(stick / TRANSCRIPT, bundle.transcript)
        if bundle.proof is not None:
            _hold(stick / PROOF, bundle.proof)
        placed: list[Signed | SignedList] = [*bundle.items, *bundle.lists]
        for one in placed:
            _hold(stick / one.file, one.sha256)
        return bundle

    def chains(self, stick: Path) -> list[bytes]:
        """The signed chains, PEM."""
        return [disk.read_file(stick / item.file) for item in self.items]


def add_to_request(stick: Path, csr: bytes, item: Item, *, now: datetime, machine: str) -> str:
    """Puts one more request on the stick. The digest of `request.json`, for the paper.

    `item.file` and `item.sha256` are filled in here. Raises `AlreadyExists` where the stick holds an answer already.
    """
    items, lists = _asked_before(stick)
    named = re.sub(r"[^a-z0-9._]+", "-", item.name.lower()).strip("-.")[:80] or "request"
    file = f"{len(items) + 1}-{named}.csr"
    disk.make_folder(stick)
    disk.write_file(stick / file, csr, mode=disk.PUBLIC)
    placed = item.model_copy(update={"file": file, "sha256": hashlib.sha256(csr).hexdigest()})
    bundle = RequestBundle(made=f"{now:%Y-%m-%dT%H:%M:%SZ}", machine=machine, items=[*items, placed], lists=lists)
    return _write(stick / REQUEST, bundle)


def add_lists(stick: Path, item: ListItem, *, now: datetime, machine: str) -> str:
    """Asks for the revocation lists of one more CA. The digest of `request.json`, for the paper.

    Raises `AlreadyExists` where the stick holds an answer already, or asks for that CA's lists already.
    """
    items, lists = _asked_before(stick)
    if any(one.issuer == item.issuer for one in lists):
        hint = "name all that is to be revoked in one command, with a new folder"
        raise AlreadyExists(f"the lists of this CA are asked for in {stick}", hint=hint)
    disk.make_folder(stick)
    bundle = RequestBundle(made=f"{now:%Y-%m-%dT%H:%M:%SZ}", machine=machine, items=items, lists=[*lists, item])
    return _write(stick / REQUEST, bundle)


def _asked_before(stick: Path) -> tuple[list[Item], list[ListItem]]:
    if (stick / RESPONSE).exists():
        what = f"the request in {stick} has its answer"
        raise AlreadyExists(what, why=f"there is a {RESPONSE}", hint="use a new folder for what is asked next")
    if not (stick / REQUEST).exists():
        return [], []
    bundle = RequestBundle.read(stick)
    return bundle.items, bundle.lists


@dataclass(frozen=True, slots=True)
class Record:
    """What goes with an answer: the transcript, and its proof where there is one."""

    transcript: bytes
    proof: bytes | None


def write_response(
    stick: Path,
    signed: Sequence[tuple[Item, Chain]],
    record: Record,
    *,
    lists: Sequence[tuple[SignedList, bytes]] = (),
    now: datetime,
    machine: str,
) -> list[Path]:
    """Puts the signed chains, lists and the transcript on the stick, `response.json` last: then the answer is whole."""
    items, paths = [], []
    for item, chain in signed:
        path = stick / f"{item.file.removesuffix('.csr')}.pem"
        disk.write_file(path, chain.to_pem(), mode=disk.PUBLIC)
        items.append(Signed(request=item.file, file=path.name, sha256=_digest(path)))
        paths.append(path)
    for placed, der in lists:
        disk.write_file(stick / placed.file, der, mode=disk.PUBLIC)
        paths.append(stick / placed.file)
    disk.write_file(stick / TRANSCRIPT, record.transcript, mode=disk.PUBLIC)
    if record.proof is not None:
        disk.write_file(stick / PROOF, record.proof, mode=disk.PUBLIC)
    answer = ResponseBundle(
        request=_digest(stick / REQUEST),
        signed=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        machine=machine,
        items=items,
        lists=[placed for placed, _ in lists],
        transcript=_digest(stick / TRANSCRIPT),
        proof=None if record.proof is None else _digest(stick / PROOF),
    )
    _write(stick / RESPONSE, answer)
    return paths


def request_digest(stick: Path) -> str:
    """SHA-256 of `request.json`, lower-case hexadecimal."""
    return _digest(stick / REQUEST)


def _digest(path: Path) -> str:
    return hashlib.sha256(disk.read_file(path)).hexdigest()


def _hold(path: Path, expected: str) -> None:
    got = _digest(path)
    if got != expected:
        why = f"got the SHA-256 {got}, expected {expected}"
        raise Damaged(f"{path} was changed on the way", why=why, hint="do not use this stick; make the request again")


def _write(path: Path, bundle: _Part) -> str:
    data = (json.dumps(bundle.model_dump(), indent=2, ensure_ascii=False) + "\n").encode()
    disk.write_file(path, data, mode=disk.PUBLIC)
    return hashlib.sha256(data).hexdigest()


def _read(kind: type[_Bundle], path: Path) -> _Bundle:
    try:
        return kind.model_validate_json(disk.read_file(path))
    except NotFound as error:
        raise NotFound(f"there is no {path.name} in {path.parent}", why=error.why, hint="check the folder") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise EncodingError(f"{path} is not understood", why=f"{where}: {first['msg']}") from error

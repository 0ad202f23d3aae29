"""A factory line for tests: an authority, requests of devices, and a lot worked on in this process."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from leafward.authority.issuance import Issuance
from leafward.authority.lot_run import Progress
from leafward.authority.lot_sources import Item, Source
from leafward.authority.lots import Line, Lots
from leafward.store.lots import Lot, Made, Rejection
from tests.authority import hierarchy_tools as tools


def csr(name: str | None, key: Any = None, *, extensions: Sequence[x509.ExtensionType] = ()) -> bytes:
    """A request in DER with a key of its own."""
    subject = x509.Name([] if name is None else [x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)


def json_line(der: bytes, name: str | None = None) -> str:
    """A line of a JSON source."""
    return json.dumps({"csr": base64.b64encode(der).decode(), **({"name": name} if name else {})}) + "\n"


def items(*requests: bytes) -> Source:
    """A source of requests."""
    found = [Item(f"request {number}", data) for number, data in enumerate(requests)]
    return Source(iter(found), len(found))


@dataclass
class Basket:
    """A sink that keeps what it is given; `fails` is called before each delivery."""

    made: list[Made] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    settled: int = 0
    fails: Callable[[], None] = lambda: None
    seconds_unsettled: float = 0.0

    def deliver(self, made: Sequence[Made]) -> None:
        self.fails()
        self.made += made

    def reject(self, rejections: Sequence[Rejection]) -> None:
        self.rejections += rejections

    def settle(self) -> None:
        self.settled += 1

    def close(self) -> None:
        pass

    @property
    def names(self) -> list[str]:
        return sorted(one.name for one in self.made)

    def certificates(self) -> dict[str, x509.Certificate]:
        return {one.name: x509.load_der_x509_certificate(one.der) for one in self.made}


class Factory:
    """root -> Factory CA, and lots below it. The clock stands where the test puts it."""

    def __init__(self, folder: Path, database: str | None = None) -> None:
        self.issuance = Issuance(folder / "maker", database=database)
        root = tools.root(self.issuance)
        self.authority = tools.intermediate(self.issuance, "Factory CA", root)
        self.late = timedelta(0)
        self.lots = Lots(self.issuance, clock=self.clock)

    def clock(self) -> datetime:
        return tools.now() + self.late

    def open(self, quota: int = 100, kind: str = "device_ca", **more: Any) -> Lot:
        return self.lots.open(kind, quota, issuer=self.authority.name, **more)

    def issue(self, lot: Lot, source: Source, basket: Basket | None = None, **line: Any) -> tuple[Progress, Basket]:
        basket = basket or Basket()
        return self.lots.issue(self.lots.get(lot.name), source, basket, Line(0, **line)), basket

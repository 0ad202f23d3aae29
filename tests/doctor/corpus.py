"""A corpus of broken edges: chains and files with a fault, each with the cause that a diagnosis must name.

`corpus_levels` has one fault at each level of chains of two to seven certificates, `corpus_pairs` two faults at once,
`corpus_single` what the other two do not make, `corpus_files` files. All are made anew in a second or two: keys are
P-256 and kept, RSA keys are few.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cryptography import x509

from leafward.doctor.case import Case, Limits
from tests.pki.chain_forge import HOST, NOW


@dataclass(frozen=True)
class Broken:
    """A chain as it is sent, the roots that the leaf trusts, and what a diagnosis must say.

    `cause` is the code of the one cause, None where no client in its default mode refuses; `found` are codes that must
    be among the findings then (or beside the cause). `also` are causes that are right as well. `differs` says why
    OpenSSL is of another opinion; empty: it refuses where there is a cause, and accepts where there is none.
    """

    name: str
    chain: tuple[x509.Certificate, ...]
    anchors: tuple[x509.Certificate, ...]
    cause: str | None
    found: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    host: str | None = HOST
    purpose: Any = "server"
    now: datetime = NOW
    key: Any = None
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    more: tuple[x509.Certificate, ...] = ()
    limits: Limits = field(default_factory=Limits)
    special: dict[str, Any] = field(default_factory=dict)
    differs: str = ""

    @property
    def case(self) -> Case:
        """The evidence, as the engine gets it."""
        return Case(
            target=self.name,
            now=self.now,
            presented=self.chain,
            more=self.more,
            anchors=self.anchors,
            name=self.host,
            purpose=self.purpose,
            key=self.key,
            crls=self.crls,
            limits=self.limits,
            **{"clock_is_real": False, **self.special},
        )


Maker = Callable[[], "list[Broken]"]

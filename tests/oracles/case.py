"""A case: one chain before a judge, the circumstances, and the right verdict."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from cryptography import x509

from leafward.pki.chain import Chain

ACCEPTED = ""  # what a judge says of a chain that it takes; a refusal is in its own words


@dataclass(frozen=True)
class Case:
    """`purpose` is "server", "client", "responder" or "ca"; `host` is the name that a server is called by.

    `traits` are what a judge may not know: the key type, the purpose, and what is special about the case.
    """

    label: str
    chain: Chain  # leaf first, with its root
    key: Any
    purpose: str
    anchor: x509.Certificate
    now: datetime
    host: str | None = None
    good: bool = True
    traits: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def anchor_pem(self) -> bytes:
        return Chain.of(self.anchor).to_pem()

    @cached_property
    def chain_pem(self) -> bytes:
        return self.chain.to_pem()

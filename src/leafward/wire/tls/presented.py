"""What new connections are shown: one chain, and others for clients that ask for another name (SNI, RFC 6066 3).

A client that asks for no name, as one that connects to an address does, is shown the first chain; so is one that asks
for a name that nobody here has, unless such names are to be refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from OpenSSL import SSL

from leafward.pki.chain import Chain
from leafward.pki.extension import value


@dataclass(frozen=True, slots=True)
class Served:
    """A chain, leaf first, and the private key of its leaf."""

    chain: Chain
    key: Any = field(repr=False)


class Presented:
    """The chains with OpenSSL's settings for each. Immutable: a change makes another, for later connections.

    `callback` is what OpenSSL calls to choose among them; it lives as long as they do.
    """

    callback: Any = None

    def __init__(self, first: tuple[SSL.Context, Chain], others: Sequence[tuple[SSL.Context, Chain]] = ()) -> None:
        self.context, self.chain = first
        self._chains = dict((first, *others))
        self._by_name = _by_name([*others, first])

    @property
    def names(self) -> frozenset[str]:
        """Every DNS name that a certificate here has, lower-cased; one may begin with `*.`."""
        return frozenset(self._by_name)

    def find(self, name: str) -> SSL.Context | None:
        """The settings for a name, lower-cased; None where no certificate has it (RFC 9525 6.3: one label by `*`)."""
        return self._by_name.get(name) or self._by_name.get(f"*.{name.partition('.')[2]}")

    def shown_by(self, connection: SSL.Connection) -> Chain:
        """What a connection was shown, or would be if it came so far."""
        return self._chains.get(connection.get_context(), self.chain)


def names_of(certificate: x509.Certificate) -> list[str]:
    """The DNS names of a certificate, lower-cased."""
    names = value(certificate, x509.SubjectAlternativeName)
    return [] if names is None else [name.lower() for name in names.get_values_for_type(x509.DNSName)]


def _by_name(presented: Sequence[tuple[SSL.Context, Chain]]) -> Mapping[str, SSL.Context]:
    """The later one counts where two have a name."""
    return {name: context for context, chain in presented for name in names_of(chain.leaf)}

"""One CA of the maker's as a value: its short name, its chain, where its key is, and what else vouches for it."""

from dataclasses import dataclass

from leafward.errors import KeyUnavailable
from leafward.keys.key_store import KeyReference, open_key
from leafward.pki.chain import Chain
from leafward.pki.issuer import Issuer


@dataclass(frozen=True)
class Authority:
    """A CA: its chain is leaf first. `key` is None for a CA whose key is elsewhere: it signs nothing here.

    `further` are other chains that begin with the same name and key: cross-signed ones, and those it had before.
    """

    name: str
    chain: Chain
    key: KeyReference | None
    further: tuple[Chain, ...] = ()

    @property
    def is_root(self) -> bool:
        """Whether this CA is a trust anchor."""
        return len(self.chain.certificates) == 1 and self.chain.is_complete

    def issuer(self) -> Issuer:
        """This CA ready to sign. Raises `KeyUnavailable` when its key cannot be reached."""
        if self.key is None:
            raise KeyUnavailable(
                f"the authority {self.name!r} cannot sign here",
                why="only its certificate is known; its key is elsewhere",
                hint="have it signed where the key is: leafward ca intermediate --csr-out, or leafward ca ceremony",
            )
        return Issuer(self.chain, open_key(self.key))


@dataclass(frozen=True)
class Request:
    """A CA that waits: its key is here, and somebody else is to sign its PKCS#10 request (`csr`, PEM)."""

    name: str
    csr: bytes
    key: KeyReference | None

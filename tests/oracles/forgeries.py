"""Controls: chains with one fault each, which prove that a judge can say no. Beside them the same chain without fault.

root -> intermediate (pathlen 1) -> issuing CA (pathlen 0) -> end-entity
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.oracles.case import Case
from tests.oracles.keyring import Keyring
from tests.pki.chain_forge import CLIENT, SERVER, Party, ca, client, root, server, usage

HOST = "gateway.local"
KEY_TYPES = ("ec-p256", "rsa-2048")
FAULTS = (
    "wrong root",
    "intermediate for a root",
    "expired",
    "expired issuer",
    "not yet valid",
    "CA:FALSE issuer",
    "issuer without keyCertSign",
    "path length exceeded",
    "wrong purpose",
    "forged signature",
    "wrong name",
)
DAY = timedelta(days=1)


class Forge:
    """Makes the chains of one key type and one purpose, all in time but where a fault says otherwise."""

    def __init__(self, keys: Keyring, key_type: str, purpose: str, now: datetime) -> None:
        self._keys = keys
        self._key_type = key_type
        self._purpose = purpose
        self._now = now
        self.root = root("Forged Root", **self._part("root"))

    def chain(
        self,
        *,
        intermediate: dict[str, Any] | None = None,
        issuing: dict[str, Any] | None = None,
        leaf: dict[str, Any] | None = None,
    ) -> Party:
        """The end-entity of a chain; each part may be told to be otherwise."""
        above = ca(
            "Forged Intermediate", self.root, **self._part("intermediate", {"path_length": 1, **(intermediate or {})})
        )
        above = ca("Forged Issuing CA", above, **self._part("issuing", {"path_length": 0, **(issuing or {})}))
        part = self._part("end-entity", leaf or {})
        if self._purpose == "client":
            return client(above, **part)
        # NSS wants an RSA server's key to encipher, too.
        uses = usage("digital_signature", *["key_encipherment"] * self._key_type.startswith("rsa"))
        return server(above, HOST, **{"key_usage": uses, **part})

    def case(self, fault: str, party: Party, anchor: x509.Certificate | None = None, host: str = HOST) -> Case:
        """A case with a fault; without one, if its name is empty."""
        return Case(
            f"{fault or 'no fault'}, {self._purpose}, {self._key_type}",
            party.chain,
            party.key,
            self._purpose,
            anchor or self.root.certificate,
            self._now,
            host if self._purpose == "server" else None,
            good=not fault,
            traits=frozenset({self._purpose, self._key_type, fault or "no fault"}),
        )

    def cases(self) -> Iterator[Case]:
        """All of them."""
        good = self.chain()
        yield self.case("", good)
        yield self.case("wrong root", good, root("Forged Root", **self._part("other-root")).certificate)
        assert good.issuer is not None
        yield self.case("intermediate for a root", good, good.issuer.certificate)
        yield self.case("expired", self.chain(leaf={"not_after": self._now - DAY}))
        yield self.case("expired issuer", self.chain(issuing={"not_after": self._now - DAY}))
        yield self.case("not yet valid", self.chain(leaf={"not_before": self._now + 3 * DAY}))  # NSS is a day generous
        no_ca = {"ca": False, "key_usage": usage("key_cert_sign", "crl_sign")}
        yield self.case("CA:FALSE issuer", self.chain(issuing=no_ca))
        no_signer = {"key_usage": usage("crl_sign")}
        yield self.case("issuer without keyCertSign", self.chain(issuing=no_signer))
        yield self.case("path length exceeded", self.chain(intermediate={"path_length": 0}))
        other = CLIENT if self._purpose == "server" else SERVER
        yield self.case("wrong purpose", self.chain(leaf={"eku": [other]}))
        yield self.case("forged signature", _tampered(good))
        if self._purpose == "server":
            yield self.case("wrong name", good, host="other.local")

    def _part(self, role: str, more: dict[str, Any] | None = None) -> dict[str, Any]:
        key = self._keys.key(self._key_type, f"forged-{role}")
        return {"own_key": key, "not_before": self._now - 2 * DAY, "not_after": self._now + 30 * DAY, **(more or {})}


def controls(keys: Keyring) -> Iterator[Case]:
    """Every fault, with both purposes, below keys of two types."""
    now = datetime.now(UTC).replace(microsecond=0)
    for key_type in KEY_TYPES:
        for purpose in ("server", "client"):
            yield from Forge(keys, key_type, purpose, now).cases()


def _tampered(party: Party) -> Party:
    """The end-entity's signature with one bit turned."""
    der = bytearray(party.certificate.public_bytes(Encoding.DER))
    der[-1] ^= 1
    return replace(party, certificate=x509.load_der_x509_certificate(bytes(der)))

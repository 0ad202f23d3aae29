"""A development maker chain for a gateway that has none: root, one intermediate, device CA, in one step.

It plays the maker on the gateway itself, so its keys lie beside the operator's: good for development, never for a
product. Everything that shows the hierarchy says so. Each step is skipped where its result already stands, so a killed
run is finished by the next.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from leafward import disk
from leafward.authority.authorities import CERTIFICATE, Authority, short_name
from leafward.authority.delivery import deliver
from leafward.authority.issuance import Issuance, refuse_hostname
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.key_types import KeyType, parse_key_type
from leafward.pki.names import parse_common_name

# A development device CA is short-lived on purpose, as IoT Edge's own quickstart one: nobody should ship it.
DEVICE_CA_LIFETIME = timedelta(days=90)
# Says which root is this gateway's own development one; the manager looks for it (`manager/device_ca.py`).
MARK = "development.json"


@dataclass(frozen=True)
class Names:
    """The common names of a development chain."""

    root: str = "leafward development root CA"
    intermediate: str = "leafward development intermediate CA"
    device_ca: str | None = None

    def for_hostname(self, hostname: str) -> "Names":
        """With a device CA named after the host, and never the same as it: `.ca` is appended, as the scripts do."""
        return Names(self.root, self.intermediate, self.device_ca or f"{hostname}.ca"[:64])


def make_development_chain(
    maker: Path, device_ca: Path, names: Names, hostname: str, *, now: datetime, key_type: KeyType | None = None
) -> Chain:
    """The device CA's chain, made where missing: `device_ca/certificate.pem` and `device_ca/key.pem`.

    `maker` is the authority's folder. Raises `RuleViolation` when a CA would be named like the host.
    """
    named = names.for_hostname(hostname)
    device_name = parse_common_name(named.device_ca or "")
    for name in (named.root, named.intermediate, device_name):
        refuse_hostname(name, hostname)
    kind = key_type or parse_key_type("ec-p256")
    with Issuance(maker) as issuance:
        root = _existing(issuance, named.root) or issuance.root(named.root, kind, now=now)
        _mark(maker, root)
        intermediate = _existing(issuance, named.intermediate) or issuance.intermediate(
            named.intermediate, kind, now=now, issuer=root
        )
        if not (device_ca / CERTIFICATE).exists():
            deliver(
                issuance,
                "device_ca",
                device_name,
                kind,
                device_ca,
                now=now,
                issuer=intermediate,
                lifetime=DEVICE_CA_LIFETIME,
            )
    return Chain.from_pem(disk.read_file(device_ca / CERTIFICATE))


def _existing(issuance: Issuance, name: str) -> Authority | None:
    wanted = short_name(name)
    return next((authority for authority in issuance.authorities if authority.name == wanted), None)


def _mark(maker: Path, root: Authority) -> None:
    if not (maker / MARK).exists():
        mark = {"root": fingerprint(root.chain.leaf), "purpose": "development, not for production"}
        disk.write_file(maker / MARK, json.dumps(mark).encode(), mode=disk.PUBLIC)

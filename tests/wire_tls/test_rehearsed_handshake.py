"""`prove`: what a strict TLS client would say, before it is asked."""

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa

from leafward.errors import RuleViolation
from leafward.pki.names import HostName
from leafward.wire.tls.handshake import prove

NAME = HostName("iotedgegw.local")
NOW = datetime.now(UTC)


def _refusal(*arguments: Any, **options: Any) -> RuleViolation:
    with pytest.raises(RuleViolation) as caught:
        prove(*arguments, **options)
    return caught.value


def test_good_chain(hub: Any) -> None:
    """root -> device CA -> workload CA -> iotedgegw.local: accepted, with and without a time."""
    prove(hub, hub.key, [hub.root], NAME)
    prove(hub, hub.key, [hub.root], NAME, now=NOW)


def test_address(kit: Any, workload_ca: Any) -> None:
    """The SAN holds an address, and leaf devices connect to it."""
    by_address = kit.make("gateway", workload_ca, san="192.0.2.7")
    prove(by_address, by_address.key, [by_address.root], ipaddress.ip_address("192.0.2.7"))
    refusal = _refusal(by_address, by_address.key, [by_address.root], ipaddress.ip_address("192.0.2.8"))
    assert refusal.code == "hostname-mismatch"


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)])
def test_other_keys(kit: Any, workload_ca: Any, key: Any) -> None:
    other = kit.make(kit.HOST, workload_ca, key=key)
    prove(other, other.key, [other.root], NAME, now=NOW)


def test_ml_dsa(kit: Any) -> None:
    """root (ML-DSA-65) -> hub (ML-DSA-65): the standard library's OpenSSL may not know it, ours does."""
    root = kit.make("Root", ca=True, key=mldsa.MLDSA65PrivateKey.generate())
    other = kit.make(kit.HOST, root, key=mldsa.MLDSA65PrivateKey.generate())
    prove(other, other.key, [other.root], NAME, now=NOW)
    assert _refusal(other, other.key, [root.leaf], HostName("x.local")).code == "hostname-mismatch"


def test_another_name(hub: Any) -> None:
    refusal = _refusal(hub, hub.key, [hub.root], HostName("other.local"))
    assert refusal.code == "hostname-mismatch"
    assert refusal.hint


def test_another_root(kit: Any, hub: Any) -> None:
    assert _refusal(hub, hub.key, [kit.make("Test Root 2", ca=True).leaf], NAME).code == "root-not-trusted"


def test_an_intermediate_is_no_root(hub: Any) -> None:
    """Only the device CA is trusted: strict clients want the self-signed root (they build no partial chains)."""
    assert _refusal(hub, hub.key, [hub.certificates[2]], NAME).code in {"intermediate-missing", "root-not-trusted"}


def test_missing_intermediate(kit: Any, hub: Any) -> None:
    """The workload CA is not presented."""
    gap = kit.Held((hub.leaf, *hub.certificates[2:]), hub.key)
    assert _refusal(gap, gap.key, [hub.root], NAME).code == "intermediate-missing"


def test_another_key(hub: Any) -> None:
    assert _refusal(hub, ec.generate_private_key(ec.SECP256R1()), [hub.root], NAME).code == "key-mismatch"


def test_not_a_ca(kit: Any, workload_ca: Any) -> None:
    """A server certificate signs another one."""
    impostor = kit.make("impostor", workload_ca)
    below = kit.make(kit.HOST, impostor)
    assert _refusal(below, below.key, [below.root], NAME).code == "not-a-ca"


def test_client_certificate_as_server(kit: Any, workload_ca: Any) -> None:
    """EKU clientAuth alone."""
    client = kit.make(kit.HOST, workload_ca, client=True)
    assert _refusal(client, client.key, [client.root], NAME).code == "eku-missing-server-auth"


def test_expired(kit: Any, workload_ca: Any) -> None:
    expired = kit.make(kit.HOST, workload_ca, days=(-20, -10))
    assert _refusal(expired, expired.key, [expired.root], NAME).code == "certificate-expired"
    assert _refusal(expired, expired.key, [expired.root], NAME, now=NOW).code == "certificate-expired"


def test_time_is_the_callers(kit: Any, hub: Any) -> None:
    """A machine whose clock stands still in the past: the same chain is judged at the time that is given."""
    future = NOW + timedelta(days=3650)
    assert _refusal(hub, hub.key, [hub.root], NAME, now=future).code == "certificate-expired"
    later = kit.make(kit.HOST, kit.make("Root", ca=True, now=future), now=future)
    assert _refusal(later, later.key, [later.root], NAME).code == "certificate-not-yet-valid"
    prove(later, later.key, [later.root], NAME, now=future)


def test_no_anchors(hub: Any) -> None:
    assert _refusal(hub, hub.key, [], NAME).code == "root-not-trusted"

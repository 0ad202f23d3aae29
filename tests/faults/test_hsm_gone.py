"""The token that holds the device CA's key is pulled out, for hours or at a start, and plugged in again.

    device CA (key in a token) <- workload CA (key in a file) <- hub

Without the token nothing new can hang below the device CA; what stands serves on.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from leafward.errors import KeyUnavailable
from leafward.keys.key_store import generate_key
from leafward.keys.serial import new_serial
from leafward.manager.daemon import Manager
from leafward.pki.chain import fingerprint
from leafward.pki.issuer import Issuer
from leafward.pki.key_types import parse_key_type
from leafward.pki.profiles import profile
from leafward.pki.request import CertificateRequest
from leafward.store.home import Home
from tests.faults.homes import makers_half, start
from tests.faults.summary import Count
from tests.faults.turns import Turns, serves
from tests.keys.devices import SoftHsm, soft_hsm_here
from tests.manager.conftest import NOW


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoftHsm]:
    yield from soft_hsm_here(tmp_path / "hsm", monkeypatch)


@pytest.fixture
def in_token(home: Home, token: SoftHsm, maker: Any, settings_of: Callable[..., None], tmp_path: Path) -> Home:
    """A home whose device CA is in the token."""
    reference = token.reference("device-ca")
    key = generate_key(reference, parse_key_type("ec-p256"))
    issuer = Issuer(maker.intermediate.chain, maker.intermediate.key)
    request = CertificateRequest(public_key=key.public_key(), common_name="iotgateway.ca")
    chain = issuer.prepare(profile("device_ca"), request, now=NOW, serial=new_serial()).sign()
    path = tmp_path / "device-ca.pem"
    path.write_bytes(chain.to_pem())
    settings_of(device_ca_certificate=str(path), device_ca_key=str(reference))
    return home


async def test_a_token_that_is_gone_and_back(in_token: Home, token: SoftHsm, clock: Any, count: Count) -> None:
    """The workload CA is due and cannot be renewed: named, the hub is renewed under the old one, and all comes back."""
    turns = Turns()
    async with Manager(in_token, clock=clock, wait=turns, look_every=3600) as manager:
        standing = manager.standing
        await turns.waiting()
        workload_ca, hub = (fingerprint(kept.certificate) for kept in (standing.workload_ca, standing.hub))
        token.pull_out()
        clock.forward(timedelta(days=300))
        await turns.turn()
        failure = standing.journal.failures()["workload_ca"]
        assert "PKCS#11" in failure.reason
        assert fingerprint(standing.workload_ca.certificate) == workload_ca
        assert fingerprint(standing.hub.certificate) != hub
        serves(manager, clock())
        token.plug_in()
        clock.forward(timedelta(days=15))
        await turns.turn()
        assert fingerprint(standing.workload_ca.certificate) != workload_ca
        assert "workload_ca" not in standing.journal.failures()
        serves(manager, clock())
    count("devices and servers gone and back", 1)


def test_a_start_without_the_token(in_token: Home, token: SoftHsm, count: Count) -> None:
    """Refused with the key's name; the next start is as if nothing had been. Nothing is issued or taken away."""
    before = start(in_token)
    maker = makers_half(in_token)
    token.pull_out()
    with pytest.raises(KeyUnavailable) as caught:
        start(in_token)
    assert caught.value.hint
    assert token.label in str(caught.value)
    token.plug_in()
    after = start(in_token)
    assert after.issued == ()
    assert fingerprint(after.workload_ca.certificate) == fingerprint(before.workload_ca.certificate)
    assert makers_half(in_token) == maker
    count("devices and servers gone and back", 1)


def test_a_first_start_while_the_token_goes(
    in_token: Home, token: SoftHsm, monkeypatch: pytest.MonkeyPatch, count: Count
) -> None:
    """Pulled out between the look at the key and the first signature: no key without a certificate is left."""
    from leafward.pki.prepared import Prepared

    sign = Prepared.sign

    def pulled(prepared: Prepared) -> Any:
        token.pull_out()
        return sign(prepared)

    with monkeypatch.context() as patched:
        patched.setattr(Prepared, "sign", pulled)
        with pytest.raises(KeyUnavailable):
            start(in_token)
    assert not list(in_token.manager.rglob("key.pem"))
    token.plug_in()
    assert start(in_token).issued == ("workload CA", "hub's server certificate")
    count("devices and servers gone and back", 1)

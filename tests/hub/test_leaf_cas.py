"""Which CAs may speak for this gateway's leaf devices: not every CA of its maker.

root -+- intermediate -+- device CA -+- workload CA -- hub
      |                |             +- line CA -- by-ca       through our device CA: accepted
      |                |             `- by-ca                  accepted
      |                +- other device CA -- by-ca             another gateway's: refused
      |                `- by-ca                                a CA above us signs itself: accepted
      +- other intermediate -- by-ca                           a CA beside ours: refused
      `- by-ca                                                 accepted
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import CertificateBuilder, random_serial_number

from leafward.errors import SettingsError
from leafward.hub.settings import read_leaf_cas, read_settings
from tests.hub.conftest import RunningHub, StartHub
from tests.hub.hub_certificates import Held, make
from tests.hub.hub_clients import login
from tests.hub.test_refusals import refused


def leaf_below(*names: str) -> Callable[[Held], Held]:
    def below(issuer: Held) -> Held:
        for name in names:
            issuer = make(name, issuer, ca=True)
        return make("by-ca", issuer, client=True)

    return below


async def test_our_own_device_ca(hub: RunningHub, device_ca: Held) -> None:
    hub.add("by-ca", auth="x509-ca")
    await hub.connected("by-ca", key=None, held=leaf_below()(device_ca))


async def test_a_ca_below_our_device_ca(hub: RunningHub, device_ca: Held) -> None:
    hub.add("by-ca", auth="x509-ca")
    await hub.connected("by-ca", key=None, held=leaf_below("line")(device_ca))


async def test_our_device_ca_with_another_certificate(hub: RunningHub, device_ca: Held, intermediate: Held) -> None:
    """Renewed with the same key: devices still present the older certificate."""
    was = device_ca.leaf
    builder = CertificateBuilder(
        was.issuer, was.subject, was.public_key(), random_serial_number(), was.not_valid_before_utc,
        was.not_valid_after_utc, list(was.extensions),
    )  # fmt: skip
    renewed = Held((builder.sign(intermediate.key, hashes.SHA256()), *intermediate.certificates), device_ca.key)
    hub.add("by-ca", auth="x509-ca")
    await hub.connected("by-ca", key=None, held=leaf_below()(renewed))


@pytest.mark.parametrize("above", ["intermediate", "root"])
async def test_a_ca_above_us(hub: RunningHub, intermediate: Held, root: Held, above: str) -> None:
    """The maker signs leaf devices itself."""
    hub.add("by-ca", auth="x509-ca")
    held = leaf_below()(intermediate if above == "intermediate" else root)
    await hub.connected("by-ca", key=None, held=held)


@pytest.mark.parametrize("names", [("other.ca",), ("other.ca", "line"), ("device.ca",)])
async def test_another_gateway_s_device_ca(hub: RunningHub, intermediate: Held, names: tuple[str, ...]) -> None:
    """Below the same intermediate, even of our own CA's name: another key."""
    hub.add("by-ca", auth="x509-ca")
    held = leaf_below(*names)(intermediate)
    await refused(hub, await hub.client(held), login("by-ca", key=None), "issued-for-another-gateway")


async def test_another_intermediate(hub: RunningHub, root: Held) -> None:
    """Of the same root."""
    hub.add("by-ca", auth="x509-ca")
    held = leaf_below("Other Intermediate")(root)
    await refused(hub, await hub.client(held), login("by-ca", key=None), "issued-for-another-gateway")


async def test_a_ca_that_the_operator_named(make_hub: StartHub, root: Held, intermediate: Held) -> None:
    """line-3 is in leaf_cas: what it and CAs below it sign is accepted; what its neighbour signs is not."""
    line = make("line-3", make("Other Intermediate", root, ca=True), ca=True)
    hub: RunningHub = await make_hub('[hub]\nleaf_cas = "line-3.pem"\n')
    (hub.home.root / "line-3.pem").write_bytes(Held(line.certificates[:1], None).pem())
    await hub.start()
    hub.add("by-ca", auth="x509-ca")
    await hub.connected("by-ca", key=None, held=leaf_below()(line))
    await hub.connected("by-ca", key=None, held=leaf_below("station")(line))
    held = leaf_below("line-4")(intermediate)
    await refused(hub, await hub.client(held), login("by-ca", key=None), "issued-for-another-gateway")


async def test_a_ca_that_the_operator_named_and_nobody_trusts(make_hub: StartHub) -> None:
    """leaf_cas is no trust: the path must lead to the trust bundle all the same."""
    foreign = make("Foreign Root", ca=True)
    hub: RunningHub = await make_hub('[hub]\nleaf_cas = "foreign.pem"\n')
    (hub.home.root / "foreign.pem").write_bytes(foreign.pem())
    await hub.start()
    hub.add("by-ca", auth="x509-ca")
    held = leaf_below()(foreign)
    await refused(hub, await hub.client(held), login("by-ca", key=None), "root-not-trusted")


@pytest.mark.parametrize("content", [None, b"", b"no certificate", make("leaf", client=True).pem()])
def test_a_file_of_cas_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    """Missing, empty, garbage, or a device's certificate: told before anything is opened."""
    settings = tmp_path / "leafward.toml"
    settings.write_text('[device]\nhostname = "x"\n[hub]\nleaf_cas = "cas.pem"\n')
    if content is not None:
        (tmp_path / "cas.pem").write_bytes(content)
    with pytest.raises(SettingsError, match=r"hub\.leaf_cas: .*cas\.pem cannot be used"):
        read_leaf_cas(read_settings(settings), settings)

"""Logins on behalf of another: who may speak for whom, and that a refusal tells nothing by its time.

leaf1, leaf1/part ── edge-a ── edge-b ── this gateway (edge-device)
leaf2 ── edge-b          stray, at this gateway
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from leafward.hub.authenticator import Authenticator
from leafward.hub.nested_authenticator import NestedAuthenticator
from leafward.hub.peer import Peer
from leafward.hub.refusals import Refusal
from leafward.hub.sas_authenticator import SasAuthenticator
from leafward.hub.x509_authenticator import Trust, X509Authenticator
from leafward.store.identity import Identity
from leafward.store.registry import Registry
from leafward.wire import sas
from leafward.wire.sas import resource_of, sign
from tests.hub.hub_certificates import make
from tests.hub.hub_clients import EDGE, HOST, KEY

NOW = datetime.now(UTC)
EXPIRY = int(NOW.timestamp()) + 3600


def identity(device: str, module: str | None = None, **fields: Any) -> Identity:
    values: dict[str, Any] = {"auth": "sas", "primary_key": KEY, "enabled": True, **fields}
    return Identity(
        device_id=device,
        module_id=module,
        generation_id=f"g-{device}",
        secondary_key=None,
        primary_thumbprint=None,
        secondary_thumbprint=None,
        created=NOW,
        **values,
    )


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(tmp_path / "registry.db") as opened:
        for one in (
            identity("leaf1", auth="x509-ca", primary_key=None, parent="edge-a"),
            identity("leaf1", "part"),
            identity("leaf2", parent="edge-b"),
            identity("stray"),
            identity("edge-a", parent="edge-b"),
            identity("edge-a", "$edgeHub"),
            identity("edge-b", parent=EDGE),
            identity("edge-b", "$edgeHub"),
        ):
            opened.add(one)
        yield opened


@pytest.fixture
def judge(registry: Registry) -> Authenticator:
    authenticator_of_tokens = SasAuthenticator(registry, frozenset({HOST, "hub.example"}))
    return Authenticator(
        authenticator_of_tokens,
        X509Authenticator(registry, Trust, revoked=lambda _: False),
        NestedAuthenticator(registry, authenticator_of_tokens, EDGE),
    )


def ask(judge: Authenticator, client_id: str, *chain: str, actor: str | None = None, key: bytes = KEY) -> Any:
    """What becomes of a login as `client_id` with this chain, signed by the last gateway's hub or `actor`'s."""
    actor = actor or chain[-1]
    token = sign(resource_of("hub.example", actor, "$edgeHub"), key, EXPIRY)
    username = f"hub.example/{client_id}/?api-version=2021-04-12&auth-chain={';'.join(chain)}"
    return judge.login(username, client_id, token.encode(), tuple, NOW)


@pytest.mark.parametrize(
    ("client_id", "chain"),
    [
        ("leaf2", ("leaf2", "edge-b")),
        ("leaf1", ("leaf1", "edge-a", "edge-b")),
        ("leaf1/part", ("leaf1/part", "leaf1", "edge-a", "edge-b")),
        ("edge-a", ("edge-a", "edge-b")),
        ("edge-a/$edgeHub", ("edge-a/$edgeHub", "edge-a", "edge-b")),
    ],
)
def test_a_chain_that_holds(judge: Authenticator, client_id: str, chain: tuple[str, ...]) -> None:
    """The target is let in; its admission rests on every link, the target first, and on the actor's hub."""
    peer = ask(judge, client_id, *chain)
    assert isinstance(peer, Peer), peer
    assert peer.client_id == client_id
    rests_on = [one.label for one in peer.rests_on]
    assert rests_on[0] == client_id
    assert {*chain, "edge-b/$edgeHub"} <= set(rests_on)
    assert peer.until == datetime.fromtimestamp(EXPIRY, UTC)


@pytest.mark.parametrize(
    ("client_id", "chain", "code"),
    [
        ("leaf1", ("leaf1", "edge-b"), "not-a-child"),
        ("leaf2", ("leaf2", "edge-a", "edge-b"), "not-a-child"),
        ("leaf1", ("leaf1", "edge-a"), "not-a-child"),
        ("stray", ("stray", "edge-b"), "not-a-child"),
        ("edge-b", ("edge-b", "edge-a"), "not-a-child"),
        ("leaf1", ("leaf2", "edge-b"), "auth-chain-wrong"),
        ("leaf1", ("leaf1",), "auth-chain-wrong"),
        ("leaf1", ("leaf1", "edge-a", "edge-b", "edge-a"), "auth-chain-wrong"),
        ("leaf1/part", ("leaf1/part", "edge-a", "edge-b"), "auth-chain-wrong"),
        ("leaf1/part", ("leaf1/part", "leaf1"), "auth-chain-wrong"),
        ("nobody", ("nobody", "edge-b"), "device-unknown"),
        ("leaf1", ("leaf1", "nobody", "edge-b"), "device-unknown"),
        ("leaf1", ("leaf1", "edge-a", "stray"), "device-unknown"),
    ],
)
def test_a_chain_that_does_not(judge: Authenticator, client_id: str, chain: tuple[str, ...], code: str) -> None:
    """A gateway speaks for what is registered behind it, link by link, and for nobody else."""
    refusal = ask(judge, client_id, *chain)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def test_the_actor_s_credential_decides(judge: Authenticator) -> None:
    """Another gateway's token, and another key; whoever has none learns nothing of who is behind whom."""
    assert ask(judge, "leaf2", "leaf2", "edge-b", actor="edge-a").code == "sas-audience-wrong"
    for target in ("leaf2", "stray", "nobody"):
        assert ask(judge, target, target, "edge-b", key=b"w" * 32).code == "sas-signature-wrong"
    username = "hub.example/leaf2/?api-version=2021-04-12&auth-chain=leaf2;edge-b"
    refusal = judge.login(username, "leaf2", None, tuple, NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "credential-missing"


@pytest.mark.parametrize("disabled", ["leaf1", "edge-a", "edge-b", "edge-b/$edgeHub"])
def test_a_disabled_link(judge: Authenticator, registry: Registry, disabled: str) -> None:
    device, _, module = disabled.partition("/")
    registry.set_enabled(device, module or None, False)
    assert ask(judge, "leaf1", "leaf1", "edge-a", "edge-b").code == "device-disabled"


def test_a_gateway_may_be_put_elsewhere(judge: Authenticator, registry: Registry) -> None:
    """edge-a is moved to this gateway itself: its own token is good, the way round by edge-b is not."""
    registry.set_parent("edge-a", None)
    assert ask(judge, "leaf1", "leaf1", "edge-a", "edge-b").code == "not-a-child"
    assert isinstance(ask(judge, "leaf1", "leaf1", "edge-a"), Peer)


# ---- equal work


def counted(patch: pytest.MonkeyPatch, room: Any, name: str) -> list[int]:
    calls: list[int] = []
    real = getattr(room, name)

    def count(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return real(*arguments, **options)

    patch.setattr(room, name, count)
    return calls


@pytest.mark.parametrize("device", ["nobody", "stray", "leaf1", "off", "two-keys"])
def test_a_wrong_token_costs_the_same_for_everybody(
    judge: Authenticator, registry: Registry, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, known, of another type, disabled: four signatures are computed."""
    registry.add(identity("off", enabled=False))
    registry.add(identity("two-keys"))
    calls = counted(monkeypatch, sas, "verify")
    token = sign(resource_of(HOST, device), b"w" * 32, EXPIRY)
    assert isinstance(judge.credential(device, None, token, tuple, NOW), Refusal)
    assert len(calls) == 4


@pytest.mark.parametrize("device", ["nobody", "stray", "leaf1", "pinned", "off"])
def test_a_wrong_certificate_costs_the_same_for_everybody(
    judge: Authenticator, registry: Registry, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, registered for a token, for a CA, for a thumbprint, disabled: one path is validated."""
    from leafward.hub import x509_authenticator

    registry.add(Identity("pinned", None, "x509-thumbprint", True, "g", None, None, "0" * 64, None, NOW))
    registry.add(identity("off", auth="x509-ca", primary_key=None, enabled=False))
    calls = counted(monkeypatch, x509_authenticator, "verify")
    wrong = make(device, make("Stranger", ca=True), client=True)
    assert isinstance(judge.credential(device, None, None, lambda: wrong.certificates, NOW), Refusal)
    assert len(calls) == 1


def test_the_times_are_alike(judge: Authenticator) -> None:
    """Measured roughly: the medians of an unknown and a known device are not twice one another."""

    def median(device: str) -> float:
        token = sign(resource_of(HOST, device), b"w" * 32, EXPIRY)
        took = []
        for _ in range(101):
            began = time.perf_counter()
            judge.credential(device, None, token, tuple, NOW)
            took.append(time.perf_counter() - began)
        return sorted(took)[50]

    known, unknown = median("stray"), median("nobody")
    assert 0.5 < unknown / known < 2.0

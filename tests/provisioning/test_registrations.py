"""Registrations by themselves: whose operation is whose."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from leafward.errors import AccessDenied, NotFound
from leafward.provisioning.devices import add_device
from leafward.provisioning.registrations import MOST_OPERATIONS, Registrations
from leafward.store.registry import Registry
from leafward.wire import dps, sas

NOW = datetime(2026, 7, 1, tzinfo=UTC)
SCOPE = "leafward"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    with Registry.open(tmp_path / "registry.db") as opened:
        for device_id in ("pump-7", "pump-8"):
            add_device(opened, device_id, "sas", now=NOW)
        yield opened


@pytest.fixture
def registrations(registry: Registry) -> Registrations:
    return Registrations(registry, id_scope=SCOPE, hub="gateway.test")


def token(registry: Registry, device_id: str, *, resource: str | None = None, lifetime: int = 3600) -> str:
    identity = registry.get(device_id)
    assert identity is not None
    assert identity.primary_key is not None
    expiry = int((NOW + timedelta(seconds=lifetime)).timestamp())
    return sas.sign(resource or dps.resource(SCOPE, device_id), identity.primary_key, expiry, dps.KEY_NAME)


def test_a_registration_ends_with_this_gateway(registry: Registry, registrations: Registrations) -> None:
    """assigning, then assigned."""
    secret = token(registry, "pump-7")
    begun = registrations.register(SCOPE, "pump-7", secret, NOW)
    assert begun.status == "assigning"
    ended = registrations.operation(SCOPE, "pump-7", begun.operation_id, secret, NOW)
    assert ended.state is not None
    assert (ended.status, ended.state.device_id, ended.state.assigned_hub) == ("assigned", "pump-7", "gateway.test")


def test_an_operation_of_another_registration(registry: Registry, registrations: Registrations) -> None:
    """pump-8 asks, with its own good token, for what pump-7 began: there is no such operation."""
    begun = registrations.register(SCOPE, "pump-7", token(registry, "pump-7"), NOW)
    with pytest.raises(NotFound, match="no such operation"):
        registrations.operation(SCOPE, "pump-8", begun.operation_id, token(registry, "pump-8"), NOW)


def test_an_operation_that_never_was(registry: Registry, registrations: Registrations) -> None:
    """Or was forgotten."""
    with pytest.raises(NotFound, match="no such operation"):
        registrations.operation(SCOPE, "pump-7", "5.0", token(registry, "pump-7"), NOW)


@pytest.mark.parametrize("what", ["register", "operation"])
@pytest.mark.parametrize(
    "defect", ["nothing", "another's", "another scope", "expired", "unknown", "disabled", "garbage"]
)
def test_who_is_not_let_in(registry: Registry, registrations: Registrations, what: str, defect: str) -> None:
    """One answer, whatever was wrong."""
    good = token(registry, "pump-7")
    begun = registrations.register(SCOPE, "pump-7", good, NOW)
    scope, name, secret = SCOPE, "pump-7", good
    match defect:
        case "nothing":
            secret = None
        case "another's":
            secret = token(registry, "pump-8")
        case "another scope":
            scope = "elsewhere"
        case "expired":
            secret = token(registry, "pump-7", lifetime=-1)
        case "unknown":
            name = "pump-9"
        case "disabled":
            registry.set_enabled("pump-7", None, False)
        case "garbage":
            secret = "SharedAccessSignature x"

    def ask() -> None:
        if what == "register":
            registrations.register(scope, name, secret, NOW)
        else:
            registrations.operation(scope, name, begun.operation_id, secret, NOW)

    with pytest.raises(AccessDenied) as told:
        ask()
    assert str(told.value) == "unauthorized"


def test_operations_are_forgotten(
    registry: Registry, registrations: Registrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest goes; memory is bounded."""
    assert MOST_OPERATIONS > 100
    monkeypatch.setattr("leafward.provisioning.registrations.MOST_OPERATIONS", 3)
    secret = token(registry, "pump-7")
    begun = [registrations.register(SCOPE, "pump-7", secret, NOW).operation_id for _ in range(4)]
    with pytest.raises(NotFound):
        registrations.operation(SCOPE, "pump-7", begun[0], secret, NOW)
    assert registrations.operation(SCOPE, "pump-7", begun[1], secret, NOW).status == "assigned"

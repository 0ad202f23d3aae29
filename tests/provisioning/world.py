"""A provisioning service in this process, a maker's hierarchy, and devices with keys and certificates.

root A ── intermediate ── device CA ── leaves          root B: the same names, other keys
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from leafward.provisioning.admission import Credential
from leafward.provisioning.enrolling import fresh_etag, new_code, register_ca, verify_ca
from leafward.provisioning.refused import Refused
from leafward.provisioning.service import Service, open_service
from leafward.provisioning.settings import ProvisioningTable
from leafward.store.enrolments import Attestation, CaBook, Certificates, Enrolment
from leafward.store.home import Home
from leafward.store.registry import Registry
from leafward.wire import dps, sas
from leafward.wire.dps import Operation
from tests.hub.hub_certificates import Held, make

HUB = "gateway.test"
SCOPE = "leafward"
PATIENCE = 15.0


@dataclass(frozen=True)
class Maker:
    """A hierarchy of four."""

    root: Held
    intermediate: Held
    device_ca: Held

    def leaf(self, name: str, **options: Any) -> Held:
        return make(name, options.pop("issuer", self.device_ca), client=True, **options)


def maker() -> Maker:
    root = make("Test Root", ca=True)
    intermediate = make("Test Intermediate", root, ca=True)
    return Maker(root, intermediate, make("device.ca", intermediate, ca=True))


@dataclass
class World:
    """The service over one home. Time is real, as certificates are; `clock_ahead` moves it."""

    home: Home
    service: Service
    engine: Any
    ahead: timedelta = field(default_factory=timedelta)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    @property
    def cas(self) -> CaBook:
        return CaBook(self.engine)

    @property
    def registry(self) -> Registry:
        return self.service.books.registry._registry

    def enrol(self, enrolment_id: str, attestation: Attestation, *, group: bool = False, **options: Any) -> Enrolment:
        made = Enrolment(enrolment_id, group, attestation, self.now, self.now, fresh_etag(), **options)
        self.service.books.enrolments.add(made)
        return made

    def change(self, enrolment: Enrolment, **changes: Any) -> Enrolment:
        changed = replace(enrolment, etag=fresh_etag(), **changes)
        self.service.books.enrolments.replace(changed, etag=None)
        return changed

    def vouch(self, ca: Held, name: str) -> None:
        """Registers a CA and proves it."""
        register_ca(self.cas, name, ca.leaf, self.now)
        code = new_code(self.cas, name, self.now).code
        assert code is not None
        verify_ca(self.cas, name, make(code, ca, client=True).leaf, self.now)

    async def begin(self, registration_id: str, credential: Credential, **options: Any) -> Operation:
        body = options.pop("body", None) or register_body(registration_id, options.pop("payload", None))
        scope = options.pop("scope", SCOPE)
        found = await self.service.registrations.register(scope, registration_id, credential, body, self.now)
        assert isinstance(found, Operation)
        return found

    async def register(self, registration_id: str, credential: Credential, **options: Any) -> dps.RegistrationState:
        """Registers and asks until it has ended."""
        begun = await self.begin(registration_id, credential, **options)
        assert begun.status == "assigning"
        ended = await self.service.registrations.operation(
            SCOPE, registration_id, begun.operation_id, credential, self.now
        )
        assert ended.state is not None
        return ended.state

    def token(
        self, registration_id: str, key: bytes, *, lifetime: int = 3600, resource: str | None = None
    ) -> Credential:
        expiry = int(self.now.timestamp()) + lifetime
        return Credential(sas.sign(resource or dps.resource(SCOPE, registration_id), key, expiry, dps.KEY_NAME))


def register_body(registration_id: str, payload: Any = None) -> bytes:
    return json.dumps({"registrationId": registration_id, "payload": payload}).encode()


def by_certificate(held: Held, *, opens_hub: bool = True, up_to: int | None = None) -> Credential:
    """What comes with a TLS handshake: the chain without its root, or the first certificates of it."""
    chain: Sequence[x509.Certificate] = held.certificates[:-1] if up_to is None else held.certificates[:up_to]
    return Credential(certificates=chain or held.certificates, opens_hub=opens_hub)


@contextlib.asynccontextmanager
async def world(tmp_path: Path, *, name: str = "home", hub: str = HUB, **settings: Any) -> AsyncIterator[World]:
    home = Home(tmp_path / name)
    home.root.mkdir(exist_ok=True)
    found: list[World] = []
    table = ProvisioningTable(**settings)
    async with open_service(home, table, hub=hub, clock=lambda: found[0].now) as service:
        tasks = [asyncio.create_task(task) for task in service.tasks]
        found.append(World(home, service, service.books.enrolments._engine))
        try:
            yield found[0]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def refused(here: World, registration_id: str, credential: Credential, **options: Any) -> str:
    """The code of the refusal; the device gets 401 whatever it is."""
    with pytest.raises(Refused) as told:
        await here.begin(registration_id, credential, **options)
    assert told.value.number // 1000 == 401
    return told.value.code


def group_by_device_ca(here: World, ours: Maker, **options: Any) -> Any:
    here.vouch(ours.root, "root")
    return here.enrol("line", Certificates(ours.device_ca.leaf), group=True, **options)

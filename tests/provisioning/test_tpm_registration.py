"""A device with a TPM: challenged, it takes the key in, signs with it, and is admitted; no other TPM is."""

import base64
import hashlib
import hmac
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from leafward.provisioning.admission import Credential
from leafward.provisioning.refused import Refused
from leafward.store.enrolments import EndorsementKey
from leafward.wire import dps
from leafward.wire.dps import RegisterRequest, TpmChallenge
from tests.keys.devices import SwTpm
from tests.provisioning.tpm_leaf import TpmLeaf
from tests.provisioning.world import SCOPE, World, world


@pytest.fixture(scope="module", params=["rsa2048", "ecc256"])
def leaf(request: pytest.FixtureRequest) -> Iterator[TpmLeaf]:
    """By its kind of endorsement key."""
    with tempfile.TemporaryDirectory(prefix="swtpm") as folder:
        tpm = SwTpm(Path(folder))
        device = TpmLeaf(tpm.tcti, endorsement=request.param)
        yield device
        device.close()
        tpm.stop()


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def challenged(here: World, leaf: TpmLeaf, *, endorsement_key: bytes | None = None) -> TpmChallenge:
    keys = RegisterRequest("pump-7", None, endorsement_key or leaf.endorsement_key, leaf.storage_root_key)
    found = await here.service.registrations.register(SCOPE, "pump-7", Credential(), keys.to_json(), here.now)
    assert isinstance(found, TpmChallenge)
    return TpmChallenge.parse(found.to_json())


def signed(here: World, leaf: TpmLeaf) -> Credential:
    """A token that the TPM has signed."""
    expiry = int(here.now.timestamp()) + 3600
    resource = quote(dps.resource(SCOPE, "pump-7"), safe="")
    signature = quote(base64.b64encode(leaf.sign(f"{resource}\n{expiry}".encode())).decode(), safe="")
    return Credential(f"SharedAccessSignature sr={resource}&sig={signature}&se={expiry}&skn=registration")


async def test_admitted_by_its_tpm(here: World, leaf: TpmLeaf) -> None:
    """Challenge, activation, token; the hub's key is the TPM's, and the answer lets the TPM take it in again."""
    here.enrol("pump-7", EndorsementKey(leaf.endorsement_key))
    challenge = await challenged(here, leaf)
    leaf.activate(challenge.authentication_key)
    state = await here.register("pump-7", signed(here, leaf))
    assert state.status == "assigned"
    leaf.activate(base64.b64decode(state.result["tpm"]["authenticationKey"]))
    identity = here.registry.get("pump-7")
    assert identity is not None
    assert identity.primary_key is not None
    assert leaf.sign(b"text") == hmac.digest(identity.primary_key, b"text", hashlib.sha256)


async def test_asked_again_by_whomever(here: World, leaf: TpmLeaf) -> None:
    """The keys of a TPM are no secret: a second question in its name does not void the challenge it works on."""
    here.enrol("pump-7", EndorsementKey(leaf.endorsement_key))
    first, second = await challenged(here, leaf), await challenged(here, leaf)
    assert first == second
    leaf.activate(first.authentication_key)
    assert (await here.register("pump-7", signed(here, leaf))).status == "assigned"


@pytest.mark.parametrize(
    ("defect", "code"),
    [
        ("another TPM", "endorsement-key-mismatch"),
        ("no keys", "credential-missing"),
        ("disabled", "enrolment-disabled"),
        ("not challenged", "not-challenged"),
        ("not activated", "sas-signature-wrong"),
    ],
)
async def test_refused_by_tpm(here: World, leaf: TpmLeaf, defect: str, code: str) -> None:
    """Each defect by itself."""
    entry = here.enrol("pump-7", EndorsementKey(leaf.endorsement_key))

    async def ask() -> None:
        match defect:
            case "another TPM":
                await challenged(here, leaf, endorsement_key=leaf.storage_root_key)
            case "no keys":
                await here.begin("pump-7", Credential())
            case "disabled":
                here.change(entry, enabled=False)
                await challenged(here, leaf)
            case "not challenged":
                await here.begin("pump-7", here.token("pump-7", bytes(32)))
            case "not activated":
                await challenged(here, leaf)
                await here.begin("pump-7", here.token("pump-7", bytes(32)))

    with pytest.raises(Refused) as told:
        await ask()
    assert told.value.code == code
    assert here.registry.count() == (0, 0)

"""The challenge of a TPM, against a TPM: it alone gets the key, and its signatures are those of the key."""

import hashlib
import hmac
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from leafward.errors import EncodingError
from leafward.wire.dps_tpm import INNER_KEY_SIZE, Randomness, TpmPublic, activation, digest_size
from tests.keys.devices import SwTpm
from tests.provisioning.tpm_leaf import TpmLeaf

KEY = bytes(range(32))


def fresh(endorsement: TpmPublic, storage: TpmPublic) -> Randomness:
    return Randomness(
        secrets.token_bytes(INNER_KEY_SIZE),
        secrets.token_bytes(digest_size(endorsement)),
        secrets.token_bytes(digest_size(storage)),
        secrets.token_bytes(32),
    )


@pytest.fixture(scope="module")
def leaf() -> Iterator[TpmLeaf]:
    with tempfile.TemporaryDirectory(prefix="swtpm") as folder:
        tpm = SwTpm(Path(folder))
        device = TpmLeaf(tpm.tcti)
        yield device
        device.close()
        tpm.stop()


def test_the_tpm_takes_the_key_in(leaf: TpmLeaf) -> None:
    """MakeCredential and Duplicate here, ActivateCredential and Import in the TPM."""
    endorsement = TpmPublic.parse(leaf.endorsement_key, "endorsement key")
    storage = TpmPublic.parse(leaf.storage_root_key, "storage root key")
    leaf.activate(activation(endorsement, storage, KEY, fresh(endorsement, storage)))
    assert leaf.sign(b"text") == hmac.digest(KEY, b"text", hashlib.sha256)


def test_another_tpm_s_endorsement_key(leaf: TpmLeaf) -> None:
    """Made for the storage root key as if it were the endorsement key: the TPM does not activate it."""
    from tpm2_pytss import TSS2_Exception

    storage = TpmPublic.parse(leaf.storage_root_key, "storage root key")
    blob = activation(storage, storage, KEY, fresh(storage, storage))
    with pytest.raises(TSS2_Exception):
        leaf.activate(blob)


@pytest.mark.parametrize("defect", ["empty", "short", "long", "another kind", "no storage key", "small"])
def test_what_is_no_storage_key(leaf: TpmLeaf, defect: str) -> None:
    """Refused, named."""
    good = bytearray(leaf.endorsement_key)
    match defect:
        case "empty":
            good = bytearray()
        case "short":
            good = good[:-1]
        case "long":
            good += b"\0"
        case "another kind":
            good[3] = 0x23  # ECC
        case "no storage key":
            good[6:10] = bytes(4)
        case "small":
            good = bytearray((len(good) - 2 - 128).to_bytes(2, "big")) + good[2 : len(good) - 128]
    with pytest.raises(EncodingError, match="the endorsement key cannot be used"):
        TpmPublic.parse(bytes(good), "endorsement key")

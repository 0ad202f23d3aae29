"""The challenge of a TPM, against a TPM: it alone gets the key, and its signatures are those of the key."""

import contextlib
import hashlib
import hmac
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from leafward.errors import EncodingError
from leafward.wire.dps_tpm import INNER_KEY_SIZE, Randomness, activation
from leafward.wire.dps_tpm_public import TpmPublic
from tests.keys.devices import SwTpm
from tests.provisioning.tpm_leaf import TpmLeaf

KEY = bytes(range(32))


def fresh(endorsement: TpmPublic, storage: TpmPublic) -> Randomness:
    return Randomness(
        secrets.token_bytes(INNER_KEY_SIZE),
        secrets.token_bytes(endorsement.randomness),
        secrets.token_bytes(storage.randomness),
        secrets.token_bytes(32),
    )


@pytest.fixture(scope="module")
def tpm() -> Iterator[SwTpm]:
    with tempfile.TemporaryDirectory(prefix="swtpm") as folder:
        running = SwTpm(Path(folder))
        yield running
        running.stop()


@pytest.fixture
def leaf(tpm: SwTpm) -> Iterator[TpmLeaf]:
    device = TpmLeaf(tpm.tcti)
    yield device
    device.close()


@pytest.mark.parametrize(
    ("endorsement", "storage"),
    [("rsa2048", "rsa2048"), ("ecc256", "ecc256"), ("ecc256", "rsa2048"), ("rsa2048", "ecc256"), ("ecc384", "ecc384")],
)
def test_the_tpm_takes_the_key_in(tpm: SwTpm, endorsement: str, storage: str) -> None:
    """MakeCredential and Duplicate here, ActivateCredential and Import in the TPM; ECC each time with other points."""
    with contextlib.closing(TpmLeaf(tpm.tcti, endorsement=endorsement, storage=storage)) as device:
        _take_in(device)


def _take_in(device: TpmLeaf) -> None:
    keys = TpmPublic.parse(device.endorsement_key, "endorsement key"), TpmPublic.parse(device.storage_root_key, "root")
    for _ in range(3):
        device.activate(activation(*keys, KEY, fresh(*keys)))
        assert device.sign(b"text") == hmac.digest(KEY, b"text", hashlib.sha256)


def test_a_secret_for_a_point_is_what_its_holder_comes_to() -> None:
    """TPM 2.0 Library, part 1, C.6.1, from the other side: by hand, with the private key of an ECC key."""
    own = ec.generate_private_key(ec.SECP256R1())
    point = own.public_key().public_numbers()
    x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
    area = bytes.fromhex("0023 000b 00030472 0000 0006 0080 0043 0010 0003 0010 0020") + x + b"\0\x20" + y
    public = TpmPublic.parse(len(area).to_bytes(2, "big") + area, "endorsement key")
    secret, encrypted = public.secret(bytes(range(public.randomness)), b"IDENTITY")
    theirs_x, theirs_y = encrypted[4:36], encrypted[38:70]
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(theirs_x, "big"), int.from_bytes(theirs_y, "big"), own.curve)
    shared = own.exchange(ec.ECDH(), numbers.public_key())
    assert secret == hashlib.sha256(b"\0\0\0\1" + shared + b"IDENTITY\0" + theirs_x + x).digest()


@pytest.mark.parametrize("defect", ["off the curve", "another curve", "a derivation", "short", "long", "too large"])
def test_what_is_no_point(tpm: SwTpm, defect: str) -> None:
    """An invalid point would give away nothing here, but it is no TPM's: refused."""
    with contextlib.closing(TpmLeaf(tpm.tcti, endorsement="ecc256", storage="ecc256")) as device:
        good = bytearray(device.endorsement_key)
    curve = len(good) - 2 * 34 - 4
    match defect:
        case "off the curve":
            good[-1] ^= 1
        case "another curve":
            good[curve + 1] = 5
        case "a derivation":
            good[curve + 3] = 0x20
        case "short":
            good = bytearray((len(good) - 3).to_bytes(2, "big")) + good[2:-1]
        case "long":
            good = bytearray((len(good) - 1).to_bytes(2, "big")) + good[2:] + b"\0"
        case "too large":
            point = good[curve + 4 :]
            area = good[2 : curve + 4] + b"\0\x21\0" + point[2:]
            good = bytearray(len(area).to_bytes(2, "big")) + area
    with pytest.raises(EncodingError, match="the endorsement key cannot be used"):
        TpmPublic.parse(bytes(good), "endorsement key")


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
            good[3] = 0x25  # a symmetric cipher
        case "no storage key":
            good[6:10] = bytes(4)
        case "small":
            good = bytearray((len(good) - 2 - 128).to_bytes(2, "big")) + good[2 : len(good) - 128]
    with pytest.raises(EncodingError, match="the endorsement key cannot be used"):
        TpmPublic.parse(bytes(good), "endorsement key")

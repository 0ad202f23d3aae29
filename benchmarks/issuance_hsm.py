"""Issuing with a key in a token (SoftHSM), against the signing rate of the token itself."""

import hashlib
import importlib.util
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.issuance import BATCH, SIGNED, in_turns, new_issuer
from benchmarks.row import Row
from leafward.keys.key_store import KeyReference, generate_key
from leafward.keys.serial import new_serials
from leafward.pki.bulk import BulkIssuer
from leafward.pki.bulk_request import BulkRequest
from leafward.pki.key_types import DEFAULT_KEY_TYPE
from leafward.pki.profiles import profile

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "benchmark"
_MEASURE = "SoftHSM P-256, public key -> certificate"
_BOUND = 0.8


def measure(quick: bool = False) -> list[Row]:
    """One row; skipped, with the reason, without SoftHSM or python-pkcs11."""
    if shutil.which("softhsm2-util") is None or not MODULE.exists() or importlib.util.find_spec("pkcs11") is None:
        return [Row(_MEASURE, None, _BOUND, skipped="needs softhsm2 and python-pkcs11")]
    count, turns = (500, 5) if quick else (2000, 9)
    with tempfile.TemporaryDirectory() as folder, token(Path(folder)) as label:
        reference = KeyReference("pkcs11", f"token={label};object=factory?pin-source=file:{folder}/pin")
        key = generate_key(reference, DEFAULT_KEY_TYPE)
        bulk = BulkIssuer(new_issuer(key), profile("device_ca"), now=datetime.now(UTC))
        spkis = [
            ec.generate_private_key(ec.SECP256R1())
            .public_key()
            .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            for _ in range(count)
        ]

        def issue() -> None:
            for start in range(0, count, BATCH):
                some = [BulkRequest.of_key(spki) for spki in spkis[start : start + BATCH]]
                names = (f"device-{number:06}" for number in range(start, start + BATCH))
                bulk.issue_batch(list(zip(some, names, new_serials(len(some)))))  # noqa: B905 - names are enough

        with raw_signing(label) as sign:
            found = in_turns(issue, lambda: [sign() for _ in range(count)], pieces=count, turns=turns)
    details = found.details("certificates", "signatures of the token")
    return [Row(_MEASURE, found.ratio, _BOUND, details=details)]


@contextmanager
def token(folder: Path) -> Iterator[str]:
    """A new token that this process sees; its label."""
    label = f"benchmark {secrets.token_hex(4)}"
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    (folder / "pin").write_text(PIN)
    (folder / "pin").chmod(0o600)
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    os.environ["LEAFWARD_PKCS11_MODULE"] = str(MODULE)
    command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", PIN]
    subprocess.run(command, check=True, capture_output=True)
    yield label


@contextmanager
def raw_signing(label: str) -> Iterator[Callable[[], bytes]]:
    """What one signature takes without anything of ours: python-pkcs11 on the same token and key."""
    room = importlib.import_module("leafward.keys.pkcs11_library")  # wants the extra
    digest = hashlib.sha256(SIGNED).digest()
    pkcs11 = importlib.import_module("pkcs11")
    wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.LABEL: "factory"}
    with room.LOCK:
        slot = next(slot for slot in room.library(None).slots() if slot.get_token().label == label)
        session = slot.get_token().open()  # a login is the whole process's, and has been
        key = next(iter(session.get_objects(wanted)))
        yield lambda: key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA)
        session.close()

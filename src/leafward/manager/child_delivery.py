"""A child gateway's device CA as files for a stick: what the child needs, and nothing of the parent's.

    certificate.pem    the child's device CA and every CA above it, leaf first, root included
    trust-bundle.pem   the roots that this gateway trusts
    key.pem            the key, where it was made here; better is a request of the child's own, whose key never travels

Order: key, signature, ledger, certificate. A run that was cut short leaves at most its key, or an entry in the ledger;
the same call again finds both and finishes.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.errors import AlreadyExists, LeafwardError
from leafward.keys.key_store import KeyReference, delete_key, generate_key, key_exists, open_key
from leafward.manager.child import Fence, sign_child
from leafward.manager.child_ledger import Child, ChildLedger, already
from leafward.manager.device_ca import DeviceCa
from leafward.manager.trust_bundle import bundle_to_pem
from leafward.manager.wipe_issued import note_issued
from leafward.pki.chain import Chain, fingerprint
from leafward.pki.key_types import DEFAULT_KEY_TYPE, KeyType, PublicKey
from leafward.store.home import Home

CERTIFICATE = "certificate.pem"
KEY = "key.pem"
TRUST_BUNDLE = "trust-bundle.pem"
# Among what the device CA signed (`wipe_issued.py`): a wipe for resale retires children too.
KIND = "child-device-ca"


@dataclass(frozen=True)
class Wanted:
    """What is asked for. `public_key` None: the key is made in the folder, of `key_type`."""

    name: str
    public_key: PublicKey | None = None
    key_type: KeyType = DEFAULT_KEY_TYPE
    gateways_below: int = 0
    lifetime: timedelta | None = None
    fence: Fence = field(default_factory=Fence)
    replacing: bool = False


@dataclass(frozen=True)
class Delivered:
    """The files. `key` is None where the child has it; `is_new` is False where an earlier run had signed already."""

    chain: Chain
    certificate: Path
    trust_bundle: Path
    key: Path | None
    is_new: bool


def deliver_child(
    home: Home,
    device_ca: DeviceCa,
    anchors: tuple[x509.Certificate, ...],
    wanted: Wanted,
    folder: Path,
    *,
    now: datetime,
) -> Delivered:
    """Signs for a child and writes its files into `folder`, which is made. `anchors` are this gateway's roots.

    Raises `AlreadyExists` where a child of that name lives with another key, or the folder holds another certificate;
    what `sign_child` raises; `Busy`, `StoreError`. A refusal leaves no new key behind.
    """
    ledger = ChildLedger(home.manager)
    disk.make_folder(folder)
    with ledger.changing():
        reference = KeyReference("file", str((folder / KEY).absolute()))
        made = wanted.public_key is None and not key_exists(reference)
        key = wanted.public_key or _key_at(reference, wanted.key_type)
        try:
            chain, is_new = _signed(home, ledger, device_ca, wanted, key=key, certificate=folder / CERTIFICATE, now=now)
        except LeafwardError:
            if made:
                delete_key(reference)
            raise
    disk.write_file(folder / TRUST_BUNDLE, bundle_to_pem(anchors), mode=disk.PUBLIC)
    disk.write_file(folder / CERTIFICATE, chain.to_pem(), mode=disk.PUBLIC)
    private = folder / KEY if wanted.public_key is None else None
    return Delivered(chain, folder / CERTIFICATE, folder / TRUST_BUNDLE, private, is_new)


def _key_at(reference: KeyReference, key_type: KeyType) -> PublicKey:
    key = open_key(reference) if key_exists(reference) else generate_key(reference, key_type)
    return key.public_key()


def _signed(
    home: Home,
    ledger: ChildLedger,
    device_ca: DeviceCa,
    wanted: Wanted,
    *,
    key: PublicKey,
    certificate: Path,
    now: datetime,
) -> tuple[Chain, bool]:
    """The chain, and whether it is new: the ledger has it where this very device CA signed for this very key."""
    living = ledger.living(wanted.name, now)
    if not wanted.replacing:
        if living is not None and living.is_for(key) and living.issuer == fingerprint(device_ca.chain.leaf):
            return Chain.of(living.loaded, *device_ca.chain), False
        if living is not None:
            raise already(living)
        if certificate.exists():
            raise AlreadyExists(f"{certificate} exists", why="it is another's", hint="choose another folder with --out")
    chain = sign_child(
        device_ca,
        wanted.name,
        key,
        now=now,
        gateways_below=wanted.gateways_below,
        lifetime=wanted.lifetime,
        asked=wanted.fence,
    )
    note_issued(home.manager, KIND, chain)
    ledger.add(Child.of(wanted.name, chain, now), now=now, replacing=wanted.replacing)
    return chain, True

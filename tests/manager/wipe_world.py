"""An owner's gateway for the tests of the wipe: everything that an owner leaves in a home, and how to look for it."""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from leafward import disk
from leafward.cli.credentials import certified_by_device_ca
from leafward.manager.module_secrets import MASTER_KEY, MasterKey
from leafward.manager.settings import read_settings
from leafward.manager.start import LAST_SEEN, Standing, bring_up
from leafward.manager.time_floor import TimeFloor
from leafward.manager.wipe import Wanted, Wiped, wipe
from leafward.pki.chain import Chain
from leafward.pki.encoding import load_crls
from leafward.pki.receipt import Receipt, judge_receipt, read_receipt
from leafward.pki.verify import Verdict
from leafward.provisioning.devices import add_device
from leafward.store.home import Home
from leafward.store.messages import Message, MessageStore
from leafward.store.registry import Registry

ROUTES = """
[hub.routes]
mine = "FROM /messages/* INTO $upstream"
"""


@dataclass
class Owner:
    """Somebody's gateway, which was in use. `secrets` are the bytes that must not be found afterwards."""

    home: Home
    standing: Standing
    leaf: Chain
    secrets: set[bytes] = field(repr=False)

    @property
    def chain(self) -> Chain:
        """What the hub presented."""
        return self.standing.hub.pair.chain

    @property
    def workload_ca(self) -> x509.Certificate:
        return self.standing.workload_ca.certificate

    @property
    def root(self) -> x509.Certificate:
        return self.standing.device_ca.chain.top


def start(home: Home, clock: Callable[[], datetime]) -> Standing:
    """A start of the manager, without its sockets."""
    standing = bring_up(home, read_settings(home.settings), TimeFloor(home.manager / LAST_SEEN, clock))
    standing.modules.close()
    return standing


def use(home: Home, clock: Callable[[], datetime]) -> Owner:
    """A gateway below the device CA that is installed, with everything that use leaves behind."""
    with home.settings.open("a") as settings:
        settings.write(ROUTES)
    standing = start(home, clock)
    secrets = {_bare(standing.workload_ca.pair.key), _bare(standing.hub.pair.key)}
    MasterKey(home.manager / MASTER_KEY).encrypt(b"secret", module="m", generation_id="1", vector=b"v")
    secrets.add((home.manager / MASTER_KEY).read_bytes())
    with Registry.open(home.registry) as registry:
        for name in ("pump-1", "pump-2"):
            secrets.add(add_device(registry, name, "sas", now=clock()).primary_key or b"")
        secrets |= {one.primary_key or b"" for one in registry.modules("edge-device")}
    with MessageStore.open(home.messages) as messages:
        one = Message("pump-1", None, None, {}, {}, b"the former owner's telemetry", clock())
        messages.append([(one, ["$upstream"])] * 3)
    secrets.add(b"the former owner's telemetry")
    (home.hub / "sessions.json").write_text("[{}, {}]")
    made = certified_by_device_ca(home, "pump-9", now=clock())
    key_text = made.private_key.read_bytes()
    secrets |= {key_text, _body(key_text)}
    (home.root / "notes.txt").write_text("a former owner's notes")
    secrets.add(b"former owner's notes")
    disk.make_folder(home.run)
    (home.run / "ready.json").write_text('{"hostname": "iotedgegw.local"}')
    secrets.add(b"iotedgegw.local")
    assert found_in(home, secrets)
    return Owner(home, standing, Chain.from_pem(made.certificate.read_bytes()), secrets)


def wiped(home: Home, clock: Callable[[], datetime], receipt: Path | None, *, challenge: str | None = None) -> Wiped:
    """A wipe, as the command does it."""
    return wipe(home, TimeFloor(home.manager / LAST_SEEN, clock), Wanted(receipt, challenge))


def found_in(home: Home, secrets: set[bytes]) -> set[str]:
    """Where in the home one of the secrets is still found: raw, in base64 of any alignment, or in a file's name."""
    wanted = secrets | {text for secret in secrets for text in _in_base64(secret)}
    return {
        str(path)
        for path in home.root.rglob("*")
        if path.is_file() and not path.is_symlink()
        for data in [path.read_bytes()]
        if any(one in data for one in wanted)
    }


def kept_files(home: Home) -> dict[str, bytes]:
    """The maker's half, byte for byte."""
    folders = [home.maker, *(home.manager / name for name in ("device-ca", "enrolled-device-ca"))]
    return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def judged(receipt: Path, root: x509.Certificate, now: datetime, challenge: str | None = None) -> Verdict:
    """What somebody with nothing but the root says."""
    return judge_receipt(read(receipt), [root], now=now, challenge=challenge)


def read(receipt: Path) -> Receipt:
    return read_receipt(receipt.read_bytes())


def lists(home: Home) -> list[x509.CertificateRevocationList]:
    return load_crls(home.retired.read_bytes())


def _bare(key: object) -> bytes:
    """The secret number itself, as every encoding of an EC key has it."""
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.private_numbers().private_value.to_bytes(32, "big")


def _body(pem: bytes) -> bytes:
    from leafward.pki.encoding import load_private_key

    key = load_private_key(pem)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) == pem
    return _bare(key)


def _in_base64(secret: bytes) -> Iterator[bytes]:
    """What is common to every base64 text with these bytes inside, whatever stands before them."""
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + secret)
        yield text[4:-4]

"""The device CA: the maker's half, which the manager reads, judges and uses, and never writes.

It lies where the settings say, else in the home's standard place (`manager/device-ca/`). Everything that would make a
leaf device refuse the chain later is refused here, at start, with the file named and what to do about it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509

from leafward import disk
from leafward.errors import InputError, KeyUnavailable, LeafwardError, NotFound, RuleViolation, SettingsError
from leafward.keys.key_store import KeyReference, PrivateKey, open_key
from leafward.manager.enrolment_slots import enrolled_device_ca
from leafward.manager.settings import DeviceSettings, EnrolmentSettings
from leafward.pki.chain import Chain, fingerprint, is_issued_by
from leafward.pki.issuer import Issuer
from leafward.pki.names import Host
from leafward.pki.rule import Context
from leafward.pki.rules import check, refused_when_issuing, rule, signing_certificate
from leafward.store.home import Home

# The workload CA hangs below it: one further CA.
DEPTH_BELOW = 1
# Which maker roots are this gateway's own development ones: written by `leafward up` when it plays the maker.
DEVELOPMENT_MARK = "development.json"
# What is wrong with a CA only where a hub of this name is to serve leaf devices below it.
_FOR_THE_HOST = (rule("common-name-equals-device-ca"), rule("post-quantum-chain"))
_FOLDER = "device-ca"
_MAKE_ONE = "leafward ca device makes one; leafward up makes one for development"


@dataclass(frozen=True)
class DeviceCaFiles:
    """Where the device CA's chain and key are."""

    certificate: Path
    key: KeyReference

    @classmethod
    def of(cls, device: DeviceSettings, home: Home, enrolment: EnrolmentSettings | None = None) -> "DeviceCaFiles":
        """From the enrolment where there is one, from the settings, or the standard place.

        Raises `SettingsError` where only one of the two is set, `NotFound` before the first enrolment.
        """
        if enrolment is not None:
            if (enrolled := enrolled_device_ca(home)) is None:
                why = f"the manager has not got one from {enrolment.url} yet"
                raise NotFound("there is no device CA", why=why, hint="its log says what it waits for")
            return cls(enrolled.certificate, enrolled.key)
        if (device.device_ca_certificate is None) != (device.device_ca_key is None):
            raise SettingsError(
                f"{home.settings} names half a device CA",
                why="device.device_ca_certificate and device.device_ca_key belong together",
                hint="set both, or neither",
            )
        if device.device_ca_certificate is not None and device.device_ca_key is not None:
            return cls(device.device_ca_certificate, device.device_ca_key)
        folder = home.manager / _FOLDER
        return cls(folder / "certificate.pem", KeyReference("file", str(folder / "key.pem")))


@dataclass(frozen=True)
class DeviceCa:
    """A device CA that passed: its chain up to and with the root, and ready to sign."""

    chain: Chain
    issuer: Issuer
    development: bool

    @property
    def root(self) -> x509.Certificate:
        """The trust anchor above it."""
        return self.chain.top


@dataclass(frozen=True)
class FoundDeviceCa:
    """A device CA as it was found: readable, complete, not judged yet. `anchors` are the roots it has to reach."""

    files: DeviceCaFiles
    chain: Chain
    key: PrivateKey = field(repr=False)
    anchors: tuple[x509.Certificate, ...]


def find_device_ca(
    home: Home, device: DeviceSettings, *, roots: Sequence[x509.Certificate], files: DeviceCaFiles | None = None
) -> FoundDeviceCa:
    """Reads the device CA. `roots` is the operator's trust bundle, empty where there is none; `files` None is where the
    settings say.

    Raises `NotFound` without one, `InputError` or `KeyUnavailable` for what does not read, `RuleViolation` for a chain
    without a root; each names the file and what to do.
    """
    files = files or DeviceCaFiles.of(device, home)
    chain = _complete(_read_chain(files.certificate), roots, files.certificate)
    return FoundDeviceCa(files, chain, _read_key(files, home), anchors=tuple(roots) or (chain.top,))


def judge_device_ca(found: FoundDeviceCa, home: Home, device: DeviceSettings, *, now: datetime) -> DeviceCa:
    """Raises `RuleViolation`, with the rule's code and the file's name, unless a workload CA for this gateway can hang
    below the device CA. `now` is aware UTC.
    """
    _judge(found, device.hostname, now)
    development = is_development(home, found.chain)
    if development and device.production:
        raise RuleViolation(
            "development-certificate",
            f"the device CA {found.files.certificate} is for development only",
            why="device.production is true, and its root was made on this gateway",
            hint="install a device CA of the maker, and name it in device.device_ca_certificate",
        )
    return DeviceCa(found.chain, Issuer(found.chain, found.key), development)


def load_device_ca(
    home: Home,
    device: DeviceSettings,
    *,
    roots: Sequence[x509.Certificate],
    now: datetime,
    files: DeviceCaFiles | None = None,
) -> DeviceCa:
    """`find_device_ca`, then `judge_device_ca`."""
    return judge_device_ca(find_device_ca(home, device, roots=roots, files=files), home, device, now=now)


def _read_chain(path: Path) -> Chain:
    try:
        return Chain.ordered(Chain.from_pem(disk.read_file(path)).certificates)
    except NotFound as error:
        raise NotFound(f"there is no device CA at {path}", why="it does not exist", hint=_MAKE_ONE) from error
    except InputError as error:
        raise type(error)(
            f"the device CA {path} cannot be used",
            why=str(error),
            hint=error.hint or "it is a PEM file: the device CA's certificate first, then its issuers up to the root",
        ) from error


def _complete(chain: Chain, roots: Sequence[x509.Certificate], path: Path) -> Chain:
    """The chain with its root: from the file, or from the trust bundle."""
    if chain.is_complete:
        return chain
    root = next((root for root in roots if is_issued_by(chain.top, root)), None)
    if root is None:
        raise RuleViolation(
            "root-not-trusted" if roots else "intermediate-missing",
            f"the chain in {path} does not reach a root",
            why=f"it ends with {_name(chain.top.subject)!r}, whose issuer {_name(chain.top.issuer)!r} is neither in "
            "the file nor in the trust bundle",
            hint=f"append the issuers up to the root to {path}, or name a file with the root in device.trust_bundle",
        )
    return Chain.of(*chain.certificates, root)


def _read_key(files: DeviceCaFiles, home: Home) -> PrivateKey:
    try:
        return open_key(files.key)
    except NotFound as error:
        raise NotFound(
            f"there is no key {files.key.label} for the device CA {files.certificate}",
            why="it does not exist",
            hint=f"put it there, or name it in device.device_ca_key of {home.settings}",
        ) from error
    except KeyUnavailable as error:
        if files.key.label in str(error) or files.key.scheme == "file":  # a file's error names it
            raise
        what = f"the key {files.key.label} of the device CA {files.certificate} cannot be used"
        raise KeyUnavailable(what, why=str(error), hint=error.hint) from error


def _judge(found: FoundDeviceCa, host: Host, now: datetime) -> None:
    for refusal in refusals(found, host, now):
        raise refusal


def refusals(found: FoundDeviceCa, host: Host, now: datetime) -> Iterator[RuleViolation]:
    """Everything for which a device CA is refused, the likeliest cause first."""
    certificate, key = found.files.certificate, found.key.public_key()
    findings = signing_certificate(found.chain, now, depth_below=DEPTH_BELOW, key=key, anchors=found.anchors)
    named = Context(chain=found.chain, anchors=found.anchors, host=host, now=now, purpose="ca", depth_below=DEPTH_BELOW)
    for finding in (*findings, *check(named, _FOR_THE_HOST)):
        # What the issuer would refuse later is refused here, where the file can be named.
        if finding.severity == "error" or refused_when_issuing(named, finding):
            file = found.files.key.label if finding.code == "key-mismatch" else certificate
            yield RuleViolation(
                finding.code,
                f"the device CA {file} cannot be used",
                why=finding.reason,
                hint=f"{finding.fix.rstrip('.')}; then put the new one at {certificate}",
            )


def is_development(home: Home, chain: Chain) -> bool:
    """Whether the root of a chain is this gateway's own development one."""
    try:
        mark = disk.read_file(home.maker / DEVELOPMENT_MARK)
    except LeafwardError:
        return False
    return fingerprint(chain.top).encode() in mark


def _name(name: x509.Name) -> str:
    return name.rfc4514_string()

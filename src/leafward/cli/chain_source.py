"""Where a chain is read from: a PEM file, a live server, or the home of a gateway."""

from pathlib import Path

from leafward import disk
from leafward.errors import EncodingError, LeafwardError, NotFound
from leafward.pki.chain import Chain
from leafward.pki.renewal import RenewalPolicy
from leafward.store.home import Home


def read_chain(target: str, name: str | None = None) -> Chain:
    """The chain of a file or of a home, or the one that a server presents, put in order leaf first.

    `name` is what the server is asked for (SNI). Raises `EncodingError`, `NotFound`, and `PeerUnavailable`.
    """
    path = Path(target)
    if path.is_dir():
        return chain_of_home(Home(path))
    if path.exists():
        from leafward.cli.certificate_files import read_certificates

        certificates = read_certificates(path)
    else:
        from leafward.doctor.probe import parse_target, presented_chain

        certificates = list(presented_chain(parse_target(target, name=name)))
    if not certificates:
        raise EncodingError(f"{target} holds no certificate")
    return Chain.ordered(certificates)


def chain_of_home(home: Home) -> Chain:
    """What the hub of a home presents; before its first start, the device CA's chain. Raises `NotFound`."""
    from leafward.manager.pairs import CERTIFICATE
    from leafward.manager.server_certificate import FOLDER
    from leafward.store.slots import Slots

    slot = Slots(home.manager / FOLDER).active() if (home.manager / FOLDER).is_dir() else None
    if slot is not None:
        return Chain.from_pem(slot.read(CERTIFICATE))
    from leafward.manager.device_ca import DeviceCaFiles
    from leafward.manager.settings import read_settings

    settings = read_settings(home.settings)
    try:
        files = DeviceCaFiles.of(settings.device, home, settings.enrolment)
        return Chain.from_pem(disk.read_file(files.certificate))
    except NotFound as error:
        raise NotFound(f"{home.root} has no chain yet", why=str(error), hint="leafward up makes one") from error


def renewal_policy(target: str) -> RenewalPolicy:
    """What a home's gateway renews by; the default for what is no home."""
    if not Path(target).is_dir():
        return RenewalPolicy.parse()
    from leafward.manager.settings import read_settings

    try:
        return read_settings(Home(Path(target)).settings).renewal.policy
    except LeafwardError:
        return RenewalPolicy.parse()

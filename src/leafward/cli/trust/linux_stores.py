"""The stores of Linux systems: a folder of the administrator's own roots, and a command that makes one bundle of all.

Debian, Ubuntu       /usr/local/share/ca-certificates      update-ca-certificates
Alpine               the same folder                       update-ca-certificates, another program
Fedora, RHEL         /etc/pki/ca-trust/source/anchors      update-ca-trust
openSUSE, SLES       /etc/pki/trust/anchors                update-ca-certificates, a third one
Arch                 p11-kit's own                         trust anchor
"""

from pathlib import Path
from typing import ClassVar

from leafward import disk
from leafward.cli.trust.anchor import Anchor
from leafward.cli.trust.steps import Ask, Remove, Run, Step, Write
from leafward.cli.trust.store import Found, TrustStore
from leafward.errors import LeafwardError

# A bundle of all roots has a quarter of a megabyte.
_LARGEST_BUNDLE = 16 * 1024 * 1024


class FolderStore(TrustStore):
    """A folder with one file a root. `root` is where the file system begins, which is elsewhere in an image."""

    kind = "system"
    folder: ClassVar[str]
    suffix: ClassVar[str]
    bundle: ClassVar[str]
    called: ClassVar[str]
    after_removal: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        return self.called

    @property
    def where(self) -> str:
        return str(self.own_folder)

    @property
    def own_folder(self) -> Path:
        """Where an administrator's own roots lie."""
        return Path(self.folder)

    @property
    def whole(self) -> Path:
        """The bundle that programs read."""
        return Path(self.bundle)

    def update(self) -> tuple[str, ...]:
        """The command that makes the bundle anew."""
        return (self.program,)

    def find(self, anchor: Anchor, ask: Ask) -> Found:
        return Found(trusted=_holds(self.whole, anchor), ours=_holds(self._file(anchor), anchor))

    def install(self, anchor: Anchor) -> list[Step]:
        file = self._file(anchor)
        return [Write(file, anchor.pem), Run(self.update())]

    def uninstall(self, anchor: Anchor) -> list[Step]:
        return [Remove(self._file(anchor)), Run((*self.update(), *self.after_removal))]

    def _file(self, anchor: Anchor) -> Path:
        return self.own_folder / f"{anchor.label}{self.suffix}"


class Debian(FolderStore):
    """Debian, Ubuntu and what is made of them. Other folders than the system's own are for images and tests."""

    program = "update-ca-certificates"
    package = "ca-certificates"
    called = "the certificates of Debian and Ubuntu"
    folder = "/usr/local/share/ca-certificates"
    suffix = ".crt"  # others are passed over
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    # Without it the link to the file that has gone stays.
    after_removal = ("--fresh",)

    def __init__(self, tree: Path | None = None) -> None:
        self._tree = tree

    @property
    def own_folder(self) -> Path:
        return Path(self.folder) if self._tree is None else self._tree / self.folder.lstrip("/")

    @property
    def whole(self) -> Path:
        return Path(self.bundle) if self._tree is None else self._tree / self.bundle.lstrip("/")

    def update(self) -> tuple[str, ...]:
        if self._tree is None:
            return (self.program,)
        tree = self._tree
        options = {
            "--certsconf": tree / "etc/ca-certificates.conf",
            "--localcertsdir": self.own_folder,
            "--etccertsdir": self.whole.parent,
            "--hooksdir": tree / "etc/ca-certificates/update.d",
        }
        return (self.program, *(text for pair in options.items() for text in map(str, pair)))


class Alpine(FolderStore):
    """Alpine: the folder is Debian's, the program is not and has no options."""

    program = "update-ca-certificates"
    package = "ca-certificates"
    called = "the certificates of Alpine"
    folder = Debian.folder
    suffix = ".crt"
    bundle = Debian.bundle


class Fedora(FolderStore):
    """Fedora, RHEL, CentOS and what is made of them."""

    program = "update-ca-trust"
    package = "ca-certificates"
    called = "the certificates of Fedora and RHEL"
    folder = "/etc/pki/ca-trust/source/anchors"
    suffix = ".pem"
    bundle = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"

    def update(self) -> tuple[str, ...]:
        return (self.program, "extract")


class Suse(FolderStore):
    """openSUSE and SLES."""

    program = "update-ca-certificates"
    package = "ca-certificates"
    called = "the certificates of SUSE"
    folder = "/etc/pki/trust/anchors"
    suffix = ".pem"
    bundle = "/var/lib/ca-certificates/ca-bundle.pem"


class Arch(TrustStore):
    """Arch: p11-kit keeps the anchors, and finds one to remove by what it is."""

    kind = "system"
    program = "trust"
    package = "p11-kit"
    bundle: ClassVar[str] = "/etc/ca-certificates/extracted/tls-ca-bundle.pem"

    @property
    def name(self) -> str:
        return "the certificates of Arch"

    @property
    def where(self) -> str:
        return "/etc/ca-certificates/trust-source"

    def find(self, anchor: Anchor, ask: Ask) -> Found:
        trusted = _holds(Path(self.bundle), anchor)
        return Found(trusted, trusted)

    def install(self, anchor: Anchor) -> list[Step]:
        return [Run(("trust", "anchor", "--store", str(anchor.path)))]

    def uninstall(self, anchor: Anchor) -> list[Step]:
        return [Run(("trust", "anchor", "--remove", str(anchor.path)))]


def _holds(path: Path, anchor: Anchor) -> bool:
    try:
        return anchor.is_in(disk.read_file(path, limit=_LARGEST_BUNDLE))
    except LeafwardError:
        return False

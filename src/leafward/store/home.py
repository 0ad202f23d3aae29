"""Where everything of one edge lies: every path of the state, in one place, so that no other room spells a file name.

Paths only: nothing is opened, and nothing is made but the folder of the sockets when it is asked for. Imports nothing
slow, since every command starts here.
"""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from leafward.disk import PRIVATE_FOLDER, make_folder, told
from leafward.errors import StoreError

# The kernel keeps a socket's path in 108 bytes with its closing zero; some clients keep a byte or two less.
LONGEST_SOCKET_PATH = 100
# `run` where two users share a home: setgid and sticky, for its group and nobody else. Never so by accident.
SHARED_FOLDER = 0o3770
_LONGEST_SOCKET_NAME = "provisioning.sock"


@dataclass(frozen=True)
class Home:
    """The paths under one root folder. Immutable, so any thread may use it.

    `root` is made absolute at once: a later change of the working folder moves nothing.

    >>> Home(Path("/var/lib/leafward")).registry
    PosixPath('/var/lib/leafward/registry.db')
    """

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root).expanduser().absolute())

    @classmethod
    def default(cls) -> "Home":
        """`LEAFWARD_HOME`, else `leafward` in `XDG_DATA_HOME`, else `~/.local/share/leafward`.

        A relative `XDG_DATA_HOME` is passed over, as the XDG base directory specification asks.
        """
        if named := os.environ.get("LEAFWARD_HOME"):
            return cls(Path(named))
        data = Path(os.environ.get("XDG_DATA_HOME") or "")
        return cls((data if data.is_absolute() else Path("~/.local/share")) / "leafward")

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.root / "leafward.toml"

    @property
    def maker(self) -> Path:
        """The folder of the development maker: root, intermediate and device CA."""
        return self.root / "maker"

    @property
    def manager(self) -> Path:
        """The folder of the manager: workload CA, hub server certificate, module keys."""
        return self.root / "manager"

    @property
    def wipe_marker(self) -> Path:
        """There while a wipe for resale is not finished: nothing starts before it is."""
        return self.manager / "wipe.json"

    @property
    def owner_epoch(self) -> Path:
        """The number of this device's owner: 1, and one more with each wipe."""
        return self.manager / "epoch"

    @property
    def retired(self) -> Path:
        """The lists by which the device CA retires what hung below it for earlier owners."""
        return self.manager / "retired" / "crl.pem"

    @property
    def receipts(self) -> Path:
        """The folder of the receipts of every wipe."""
        return self.manager / "receipts"

    @property
    def registry(self) -> Path:
        """The database of device and module identities."""
        return self.root / "registry.db"

    @property
    def hub(self) -> Path:
        """The folder of the hub."""
        return self.root / "hub"

    @property
    def messages(self) -> Path:
        """The database of the messages the hub holds."""
        return self.hub / "messages.db"

    @property
    def devices(self) -> Path:
        """The folder of the leaf devices' certificates and keys that were made here."""
        return self.root / "devices"

    @property
    def trust(self) -> Path:
        """The folder of what others may read: the root certificate and the trust bundle."""
        return self.root / "trust"

    @property
    def root_certificate(self) -> Path:
        """The root certificate a leaf device needs."""
        return self.trust / "root.pem"

    @property
    def trust_bundle(self) -> Path:
        """Every root that modules and the hub trust."""
        return self.trust / "trust-bundle.pem"

    @property
    def published_retired(self) -> Path:
        """What is retired, for the hub and whoever verifies the chain; there once the device was wiped."""
        return self.trust / "retired.pem"

    @property
    def run(self) -> Path:
        """The folder of what lives only as long as the edge runs."""
        return self.root / "run"

    @property
    def ready(self) -> Path:
        """Appears when every listener answers, and goes when the edge stops."""
        return self.run / "ready.json"

    @property
    def lock(self) -> Path:
        """Held by whoever runs on this home."""
        return self.run / "lock"

    @property
    def sockets(self) -> Path:
        """The folder of the unix sockets: `run`, or a short one under the temporary folder where `run` is too deep.

        It follows from the root's real path and the user alone, so that every process of one home finds the same one.
        """
        import tempfile  # noqa: PLC0415 - brings compressors along, and few commands come here

        short = f"leafward-{os.getuid()}-{hashlib.sha256(os.fsencode(self.root.resolve())).hexdigest()[:16]}"
        for folder in (self.run, Path(tempfile.gettempdir()) / short):
            if len(os.fsencode(folder / _LONGEST_SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
                return folder
        return Path("/tmp") / short  # noqa: S108 - make_socket_folder proves who owns it

    @property
    def workload_socket(self) -> Path:
        """The Workload API."""
        return self.sockets / "workload.sock"

    @property
    def management_socket(self) -> Path:
        """The Management API."""
        return self.sockets / "management.sock"

    @property
    def hub_socket(self) -> Path:
        """The hub's service API, for the operator."""
        return self.sockets / "hub.sock"

    @property
    def provisioning_socket(self) -> Path:
        """The provisioning service's own door."""
        return self.sockets / "provisioning.sock"

    def make_socket_folder(self) -> Path:
        """Makes `sockets` (0700) and proves that it is this user's alone; listeners call it before they bind.

        In a home that two users share (`manager/hub_user.py`) `run` is theirs together. Raises `StoreError` when
        somebody else made it first, as anybody may in a shared temporary folder.
        """
        folder = self.sockets
        make_folder(folder)
        with told(f"cannot look at {folder}"):
            status = folder.lstat()
        is_ours = status.st_uid == os.getuid() and not status.st_mode & 0o077
        if not stat.S_ISDIR(status.st_mode) or not (is_ours or self._is_shared(folder, status)):
            raise StoreError(
                f"the folder for the sockets, {folder}, cannot be trusted",
                why=f"got owner {status.st_uid} and mode {stat.filemode(status.st_mode)}, "
                f"expected owner {os.getuid()} and mode {stat.filemode(stat.S_IFDIR | PRIVATE_FOLDER)}",
                hint=f"rm -r {folder}, or choose a home with a shorter path",
            )
        return folder

    def _is_shared(self, folder: Path, status: os.stat_result) -> bool:
        """Whether it is the `run` of a home that its owner shares with a group of ours."""
        if folder != self.run or stat.S_IMODE(status.st_mode) != SHARED_FOLDER:
            return False
        with told(f"cannot look at {self.root}"):
            owner = self.root.stat().st_uid
        return status.st_uid == owner and status.st_gid in {os.getegid(), *os.getgroups()}

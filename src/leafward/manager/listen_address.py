"""Where an API listens: a unix socket, or TCP on the loopback address where unix sockets name no process (Windows).

unix:///run/leafward/workload.sock
http://127.0.0.1:15580            port 0: any free one; what it became stands beside the sockets (`announce`)
"""

from dataclasses import dataclass
from pathlib import Path

from leafward import disk
from leafward.errors import LeafwardError
from leafward.wire.iotedge_config.values import ApiUri

WORKLOAD, MANAGEMENT = "workload", "management"


@dataclass(frozen=True)
class ListenAddress:
    """`path` for a unix socket, or `host` and `port`."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    @classmethod
    def of(cls, uri: ApiUri) -> "ListenAddress":
        """From a setting, which was checked when it was read: a path, or a loopback address."""
        if uri.scheme == "unix":
            return cls(path=Path(uri.rest))
        host, _, port = uri.rest.rpartition(":")
        return cls(host="127.0.0.1" if host == "localhost" else host.strip("[]"), port=int(port))

    @property
    def uri(self) -> str:
        """As modules are told it."""
        if self.path is not None:
            return f"unix://{self.path}"
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def announce(folder: Path, api: str, uri: str) -> Path:
    """Writes where an API really listens, for commands that are not told the port; the file."""
    path = _announcement(folder, api)
    disk.write_file(path, uri.encode(), mode=disk.PUBLIC)
    return path


def announced(folder: Path, api: str) -> str | None:
    """Where the running manager's API listens over TCP; None where it does not, or none runs."""
    try:
        return disk.read_file(_announcement(folder, api), limit=256).decode("ascii")
    except (LeafwardError, UnicodeDecodeError):
        return None


def _announcement(folder: Path, api: str) -> Path:
    return folder / f"{api}.uri"

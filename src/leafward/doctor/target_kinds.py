"""Which kind of target a text is: a server, a leaf's settings, a home, a configuration of IoT Edge, or a plain file.

Kept apart from the rooms that look at them, which cost time to load: most questions are about files.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from leafward.errors import UsageError

# Seconds for all that is asked of one server.
TIMEOUT = 15.0
DEFAULT_PORT = 8883
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^/\s:=;]+):\d{1,5}")
_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+\.?|localhost", re.ASCII)
# What a file is called: such a target that is not there is a missing file, and no server.
_ENDINGS = frozenset(
    (
        "pem",
        "crt",
        "cer",
        "cert",
        "der",
        "key",
        "p12",
        "pfx",
        "p7b",
        "p7c",
        "crl",
        "csr",
        "req",
        "txt",
        "toml",
        "yaml",
        "yml",
        "json",
        "jks",
        "bak",
        "old",
        "zip",
        "gz",
        "tar",
    )
)
_CONFIGURATIONS = (".yaml", ".yml", ".toml")
_SCHEME = "SharedAccessSignature"


@dataclass(frozen=True)
class Target:
    """A server to look at: where it is, and the name a leaf would use."""

    host: str
    port: int
    name: str

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_target(text: str, *, name: str | None = None) -> Target:
    """`gateway.local:8883`, `192.0.2.1:8883`, `[2001:db8::1]:8883`. Raises `UsageError` for anything else.

    >>> parse_target("[2001:db8::1]:8883").host
    '2001:db8::1'
    """
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{text!r} is neither a file nor HOST:PORT", hint=f"for a server write HOST:{DEFAULT_PORT}")
    return Target(host, int(port), name or host)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What else a person gives. `timeout` in seconds, for each server. `certificate` and `key` are the leaf's own, as
    paths; `login` False keeps the connection string from being tried.
    """

    connection_string: str | None = None
    timeout: float = TIMEOUT
    certificate: str | None = None
    key: str | None = None
    login: bool = True


# Told (done, of how many) after each server of several.
Watch: TypeAlias = Callable[[int, int], None]


def unwatched(_done: int, _most: int) -> None:
    """Nobody looks on."""


def is_there(target: str) -> bool:
    """Whether a file or folder of that name exists; False for what can be none's name, as a long connection string."""
    try:
        return Path(target).exists()
    except (OSError, ValueError):
        return False


def is_server(target: str) -> bool:
    """HOST:PORT, `[v6]`, an address, or a name with a dot that is called like no file; and no such file exists.

    >>> is_server("gateway.local"), is_server("root.pem"), is_server("root")
    (True, False, False)
    """
    if is_there(target):
        return False
    if _HOST_PORT.fullmatch(target) or _address(target):
        return True
    return _NAME.fullmatch(target) is not None and target.rpartition(".")[2].lower() not in _ENDINGS


def is_other(target: str) -> bool:
    """Whether a target is any of those that this room looks at."""
    if is_there(target):
        return is_home(Path(target)) or is_iotedge_file(Path(target))
    return is_settings(target) or is_server(target)


def server_of(target: str, name: str | None) -> Target:
    """Where a server is; port 8883 where none is said. Raises `UsageError`."""
    if _HOST_PORT.fullmatch(target):
        return parse_target(target, name=name)
    host = target.removeprefix("[").removesuffix("]").removesuffix(".")
    return Target(host, DEFAULT_PORT, name or host)


def _address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def is_settings(text: str) -> bool:
    """Whether a target is a connection string or a token, and no file or server.

    >>> is_settings("HostName=hub.example;DeviceId=pump-7;x509=true")
    True
    """
    return text.startswith(f"{_SCHEME} ") or ("=" in text and (";" in text or text.startswith("HostName=")))


def is_home(path: Path) -> bool:
    """Whether a folder is a home: it has the manager's folder, or its settings file."""
    return path.is_dir() and ((path / "leafward.toml").is_file() or (path / "manager").is_dir())


def is_iotedge_file(path: Path) -> bool:
    """Whether a file is a configuration of IoT Edge, by its ending and what stands in it."""
    if path.suffix.lower() not in _CONFIGURATIONS or not path.is_file():
        return False
    if path.suffix.lower() != ".toml":
        return True
    from leafward.doctor.file_reader import read  # noqa: PLC0415 - few ask, and YAML costs time
    from leafward.wire.iotedge_config.reader import is_iotedge_toml  # noqa: PLC0415

    found = read(path)
    return found.data is not None and is_iotedge_toml(found.data)

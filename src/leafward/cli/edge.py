"""The edge of one home as the commands see it: its name, its root, whether it runs."""

import contextlib
import json
import re
import socket
import tomllib
from pathlib import Path
from typing import Any

from leafward import disk
from leafward.errors import NotFound, PeerUnavailable
from leafward.pki.names import parse_gateway_host
from leafward.store.home import Home

HEADER = """# The settings of this edge. Every key: docs/settings.md

"""


def gateway_name(home: Home) -> str:
    """The name that leaf devices use for this gateway."""
    from leafward.store.device_settings import read_device

    return str(read_device(home.settings).hostname)


def edge_device_id(home: Home) -> str:
    """The gateway's own device id, under which its modules stand."""
    from leafward.store.device_settings import read_device

    return read_device(home.settings).device_id


def require_root(home: Home) -> Path:
    """The root certificate that a leaf device needs. Raises `NotFound` before the first start."""
    if not home.root_certificate.exists():
        raise NotFound("this home has no edge yet", why=f"no {home.root_certificate}", hint="leafward up")
    return home.root_certificate


def running(home: Home) -> dict[str, Any]:
    """What `run/ready.json` says. Raises `PeerUnavailable` where no edge runs on this home."""
    try:
        ready: dict[str, Any] = json.loads(disk.read_file(home.ready))
    except (NotFound, ValueError) as error:
        raise PeerUnavailable("no edge runs on this home", why=str(home.root), hint="leafward up") from error
    return ready


def kept_hostname(home: Home) -> str | None:
    """The hostname in the settings file, if there is one."""
    return _kept_hostname(disk.read_file(home.settings).decode()) if home.settings.exists() else None


def keep_hostname(home: Home, wanted: str | None) -> str:
    """The hostname of this edge, kept in the settings file: the one asked for, else the one kept, else the machine's.

    So that the next `leafward up` is the same gateway whatever it is called with. Other settings are left as they are.
    """
    text = disk.read_file(home.settings).decode() if home.settings.exists() else HEADER
    kept = _kept_hostname(text)
    name = str(parse_gateway_host(wanted)) if wanted else kept or default_hostname()
    if name != kept:
        disk.make_folder(home.root)
        disk.write_file(home.settings, _with_hostname(text, name).encode(), mode=disk.PUBLIC)
    return name


def default_hostname() -> str:
    """The machine's name where it resolves, so that a leaf device on this machine can use it; else `localhost`."""
    name = socket.gethostname().lower()
    with contextlib.suppress(Exception):
        socket.getaddrinfo(name, None)
        return str(parse_gateway_host(name))
    return "localhost"


def _kept_hostname(text: str) -> str | None:
    """None also where the file cannot be read: the manager says what is wrong with it, with every fault at once."""
    with contextlib.suppress(tomllib.TOMLDecodeError, AttributeError):
        value = tomllib.loads(text).get("device", {}).get("hostname")
        return value if isinstance(value, str) else None
    return None


def _with_hostname(text: str, name: str) -> str:
    line = f'hostname = "{name}"'
    if re.search(r"(?m)^\s*hostname\s*=", text):
        return re.sub(r"(?m)^\s*hostname\s*=.*$", line, text, count=1)
    if re.search(r"(?m)^\[device\]\s*$", text):
        return re.sub(r"(?m)^\[device\]\s*$", f"[device]\n{line}", text, count=1)
    return f"{text.rstrip()}\n\n[device]\n{line}\n"

"""The edge of one home as the commands see it: its name, its root, whether it runs."""

import contextlib
import json
import re
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leafward import disk
from leafward.errors import LeafwardError, NotFound, PeerUnavailable, SettingsError
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


def check_settings(home: Home) -> None:
    """Lets every part read its tables, so that all that is wrong with the file is told at once.

    Raises `SettingsError` naming the file and every wrong key.
    """
    from leafward.authority.settings import read_maker
    from leafward.hub.settings import read_settings as read_hub
    from leafward.manager.settings import read_settings as read_manager
    from leafward.provisioning.settings import read_settings as read_provisioning

    faults: list[SettingsError] = []
    for read in (read_manager, read_hub, read_provisioning, read_maker):
        try:
            read(home.settings)
        except SettingsError as error:
            faults.append(error)
    if faults:
        every = dict.fromkeys(sentence for fault in faults for sentence in (fault.why or fault.what).split("; "))
        raise SettingsError(f"{home.settings} cannot be used", why="; ".join(every), hint=faults[0].hint)


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
    return _kept_hostname(_settings_text(home))


@contextlib.contextmanager
def keeping_hostname(home: Home, wanted: str | None) -> Iterator[str]:
    """The hostname of this edge: the one asked for, else the one kept, else the machine's; kept in the settings file.

    So that the next `leafward up` is the same gateway whatever it is called with. Where the start then fails, the file
    is put back as it was. Other settings are left as they are.
    """
    check_settings(home)
    text = _settings_text(home)
    kept = _kept_hostname(text)
    name = str(parse_gateway_host(wanted)) if wanted else kept or default_hostname()
    if name == kept:
        yield name
        return
    existed = home.settings.exists()
    disk.write_file(home.settings, _with_hostname(text, name, home.settings).encode(), mode=disk.PUBLIC)
    try:
        yield name
    except LeafwardError:
        if existed:
            disk.write_file(home.settings, text.encode(), mode=disk.PUBLIC)
        else:
            disk.remove_file(home.settings)
        raise


def _settings_text(home: Home) -> str:
    if not home.settings.exists():
        return HEADER
    try:
        return disk.read_file(home.settings).decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{home.settings} cannot be read", why=str(error), hint="it is TOML in UTF-8") from error


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


def _with_hostname(text: str, name: str, path: Path) -> str:
    """The text with this hostname in `[device]`. Raises `SettingsError` where a person has to write it there."""
    line = f'hostname = "{name}"'
    if re.search(r"(?m)^\s*hostname\s*=", text):
        changed = re.sub(r"(?m)^\s*hostname\s*=.*$", line, text, count=1)
    elif re.search(r"(?m)^\[device\]", text):
        changed = re.sub(r"(?m)^(\[device\].*)$", rf"\1\n{line}", text, count=1)
    else:
        changed = f"{text.rstrip()}\n\n[device]\n{line}\n"
    # A file may say the same in other ways (dotted keys, inline tables): what we wrote is read back before it is kept.
    if _kept_hostname(changed) != name:
        raise SettingsError(f"{path} cannot be given the hostname", hint=f"write {line} below [device] in it yourself")
    return changed
